//! The jobs in docs/guides/ci.md, run as they are there against a real registry (issue 11, "What new users
//! stumbled over" 1). Where Nix would run the image's script, a script of the same name does.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::json;

use strata_testing::fake_store::{FakeStore, Item};
use strata_testing::registry::{PASSWORD, Registry, Setup, USERNAME, run};

/// The scripts of the first block of YAML after a heading: what follows `|` and is indented more.
fn script(heading: &str) -> String {
    let page = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/guides/ci.md");
    let page = fs::read_to_string(page).unwrap();
    let (_, section) = page.split_once(&format!("\n## {heading}\n")).unwrap();
    let (_, block) = section.split_once("```yaml\n").unwrap();
    let (block, _) = block.split_once("```").unwrap();
    let (_, script) = block.split_once("|\n").unwrap();
    let indent = script.len() - script.trim_start().len();
    let lines = script.lines().map_while(|line| {
        line.get(indent..)
            .filter(|_| line.starts_with(&" ".repeat(indent)))
    });
    lines.collect::<Vec<_>>().join("\n") + "\n"
}

struct Job {
    registry: Registry,
    _store: FakeStore,
    directory: tempfile::TempDir,
}

impl Job {
    /// A machine with an image, and a registry that wants a password.
    fn new() -> Self {
        let mut store = FakeStore::new();
        let file = store.add("file", &[Item::File("etc/file", "1")], &[]);
        let mut request = store.image_request();
        request["copyToRoot"] = json!([file]);
        let output = store.build(&request).unwrap();
        let directory = tempfile::tempdir().unwrap();
        let nix = directory.path().join("bin/nix");
        fs::create_dir(directory.path().join("bin")).unwrap();
        let image = store.locate(&output);
        let text = format!(
            "#!/bin/sh\n[ \"$1 $2 $3\" = 'run .#image.copyTo --' ] || exit 99\nshift 3\n\
             exec {} copy {} \"$@\"\n",
            env!("CARGO_BIN_EXE_strata"),
            image.display()
        );
        fs::write(&nix, text).unwrap();
        fs::set_permissions(&nix, fs::Permissions::from_mode(0o755)).unwrap();
        Self {
            registry: Registry::start(Setup {
                password: true,
                ..Setup::default()
            }),
            _store: store,
            directory,
        }
    }

    fn path(&self) -> &Path {
        self.directory.path()
    }

    /// Runs a script with the variables that the forge sets; gives its standard output.
    fn run(&self, script: &str, variables: &[(&str, &str)]) -> String {
        let bin = self.path().join("bin");
        let paths = std::env::var_os("PATH").unwrap();
        let paths = std::env::split_paths(&paths);
        let path = std::env::join_paths([bin].into_iter().chain(paths)).unwrap();
        let mut command = Command::new("bash");
        // As GitHub's runners do.
        command.args(["--noprofile", "--norc", "-eo", "pipefail", "-c", script]);
        command.current_dir(self.path()).env_clear();
        command.env("PATH", path).env("HOME", self.path());
        run(command.envs(variables.iter().copied()))
    }

    /// The digest that a name has in the registry.
    fn digest(&self, name: &str) -> String {
        let mut command = Command::new("skopeo");
        command.args(["inspect", "--tls-verify=false", "--format={{.Digest}}"]);
        command.arg(format!("--creds={USERNAME}:{PASSWORD}"));
        run(command.arg(format!("docker://{}/{name}", self.registry.host)))
            .trim()
            .to_owned()
    }
}

#[test]
fn row_1_the_job_for_github_runs_as_it_is() {
    let job = Job::new();
    let summary: PathBuf = job.path().join("summary");
    job.run(
        &script("GitHub"),
        &[
            ("REGISTRY", &job.registry.host),
            ("GITHUB_REPOSITORY", "Me/App"),
            ("GITHUB_REF_NAME", "dependabot/npm/@types#1"),
            ("GITHUB_SHA", "0123abc"),
            ("GITHUB_ACTOR", USERNAME),
            ("GITHUB_STEP_SUMMARY", summary.to_str().unwrap()),
            ("PASSWORD", PASSWORD),
        ],
    );
    let digest = job.digest("me/app:0123abc");
    assert_eq!(job.digest("me/app:dependabot-npm--types-1"), digest);
    let summary = fs::read_to_string(summary).unwrap();
    assert_eq!(summary, format!("{}/me/app@{digest}\n", job.registry.host));
}

#[test]
fn row_1_the_job_for_gitlab_runs_as_it_is() {
    let job = Job::new();
    let name = format!("{}/group/app", job.registry.host);
    let said = job.run(
        &script("GitLab"),
        &[
            ("CI_REGISTRY_IMAGE", &name),
            ("CI_COMMIT_REF_SLUG", "feature-x"),
            ("CI_COMMIT_SHA", "0123abc"),
            ("CI_REGISTRY_USER", USERNAME),
            ("CI_REGISTRY_PASSWORD", PASSWORD),
        ],
    );
    let digest = job.digest("group/app:0123abc");
    assert_eq!(job.digest("group/app:feature-x"), digest);
    assert!(said.ends_with(&format!("\n{name}@{digest}\n")), "{said}");
    assert_eq!(
        fs::read_to_string(job.path().join("digest")).unwrap(),
        digest
    );
}
