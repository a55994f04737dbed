//! The table of contents: a JSON document of one entry for each member of the tar, in its order, and for each
//! further chunk of a file.

use std::collections::BTreeMap;
use std::io::{self, Write};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::Serialize;

use strata_archive::{Member, MemberKind};
use strata_oci::{Digest, rfc3339};

/// A chunk of a file, in a frame of its own.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Chunk {
    /// Where its frame begins in the blob.
    pub(super) offset: u64,
    /// How many bytes of the file it is.
    pub(super) length: u64,
    /// Their digest.
    pub(super) digest: Digest,
}

/// What a file holds, and where.
#[derive(Clone, Debug)]
pub(super) struct Content {
    /// The digest of the whole file.
    pub(super) digest: Digest,
    /// Its chunks, at least one.
    pub(super) chunks: Vec<Chunk>,
    /// Where the frame of the last one ends.
    pub(super) end: u64,
}

/// Writes a table.
#[derive(Default)]
pub(super) struct Table<W> {
    writer: W,
    is_begun: bool,
}

#[derive(Default, Serialize)]
#[serde(rename_all = "camelCase")]
struct Entry<'a> {
    r#type: &'a str,
    name: &'a str,
    #[serde(skip_serializing_if = "str::is_empty")]
    link_name: &'a str,
    #[serde(skip_serializing_if = "is_zero")]
    mode: u64,
    #[serde(skip_serializing_if = "is_zero")]
    size: u64,
    #[serde(skip_serializing_if = "is_zero")]
    uid: u64,
    #[serde(skip_serializing_if = "is_zero")]
    gid: u64,
    #[serde(rename = "modtime", skip_serializing_if = "Option::is_none")]
    modified: Option<String>,
    #[serde(skip_serializing_if = "is_zero")]
    dev_major: u64,
    #[serde(skip_serializing_if = "is_zero")]
    dev_minor: u64,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    xattrs: BTreeMap<&'a str, String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    digest: Option<Digest>,
    #[serde(skip_serializing_if = "is_zero")]
    offset: u64,
    #[serde(skip_serializing_if = "is_zero")]
    end_offset: u64,
    #[serde(skip_serializing_if = "is_zero")]
    chunk_size: u64,
    #[serde(skip_serializing_if = "is_zero")]
    chunk_offset: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    chunk_digest: Option<Digest>,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde wants it")]
fn is_zero(number: &u64) -> bool {
    *number == 0
}

impl<W: Write> Table<W> {
    /// Adds a member; a file that is not empty has its content.
    pub(super) fn add(&mut self, member: &Member, content: Option<&Content>) -> io::Result<()> {
        let mut entry = Entry {
            r#type: name(member.kind),
            name: &member.name,
            link_name: &member.link,
            mode: member.mode,
            size: member.size,
            uid: member.uid,
            gid: member.gid,
            modified: (member.modified > 0).then(|| rfc3339(member.modified)),
            dev_major: member.device.0,
            dev_minor: member.device.1,
            xattrs: member
                .xattrs
                .iter()
                .map(|(name, value)| (name.as_str(), STANDARD.encode(value)))
                .collect(),
            ..Entry::default()
        };
        let Some(content) = content else {
            return self.entry(&entry);
        };
        entry.digest = Some(content.digest);
        entry.end_offset = content.end;
        // One chunk is the file, whose digest is said already.
        let are_several = content.chunks.len() > 1;
        let mut position = 0;
        for chunk in &content.chunks {
            entry.offset = chunk.offset;
            if are_several {
                entry.chunk_size = chunk.length;
                entry.chunk_offset = position;
                entry.chunk_digest = Some(chunk.digest);
            }
            self.entry(&entry)?;
            position += chunk.length;
            entry = Entry {
                r#type: "chunk",
                name: &member.name,
                ..Entry::default()
            };
        }
        Ok(())
    }

    fn entry(&mut self, entry: &Entry<'_>) -> io::Result<()> {
        self.separate()?;
        serde_json::to_writer(&mut self.writer, entry)?;
        Ok(())
    }

    fn separate(&mut self) -> io::Result<()> {
        let before: &[u8] = if self.is_begun {
            b","
        } else {
            br#"{"version":1,"entries":["#
        };
        self.is_begun = true;
        self.writer.write_all(before)
    }

    /// Ends the table, which names the tar-split.
    pub(super) fn finish(mut self, tar_split: Digest) -> io::Result<W> {
        if !self.is_begun {
            self.separate()?;
        }
        write!(self.writer, r#"],"tarSplitDigest":"{tar_split}"}}"#)?;
        Ok(self.writer)
    }
}

fn name(kind: MemberKind) -> &'static str {
    match kind {
        MemberKind::File => "reg",
        MemberKind::HardLink => "hardlink",
        MemberKind::Symlink => "symlink",
        MemberKind::Character => "char",
        MemberKind::Block => "block",
        MemberKind::Directory => "dir",
        MemberKind::Pipe => "fifo",
    }
}
