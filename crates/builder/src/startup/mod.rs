//! Whether a container of an image can start: its program, and whom it runs as.
//!
//! What no container can start with is an error. What a mount may bring is a warning.

mod image_tree;
mod program;

use std::fs::File;
use std::io::Read;
use std::path::Path;

use self::image_tree::{Found, ImageTree};
use self::program::{Elf, HEAD, Program};
use strata_archive::Mode;
use strata_base::{Base, bounds};
use strata_error::{Error, Result, small_file};
use strata_nix::Store;
use strata_oci::{Config, Platform};
use strata_plan::CheckedRequest;
use strata_tree::{BaseTree, ImagePath, Recipe};

/// Where engines mount something in every container.
const MOUNTS: [&str; 3] = ["dev", "proc", "sys"];
/// How many interpreters the kernel follows (`fs/exec.c`).
const MOST_INTERPRETERS: usize = 5;

/// What is looked at.
struct Startup<'a> {
    tree: ImageTree<'a>,
    base: &'a Base,
    platform: &'a Platform,
    mounts: Vec<ImagePath>,
    warnings: Vec<String>,
}

/// Checks what a container of the image of `request` starts with, if it is one: `config` is what the image gets,
/// with what it inherits of `base`. Gives warnings.
pub(super) fn check(
    request: &CheckedRequest,
    config: &Config,
    recipes: &[Recipe],
    tars: &BaseTree,
    base: &Base,
    store: &Store,
) -> Result<Vec<String>> {
    let Some(image) = &request.image else {
        return Ok(Vec::new());
    };
    if image.platform.os != "linux" {
        return Ok(Vec::new());
    }
    let is_empty = base.count() == 0
        && (recipes.iter()).all(|recipe| {
            recipe.sources.is_empty() && recipe.files.is_empty() && recipe.tar.is_none()
        });
    let volumes = config.get("Volumes").and_then(|value| value.as_object());
    let volumes = volumes.into_iter().flatten();
    let volumes = volumes.map(|(path, _)| ImagePath::from(path.as_str()));
    // Whoever leaves store paths out mounts a store.
    let ignored = request
        .ignore
        .iter()
        .map(|path| ImagePath::from(path.as_str()));
    let mounts = MOUNTS
        .map(ImagePath::from)
        .into_iter()
        .chain(volumes)
        .chain(ignored)
        // Likewise if there are to be none.
        .chain((!request.include_store_paths).then(|| ImagePath::from(store.dir.as_str())))
        // Whoever puts nothing at all into an image means to mount everything, or to build on it.
        .chain(is_empty.then(ImagePath::default));
    let mut startup = Startup {
        tree: ImageTree {
            base: &base.tree,
            tars,
            recipes,
            store,
        },
        base,
        platform: &image.platform,
        mounts: mounts.collect(),
        warnings: Vec::new(),
    };
    // What the base starts with is the base's.
    let own = |key: &str| first(&image.config, key);
    let has_entrypoint = first(config, "Entrypoint").is_some();
    if let Some(program) = own("Entrypoint") {
        startup.program("config.Entrypoint[0]", program)?;
    }
    match own("Cmd") {
        Some(program) if !has_entrypoint => startup.program("config.Cmd[0]", program)?,
        Some(argument) => startup.argument("config.Cmd[0]", argument)?,
        None => {}
    }
    if let Some(user) = image.config.get("User").and_then(|user| user.as_str()) {
        startup.user(user)?;
    }
    Ok(startup.warnings)
}

/// The first string of a list, if it is a path.
fn first<'a>(config: &'a Config, key: &str) -> Option<&'a str> {
    config.get(key)?.as_array()?.first()?.as_str()
}

