//! Scripts with a root of their own, on bases: a system made from packages of this machine, on which scripts of
//! packages run, and layers with all that whiteouts can do. Root does the same in a `chroot`.

#![cfg(target_os = "linux")]

mod support;

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use support::{as_user, assert_same, directory, fakeroot, listing, run, unpack};

/// Packages of Debian with all that their scripts and `dpkg` need. What is not installed is left out.
const PACKAGES: &str = "adduser base-files base-passwd bash busybox-static coreutils dash debianutils diffutils dpkg \
    findutils grep gzip hostname init-system-helpers libc-bin libc6 libcap2-bin libpam-modules libpam-modules-bin \
    libpam-runtime login passwd perl-base sed tar util-linux";

/// A store path of a base, without the directory.
const STORE_PATH: &str = "0123456789abcdfghijklmnpqrsvwxyz-base.tar";

/// Copies the packages' files to `root`, with the owners that they have, and the libraries that they need.
fn system(root: &Path) {
    let listed = Command::new("dpkg")
        .arg("-L")
        .args(PACKAGES.split_whitespace())
        .output()
        .unwrap();
    let listed = String::from_utf8(listed.stdout).unwrap();
    let mut files: BTreeSet<PathBuf> = BTreeSet::new();
    for line in listed.lines().filter(|line| line.starts_with('/')) {
        if line.starts_with("/usr/share/doc") || line.starts_with("/usr/share/locale") {
            continue;
        }
        let path = Path::new(line);
        // Its place when `/bin` is a symlink.
        let parent = path.parent().and_then(|parent| parent.canonicalize().ok());
        if let (Some(parent), Some(name)) = (parent, path.file_name()) {
            files.insert(parent.join(name));
        }
    }
    let programs = files
        .iter()
        .filter(|path| path.to_string_lossy().contains("bin/"));
    let linked = Command::new("ldd").args(programs).output().unwrap();
    let linked = String::from_utf8_lossy(&linked.stdout).into_owned();
    for word in linked
        .split_whitespace()
        .filter(|word| word.starts_with('/'))
    {
        let library = Path::new(word.trim_end_matches(':'));
        if let Ok(real) = library.canonicalize() {
            let parent = library.parent().unwrap().canonicalize().unwrap();
            files.extend([parent.join(library.file_name().unwrap()), real]);
        }
    }
    files.extend(["/bin", "/sbin", "/lib", "/lib64"].map(PathBuf::from));
    let mut list = String::new();
    for file in files.iter().filter(|file| file.symlink_metadata().is_ok()) {
        list.push_str(&file.to_string_lossy());
        list.push('\n');
    }
    let archive = root.with_extension("tar");
    let mut tar = Command::new("tar");
    tar.args([
        "--no-recursion",
        "--xattrs",
        "--xattrs-include=*",
        "-P",
        "-T",
        "-",
        "-cf",
    ]);
    let mut tar = tar
        .arg(&archive)
        .stdin(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    tar.stdin
        .take()
        .unwrap()
        .write_all(list.as_bytes())
        .unwrap();
    tar.wait().unwrap();
    let mut tar = Command::new("tar");
    tar.args(["--numeric-owner", "--xattrs", "--xattrs-include=*", "-xpf"])
        .arg(&archive);
    run(tar.arg("-C").arg(root));

    let masters = Path::new("/usr/share/base-passwd");
    for name in ["passwd", "group"] {
        let text = fs::read_to_string(masters.join(format!("{name}.master"))).unwrap();
        fs::write(root.join("etc").join(name), text).unwrap();
    }
    let setup = "chmod 755 .; mkdir -p tmp proc dev home root srv usr/local/bin var/lib/dpkg/info var/lib/dpkg/updates etc/pam.d var/log; \
        chmod 1777 tmp; touch var/lib/dpkg/status var/lib/dpkg/available; rm -f etc/shadow etc/gshadow; \
        for kind in auth account password session; do echo \"$kind required pam_permit.so\" >etc/pam.d/common-$kind; done; \
        cp etc/pam.d/common-session etc/pam.d/common-session-noninteractive";
    run(Command::new("sh").args(["-ec", setup]).current_dir(root));
    run(Command::new("chroot")
        .arg(root)
        .args(["/bin/sh", "-ec", "pwconv; grpconv"]));
}

/// A package whose scripts do what scripts of packages do.
fn package(place: &Path) -> PathBuf {
    let source = place.join("package");
    let write = |name: &str, text: &str, mode: u32| {
        use std::os::unix::fs::PermissionsExt;
        let path = source.join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, text).unwrap();
        fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
    };
    write(
        "DEBIAN/control",
        "Package: probe\nVersion: 1\nArchitecture: all\nMaintainer: N\nDescription: d\n",
        0o644,
    );
    write("usr/bin/probe", "#!/bin/sh\n", 0o4755);
    write("usr/lib/probe/helper", "x", 0o755);
    write("etc/probe/secret", "x", 0o640);
    write("var/lib/probe/state", "x", 0o644);
    write(
        "DEBIAN/postinst",
        "#!/bin/sh\nset -e\n\
         addgroup --system --quiet probe\n\
         adduser --system --quiet --ingroup probe --home /var/lib/probe --no-create-home probe\n\
         chown -R probe:probe /var/lib/probe; chmod 2750 /var/lib/probe\n\
         chgrp probe /etc/probe/secret\n\
         dpkg-statoverride --update --add root probe 4754 /usr/lib/probe/helper\n\
         setcap cap_net_bind_service=+ep /usr/lib/probe/helper || true\n\
         update-alternatives --install /usr/bin/probe-any probe-any /usr/bin/probe 10\n\
         mknod /usr/lib/probe/device c 10 200\n",
        0o755,
    );
    let file = place.join("probe.deb");
    let mut build = Command::new("dpkg-deb");
    run(build
        .args(["--root-owner-group", "--build"])
        .arg(&source)
        .arg(&file));
    file
}

