//! One containerd, by its stock client `ctr`.
//!
//! containerd's own interface is gRPC, which would need asynchronous code; `ctr` is there wherever
//! containerd is, also in the nodes of clusters.
//!
//! `ctr images import` names an image before it is unpacked and leaves the name when that fails
//! (seen with 1.6; client/import.go and cmd/ctr/commands/images/import.go of containerd 1.x). So an
//! image arrives under a name of ours, and gets its own when all of it is there. That second import
//! sends documents only and replaces the target of a name in one step, which `ctr images tag --force`
//! does not.

use std::collections::BTreeSet;
use std::os::unix::fs::MetadataExt as _;
use std::process::Command;

use crate::process::{query, run_with_input};
use strata_copy::{CopyName, archive, blobs};
use strata_error::{Error, Result};
use strata_image::Image;
use strata_oci::{Digest, Reference};
use strata_progress::{Context, Silent};

/// The namespace of Kubernetes in containerd.
pub(super) const KUBERNETES: &str = "k8s.io";

/// Where an image is called something while it is incomplete: nobody's registry (RFC 2606).
const INCOMPLETE: &str = "strata.invalid/incomplete";

/// The way out where ctr fails. Root lacks no rights, unless it is another one's namespace.
fn hint() -> &'static str {
    let is_root = std::fs::metadata("/proc/self").is_ok_and(|found| found.uid() == 0);
    if is_root {
        "see whether containerd runs; --containerd-address names another socket than ctr's default"
    } else {
        "ctr needs root, or the rights to containerd's socket; --containerd-address names another one"
    }
}

/// How to call `ctr`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Ctr {
    /// The program and what comes before ctr's own arguments: `docker exec -i NODE ctr`.
    pub(super) program: Vec<String>,
    /// Whether a shell on the node reads ctr's arguments, as with ssh.
    pub(super) in_shell: bool,
    /// containerd's socket, if it is not ctr's default.
    pub(super) address: Option<String>,
    /// containerd's namespace.
    pub(super) namespace: String,
    /// What unpacks images, if it is not ctr's default.
    pub(super) snapshotter: Option<String>,
}

impl Ctr {
    /// Copies `image` to this containerd under the `full` name.
    ///
    /// Only what the content store lacks is sent; if that turns out to be too little, everything.
    /// The name leads to the old image until all of the new one is there.
    pub(super) fn copy(&self, image: &Image, full: &str, context: Context<'_>) -> Result<()> {
        let name = Reference::parse(full)?;
        let incomplete = format!("{INCOMPLETE}:{}", image.manifest_descriptor.digest.hex());
        let copied = self
            .send(image, &incomplete, context)
            .and_then(|()| self.name(image, &name, context));
        // Also after an interruption.
        let removed = self.remove(&incomplete);
        copied.and(removed)
    }

    /// Brings all blobs of the image there, under a name of ours.
    fn send(&self, image: &Image, incomplete: &str, context: Context<'_>) -> Result<()> {
        let present = self.content(context)?;
        let wanted: BTreeSet<Digest> = blobs(image).into_keys().collect();
        let known: BTreeSet<Digest> = wanted.intersection(&present).copied().collect();
        let import = |leave_out: &BTreeSet<Digest>| {
            self.import(image, incomplete, &[], leave_out, context)
                .and_then(|()| {
                    let present = self.content(context)?;
                    match wanted.difference(&present).next() {
                        None => Ok(()),
                        Some(missing) => Err(self.incomplete(*missing)),
                    }
                })
        };
        match import(&known) {
            // Blobs that no image holds may be collected at any time, between the question and the
            // import too; and a layer that is there in another form than containerd wants is of no
            // use.
            Err(Error::Command { .. }) if !known.is_empty() => import(&BTreeSet::new()),
            result => result,
        }
    }

    /// Gives the image, all of which is there, its name.
    fn name(&self, image: &Image, name: &Reference, context: Context<'_>) -> Result<()> {
        let full = name.to_string();
        let base = format!("{}/{}", name.registry, name.repository);
        // The kubelet finds an image by its digest only if a name with the digest is there, as after
        // a pull. Without --base-name that name would be `import-DATE@sha256:…`, which containers
        // then fail to find (kind#4028).
        let digests: &[&str] = if self.namespace == KUBERNETES {
            &["--digests", "--base-name", &base]
        } else {
            &[]
        };
        let all = blobs(image).into_keys().collect();
        self.import(image, &full, digests, &all, context.watched_by(&Silent))?;
        let listed = self.list(&full, context)?;
        let digest = image.manifest_descriptor.digest;
        if listed == Some(digest) {
            return Ok(());
        }
        let found = listed.map_or_else(|| "no image".to_owned(), |digest| digest.to_string());
        Err(Error::Mismatch {
            what: format!("{full} in containerd"),
            expected: digest.to_string(),
            found,
            hint: "another copy may be under way; try again".to_owned(),
        })
    }

    fn import(
        &self,
        image: &Image,
        full: &str,
        flags: &[&str],
        leave_out: &BTreeSet<Digest>,
        context: Context<'_>,
    ) -> Result<()> {
        let mut command = self.command(&["images", "import"]);
        command.args(flags);
        if let Some(snapshotter) = &self.snapshotter {
            command.args(["--snapshotter", snapshotter]);
        }
        command.arg("-");
        let name = CopyName {
            full: Some(full.to_owned()),
            ..CopyName::default()
        };
        run_with_input(
            command,
            Box::new(move |writer| archive::stream(image, writer, &name, leave_out, context)),
            hint(),
            context,
        )?;
        Ok(())
    }