impl Startup<'_> {
    /// Checks the program that a container runs.
    fn program(&mut self, attribute: &str, path: &str) -> Result<()> {
        // Names are looked for in the PATH of the container.
        if !path.starts_with('/') {
            return Ok(());
        }
        let mut place = ImagePath::from(path);
        let mut shown = path.to_owned();
        for _ in 0..MOST_INTERPRETERS {
            let found = self.tree.find(&place, &self.mounts)?;
            let Some(head) = self.head(attribute, &shown, &place, found)? else {
                return Ok(());
            };
            let next = match Program::of(&head.bytes) {
                Program::Elf(elf) if !elf.runs_on(&self.platform.architecture) => {
                    return Err(self.wrong_machine(attribute, &shown, &elf, head.is_of_base));
                }
                Program::Elf(elf) => elf.loader,
                Program::Script(interpreter) => interpreter,
                Program::Other => None,
            };
            let Some(next) = next else {
                return Ok(());
            };
            let name = String::from_utf8_lossy(&next).into_owned();
            shown = format!("{name}, which {shown} runs with,");
            place = ImagePath::from(name.as_str());
        }
        Ok(())
    }

    /// How a program begins, if it is one and can be looked at.
    fn head(
        &mut self,
        attribute: &str,
        shown: &str,
        place: &ImagePath,
        found: Found,
    ) -> Result<Option<Head>> {
        let leads = |end: &ImagePath| {
            if end == place {
                String::new()
            } else {
                format!("leads to /{end}, which ")
            }
        };
        let refuse = |message: String, hint: String| Error::Attribute {
            attribute: attribute.to_owned(),
            message: format!("{shown} {message}"),
            hint,
        };
        let not_there = |end: &ImagePath| {
            format!(
                "warning: attribute {attribute}: {shown} {}is not in the image\n\
                 hint: containers start only where a mount brings it",
                leads(end)
            )
        };
        match found {
            Found::BaseFile(end) => {
                let Some((mode, head)) = self.base_head(&end)? else {
                    return Ok(None);
                };
                if !is_executable(mode) {
                    return Err(refuse(
                        "is a file of the base image, and not executable".into(),
                        "name the program that reads it first, as in [ \"/bin/sh\" \"/script\" ], or bring it in copyToRoot".into(),
                    ));
                }
                Ok(Some(head))
            }
            Found::TarFile => Ok(None),
            Found::File(file, mode) if is_executable(mode) => Ok(Some(Head::of(&file)?)),
            Found::File(..) => Err(refuse(
                "is not executable".into(),
                "give it a mode in perms, as in mode = \"0755\", or name the program that reads it first".into(),
            )),
            Found::Directory(end) => Err(refuse(
                format!("{}is a directory", leads(&end)),
                self.program_in(&end),
            )),
            Found::NoWay(end) => Err(refuse(
                format!("leads nowhere: /{end} is no directory, or a symlink to itself"),
                "look where its symlinks lead".into(),
            )),
            Found::Nothing(end) if self.tree.is_moved(&end) => {
                self.warnings.push(format!(
                    "warning: attribute {attribute}: {shown} {}is not in the image: copyToRoot moves what is there to /\n\
                     hint: let the symlink lead to the path in the image, without $out; no container starts with it",
                    leads(&end)
                ));
                Ok(None)
            }
            // A file of the root directory itself is what people mount: a script, an application.
            Found::Nothing(end) if end.components().count() == 1 => {
                self.warnings.push(not_there(&end));
                Ok(None)
            }
            Found::Nothing(end) => Err(refuse(
                format!("{}is not in the image", leads(&end)),
                "write it as in \"${pkgs.hello}/bin/hello\", or add what has it to copyToRoot; what a mount brings is below a path of config.Volumes".into(),
            )),
            Found::Mounted(end) => {
                let is_of_kernel = MOUNTS.iter().any(|mount| end.is_below(&ImagePath::from(*mount)));
                if !is_of_kernel {
                    self.warnings.push(not_there(&end));
                }
                Ok(None)
            }
        }
    }

    /// The way out for whoever gave a package in the place of a program.
    fn program_in(&self, directory: &ImagePath) -> String {
        let store = self.tree.store;
        let path = Some(format!("/{directory}/bin")).filter(|path| path.starts_with(&store.dir));
        let names = path.and_then(|path| std::fs::read_dir(store.locate_below(&path)).ok());
        let names = names.into_iter().flatten().flatten();
        let name = names
            .filter_map(|entry| entry.file_name().into_string().ok())
            .min();
        let name = name.unwrap_or_else(|| "NAME".to_owned());
        format!(
            "name a program in it, as in /{directory}/bin/{name}; lib.getExe gives a package's main one"
        )
    }

    /// What the entry point gets may be a program; what is certain is only for which machine it is.
    fn argument(&mut self, attribute: &str, path: &str) -> Result<()> {
        if !path.starts_with('/') {
            return Ok(());
        }
        let head = match self.tree.find(&ImagePath::from(path), &self.mounts)? {
            Found::File(file, _) => Some(Head::of(&file)?),
            Found::BaseFile(place) => self.base_head(&place)?.map(|(_, head)| head),
            _ => None,
        };
        if let Some(head) = head
            && let Program::Elf(elf) = Program::of(&head.bytes)
            && !elf.runs_on(&self.platform.architecture)
        {
            let error = self.wrong_machine(attribute, path, &elf, head.is_of_base);
            self.warnings
                .push(error.report().replacen("error: ", "warning: ", 1));
        }
        Ok(())
    }

    /// How the file of the base image at `place` begins, and its mode; none if it is no regular file. This reads
    /// the base's layer again as far as the file, since nobody knew before what is run.
    fn base_head(&self, place: &ImagePath) -> Result<Option<(Mode, Head)>> {
        // A name that is none of Unicode is in no config.
        let Ok(path) = std::str::from_utf8(&place.0) else {
            return Ok(None);
        };
        let file = self.base.read_head(path, HEAD, self.tree.store)?;
        Ok(file.map(|file| {
            let head = Head {
                bytes: file.content,
                is_of_base: true,
            };
            (file.metadata.mode, head)
        }))
    }

    fn wrong_machine(&self, attribute: &str, shown: &str, elf: &Elf, is_of_base: bool) -> Error {
        let (of, hint) = if is_of_base {
            (
                " in the base image",
                "take the base for that platform, as with strata lock --platform, or set platform",
            )
        } else {
            (
                "",
                "take it from the package set of that platform, such as pkgs.pkgsCross.aarch64-multiplatform, or set platform",
            )
        };
        let (architecture, platform) = (elf.architecture(), self.platform);
        Error::Attribute {
            attribute: attribute.to_owned(),
            message: format!("{shown}{of} is for {architecture}, but the image is for {platform}"),
            hint: hint.into(),
        }
    }

    /// Warns of names that engines do not find; numbers need no entry.
    fn user(&mut self, text: &str) -> Result<()> {
        let (user, group) = text.split_once(':').unwrap_or((text, ""));
        for (name, file, is_user) in [(user, "etc/passwd", true), (group, "etc/group", false)] {
            let is_number = name.bytes().all(|byte| byte.is_ascii_digit());
            if is_number {
                continue;
            }
            let found = match self.tree.find(&ImagePath::from(file), &self.mounts)? {
                Found::File(path, _) => small_file::read(&path, bounds::LARGEST_ACCOUNTS)?,
                Found::BaseFile(_) => {
                    let mut files =
                        self.base
                            .read_files(&[file], bounds::LARGEST_ACCOUNTS, self.tree.store)?;
                    files
                        .remove(file)
                        .map_or_else(Vec::new, |file| file.content)
                }
                Found::TarFile | Found::Mounted(_) => continue,
                _ => Vec::new(),
            };
            let lines = found.split(|byte| *byte == b'\n');
            let mut names = lines.filter_map(|line| line.split(|byte| *byte == b':').next());
            if names.any(|known| known == name.as_bytes()) {
                continue;
            }
            let (what, example) = if is_user {
                ("user", format!("system.users.{name}.uid = 1000;"))
            } else {
                ("group", format!("system.groups.{name}.gid = 1000;"))
            };
            self.warnings.push(format!(
                "warning: attribute config.User: no {what} {name:?} is in /{file} of the image, so that engines do not start it\n\
                 hint: add it, as with {example}, or write its number"
            ));
        }
        Ok(())
    }
}

/// How a program begins.
struct Head {
    bytes: Vec<u8>,
    is_of_base: bool,
}

impl Head {
    /// That of a file on this machine.
    fn of(file: &Path) -> Result<Self> {
        let mut bytes = Vec::new();
        File::open(file)
            .and_then(|opened| opened.take(HEAD).read_to_end(&mut bytes))
            .map_err(Error::io("read", file))?;
        Ok(Self {
            bytes,
            is_of_base: false,
        })
    }
}

/// Whether somebody may run it.
fn is_executable(mode: Mode) -> bool {
    mode.bits() & 0o111 != 0
}
