//! Two layers whose digests are right. The first byte says how many blocks the first one has.

#![no_main]

use strata_fuzz::bases::{BaseImage, archive};
use strata_fuzz::{read_archive, repair};

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    let Some((first, tars)) = bytes.split_first() else {
        return;
    };
    let length = usize::from(*first) * 512;
    let (lower, upper) = tars.split_at(length.min(tars.len()));
    let layers = [lower, upper].map(|layer| {
        let mut layer = layer.to_vec();
        repair(&mut layer);
        layer
    });
    let image = BaseImage::new(layers.to_vec());
    read_archive(&archive(&image.docker_archive()));
});
