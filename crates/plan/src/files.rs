//! What is put into an image file by file: every value is checked here that can be without looking at the store.

use std::collections::BTreeMap;

use strata_archive::{Mode, WHITEOUT_PREFIX, clean_path};
use strata_error::{Error, Result};
use strata_nix::{FileRequest, FileType, Store, StorePath};
use strata_tree::{FileKind, ImagePath, Rule};

/// The largest numbers of devices that Linux has (`MINORBITS` in `include/linux/kdev_t.h`).
const LARGEST_MAJOR: u32 = (1 << 12) - 1;
const LARGEST_MINOR: u32 = (1 << 20) - 1;

/// A file whose values are known to be good.
#[derive(Clone, Debug)]
pub struct CheckedFile {
    /// Where it is in the image.
    pub path: ImagePath,
    /// What it is.
    pub content: FileContent,
    /// Mode, owner and extended attributes, as far as they are given.
    pub set: Rule,
}

/// What a file is.
#[derive(Clone, Debug)]
pub enum FileContent {
    /// What is at this path, at or below a store path.
    Source(FileSource),
    /// All that does not need the store.
    Described(FileKind),
}

/// Where the content of a file comes from.
#[derive(Clone, Debug)]
pub struct FileSource {
    /// The path.
    pub path: String,
    /// The store path that it is at or below.
    pub store_path: StorePath,
    /// What the user says that it is.
    pub file_type: Option<FileType>,
}

impl FileSource {
    /// Whether it is a whole store path.
    pub fn is_whole(&self) -> bool {
        self.path == self.store_path.as_str()
    }
}

impl CheckedFile {
    /// Where its content comes from, if that is the store.
    pub fn source(&self) -> Option<&FileSource> {
        match &self.content {
            FileContent::Source(source) => Some(source),
            FileContent::Described(_) => None,
        }
    }
}

/// An error about something at `path`, or about a field of it.
pub fn file_error(path: &str, field: &str, message: impl Into<String>, hint: &str) -> Error {
    let dot = if field.is_empty() { "" } else { "." };
    Error::Attribute {
        attribute: format!("files.{path:?}{dot}{field}"),
        message: message.into(),
        hint: hint.to_owned(),
    }
}

/// Checks all of them; they are sorted by path.
pub(super) fn check_files(
    files: BTreeMap<String, FileRequest>,
    store: &Store,
) -> Result<Vec<CheckedFile>> {
    let links = files.iter();
    let links = links.filter_map(|(path, file)| Some((path, file.hardlink.as_ref()?)));
    let targets = links.map(|(path, target)| check_link_target(path, target, files.get(target)));
    let targets: Result<()> = targets.collect();
    let check = |(path, file): (String, FileRequest)| check_file(&path, file, store);
    let mut files: Vec<_> = files.into_iter().map(check).collect::<Result<_>>()?;
    targets?;
    files.sort_by(|one, other| one.path.cmp(&other.path));
    Ok(files)
}

fn check_link_target(path: &str, target: &str, file: Option<&FileRequest>) -> Result<()> {
    match file {
        Some(FileRequest {
            hardlink: Some(first),
            ..
        }) => Err(file_error(
            path,
            "hardlink",
            format!("{target:?} is such a link itself"),
            &format!("name the file that both are: hardlink = {first:?}"),
        )),
        Some(FileRequest {
            source: Some(_), ..
        }) => Ok(()),
        Some(_) => Err(file_error(
            path,
            "hardlink",
            format!("{target:?} is no file with content"),
            "name one that has `text` or `source`, or use `link` for a symlink",
        )),
        None => Err(file_error(
            path,
            "hardlink",
            format!("{target:?} is not in `files`"),
            &format!(
                "both names have to be in one layer: say files.{target:?}.source = .., or use `link` for a symlink"
            ),
        )),
    }
}