    /// The blobs in the content store.
    fn content(&self, context: Context<'_>) -> Result<BTreeSet<Digest>> {
        let command = self.command(&["content", "ls", "--quiet"]);
        let output = query(command, hint(), context)?;
        Ok(parse_digests(&output))
    }

    /// What a name leads to.
    fn list(&self, full: &str, context: Context<'_>) -> Result<Option<Digest>> {
        let command = self.command(&["images", "ls", &format!("name=={full}")]);
        let output = query(command, hint(), context)?;
        Ok(parse_image(&output, full))
    }

    /// Removes a name; that it is not there is no error.
    fn remove(&self, full: &str) -> Result<()> {
        query(
            self.command(&["images", "rm", full]),
            hint(),
            Context::silent(),
        )?;
        Ok(())
    }

    fn incomplete(&self, missing: Digest) -> Error {
        Error::Command {
            command: self.program.join(" "),
            message: format!("imported the image without {missing}"),
            hint: "something else removes images from containerd meanwhile; try again".to_owned(),
        }
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut words = self.program.iter();
        let mut command = Command::new(words.next().map_or("ctr", String::as_str));
        command.args(words);
        let address = self.address.iter().flat_map(|it| ["--address", it]);
        let all = address
            .chain(["--namespace", &self.namespace])
            .chain(arguments.iter().copied());
        command.args(all.map(|word| {
            if self.in_shell {
                quote(word)
            } else {
                word.to_owned()
            }
        }));
        command
    }
}

/// `word` as a POSIX shell has to see it (Shell Command Language, section 2.2.2).
fn quote(word: &str) -> String {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_./:=@".contains(&byte);
    if !word.is_empty() && word.bytes().all(is_plain) {
        return word.to_owned();
    }
    format!("'{}'", word.replace('\'', r"'\''"))
}

/// The output of `ctr content ls --quiet`: a digest on each line. What is not one (digests of other
/// algorithms) cannot be a blob of ours.
fn parse_digests(output: &[u8]) -> BTreeSet<Digest> {
    let text = String::from_utf8_lossy(output);
    text.lines()
        .filter_map(|line| line.trim().parse().ok())
        .collect()
}

/// The digest of an image in the output of `ctr images ls`: a heading, and lines with name, type,
/// digest, size, platforms and labels.
fn parse_image(output: &[u8], full: &str) -> Option<Digest> {
    let text = String::from_utf8_lossy(output);
    text.lines().find_map(|line| {
        let mut words = line.split_whitespace();
        (words.next() == Some(full))
            .then(|| words.nth(1))?
            .and_then(|digest| digest.parse().ok())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What `minikube ssh` is given reaches a shell with spaces between.
    #[test]
    fn a_shell_on_the_node_sees_the_words() {
        let address = "/run/it's $HOME/*.sock";
        let mut ctr = Ctr {
            program: vec!["ctr".to_owned()],
            in_shell: true,
            address: Some(address.to_owned()),
            namespace: String::new(),
            snapshotter: None,
        };
        let read = |ctr: &Ctr| {
            let command = ctr.command(&["images", "ls", "name==docker.io/a/b:1"]);
            let words: Vec<_> = command.get_args().collect();
            let line = format!("printf '%s|' {}", words.join(" ".as_ref()).display());
            let output = Command::new("sh").args(["-c", &line]).output().unwrap();
            String::from_utf8(output.stdout).unwrap()
        };
        let expected = format!("--address|{address}|--namespace||images|ls|name==docker.io/a/b:1|");
        assert_eq!(read(&ctr), expected);
        ctr.in_shell = false;
        assert_ne!(read(&ctr), expected);
    }

    #[test]
    fn outputs_of_ctr_are_understood() {
        let (one, two) = (Digest::of(b"one"), Digest::of(b"two"));
        let output = format!("{one}\nsha512:abc\n\n{two}\n");
        assert_eq!(parse_digests(output.as_bytes()), [one, two].into());
        let output = format!(
            "REF TYPE DIGEST SIZE PLATFORMS LABELS \n\
             docker.io/library/a:10 application/x {two} 1 B linux/amd64 - \n\
             docker.io/library/a:1 application/x {one} 110.8 KiB linux/amd64 - \n"
        );
        let image = |name| parse_image(output.as_bytes(), name);
        assert_eq!(image("docker.io/library/a:1"), Some(one));
        assert_eq!(image("docker.io/library/a:10"), Some(two));
        assert_eq!(image("docker.io/library/a"), None);
        assert_eq!(parse_image(b"\xff\n", "a"), None);
    }

    #[test]
    fn commands_are_vectors() {
        let ctr = Ctr {
            program: ["docker", "exec", "-i", "node", "ctr"]
                .map(str::to_owned)
                .into(),
            in_shell: false,
            address: Some("/a b.sock".into()),
            namespace: "ns".into(),
            snapshotter: None,
        };
        let command = ctr.command(&["content", "ls"]);
        let arguments: Vec<_> = command.get_args().collect();
        assert_eq!(command.get_program(), "docker");
        assert_eq!(
            arguments,
            [
                "exec",
                "-i",
                "node",
                "ctr",
                "--address",
                "/a b.sock",
                "--namespace",
                "ns",
                "content",
                "ls"
            ]
        );
    }
}
