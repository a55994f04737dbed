//! Writing a layer that clients can fetch in parts: the tar is read as it comes, header by header.

use std::collections::BTreeSet;
use std::io::{self, Write};

use super::batch::{BATCH, Batch, FileEnd, Frame, MadeBatch, Segment};
use super::behind::{Behind, Finished};
use super::crc64::Crc64;
use super::cut::{AHEAD, LARGEST, first_chunk};
use crate::in_order::InOrder;
use strata_archive::{Head, Member, clean_path, read_head};
use strata_oci::Hasher;

/// So much of what follows a file may be in its last frame, in bytes: who fetches the file fetches that, too.
pub(super) const LONGEST_TAIL: usize = 8 * 1024;
/// How much of the tar that is no content of a file is in a frame of its own at most, in bytes.
const LONGEST_FRAME: usize = 1024 * 1024;
/// The size of a block of tar.
const BLOCK: u64 = 512;
/// A tar on its way to become a layer with a table.
pub(crate) struct Chunked {
    level: u8,
    position: Position,
    /// The frames that are not sent yet; the last is still open, and is followed by bytes that belong to none.
    batch: Batch,
    /// How many bytes of the batch are in frames.
    framed: usize,
    on_the_way: InOrder<MadeBatch>,
    /// The memory of those that are written.
    spare: Vec<MadeBatch>,
    /// Whether anything was sent.
    is_begun: bool,
    /// The paths of all members, without slashes at the end.
    paths: BTreeSet<Vec<u8>>,
    behind: Behind,
}

/// Where in the tar the next byte is.
enum Position {
    /// In headers, of which so many bytes are needed to know what they are.
    Head(usize),
    /// In the content of a file.
    Content(File),
    /// In what fills up the last block of a file, of which so many bytes are left.
    Padding(usize),
    /// Where everything is only kept: behind the last member, or behind what was not understood.
    Rest,
}

/// A file whose content is coming.
struct File {
    size: u64,
    /// How much is to come.
    left: u64,
    /// Of all that is in frames, if it is cut.
    whole: Option<(Hasher, Crc64)>,
}

impl Chunked {
    pub(crate) fn new(level: u8) -> Self {
        Self {
            level,
            position: Position::Head(0),
            batch: Batch::default(),
            framed: 0,
            on_the_way: InOrder::new(),
            spare: Vec::new(),
            is_begun: false,
            paths: BTreeSet::new(),
            behind: Behind::new(),
        }
    }

    /// Takes some of `bytes` and writes what is made and may be written; gives how many it took.
    pub(crate) fn write(&mut self, bytes: &[u8], writer: &mut impl Write) -> io::Result<usize> {
        let waiting = self.waiting().len();
        let wanted = match &self.position {
            Position::Head(needed) => needed.saturating_sub(waiting).max(1),
            Position::Content(file) => {
                let left = usize::try_from(file.left).unwrap_or(usize::MAX);
                left.min((LARGEST + AHEAD).saturating_sub(waiting))
            }
            Position::Padding(left) => *left - waiting,
            Position::Rest => LONGEST_FRAME - waiting,
        };
        let (taken, _) = bytes.split_at(bytes.len().min(wanted));
        self.batch.input.extend_from_slice(taken);
        if let Position::Content(file) = &mut self.position {
            file.left -= taken.len() as u64;
        }
        if taken.len() == wanted {
            self.step()?;
            if self.batch.input.len() >= BATCH {
                self.send();
                while let Some(made) = self.on_the_way.next_of_many() {
                    let mut made = made?;
                    self.behind.write(&mut made, writer)?;
                    made.input.clear();
                    made.output.clear();
                    self.spare.push(made);
                }
            }
        }
        Ok(taken.len())
    }

    /// Writes what is left.
    pub(crate) fn finish(mut self, writer: &mut impl Write) -> io::Result<Finished> {
        let is_whole = match &self.position {
            Position::Rest => (self.waiting().len() as u64).is_multiple_of(BLOCK),
            // Without an end there is nothing wrong with it for readers.
            Position::Head(_) | Position::Padding(_) => self.waiting().is_empty(),
            Position::Content(_) => false,
        };
        if !is_whole {
            self.behind.give_up();
        }
        self.rest();
        if !self.is_begun && self.batch.frames.is_empty() {
            // An empty stream is a frame, too.
            self.batch.frames.push(Frame::default());
        }
        self.send();
        while let Some(made) = self.on_the_way.next() {
            self.behind.write(&mut made?, writer)?;
        }
        self.behind.finish(writer)
    }

