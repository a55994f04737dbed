//! Reading a `layeringPipeline` that is a file.

use serde_json::Value;
use strata_error::{Error, Result, small_file};
use strata_nix::Store;

/// As many bytes as a pipeline may have. With ten thousand store paths it has less than one MiB.
const LONGEST: u64 = 16 << 20;

/// A pipeline as it was given, with what its file holds in the place of the file's path.
pub(crate) fn read(pipeline: Option<Value>, store: &Store) -> Result<Option<Value>> {
    let Some(Value::String(path)) = pipeline else {
        return Ok(pipeline);
    };
    let error = |message: String, hint: &str| Error::Attribute {
        attribute: "layeringPipeline".into(),
        message,
        hint: hint.into(),
    };
    let file = store.locate_inside(&path);
    let file = file.map_err(|message| {
        error(
            message,
            "give a list of operations, or a JSON file: layeringPipeline = ./pipeline.json;",
        )
    })?;
    let bytes = small_file::read(&file, LONGEST)?;
    let parsed = serde_json::from_slice(&bytes).map_err(|source| {
        error(
            format!("{path} is not JSON: {source}"),
            "write the list that Nix would have with builtins.toJSON",
        )
    })?;
    // The parser would take a string for the path of another file.
    match parsed {
        Value::Array(_) => Ok(Some(parsed)),
        _ => Err(error(
            format!("{path} is not a list of operations"),
            r#"write it as in [["popularity_contest"],["limit_layers",50]]"#,
        )),
    }
}