/// What the author of an image does.
const SCRIPT: &str = "
umask 022
export PATH=/usr/sbin:/usr/bin:/sbin:/bin
groupadd -g 2001 app
useradd -m -u 2000 -g app -G staff -s /bin/bash app
useradd -r service
groupadd -r more; usermod -aG more app; userdel service
mkdir -p /srv/app/cache; chown -R app:app /srv/app; chmod 2775 /srv/app; touch /srv/app/file; mkdir /srv/app/new
chown 70000:70001 /etc/issue; chmod 4711 /usr/bin/env
cp /usr/bin/true /usr/local/bin/net; setcap cap_net_raw+ep /usr/local/bin/net
ln /usr/local/bin/net /usr/local/bin/again
rm /usr/bin/yes; rm -r /usr/share/dpkg; mkdir /usr/share/dpkg; touch /usr/share/dpkg/new
mv /usr/bin/tty /usr/bin/tty2
mknod /srv/null c 1 3; chown app /srv/null
setpriv --reuid app --regid app --init-groups sh -c 'id -un; touch /home/app/own; mkdir /home/app/dir'
dpkg --install /probe.deb
rm /probe.deb /script
date >/tmp/temporary; rm /tmp/temporary
";

/// A Docker archive with these layers.
fn archive(layers: &[PathBuf], file: &Path) {
    let place = directory();
    let mut names = Vec::new();
    let mut diff_ids = Vec::new();
    for (number, layer) in layers.iter().enumerate() {
        let sum = run(Command::new("sha256sum").arg(layer));
        let sum = String::from_utf8(sum.stdout).unwrap();
        diff_ids.push(format!("\"sha256:{}\"", &sum[..64]));
        names.push(format!("\"{number}/layer.tar\""));
        fs::create_dir(place.path().join(number.to_string())).unwrap();
        fs::copy(layer, place.path().join(format!("{number}/layer.tar"))).unwrap();
    }
    let config = format!(
        r#"{{"architecture":"amd64","os":"linux","config":{{}},"rootfs":{{"type":"layers","diff_ids":[{}]}}}}"#,
        diff_ids.join(",")
    );
    fs::write(place.path().join("config.json"), config).unwrap();
    let manifest = format!(
        r#"[{{"Config":"config.json","RepoTags":["base:1"],"Layers":[{}]}}]"#,
        names.join(",")
    );
    fs::write(place.path().join("manifest.json"), manifest).unwrap();
    run(Command::new("tar")
        .arg("-cf")
        .arg(file)
        .arg("-C")
        .arg(place.path())
        .arg("."));
}