    /// The bytes that are in no frame yet.
    fn waiting(&self) -> &[u8] {
        self.batch.input.get(self.framed..).unwrap_or_default()
    }

    /// All bytes are there that are needed to go on.
    fn step(&mut self) -> io::Result<()> {
        self.position = match std::mem::replace(&mut self.position, Position::Rest) {
            Position::Head(_) => match read_head(self.waiting()) {
                Head::Needs(needed) => Position::Head(needed),
                Head::Member(member) => self.member(member),
                Head::End => Position::Rest,
                Head::Other => {
                    self.behind.give_up();
                    Position::Rest
                }
            },
            Position::Content(file) => self.content(file)?,
            Position::Padding(length) => {
                self.segment(length, None);
                Position::Head(0)
            }
            Position::Rest => {
                self.rest();
                Position::Rest
            }
        };
        Ok(())
    }

    fn member(&mut self, member: Box<Member>) -> Position {
        let is_new = clean_path(member.name.as_bytes()).is_ok_and(|path| self.paths.insert(path));
        if !is_new {
            self.behind.give_up();
        }
        let size = member.size;
        self.segment(self.waiting().len(), Some(member));
        if size == 0 {
            return Position::Head(0);
        }
        Position::Content(File {
            size,
            left: size,
            whole: None,
        })
    }

    /// Cuts off as many chunks as there is enough of the file for.
    fn content(&mut self, mut file: File) -> io::Result<Position> {
        let is_all = file.left == 0;
        while self.waiting().len() >= LARGEST + AHEAD || (is_all && !self.waiting().is_empty()) {
            let length = first_chunk(self.waiting());
            let chunk = &self.waiting()[..length];
            let is_last = is_all && length == self.waiting().len();
            let is_only = is_last && length as u64 == file.size;
            let end = if is_only {
                Some(FileEnd::Only)
            } else {
                let (mut hasher, mut crc) = file.whole.take().unwrap_or_default();
                hasher.write_all(chunk)?;
                crc.update(chunk);
                if is_last {
                    Some(FileEnd::Of(hasher.finish().0, crc.finish()))
                } else {
                    file.whole = Some((hasher, crc));
                    None
                }
            };
            self.batch.frames.push(Frame {
                chunk: length,
                end,
                tail: Vec::new(),
            });
            self.framed += length;
        }
        Ok(match (is_all, padding(file.size)) {
            (false, _) => Position::Content(file),
            (true, 0) => Position::Head(0),
            (true, padding) => Position::Padding(padding),
        })
    }

    /// Puts the next bytes behind the last frame, or in a new one.
    fn segment(&mut self, length: usize, member: Option<Box<Member>>) {
        let segment = Segment { length, member };
        match self.batch.frames.last_mut() {
            Some(frame) if frame.has_room_for(length) => frame.tail.push(segment),
            _ => self.batch.frames.push(Frame {
                tail: vec![segment],
                ..Frame::default()
            }),
        }
        self.framed += length;
    }

    /// Puts all that waits into frames.
    fn rest(&mut self) {
        let length = self.waiting().len();
        if length > 0 {
            if self.waiting().iter().any(|byte| *byte != 0) {
                self.behind.give_up();
            }
            self.segment(length, None);
        }
    }

    /// Has the frames made, but for the bytes that are in none yet.
    fn send(&mut self) {
        if self.batch.frames.is_empty() {
            return;
        }
        let mut memory = self.spare.pop().unwrap_or_default();
        let mut input = std::mem::take(&mut memory.input);
        input.extend_from_slice(self.waiting());
        self.batch.input.truncate(self.framed);
        let next = Batch {
            input,
            frames: Vec::new(),
        };
        let batch = std::mem::replace(&mut self.batch, next);
        self.framed = 0;
        self.is_begun = true;
        let level = self.level;
        self.on_the_way.push(move || batch.make(level, memory));
    }
}

impl Frame {
    fn has_room_for(&self, length: usize) -> bool {
        let most = if self.chunk > 0 {
            LONGEST_TAIL
        } else {
            LONGEST_FRAME
        };
        self.tail_length() + length <= most
    }
}

/// How many bytes fill up the last block of a file.
fn padding(size: u64) -> usize {
    let more = size.next_multiple_of(BLOCK) - size;
    // Less than a block.
    usize::try_from(more).unwrap_or_default()
}
