//! What the builder takes as `config`, given to real engines.

use strata_testing as support;

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::process::Command;

use serde_json::{Value, json};
use support::engines;
use support::fake_store::{FakeStore, Item};
use support::registry::run;

/// Issue 11, row 4: whatever builds is loaded and run by dockerd and podman, and a health check has there the
/// durations that were written.
#[test]
#[expect(clippy::too_many_lines, reason = "it is a table")]
fn row_4_config_values_are_loaded_and_run() {
    let mut store = FakeStore::new();
    let app = store.add(
        "app",
        &[Item::Directory("bin"), Item::Directory("app")],
        &[],
    );
    let busybox = store.locate(&app).join("bin/busybox");
    fs::copy("/bin/busybox", &busybox).unwrap();
    fs::set_permissions(&busybox, fs::Permissions::from_mode(0o755)).unwrap();
    let files = [
        Item::File("etc/passwd", "app:x:1000:100::/:/bin/sh\n"),
        Item::File("etc/group", "app:x:100:\n"),
    ];
    store.register(&app, &[]);
    let etc = store.add("etc", &files, &[]);
    let program = format!("{app}/bin/busybox");
    let say = |text: &str| json!([program, "sh", "-c", format!("echo {text}")]);
    let test = json!(["CMD", program, "true"]);
    let rows: Vec<(Value, &str)> = vec![
        (
            json!({ "Cmd": say("ok"), "Healthcheck": { "Test": test, "Interval": "30s" } }),
            "ok",
        ),
        (
            json!({ "Cmd": say("ok"), "Healthcheck": { "test": ["CMD-SHELL", "true"], "timeout": "1m30s", "Retries": 3, "StartPeriod": 0, "StartInterval": "500ms" } }),
            "ok",
        ),
        (
            json!({ "Cmd": say("ok"), "Healthcheck": { "Test": ["NONE"] } }),
            "ok",
        ),
        (
            json!({ "Cmd": say("ok"), "Healthcheck": { "Test": [], "Interval": 1_000_000 } }),
            "ok",
        ),
        (
            json!({ "Cmd": say("ok"), "Healthcheck": { "Test": test, "Intervall": "30s" } }),
            "ok",
        ),
        (
            json!({ "Cmd": say("ok"), "StopTimeout": 10, "StopSignal": "SIGRTMIN+3" }),
            "ok",
        ),
        (
            json!({ "Cmd": say("ok"), "StopTimeout": 0, "StopSignal": "term" }),
            "ok",
        ),
        (json!({ "Cmd": say("ok"), "StopSignal": "15" }), "ok"),
        (
            json!({ "Cmd": say("ok"), "ExposedPorts": { "80": {}, "81/tcp": {}, "53/udp": {}, "132/sctp": {} } }),
            "ok",
        ),
        (
            json!({ "Cmd": say("ok"), "ExposedPorts": { "9000-9002/tcp": {} } }),
            "ok",
        ),
        (
            json!({ "Cmd": say("ok"), "Volumes": { "/data": {}, "/deep/er/": {} } }),
            "ok",
        ),
        (
            json!({ "Cmd": say("$A-$B"), "Env": ["A=a=b", "B="] }),
            "a=b-",
        ),
        (
            json!({ "Cmd": say("$PWD"), "WorkingDir": "/srv/new" }),
            "/srv/new",
        ),
        (json!({ "Cmd": say("$PWD"), "WorkingDir": "" }), "/"),
        (
            json!({ "Cmd": [program, "id", "-u"], "User": "1000" }),
            "1000",
        ),
        (
            json!({ "Cmd": [program, "id", "-u"], "User": "app" }),
            "1000",
        ),
        (
            json!({ "Cmd": [program, "id", "-g"], "User": "app:app" }),
            "100",
        ),
        (
            json!({ "Cmd": [program, "id", "-g"], "User": "2147483647:0" }),
            "0",
        ),
        (
            json!({ "Cmd": say("ok"), "Shell": [program, "sh", "-c"], "OnBuild": ["RUN true"] }),
            "ok",
        ),
        (
            json!({ "Cmd": say("ok"), "Labels": { "a": "", "b.c/d": "é" }, "ArgsEscaped": true }),
            "ok",
        ),
        (
            json!({ "Cmd": say("ok"), "Hostname": "h", "Domainname": "", "Tty": false, "Memory": 0 }),
            "ok",
        ),
        (json!({ "Cmd": say("ok"), "x-mine": { "deep": [1] } }), "ok"),
    ];
    let directory = tempfile::tempdir().unwrap();
    let archive = directory.path().join("archive.tar");
    for (number, (config, said)) in rows.iter().enumerate() {
        let name = format!("config-{number}");
        let mut request = store.image_request();
        request["image"]["name"] = json!(name);
        request["image"]["config"] = config.clone();
        request["copyToRoot"] = json!([etc]);
        request["deps"] = json!([app]);
        let image = store.build(&request).unwrap();
        let _ = fs::remove_file(&archive);
        run(Command::new(env!("CARGO_BIN_EXE_strata"))
            .args(["copy", "--quiet"])
            .arg(store.locate(&image))
            .arg(format!("docker-archive:{}", archive.display())));
        let engines: [&dyn engines::Engine; 2] = [engines::docker(), engines::podman()];
        for engine in engines {
            engine.load(&archive);
            let output = engine.run(&format!("{name}:latest"), &[]);
            assert_eq!(output.trim_end(), *said, "{}: {config}", engine.name());
        }
    }
    let format = ["inspect", "--format", "{{json .Config.Healthcheck}}"];
    let mut docker = engines::docker().command(&format);
    let health = run(docker.arg("config-1:latest"));
    let health: Value = serde_json::from_str(&health).unwrap();
    let expected =
        json!({ "Test": ["CMD-SHELL", "true"], "Timeout": 90_000_000_000_i64, "Retries": 3 });
    assert_eq!(health, expected);
}