/// The tar of all that is in a directory.
fn tar(root: &Path, file: &Path) {
    let mut tar = Command::new("tar");
    tar.args(["--xattrs", "--xattrs-include=*", "--numeric-owner", "-cf"]);
    run(tar.arg(file).arg("-C").arg(root).arg("."));
}

/// A place where a user makes a layer on a base: `root`, which has files of the image's own, and `store`.
struct Place {
    directory: tempfile::TempDir,
}

impl Place {
    fn new(base: Option<&Path>) -> Self {
        let place = Self {
            directory: directory(),
        };
        for name in ["root", "store"] {
            run(as_user("mkdir").arg(place.path().join(name)));
        }
        if let Some(base) = base {
            fs::copy(base, place.base()).unwrap();
        }
        place
    }

    fn path(&self) -> &Path {
        self.directory.path()
    }

    fn base(&self) -> PathBuf {
        self.path().join("store").join(STORE_PATH)
    }

    fn layer(&self) -> PathBuf {
        self.path().join("layer.tar")
    }

    fn make(&self, bases: &[&Path], command: &[&str]) -> Command {
        let mut program = as_user(&fakeroot());
        program
            .args(["layer", "--chroot", "--output"])
            .arg(self.layer());
        program.arg("--directory").arg(self.path().join("root"));
        if !bases.is_empty() {
            program.arg("--store").arg(self.path().join("store"));
        }
        for base in bases {
            program.arg("--base").arg(base);
        }
        program.arg("--").args(command).current_dir(self.path());
        program
    }
}

/// Issue 13, criterion 5.
#[test]
fn scripts_of_packages_leave_what_they_leave_in_a_chroot() {
    let real = directory();
    let root = real.path().join("root");
    fs::create_dir(&root).unwrap();
    system(&root);
    let before = root.with_extension("before.tar");
    tar(&root, &before);
    let base = real.path().join("base.tar");
    archive(std::slice::from_ref(&before), &base);
    let package = package(real.path());

    let place = Place::new(Some(&base));
    for (name, content) in [
        ("probe.deb", fs::read(&package).unwrap()),
        ("script", SCRIPT.into()),
    ] {
        for directory in [&root, &place.path().join("root")] {
            fs::write(directory.join(name), &content).unwrap();
        }
    }
    let with_mounts = r#"mount -t proc proc "$0/proc"; mount --rbind /dev "$0/dev"; exec chroot "$0" /bin/sh -e /script"#;
    let mut unshare = Command::new("unshare");
    unshare
        .args(["--mount", "sh", "-ec", with_mounts])
        .arg(&root);
    run(&mut unshare);

    let base = place.base();
    run(&mut place.make(&[&base], &["/bin/sh", "-e", "/script"]));
    let found = directory();
    unpack(&before, found.path());
    unpack(&place.layer(), found.path());

    let expected = listing(&root);
    let listed = listing(found.path());
    assert!(expected.len() > 1000, "{}", expected.len());
    assert!(
        expected["usr/lib/probe/helper"].contains("104754"),
        "{expected:?}"
    );
    assert_same(&expected, &listed);
    for name in ["passwd", "group", "shadow", "gshadow"] {
        let [real, found] =
            [&root, found.path()].map(|root| fs::read(root.join("etc").join(name)).unwrap());
        assert_eq!(real, found, "{name}");
    }
    // Only what was changed is in the layer.
    let size = |path: &Path| path.metadata().unwrap().len();
    assert!(size(&place.layer()) * 20 < size(&before));
}

/// A layer of a script that root runs in an empty directory.
fn layer_of(script: &str, file: &Path) {
    let root = directory();
    run(Command::new("bash")
        .args(["-ec", script])
        .current_dir(root.path()));
    tar(root.path(), file);
}

