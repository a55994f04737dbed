//! From the arguments to a layer.

use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::Path;
use std::time::Duration;

use strata_error::{Error, Result};
use strata_nix::Store;

use crate::arguments::{Arguments, LayerArguments};
use crate::base;
use crate::layer::{self, Snapshot};
use crate::namespace::{self, Mounts};
use crate::script::{Script, Show, become_script};
use crate::state::inode::{InodeId, Inodes};

/// How long it takes until the file system's clock has surely moved on.
const CLOCK_TICK: Duration = Duration::from_millis(20);

/// Does what the arguments say, and has `show` show what a script says to standard error; gives warnings.
pub fn run(arguments: Arguments, show: Show) -> Result<Vec<String>> {
    match arguments {
        Arguments::Layer(arguments) => make_layer(&arguments, show),
        Arguments::Run(command) => {
            namespace::enter(false)?;
            let script = Script {
                name: None,
                command: &command,
                directory: None,
                root: None,
                show,
            };
            script.run(Inodes::default())?;
            Ok(Vec::new())
        }
        Arguments::Traced(root, command) => Err(become_script(root, &command)),
        Arguments::Help => Ok(Vec::new()),
    }
}

fn make_layer(arguments: &LayerArguments, show: Show) -> Result<Vec<String>> {
    // Before anything is done in vain.
    let output = &arguments.output;
    let file = File::create(output).map_err(Error::io("create", output))?;
    let written = fill(arguments, file, show);
    if written.is_err() {
        // What went wrong tells more than that something is left.
        let _ = std::fs::remove_file(output);
    }
    written
}

fn fill(arguments: &LayerArguments, output: File, show: Show) -> Result<Vec<String>> {
    let directory = &arguments.directory;
    let directory = directory
        .canonicalize()
        .map_err(Error::io("read", directory))?;
    namespace::enter(arguments.has_root)?;
    if arguments.bases.is_empty() {
        let inodes = Inodes::default();
        let snapshot = Snapshot::empty(&directory)?;
        let inodes = run_script(arguments, &directory, inodes, show)?;
        return write_layer(arguments, &directory, &inodes, &snapshot, output);
    }
    // Beside it, where its files can be moved to.
    let beside = directory.parent().unwrap_or(&directory);
    let mut staging = tempfile::Builder::new();
    let staging = staging.prefix(".strata-root-").tempdir_in(beside);
    let mut staging = staging.map_err(Error::io("create a directory in", beside))?;
    // To remove it while something is mounted in it would remove what is mounted.
    staging.disable_cleanup(true);
    let result = fill_on_bases(arguments, &directory, staging.path(), output, show);
    namespace::unmount_below(staging.path())?;
    staging.disable_cleanup(false);
    result
}

/// Makes the layer with `root` for the bases and what is in `directory` over them.
fn fill_on_bases(
    arguments: &LayerArguments,
    directory: &Path,
    root: &Path,
    output: File,
    show: Show,
) -> Result<Vec<String>> {
    // As engines have it, unless a base says something else.
    let permissions = std::fs::Permissions::from_mode(0o755);
    std::fs::set_permissions(root, permissions).map_err(Error::io("change", root))?;
    let mut inodes = Inodes::default();
    let store = Store::new(arguments.store.to_string_lossy());
    for image in &arguments.bases {
        base::unpack(image, &arguments.architecture, &store, root, &mut inodes)?;
    }
    let snapshot = Snapshot::of(root, &inodes)?;
    std::thread::sleep(CLOCK_TICK);
    base::merge(directory, root, root, &mut inodes)?;
    let inodes = run_script(arguments, root, inodes, show)?;
    write_layer(arguments, root, &inodes, &snapshot, output)
}

/// Runs the command with `directory` as its `/`, or in it.
fn run_script(
    arguments: &LayerArguments,
    directory: &Path,
    inodes: Inodes,
    show: Show,
) -> Result<Inodes> {
    if !arguments.has_root {
        let script = Script {
            name: arguments.name.as_deref(),
            command: &arguments.command,
            directory: Some(directory),
            root: None,
            show,
        };
        let inodes = script.run(inodes)?;
        namespace::unmount_below(directory)?;
        return Ok(inodes);
    }
    let script = Script {
        name: arguments.name.as_deref(),
        command: &arguments.command,
        directory: None,
        root: Some(directory),
        show,
    };
    let mounts = Mounts::new(directory, &arguments.store, &arguments.binds)?;
    let result = script.run(inodes);
    let remembered = result.as_ref().ok();
    mounts.remove(|metadata| {
        let id = InodeId {
            device: metadata.dev(),
            number: metadata.ino(),
        };
        remembered.is_some_and(|inodes| inodes.get(id).is_some())
    })?;
    result
}

fn write_layer(
    arguments: &LayerArguments,
    root: &Path,
    inodes: &Inodes,
    snapshot: &Snapshot,
    output: File,
) -> Result<Vec<String>> {
    let mut output = BufWriter::new(output);
    let left_out = layer::write(root, inodes, snapshot, &arguments.defaults, &mut output)?;
    let failed = |error: io::Error| Error::io("write", &arguments.output)(error);
    output.flush().map_err(failed)?;
    Ok(left_out)
}
