//! A user namespace of one's own, in which the user is root, and a root directory with what a script needs.

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::fs::{self, File};
use std::io;
use std::os::unix::ffi::OsStringExt;
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::path::{Component, Path, PathBuf};

use nix::mount::{MntFlags, MsFlags, mount, umount2};
use nix::sched::{CloneFlags, unshare};
use nix::unistd::{getegid, geteuid};
use strata_error::{Error, Result};

/// What a script may need of `/dev`.
const DEVICES: [&str; 6] = ["null", "zero", "full", "random", "urandom", "tty"];
/// Symlinks in `/dev`.
const DEVICE_LINKS: [(&str, &str); 4] = [
    ("fd", "/proc/self/fd"),
    ("stdin", "/proc/self/fd/0"),
    ("stdout", "/proc/self/fd/1"),
    ("stderr", "/proc/self/fd/2"),
];
/// The mode of `/tmp`.
const EVERYBODY: u32 = 0o1777;

/// Makes this process root in a user namespace and gives it mounts of its own. Must be called before there are
/// threads. Where no user namespaces are allowed, a script without mounts can still be run, if `needs_mounts` is
/// false; files that it takes its own rights to it cannot read then.
pub(crate) fn enter(needs_mounts: bool) -> Result<()> {
    let (user, group) = (geteuid(), getegid());
    let both = CloneFlags::CLONE_NEWUSER | CloneFlags::CLONE_NEWNS;
    match unshare(both) {
        Ok(()) => {
            let write = |file: &str, text: String| {
                let path = Path::new("/proc/self").join(file);
                fs::write(&path, text).map_err(Error::io("write", path))
            };
            write("setgroups", "deny".to_owned())?;
            write("uid_map", format!("0 {user} 1\n"))?;
            write("gid_map", format!("0 {group} 1\n"))?;
        }
        Err(_) if user.is_root() && unshare(CloneFlags::CLONE_NEWNS).is_ok() => {}
        Err(_) if !needs_mounts => return Ok(()),
        Err(error) => {
            return Err(Error::Command {
                command: "strata-fakeroot --chroot".to_owned(),
                message: format!("no user namespace for the script: {error}"),
                hint: "allow user namespaces where builds run (user.max_user_namespaces, \
                       kernel.unprivileged_userns_clone, kernel.apparmor_restrict_unprivileged_userns), or do \
                       without --chroot"
                    .to_owned(),
            });
        }
    }
    let private = MsFlags::MS_REC | MsFlags::MS_PRIVATE;
    mount(None::<&str>, "/", None::<&str>, private, None::<&str>)
        .map_err(|error| mount_error(Path::new("/"), error))
}

fn mount_error(path: &Path, error: nix::Error) -> Error {
    Error::io("mount", path)(error.into())
}

/// What was put into a root directory for a script, and is taken away after it.
pub(crate) struct Mounts<'a> {
    root: &'a Path,
    /// What was made to be mounted on, outermost first.
    made: Vec<PathBuf>,
    /// `/tmp`, if it was made: its inode.
    temporary: Option<u64>,
}

impl<'a> Mounts<'a> {
    /// Gives the directory `root` what a script needs that takes it for `/`: the store at `store`, `/proc`,
    /// `/dev`, `/tmp`, and `others` where they are outside.
    pub(crate) fn new(root: &'a Path, store: &Path, others: &[PathBuf]) -> Result<Self> {
        let mut mounts = Self {
            root,
            made: Vec::new(),
            temporary: None,
        };
        mounts.make_temporary()?;
        mounts.bind(Path::new("/proc"), true)?;
        mounts.devices()?;
        if store.exists() {
            mounts.store(store)?;
        }
        for other in others {
            mounts.bind(other, true)?;
        }
        Ok(mounts)
    }

    fn make_temporary(&mut self) -> Result<()> {
        let path = self.root.join("tmp");
        if path.symlink_metadata().is_ok() {
            return Ok(());
        }
        fs::create_dir(&path).map_err(Error::io("create", &path))?;
        set_mode(&path, EVERYBODY)?;
        let made = path.metadata().map_err(Error::io("read", &path))?;
        self.temporary = Some(made.ino());
        Ok(())
    }

