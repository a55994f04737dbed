//! The errors of a merge, which name a path and the two that disagree about it.

use crate::overlay::Obstacle;
use crate::path::ImagePath;
use strata_error::Error;

/// What errors call the base image.
const BASE: &str = "the base image";

/// The error for a directory where the base image has none.
pub(super) fn hits_base(path: &ImagePath, obstacle: &Obstacle, source: &str) -> Error {
    let (at, about) = match obstacle {
        Obstacle::File(at) => (at, "whether it is a directory"),
        Obstacle::Loop(at) | Obstacle::Long(at) | Obstacle::Below(at) => {
            (at, "where its symlinks lead")
        }
    };
    Error::Conflict {
        path: path.to_string(),
        first: BASE.to_owned(),
        second: source.to_owned(),
        about: about.to_owned(),
        hint: format!("take it out of the base with remove = [ \"/{at}\" ], or use another path"),
    }
}

/// The error for a store path whose content cannot go to the root.
pub(super) fn not_a_directory(store_path: &str) -> Error {
    Error::Attribute {
        attribute: "copyToRoot".into(),
        message: format!("{store_path} is not a directory"),
        hint: "what is in a directory goes to /; make one, for example with pkgs.writeTextDir"
            .into(),
    }
}

/// The error for a file or symlink that would hide a directory of the base image.
pub(super) fn hides_directory(path: &ImagePath, store_path: &str) -> Error {
    Error::Conflict {
        path: path.to_string(),
        first: BASE.to_owned(),
        second: store_path.to_owned(),
        about: "whether it is a directory".to_owned(),
        hint: format!(
            "a link in the place of /{path} would hide what the base has there: make directories with pkgs.symlinkJoin instead of pkgs.buildEnv, or take it out of the base with remove = [ \"/{path}\" ]"
        ),
    }
}

/// The error for a file or symlink where a directory above the store path `above` must be.
pub(super) fn is_in_the_way(path: &ImagePath, above: &ImagePath, store_path: &str) -> Error {
    Error::Conflict {
        path: path.to_string(),
        first: format!("/{above}"),
        second: store_path.to_owned(),
        about: "whether it is a directory".into(),
        hint: format!(
            "take /{path} out of the second one; the image needs the directory for its store"
        ),
    }
}

/// The error for two sources that disagree `about` something.
pub(super) fn between(path: &ImagePath, first: &str, second: &str, about: &str) -> Error {
    let hint = match about {
        "whether it is a directory" | "its content" => format!(
            "take /{path} out of one of them, or join them with pkgs.buildEnv or pkgs.symlinkJoin before copyToRoot"
        ),
        _ => format!("give both the same perms for /{path}, or only one of them a rule"),
    };
    Error::Conflict {
        path: path.to_string(),
        first: first.to_owned(),
        second: second.to_owned(),
        about: about.to_owned(),
        hint,
    }
}

/// The error for something that is described, and that disagrees with a source or another file `about` something.
pub(super) fn with_file(path: &ImagePath, first: &str, second: &str, about: &str) -> Error {
    let hint = match about {
        "whether it is a directory" => format!(
            "where /{path} is a link to a package's directory, make directories with pkgs.symlinkJoin instead of pkgs.buildEnv; or take it out of one of them"
        ),
        "its content" => format!("say what is at /{path} in one of them only"),
        _ => format!(
            "say it in one of them only: perms = [ {{ path = \"/{path}\"; .. }} ] is for what copyToRoot brings, and is not needed for files"
        ),
    };
    Error::Conflict {
        path: path.to_string(),
        first: first.to_owned(),
        second: second.to_owned(),
        about: about.to_owned(),
        hint,
    }
}

/// The error for a source that has something where a store path is.
pub(super) fn with_store(path: &ImagePath, store_path: &str) -> Error {
    Error::Conflict {
        path: path.to_string(),
        first: format!("/{path}"),
        second: store_path.to_owned(),
        about: "its content".into(),
        hint: "leave store paths out of copyToRoot; they come into the image by being mentioned"
            .into(),
    }
}

/// The error for a rule that has no effect in any engine.
pub(super) fn only_matches_root(regex: &str, store_path: &str) -> Error {
    Error::Attribute {
        attribute: "perms".into(),
        message: format!("the regex {regex:?} for {store_path} matches only the root of the image"),
        hint: "container engines set up / themselves and ignore what an image says of it".into(),
    }
}
