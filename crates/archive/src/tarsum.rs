//! Docker's sum of an archive, `tarsum.v1+sha256:..` (moby, `pkg/tarsum/tarsum_spec.md`): it does not depend on the
//! order of entries, nor on their times.

use std::io::{self, Read};

use ::tar::{Archive, Entry};

use strata_oci::Hasher;

/// The sum of the archive `reader`, which is not compressed.
pub fn tarsum(reader: impl Read) -> io::Result<String> {
    let mut archive = Archive::new(reader);
    let mut sums = Vec::new();
    for entry in archive.entries()? {
        sums.push(sum(entry?)?);
    }
    sums.sort_unstable();
    let mut hasher = Hasher::default();
    for sum in &sums {
        io::copy(&mut sum.as_bytes(), &mut hasher)?;
    }
    Ok(format!("tarsum.v1+sha256:{}", hasher.finish().0.hex()))
}

/// The sum of one entry: names and values of its header, its extended attributes, and its content.
fn sum<R: Read>(mut entry: Entry<'_, R>) -> io::Result<String> {
    let mut attributes: Vec<(Vec<u8>, Vec<u8>)> = Vec::new();
    if let Some(extensions) = entry.pax_extensions()? {
        for extension in extensions {
            let extension = extension?;
            let name = extension.key_bytes().strip_prefix(b"SCHILY.xattr.");
            attributes.extend(name.map(|name| (name.to_vec(), extension.value_bytes().to_vec())));
        }
    }
    attributes.sort_unstable();
    let header = entry.header();
    let number = |number: u64| number.to_string().into_bytes();
    let device = |found: io::Result<Option<u32>>| number(found.ok().flatten().unwrap_or(0).into());
    let link = entry.link_name_bytes();
    let fields: [(&[u8], Vec<u8>); 11] = [
        (b"name", entry.path_bytes().into_owned()),
        (b"mode", number(header.mode()?.into())),
        (b"uid", number(header.uid()?)),
        (b"gid", number(header.gid()?)),
        (b"size", number(entry.size())),
        (b"typeflag", vec![header.entry_type().as_byte()]),
        (b"linkname", link.unwrap_or_default().into_owned()),
        // Names of users are left empty, since Go 1.10 writes them where it did not before.
        (b"uname", Vec::new()),
        (b"gname", Vec::new()),
        (b"devmajor", device(header.device_major())),
        (b"devminor", device(header.device_minor())),
    ];
    let mut hasher = Hasher::default();
    let fields = fields.iter().map(|(name, value)| (*name, value));
    let attributes = attributes
        .iter()
        .map(|(name, value)| (name.as_slice(), value));
    for (name, value) in fields.chain(attributes) {
        io::copy(&mut [name, value].concat().as_slice(), &mut hasher)?;
    }
    io::copy(&mut entry, &mut hasher)?;
    Ok(hasher.finish().0.hex())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{ArchiveWriter, Metadata, Mode};

    fn archive(files: &[(&str, &str)], time: u64) -> Vec<u8> {
        let mut archive = ArchiveWriter::new(Vec::new(), "test").modified_at(time);
        let metadata = Metadata::root(Mode::from_bits(0o644));
        for (path, content) in files {
            archive.file(path, &metadata, content.as_bytes()).unwrap();
        }
        archive.finish().unwrap()
    }

    #[test]
    fn the_sum_is_of_names_and_content() {
        let sum = |files: &[(&str, &str)], time| tarsum(archive(files, time).as_slice()).unwrap();
        let nothing = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
        assert_eq!(sum(&[], 1), format!("tarsum.v1+sha256:{nothing}"));
        let both = sum(&[("a", "1"), ("b", "2")], 1);
        // By Python's hashlib from the specification.
        assert_eq!(
            both,
            "tarsum.v1+sha256:d0ca00fded3a97efbea3b1b8cac83dee0fcca57e7b987d321bb9aa6f85f7369f"
        );
        assert_eq!(sum(&[("b", "2"), ("a", "1")], 7), both);
        assert_ne!(sum(&[("a", "1"), ("b", "3")], 1), both);
        assert_ne!(sum(&[("a", "1"), ("c", "2")], 1), both);
    }
}