    /// Where something goes in the root, made if it is not there: a directory, or a file for a file.
    fn place(&mut self, path: &Path, is_directory: bool) -> Result<PathBuf> {
        let mut place = self.root.to_path_buf();
        let names = path.components().filter_map(|component| match component {
            Component::Normal(name) => Some(name),
            _ => None,
        });
        let names: Vec<_> = names.collect();
        for (number, name) in names.iter().enumerate() {
            place.push(name);
            let wants_directory = is_directory || number + 1 < names.len();
            match place.symlink_metadata() {
                Ok(found) if found.is_dir() == wants_directory && !found.is_symlink() => {}
                Ok(_) => {
                    return Err(Error::Document {
                        document: path.display().to_string(),
                        message: "the image has something else there than scripts need".to_owned(),
                        hint: "scripts with --chroot need /proc, /dev and the store as directories"
                            .to_owned(),
                    });
                }
                Err(_) => {
                    if wants_directory {
                        fs::create_dir(&place).map_err(Error::io("create", &place))?;
                    } else {
                        File::create(&place).map_err(Error::io("create", &place))?;
                    }
                    self.made.push(place.clone());
                }
            }
        }
        Ok(place)
    }

    fn bind(&mut self, path: &Path, is_directory: bool) -> Result<()> {
        let place = self.place(path, is_directory)?;
        Self::mount(path, &place, MsFlags::MS_BIND | MsFlags::MS_REC)
    }

    fn mount(from: &Path, place: &Path, flags: MsFlags) -> Result<()> {
        mount(Some(from), place, None::<&str>, flags, None::<&str>)
            .map_err(|error| mount_error(from, error))?;
        Ok(())
    }

    fn devices(&mut self) -> Result<()> {
        let place = self.place(Path::new("/dev"), true)?;
        let flags = MsFlags::MS_NOSUID;
        mount(
            Some("tmpfs"),
            &place,
            Some("tmpfs"),
            flags,
            Some("mode=755"),
        )
        .map_err(|error| mount_error(&place, error))?;
        for name in DEVICES {
            let device = Path::new("/dev").join(name);
            if device.exists() {
                let there = place.join(name);
                File::create(&there).map_err(Error::io("create", &there))?;
                Self::mount(&device, &there, MsFlags::MS_BIND)?;
            }
        }
        for (name, target) in DEVICE_LINKS {
            let link = place.join(name);
            symlink(target, &link).map_err(Error::io("create", link))?;
        }
        let shared = place.join("shm");
        fs::create_dir(&shared).map_err(Error::io("create", &shared))?;
        set_mode(&shared, EVERYBODY)
    }

    /// The store, and with it what the image alone has in its own, which scripts may run.
    fn store(&mut self, store: &Path) -> Result<()> {
        let place = self.place(store, true)?;
        let mut is_all_here = true;
        for entry in fs::read_dir(&place).map_err(Error::io("read", &place))? {
            let entry = entry.map_err(Error::io("read", &place))?;
            is_all_here &= store.join(entry.file_name()).symlink_metadata().is_ok();
        }
        // As a rule, since Nix built it here. To mount each path takes minutes where the store is not that of a sandbox.
        if is_all_here {
            return Self::mount(store, &place, MsFlags::MS_BIND | MsFlags::MS_REC);
        }
        for entry in fs::read_dir(store).map_err(Error::io("read", store))? {
            let entry = entry.map_err(Error::io("read", store))?;
            let there = place.join(entry.file_name());
            if there.symlink_metadata().is_ok() {
                continue;
            }
            // Other builds take away what was there a moment ago, such as their locks.
            if let Err(error) = self.store_entry(&entry, there)
                && entry.path().symlink_metadata().is_ok()
            {
                return Err(error);
            }
        }
        Ok(())
    }

    /// A file or directory of the store, at `there` in the image.
    fn store_entry(&mut self, entry: &fs::DirEntry, there: PathBuf) -> Result<()> {
        let path = entry.path();
        let kind = entry.file_type().map_err(Error::io("read", &path))?;
        if !kind.is_symlink() {
            return self.bind(&path, kind.is_dir());
        }
        let target = fs::read_link(&path).map_err(Error::io("read", &path))?;
        symlink(target, &there).map_err(Error::io("create", &there))?;
        self.made.push(there);
        Ok(())
    }