fn check_file(path: &str, file: FileRequest, store: &Store) -> Result<CheckedFile> {
    let place = check_place(path, store)?;
    let content = check_content(path, &file, store)?;
    check_fields(path, &file, &content)?;
    let mode = file.mode.map(|mode| mode.parse::<Mode>());
    let set = Rule {
        mode: mode.transpose().map_err(|message| {
            let hint = "write four octal digits in quotes, as in \"0644\" or \"4755\"";
            file_error(path, "mode", message, hint)
        })?,
        uid: file.uid,
        gid: file.gid,
        uname: file.uname,
        gname: file.gname,
        capabilities: file.capabilities,
        xattrs: file.xattrs,
        ..Rule::default()
    };
    set.check().map_err(|(field, message)| {
        let hint = match field {
            "capabilities" => "write them as in \"CAP_NET_RAW\" or \"cap_net_raw+ep\"",
            "xattrs" => "write them with their namespace, as in \"user.mime_type\"",
            "uname" | "gname" => "take a name of `system.users` or `system.groups`",
            _ => "take a number below 4294967295",
        };
        file_error(path, field, message, hint)
    })?;
    Ok(CheckedFile {
        path: place,
        content,
        set,
    })
}

/// Paths are written in one way, so that none is there twice.
fn check_place(path: &str, store: &Store) -> Result<ImagePath> {
    let error = |message: &str, hint: &str| Err(file_error(path, "", message, hint));
    if !path.starts_with('/') {
        let hint = format!("write \"/{path}\"");
        return error("is not an absolute path", &hint);
    }
    let clean = match clean_path(path.as_bytes()) {
        Ok(clean) if clean.is_empty() => {
            let hint = "container engines set up / themselves and ignore what an image says of it";
            return error("is the root of the image", hint);
        }
        Ok(clean) => ImagePath(clean),
        Err(message) => return error(message, "write it as it is in the image, as in \"/etc/x\""),
    };
    if format!("/{clean}") != path {
        return error("is not written plainly", &format!("write \"/{clean}\""));
    }
    if clean.is_below(&ImagePath::from(store.dir.as_str())) {
        let hint = "the store has what Nix puts there: mention a package in `config` or `deps`, and give owners and modes with perms = [ { path = package; .. } ]";
        return error("is in the store", hint);
    }
    let is_whiteout = |name: &[u8]| name.starts_with(WHITEOUT_PREFIX);
    if clean.components().any(is_whiteout) {
        let hint = "in a layer such a name hides another file; take another";
        return error("has a name that begins with .wh.", hint);
    }
    Ok(clean)
}

/// What it is; exactly one of the fields says so.
fn check_content(path: &str, file: &FileRequest, store: &Store) -> Result<FileContent> {
    let given = [
        ("source", file.source.is_some()),
        ("link", file.link.is_some()),
        ("hardlink", file.hardlink.is_some()),
    ];
    let mut given = given.into_iter().filter(|(_, given)| *given);
    let (first, second) = (given.next(), given.next());
    if let (Some((first, _)), Some((second, _))) = (first, second) {
        let message = format!("has both `{first}` and `{second}`");
        return Err(file_error(path, "", message, "leave one of them out"));
    }
    let needs = |field: &str, hint: &str| file_error(path, field, "is missing", hint);
    let described = |kind| Ok(FileContent::Described(kind));
    match (first.map(|(name, _)| name), file.file_type) {
        (Some("source"), None | Some(FileType::File | FileType::Directory)) => {
            check_source(path, file, store).map(FileContent::Source)
        }
        (Some("link"), None | Some(FileType::Link)) => {
            let target = file.link.clone().unwrap_or_default();
            check_target(path, &target)?;
            described(FileKind::Symlink { target })
        }
        (Some("hardlink"), None | Some(FileType::Hardlink)) => {
            let target = file.hardlink.as_deref().unwrap_or_default();
            described(FileKind::HardLink {
                target: ImagePath::from(target),
            })
        }
        (Some(field), Some(file_type)) => Err(file_error(
            path,
            "type",
            format!("is {:?}, but there is a `{field}`", file_type.name()),
            "leave one of them out",
        )),
        (None, Some(FileType::Directory)) => described(FileKind::Directory),
        (None, Some(FileType::Fifo)) => described(FileKind::Fifo),
        (None, Some(FileType::Character)) => {
            let (major, minor) = check_device(path, file)?;
            described(FileKind::Character { major, minor })
        }
        (None, Some(FileType::Block)) => {
            let (major, minor) = check_device(path, file)?;
            described(FileKind::Block { major, minor })
        }
        (None, Some(FileType::Link)) => {
            Err(needs("link", "say where it leads: link = \"/bin/sh\""))
        }
        (None, Some(FileType::Hardlink)) => Err(needs(
            "hardlink",
            "say whose other name it is: hardlink = \"/bin/x\"",
        )),
        (None, Some(FileType::File)) => Err(needs(
            "source",
            "say what is in it: text = \"..\", or source = ./file",
        )),
        (_, None) => Err(file_error(
            path,
            "",
            "does not say what it is",
            &format!(
                "say text, source, link, hardlink, or type = \"directory\"; owners and modes of what copyToRoot brings are given with perms = [ {{ path = {path:?}; .. }} ]"
            ),
        )),
    }
}

