//! The tar-split: a tar without the content of its files, as vbatts/tar-split writes it, a JSON object a line.

use std::io::{self, Write};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::Serialize;

/// The letter of a line about a member's content.
const FILE: u8 = 1;
/// The letter of a line of other bytes: headers, padding, the end of the archive.
const SEGMENT: u8 = 2;

/// Writes a tar-split.
///
/// A reader takes the padding behind a file and the headers of the next member from one segment or from two. In
/// one of its own a header begins with a new group of base 64, so that names look the same each time, which makes
/// half of the size.
#[derive(Default)]
pub(super) struct TarSplit<W> {
    writer: W,
    position: u64,
}

#[derive(Serialize)]
struct Line<'a> {
    r#type: u8,
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    size: Option<u64>,
    payload: Option<String>,
    position: u64,
}

impl<W: Write> TarSplit<W> {
    /// Bytes of the tar as they are.
    pub(super) fn segment(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.line(SEGMENT, None, None, Some(bytes))
    }

    /// The content of a member, which comes behind its header, whether it has any or not.
    pub(super) fn content(
        &mut self,
        name: &str,
        size: u64,
        crc: Option<[u8; 8]>,
    ) -> io::Result<()> {
        let crc = crc.as_ref().map(<[u8; 8]>::as_slice);
        self.line(FILE, Some(name), (size > 0).then_some(size), crc)
    }

    pub(super) fn into_writer(self) -> W {
        self.writer
    }

    fn line(
        &mut self,
        letter: u8,
        name: Option<&str>,
        size: Option<u64>,
        payload: Option<&[u8]>,
    ) -> io::Result<()> {
        let line = Line {
            r#type: letter,
            name,
            size,
            payload: payload.map(|payload| STANDARD.encode(payload)),
            position: self.position,
        };
        self.position += 1;
        serde_json::to_writer(&mut self.writer, &line)?;
        self.writer.write_all(b"\n")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_as_go_writes_them() {
        let mut split = TarSplit::<Vec<u8>>::default();
        split.segment(b"header").unwrap();
        split
            .content("a", 3, Some([1, 2, 3, 4, 5, 6, 7, 8]))
            .unwrap();
        split.content("b/", 0, None).unwrap();
        let text = String::from_utf8(split.into_writer()).unwrap();
        assert_eq!(
            text,
            concat!(
                r#"{"type":2,"payload":"aGVhZGVy","position":0}"#,
                "\n",
                r#"{"type":1,"name":"a","size":3,"payload":"AQIDBAUGBwg=","position":1}"#,
                "\n",
                r#"{"type":1,"name":"b/","payload":null,"position":2}"#,
                "\n"
            )
        );
    }
}
