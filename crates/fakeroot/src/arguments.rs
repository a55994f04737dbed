//! The command line.

use std::ffi::OsString;
use std::path::PathBuf;

use strata_error::{Error, Result};

use crate::layer::Defaults;
use crate::script::TRACED;

/// What the program is for, and how it is called.
pub const USAGE: &str = "\
strata-fakeroot layer --output LAYER.tar --directory DIR [OPTION].. -- COMMAND [ARGUMENT]..
strata-fakeroot run -- COMMAND [ARGUMENT]..

Runs a command as root where one is not root. `layer` writes what it left in DIR as a layer.

  --output FILE       where the layer is written
  --directory DIR     what the layer has in it; the command runs there
  --chroot            the command has DIR as /, with the store, /proc, /dev and /tmp
  --base IMAGE        what lies under DIR with --chroot, lowest first: an image of Strata, an archive or layout;
                      the layer has what is changed
  --architecture ARCH the one of the base, as Go calls it, if it is for several
  --bind PATH         what else of outside is in the root with --chroot
  --store DIR         the store, else /nix/store
  --mtime SECONDS     when everything was changed, in seconds since 1970, else 1
  --uid N, --gid N    the owner of what the command set no owner of, else 0
  --uname S, --gname S  their names, else none
  --name NAME         what errors call the command, else its program
";

/// What is to be done.
#[derive(Debug)]
pub enum Arguments {
    /// Run a command and write a layer.
    Layer(Box<LayerArguments>),
    /// Run a command.
    Run(Vec<OsString>),
    /// Become a command that is traced.
    Traced(Option<PathBuf>, Vec<OsString>),
    /// Tell how it is called.
    Help,
}

/// What a layer is made from.
#[derive(Debug)]
pub struct LayerArguments {
    /// Where it goes.
    pub output: PathBuf,
    /// What is in it.
    pub directory: PathBuf,
    /// Images below it, lowest first.
    pub bases: Vec<String>,
    /// The architecture of the base, as Go calls it.
    pub architecture: String,
    /// Whether the command has the directory as `/`.
    pub has_root: bool,
    /// What else the command sees.
    pub binds: Vec<PathBuf>,
    /// The store.
    pub store: PathBuf,
    /// What entries have that the command set nothing else for.
    pub defaults: Defaults,
    /// What errors call the command; its program if nothing is said.
    pub name: Option<String>,
    /// The program with its arguments.
    pub command: Vec<OsString>,
}

fn wrong(message: String) -> Error {
    Error::Command {
        command: "strata-fakeroot".to_owned(),
        message,
        hint: "strata-fakeroot --help tells how it is called".to_owned(),
    }
}

impl Arguments {
    /// Reads the arguments behind the program's name.
    pub fn parse(arguments: impl IntoIterator<Item = OsString>) -> Result<Self> {
        let mut arguments = arguments.into_iter();
        let verb = arguments.next().unwrap_or_default();
        match verb.to_str() {
            Some("layer") => {
                LayerArguments::parse(arguments).map(|layer| Self::Layer(Box::new(layer)))
            }
            Some("run") => {
                let command = command(&mut arguments.peekable(), |option, _| Err(unknown(option)))?;
                Ok(Self::Run(command))
            }
            Some(TRACED) => {
                let mut root = None;
                let command = command(&mut arguments.peekable(), |option, value| match option {
                    "--root" => {
                        root = Some(PathBuf::from(value()?));
                        Ok(())
                    }
                    other => Err(unknown(other)),
                })?;
                Ok(Self::Traced(root, command))
            }
            Some("--help" | "-h" | "help") => Ok(Self::Help),
            _ => Err(wrong(format!(
                "{:?} is no command of it",
                verb.to_string_lossy()
            ))),
        }
    }
}

fn unknown(option: &str) -> Error {
    wrong(format!("{option:?} is no option of it"))
}

/// Gives the value of an option.
type Value<'a> = &'a mut dyn FnMut() -> Result<OsString>;

/// Reads options up to `--`, and the command behind it.
fn command(
    arguments: &mut dyn Iterator<Item = OsString>,
    mut option: impl FnMut(&str, Value<'_>) -> Result<()>,
) -> Result<Vec<OsString>> {
    while let Some(argument) = arguments.next() {
        if argument == "--" {
            let command: Vec<OsString> = arguments.collect();
            return if command.is_empty() {
                Err(wrong("no command behind --".to_owned()))
            } else {
                Ok(command)
            };
        }
        let name = argument.to_string_lossy().into_owned();
        let mut value = || {
            let value = arguments.next();
            value.ok_or_else(|| wrong(format!("{name} needs a value")))
        };
        option(&name, &mut value)?;
    }
    Err(wrong("no command: it comes behind --".to_owned()))
}

impl LayerArguments {
    fn parse(mut arguments: impl Iterator<Item = OsString>) -> Result<Self> {
        let mut output = None;
        let mut directory = None;
        let mut layer = Self {
            output: PathBuf::new(),
            directory: PathBuf::new(),
            bases: Vec::new(),
            architecture: match std::env::consts::ARCH {
                "aarch64" => "arm64",
                _ => "amd64",
            }
            .to_owned(),
            has_root: false,
            binds: Vec::new(),
            store: PathBuf::from("/nix/store"),
            defaults: Defaults {
                modified: 1,
                uid: 0,
                gid: 0,
                uname: String::new(),
                gname: String::new(),
            },
            name: None,
            command: Vec::new(),
        };
        layer.command = command(&mut arguments, |option, value| {
            match option {
                "--output" => output = Some(PathBuf::from(value()?)),
                "--directory" => directory = Some(PathBuf::from(value()?)),
                "--base" => layer.bases.push(text(option, value()?)?),
                "--architecture" => layer.architecture = text(option, value()?)?,
                "--chroot" => layer.has_root = true,
                "--bind" => layer.binds.push(PathBuf::from(value()?)),
                "--store" => layer.store = PathBuf::from(value()?),
                "--mtime" => layer.defaults.modified = number(option, value()?)?,
                "--uid" => layer.defaults.uid = number(option, value()?)?,
                "--gid" => layer.defaults.gid = number(option, value()?)?,
                "--uname" => layer.defaults.uname = text(option, value()?)?,
                "--gname" => layer.defaults.gname = text(option, value()?)?,
                "--name" => layer.name = Some(text(option, value()?)?),
                other => return Err(unknown(other)),
            }
            Ok(())
        })?;
        layer.output = output.ok_or_else(|| wrong("--output is missing".to_owned()))?;
        layer.directory = directory.ok_or_else(|| wrong("--directory is missing".to_owned()))?;
        let needs_root = !layer.bases.is_empty() || !layer.binds.is_empty();
        if needs_root && !layer.has_root {
            return Err(wrong("--base and --bind need --chroot".to_owned()));
        }
        Ok(layer)
    }
}

fn text(option: &str, value: OsString) -> Result<String> {
    let value = value.into_string();
    value.map_err(|value| wrong(format!("{option}: {} is not UTF-8", value.display())))
}

fn number<T: std::str::FromStr>(option: &str, value: OsString) -> Result<T> {
    let value = text(option, value)?;
    let number = value.parse();
    number.map_err(|_| wrong(format!("{option}: {value:?} is not a number, or too large")))
}