fn check_source(path: &str, file: &FileRequest, store: &Store) -> Result<FileSource> {
    let source = file.source.clone().unwrap_or_default();
    let error = |message: String| {
        let hint = "give a package, a file of one (\"${pkgs.iputils}/bin/ping\"), or a file that Nix copies to the store (./file)";
        file_error(path, "source", message, hint)
    };
    let (store_path, below) = store.parse_below(&source).map_err(error)?;
    let is_plain = |name| !matches!(name, "" | "." | "..");
    if source != store_path.as_str() && !below.split('/').all(is_plain) {
        return Err(error(format!("{source:?} is not a plain path")));
    }
    Ok(FileSource {
        path: source,
        store_path,
        file_type: file.file_type,
    })
}

fn check_target(path: &str, target: &str) -> Result<()> {
    // `PATH_MAX` has room for a null.
    if target.is_empty() || target.len() >= 4096 || target.contains('\0') {
        let message = "is nothing that a symlink can lead to";
        let hint = "write a path of at most 4095 bytes, as in \"/bin/sh\" or \"../lib\"";
        return Err(file_error(path, "link", message, hint));
    }
    Ok(())
}

fn check_device(path: &str, file: &FileRequest) -> Result<(u32, u32)> {
    let check = |field: &str, number: Option<u32>, largest: u32| match number {
        Some(number) if number <= largest => Ok(number),
        Some(number) => Err(file_error(
            path,
            field,
            format!("is {number}, and Linux has none above {largest}"),
            "take the number that `ls -l` shows of such a device",
        )),
        None => Err(file_error(
            path,
            field,
            "is missing",
            "write both numbers of the device, as in major = 10; minor = 229",
        )),
    };
    Ok((
        check("major", file.major, LARGEST_MAJOR)?,
        check("minor", file.minor, LARGEST_MINOR)?,
    ))
}

/// Refuses fields that what it is does not have.
fn check_fields(path: &str, file: &FileRequest, content: &FileContent) -> Result<()> {
    use FileContent::{Described, Source};
    use FileKind::{Block, Character, Directory, HardLink, Symlink};
    let owner = file.uid.is_some() || file.uname.is_some();
    let group = file.gid.is_some() || file.gname.is_some();
    let xattrs = file.xattrs.is_some();
    let is_file = matches!(content, Source(_));
    let refused = match content {
        Described(HardLink { target }) => {
            let hint = format!("it is those of files.\"/{target}\": say it there");
            let fields = [
                ("mode", file.mode.is_some()),
                ("uid", owner),
                ("gid", group),
                ("capabilities", file.capabilities.is_some()),
                ("xattrs", xattrs),
            ];
            let field = fields.into_iter().find(|(_, given)| *given);
            field.map(|(field, _)| (field, "is not that of a name", hint))
        }
        Described(Symlink { .. }) if file.mode.is_some() => Some((
            "mode",
            "is not heeded of symlinks",
            "leave it out; the mode that counts is that of what it leads to".to_owned(),
        )),
        Described(kind) if xattrs && *kind != Directory => Some((
            "xattrs",
            "is for regular files and directories",
            "leave it out".to_owned(),
        )),
        content if file.capabilities.is_some() && !is_file => {
            let hint = match content {
                Described(Symlink { .. }) => "say it of the file that it leads to",
                _ => "leave it out",
            };
            Some((
                "capabilities",
                "is for programs, which are regular files",
                hint.to_owned(),
            ))
        }
        _ => None,
    };
    let is_device = matches!(content, Described(Character { .. } | Block { .. }));
    let number = [("major", file.major), ("minor", file.minor)];
    let number = number
        .into_iter()
        .find(|(_, number)| number.is_some() && !is_device);
    let number = number.map(|(field, _)| {
        let hint = "say type = \"character\" or type = \"block\", or leave it out";
        (field, "is for devices", hint.to_owned())
    });
    match refused.or(number) {
        Some((field, message, hint)) => Err(file_error(path, field, message, &hint)),
        None => Ok(()),
    }
}
