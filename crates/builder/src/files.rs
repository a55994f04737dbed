//! Files that are put into an image one by one: what of them only the store knows.

use std::path::Path;

use strata_error::{Error, Result};
use strata_nix::{FileType, Store, nar};
use strata_plan::{
    CheckedFile, CheckedRequest, FileContent, FileSource, Plan, file_error, history_of_files,
};
use strata_tree::{BaseEntry, BaseTree, FileKind, FileRecord, ImagePath};

/// Adds the files of the request to the uppermost layer that is the image's own, or as a layer of its own.
pub(super) fn add(plan: &mut Plan, request: &CheckedRequest, store: &Store) -> Result<()> {
    if request.files.is_empty() {
        return Ok(());
    }
    let record = |file: &CheckedFile| record(file, store);
    let files: Vec<FileRecord> = request.files.iter().map(record).collect::<Result<_>>()?;
    check_hard_links(&files, store)?;
    let history = request.history.clone();
    let history = history.unwrap_or_else(|| history_of_files(&files));
    let keep_tar = !request.reproducible;
    let layer = plan.top(history, request.compression);
    layer.keep_tar |= keep_tar;
    layer.files = files;
    Ok(())
}

/// Refuses files where a tar has something, too: it would hide them, with their owners and modes.
pub(super) fn check_beside_tars(files: &[CheckedFile], tars: &BaseTree) -> Result<()> {
    let is_in_tar = |file: &&CheckedFile| tars.at(&file.path) != BaseEntry::Nothing;
    let Some(file) = files.iter().find(is_in_tar) else {
        return Ok(());
    };
    Err(file_error(
        &format!("/{}", file.path),
        "",
        "a script made something there, too, or a tar of `tarLayers` has it",
        "leave it out of one of both",
    ))
}

fn record(file: &CheckedFile, store: &Store) -> Result<FileRecord> {
    let kind = match &file.content {
        FileContent::Described(kind) => kind.clone(),
        FileContent::Source(source) => {
            let place = format!("/{}", file.path);
            let (path, is_tree) = locate(&place, source, store)?;
            let has_capabilities = file
                .set
                .capabilities
                .as_ref()
                .is_some_and(|all| !all.is_empty());
            if is_tree && has_capabilities {
                let message = format!("{} is a directory, and programs have these", source.path);
                let hint = "say it of the program in it, as in files.\"/bin/ping\".source";
                return Err(file_error(&place, "capabilities", message, hint));
            }
            let info = nar::hash(&store.locate_below(&path))?;
            FileKind::Source {
                path,
                nar_hash: info.hash,
                nar_size: info.size,
            }
        }
    };
    Ok(FileRecord {
        path: file.path.clone(),
        kind,
        set: file.set.clone(),
    })
}

/// Follows the symlinks of a source; gives the path where they lead, and whether a directory is there.
fn locate(place: &str, source: &FileSource, store: &Store) -> Result<(String, bool)> {
    let located = store.locate_below(&source.path);
    let root = &store.location;
    let root = root.canonicalize().map_err(Error::io("read", root))?;
    let real = located.canonicalize().map_err(|error| {
        let hint = format!("look into {} for the right name", source.store_path);
        file_error(place, "source", format!("{}: {error}", source.path), &hint)
    })?;
    let below = real.strip_prefix(&root).ok().and_then(Path::to_str);
    let Some(below) = below else {
        let message = format!(
            "{} leads to {}, out of the store",
            source.path,
            real.display()
        );
        let hint = "for a symlink that leads there, say link = \"..\"";
        return Err(file_error(place, "source", message, hint));
    };
    let is_tree = real.is_dir();
    let found = if is_tree {
        FileType::Directory
    } else {
        FileType::File
    };
    if let Some(said) = source.file_type.filter(|said| *said != found) {
        let message = format!(
            "is {:?}, but {} is a {}",
            said.name(),
            source.path,
            found.name()
        );
        return Err(file_error(place, "type", message, "leave it out"));
    }
    Ok((format!("{}/{below}", store.dir), is_tree))
}

/// Refuses other names of directories, which no file system has.
fn check_hard_links(files: &[FileRecord], store: &Store) -> Result<()> {
    let is_tree = |target: &ImagePath| {
        let found = files.binary_search_by(|file| file.path.cmp(target));
        let kind = found.ok().map(|number| &files[number].kind);
        matches!(kind, Some(FileKind::Source { path, .. }) if store.locate_below(path).is_dir())
    };
    for file in files {
        if let FileKind::HardLink { target } = &file.kind
            && is_tree(target)
        {
            let message = format!("\"/{target}\" is a directory, which has one name only");
            let hint = "use `link` for a symlink";
            return Err(file_error(
                &format!("/{}", file.path),
                "hardlink",
                message,
                hint,
            ));
        }
    }
    Ok(())
}
