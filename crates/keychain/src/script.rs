//! For unit tests: programs.

use std::path::Path;
use std::process::Command;

/// Writes a shell script. Another process does it: a file that this one has open cannot be run while a
/// child, which another test starts, has it open too.
pub(crate) fn write_script(path: &Path, script: &str) {
    let write = "printf '#!/bin/sh\\n%s\\n' \"$2\" >\"$1\" && chmod 755 \"$1\"";
    let mut command = Command::new("sh");
    command.args(["-c", write, "sh"]).arg(path).arg(script);
    assert!(command.status().unwrap().success());
}