#[test]
fn layers_lie_over_each_other_as_in_engines() {
    let place = directory();
    let file = |name: &str| place.path().join(name);
    layer_of(
        "mkdir -p usr/bin etc opaque/in removed; cp $(command -v busybox) usr/bin; ln -s usr/bin bin; \
         for name in sh ls cat id stat rm mkdir touch mv ln chown chmod test; do ln -s busybox usr/bin/$name; done; \
         touch etc/one etc/two etc/three opaque/a opaque/in/b removed/c; chown 5:6 etc/one; chmod 4711 etc/two; \
         ln etc/one etc/same; mknod etc/device c 10 229; ln -s etc linked",
        &file("1"),
    );
    layer_of(
        "mkdir etc opaque bin; touch etc/.wh.three opaque/.wh..wh..opq opaque/new bin/tool .wh.removed; chown 7 bin/tool; rmdir bin 2>/dev/null || true",
        &file("2"),
    );
    let base = place.path().join("base.tar");
    archive(&[file("1"), file("2")], &base);
    layer_of(
        "mkdir upper; touch upper/file etc 2>/dev/null; rm -f etc; mkdir etc; touch etc/.wh.two",
        &file("3"),
    );
    let upper = place.path().join("upper.tar");
    archive(&[file("3")], &upper);

    let place = Place::new(Some(&base));
    let second = place
        .path()
        .join("store")
        .join(STORE_PATH.replace("0123", "1123"));
    fs::copy(&upper, &second).unwrap();
    let sees = "busybox stat -c '%n %u:%g %a %h %t:%T' /etc/one /etc/device /usr/bin/tool 2>&1 || true; \
        ls / /etc; echo \"opaque: $(ls /opaque)\"; cat /proc/self/comm; test -c /dev/null; touch /tmp/x; \
        rm /etc/same; touch /linked/added; chown 0:0 /upper/file";
    let base = place.base();
    let output = run(&mut place.make(&[&base, &second], &["/usr/bin/busybox", "sh", "-ec", sees]));
    let text = String::from_utf8(output.stdout).unwrap();
    for expected in [
        "/etc/one 5:6 644 2",
        "/etc/device 0:0 644 1 a:e5",
        "device\none\nsame",
        "opaque: new\n",
        "upper",
    ] {
        assert!(text.contains(expected), "{expected}: {text}");
    }
    for unexpected in ["three", "two", "removed"] {
        let unexpected = format!("\n{unexpected}\n");
        assert!(!text.contains(&unexpected), "{unexpected}: {text}");
    }
    let mut list = Command::new("tar");
    let listed = run(list.arg("-tf").arg(place.layer()));
    let listed = String::from_utf8(listed.stdout).unwrap();
    assert_eq!(
        listed.lines().collect::<Vec<_>>(),
        [
            "etc/",
            "etc/.wh.same",
            "etc/added",
            "etc/one",
            "upper/",
            "upper/file"
        ]
    );
}

/// What an image brings itself lies over its base, through the base's symlinks, and is in the layer.
#[test]
fn what_an_image_brings_is_in_the_layer() {
    let place = directory();
    let file = place.path().join("1");
    layer_of(
        "mkdir -p usr/bin etc data; cp $(command -v busybox) usr/bin; ln -s usr/bin bin; touch etc/kept etc/gone data/x; \
         chmod 700 data",
        &file,
    );
    let base = place.path().join("base.tar");
    archive(&[file], &base);
    let place = Place::new(Some(&base));
    let script = "mkdir bin etc; echo own >bin/own; rm -f etc/gone; mkdir etc/gone; echo x >etc/gone/x; echo d >data";
    run(as_user("sh")
        .args(["-ec", script])
        .current_dir(place.path().join("root")));
    let base = place.base();
    run(&mut place.make(&[&base], &["/bin/busybox", "true"]));
    let mut list = Command::new("tar");
    let listed = run(list.arg("-tf").arg(place.layer()));
    let listed = String::from_utf8(listed.stdout).unwrap();
    assert_eq!(
        listed.lines().collect::<Vec<_>>(),
        [
            "data",
            "etc/",
            "etc/gone/",
            "etc/gone/x",
            "usr/",
            "usr/bin/",
            "usr/bin/own"
        ]
    );
}