    /// Takes away what was put there. `/tmp` stays if the image had it, or if `is_wanted` says of its inode that
    /// the script made it the image's.
    pub(crate) fn remove(self, is_wanted: impl FnOnce(&fs::Metadata) -> bool) -> Result<()> {
        unmount_below(self.root)?;
        for place in self.made.iter().rev() {
            let removed = match place.symlink_metadata() {
                Ok(found) if found.is_dir() => fs::remove_dir(place),
                Ok(_) => fs::remove_file(place),
                Err(error) => Err(error),
            };
            match removed {
                Ok(()) => {}
                // The script put something there, or took it away.
                Err(error)
                    if matches!(
                        error.kind(),
                        io::ErrorKind::DirectoryNotEmpty | io::ErrorKind::NotFound
                    ) => {}
                Err(error) => return Err(Error::io("remove", place)(error)),
            }
        }
        let path = self.root.join("tmp");
        if let Some(inode) = self.temporary
            && let Ok(found) = path.symlink_metadata()
            && found.ino() == inode
            && found.mode() & 0o7777 == EVERYBODY
            && !is_wanted(&found)
        {
            fs::remove_dir_all(&path).map_err(Error::io("remove", path))?;
        }
        Ok(())
    }
}

/// Unmounts all that is mounted below a directory, by whomever.
pub(crate) fn unmount_below(directory: &Path) -> Result<()> {
    let list = "/proc/self/mountinfo";
    let list = fs::read(list).map_err(Error::io("read", list))?;
    for place in outermost(mounts_below(&list, directory)) {
        umount2(&place, MntFlags::MNT_DETACH)
            .map_err(|error| Error::io("unmount", place)(error.into()))?;
    }
    Ok(())
}

/// Those that are in no other. What is mounted in one goes with it, and what came there with it goes only with it.
fn outermost(places: Vec<PathBuf>) -> Vec<PathBuf> {
    let all: BTreeSet<PathBuf> = places.iter().cloned().collect();
    let is_inside = |place: &PathBuf| {
        let mut above = place.ancestors().skip(1);
        above.any(|directory| all.contains(directory))
    };
    places
        .into_iter()
        .filter(|place| !is_inside(place))
        .collect()
}

/// The places of mounts below a directory, in the order in which they were mounted (`proc_pid_mountinfo(5)`).
fn mounts_below(list: &[u8], directory: &Path) -> Vec<PathBuf> {
    /// The place's number among the fields of a line.
    const PLACE: usize = 4;
    let fields = list
        .split(|byte| *byte == b'\n')
        .filter_map(|line| line.split(|byte| *byte == b' ').nth(PLACE));
    let places = fields.map(|field| PathBuf::from(OsString::from_vec(unescape(field))));
    places
        .filter(|place| place != directory && place.starts_with(directory))
        .collect()
}

/// Spaces, tabs, line breaks and backslashes are octal numbers in lists of mounts.
fn unescape(field: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut rest = field;
    while let [first, behind @ ..] = rest {
        let digits = behind.first_chunk::<3>().filter(|_| *first == b'\\');
        let digits = digits.and_then(|digits| std::str::from_utf8(digits).ok());
        let byte = digits.and_then(|digits| u8::from_str_radix(digits, 8).ok());
        bytes.push(byte.unwrap_or(*first));
        rest = match byte {
            Some(_) => &behind[3..],
            None => behind,
        };
    }
    bytes
}

fn set_mode(path: &Path, mode: u32) -> Result<()> {
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).map_err(Error::io("change", path))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mounts_are_found_below_a_directory() {
        let list = b"1 0 0:1 / / rw - ext4 a rw\n\
            2 1 0:2 / /a\\040b rw - tmpfs b rw\n\
            3 2 0:3 / /a\\040b/c rw shared:1 - tmpfs c rw\n\
            4 1 0:4 / /a\\040bc rw - tmpfs d rw\n";
        let found = mounts_below(list, Path::new("/a b"));
        assert_eq!(found, [Path::new("/a b/c")]);
        let all = mounts_below(list, Path::new("/"));
        assert_eq!(all.len(), 3);
        assert_eq!(outermost(all), [Path::new("/a b"), Path::new("/a bc")]);
    }
}