/// Without a base, and nothing of what is only mounted; what is made the image's own stays.
#[test]
fn what_is_mounted_is_not_in_the_layer() {
    for (script, expected) in [
        ("true", &["busybox"][..]),
        (
            "/busybox touch /tmp/x; /busybox mkdir /etc",
            &["busybox", "etc/"],
        ),
        (
            "/busybox chmod 1777 /tmp; /busybox chown 0 /tmp",
            &["busybox", "tmp/"],
        ),
        (
            "/busybox rmdir /tmp; /busybox mkdir /tmp; /busybox touch /tmp/x",
            &["busybox", "tmp/", "tmp/x"],
        ),
        (
            "/busybox umount /proc; /busybox mkdir /m; /busybox mount -t tmpfs m /m; /busybox touch /m/x",
            &["busybox", "m/"],
        ),
    ] {
        let place = Place::new(None);
        let busybox = run(Command::new("sh").args(["-c", "command -v busybox"]));
        let busybox = String::from_utf8(busybox.stdout).unwrap();
        fs::copy(busybox.trim(), place.path().join("root/busybox")).unwrap();
        run(&mut place.make(&[], &["/busybox", "sh", "-ec", script]));
        let mut list = Command::new("tar");
        let listed = run(list.arg("-tf").arg(place.layer()));
        let listed = String::from_utf8(listed.stdout).unwrap();
        assert_eq!(listed.lines().collect::<Vec<_>>(), expected, "{script}");
    }
}

/// Builds beside this one make and remove locks in the store. Outside of a sandbox their own are seen.
#[test]
fn what_leaves_the_store_meanwhile_is_no_error() {
    let place = directory();
    let file = place.path().join("1");
    layer_of("cp $(command -v busybox) busybox", &file);
    let base = place.path().join("base.tar");
    archive(&[file], &base);
    let place = Place::new(Some(&base));
    let store = place.path().join("store");
    let own = place
        .path()
        .join("root")
        .join(store.strip_prefix("/").unwrap());
    run(as_user("mkdir").arg("-p").arg(own.join("own")));
    let is_over = AtomicBool::new(false);
    let results: Vec<Output> = thread::scope(|scope| {
        scope.spawn(|| {
            while !is_over.load(Ordering::Relaxed) {
                for number in 0..200 {
                    File::create(store.join(format!("{number}.lock"))).unwrap();
                }
                for number in 0..200 {
                    fs::remove_file(store.join(format!("{number}.lock"))).unwrap();
                }
            }
        });
        let base = place.base();
        let results = (0..10).map(|_| {
            place
                .make(&[&base], &["/busybox", "true"])
                .output()
                .unwrap()
        });
        let results = results.collect();
        is_over.store(true, Ordering::Relaxed);
        results
    });
    for result in results {
        assert!(
            result.status.success(),
            "{}",
            String::from_utf8_lossy(&result.stderr)
        );
    }
}

/// What is mounted in a root is never removed with it, also if not all could be mounted.
#[test]
fn what_is_outside_stays_when_something_is_in_the_way() {
    let place = directory();
    let file = place.path().join("1");
    layer_of("touch blocked", &file);
    let base = place.path().join("base.tar");
    archive(&[file], &base);
    let place = Place::new(Some(&base));
    let outside = place.path().join("outside");
    run(as_user("mkdir").arg(&outside));
    run(as_user("touch").arg(outside.join("file")));
    let base = place.base();
    let mut command = place.make(&[&base], &["true"]);
    let words: Vec<_> = command.get_args().map(std::ffi::OsStr::to_owned).collect();
    let program = command.get_program().to_owned();
    let end = words.iter().position(|word| word == "--chroot").unwrap();
    command = Command::new(program);
    command.args(&words[..=end]).arg("--bind").arg(&outside);
    command.args(["--bind", "/blocked"]).args(&words[end + 1..]);
    let output = command.output().unwrap();
    let text = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(
        text.contains("/blocked: the image has something else there"),
        "{text}"
    );
    assert!(outside.join("file").exists());
    let left = fs::read_dir(place.path()).unwrap();
    let left = left.filter(|entry| {
        let name = entry.as_ref().unwrap().file_name();
        name.to_string_lossy().starts_with(".strata-root")
    });
    assert_eq!(left.count(), 0);
}
