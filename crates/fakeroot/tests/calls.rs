//! Random sequences of calls, made by root and made by a user whom `strata-fakeroot` has believe to be root: each
//! answers the same, and the files look the same after each.
//!
//! This program is its own helper: started again with a file of calls, it makes them and writes what they gave
//! beside it.

#![cfg(target_os = "linux")]

mod support;

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use proptest::prelude::*;
use proptest::strategy::ValueTree as _;
use proptest::test_runner::{Config, RngSeed, TestRunner};
use rustix::fs::{self, AtFlags, CWD, FileType, Mode, OFlags, RenameFlags, XattrFlags};
use rustix::io::Errno;
use rustix::process::{Gid, Uid};
use rustix::thread::{self, CapabilitySet};

use support::{as_user, fakeroot};

/// Where the helper finds its calls.
const CALLS: &str = "STRATA_TEST_CALLS";
/// Where a seed can be given.
const SEED: &str = "STRATA_TEST_SEED";
/// Capabilities that calls ask for.
const CAPABILITIES: u64 = 1 | 1 << 3 | 1 << 4 | 1 << 6 | 1 << 7 | 1 << 21 | 1 << 27 | 1 << 31;
const NAMES: [&str; 6] = ["a", "b", "l", "d", "d/a", "d/d"];

/// Words of a call, as the helper reads them.
fn call_on_files() -> impl Strategy<Value = String> {
    let name = || proptest::sample::select(&NAMES[..]);
    let id = || proptest::sample::select(&[0_i64, 1, 1000, 70_000, -1][..]);
    let mode = || {
        proptest::sample::select(
            &[
                "644", "755", "4755", "2755", "6711", "2644", "1777", "0", "6777",
            ][..],
        )
    };
    let xattr = || {
        proptest::sample::select(
            &[
                "user.a",
                "user.b",
                "user.",
                "trusted.a",
                "security.capability",
                "security.other",
                "none.a",
                "x",
            ][..],
        )
    };
    let flags = || proptest::sample::select(&[0_u32, 0, 0, 1, 2][..]);
    let value = proptest::sample::select(&["v", "", "value", "CAPS"][..]);
    prop_oneof![
        4 => (name(), id(), id()).prop_map(|(name, uid, gid)| format!("chown {name} {uid} {gid}")),
        2 => (name(), id(), id()).prop_map(|(name, uid, gid)| format!("lchown {name} {uid} {gid}")),
        2 => (name(), id(), id()).prop_map(|(name, uid, gid)| format!("fchown {name} {uid} {gid}")),
        4 => (name(), mode()).prop_map(|(name, mode)| format!("chmod {name} {mode}")),
        2 => (name(), mode()).prop_map(|(name, mode)| format!("fchmod {name} {mode}")),
        3 => (name(), name()).prop_map(|(from, to)| format!("rename {from} {to}")),
        1 => (name(), name()).prop_map(|(from, to)| format!("exchange {from} {to}")),
        3 => (name(), name()).prop_map(|(from, to)| format!("link {from} {to}")),
        2 => (name(), name()).prop_map(|(to, name)| format!("symlink {to} {name}")),
        3 => name().prop_map(|name| format!("unlink {name}")),
        1 => name().prop_map(|name| format!("rmdir {name}")),
        3 => (name(), mode()).prop_map(|(name, mode)| format!("mkdir {name} {mode}")),
        3 => (name(), mode()).prop_map(|(name, mode)| format!("create {name} {mode}")),
        1 => (name(), mode()).prop_map(|(name, mode)| format!("unnamed {name} {mode}")),
        2 => (name(), mode()).prop_map(|(name, mode)| format!("device {name} {mode}")),
        1 => (name(), mode()).prop_map(|(name, mode)| format!("pipe {name} {mode}")),
        3 => (name(), xattr(), value, flags())
            .prop_map(|(name, xattr, value, flags)| format!("setxattr {name} {xattr} {flags} {value}")),
        1 => (name(), xattr()).prop_map(|(name, xattr)| format!("lsetxattr {name} {xattr} 0 v")),
        2 => (name(), xattr()).prop_map(|(name, xattr)| format!("getxattr {name} {xattr}")),
        1 => (name(), xattr()).prop_map(|(name, xattr)| format!("removexattr {name} {xattr}")),
    ]
}

fn call_on_credentials() -> impl Strategy<Value = String> {
    let id = || proptest::sample::select(&[0_i64, 1, 1000, 70_000][..]);
    let verb = |verbs: &'static [&'static str]| proptest::sample::select(verbs);
    prop_oneof![
        (verb(&["setuid", "setgid"]), id()).prop_map(|(verb, id)| format!("{verb} {id}")),
        (verb(&["setresuid", "setresgid"]), id(), id(), id()).prop_map(
            |(verb, real, effective, saved)| format!("{verb} {real} {effective} {saved}")
        ),
        (id(), id()).prop_map(|(one, two)| format!("setgroups {one} {two}")),
        proptest::bool::ANY.prop_map(|keeps| format!("keep {keeps}")),
        (
            proptest::bool::ANY,
            proptest::sample::select(&[0, 3, 4, 6, 7, 21, 27, 31][..])
        )
            .prop_map(|(may, number)| format!("drop {number} {may}")),
        Just("device d 644".to_owned()),
        Just("setxattr a trusted.a 0 v".to_owned()),
        Just("chown a 0 5".to_owned()),
        Just("chown a 1000 -1".to_owned()),
        Just("chmod a 6755".to_owned()),
    ]
}

/// The same sequences each time, so that a failure is found again; others with another seed.
fn sequences(calls: impl Strategy<Value = String>, count: usize, length: usize) -> String {
    let seed = std::env::var(SEED).ok();
    let seed = seed.map(|seed| seed.parse().unwrap());
    let config = Config {
        rng_seed: RngSeed::Fixed(seed.unwrap_or(13)),
        ..Config::default()
    };
    let mut runner = TestRunner::new(config);
    let strategy = proptest::collection::vec(calls, length);
    let mut text = String::new();
    for _ in 0..count {
        text.push_str("begin\n");
        for call in strategy.new_tree(&mut runner).unwrap().current() {
            writeln!(text, "{call}").unwrap();
        }
    }
    text
}

/// What each call gave, with the call.
fn perform(mut command: Command, directory: &Path, calls: &str) -> Vec<String> {
    let file = directory.join("calls");
    std::fs::write(&file, calls).unwrap();
    let output = command
        .env(CALLS, &file)
        .current_dir(directory)
        .output()
        .unwrap();
    let said = [output.stdout, output.stderr].concat();
    let said = String::from_utf8_lossy(&said);
    assert!(output.status.success(), "{said}");
    let given = std::fs::read_to_string(file.with_extension("given")).unwrap();
    given.lines().map(str::to_owned).collect()
}

/// The command line of this program as the helper.
fn helper() -> Vec<String> {
    let program = std::env::current_exe().unwrap();
    let mut words = vec![program.into_os_string().into_string().unwrap()];
    words.extend(["--ignored", "--exact", "makes_calls", "--nocapture"].map(str::to_owned));
    words
}

/// Compares root with a user who believes to be root.
fn compare(calls: &str) {
    let [real, believed] = [(); 2].map(|()| support::directory());
    let words = helper();
    let mut command = Command::new(&words[0]);
    command.args(&words[1..]);
    let by_root = perform(command, real.path(), calls);
    let mut command = as_user(&fakeroot());
    command.args(["run", "--"]).args(&words);
    let by_user = perform(command, believed.path(), calls);
    assert!(by_root.len() >= calls.lines().count(), "{by_root:?}");
    for (number, (root, user)) in by_root.iter().zip(&by_user).enumerate() {
        let before = &by_root[number.saturating_sub(5)..number];
        assert_eq!(root, user, "root is left, a user right, after {before:#?}");
    }
    assert_eq!(by_root.len(), by_user.len());
}

#[test]
fn files_are_as_root_would_have_them() {
    compare(&sequences(call_on_files(), 150, 40));
}

#[test]
fn users_change_as_they_do_for_root() {
    let calls = sequences(call_on_credentials(), 100, 15);
    compare(&calls.replace("begin\n", "begin\ncreate a 644\n"));
}

/// The helper.
#[test]
#[ignore = "other tests run it"]
fn makes_calls() {
    let file = PathBuf::from(std::env::var_os(CALLS).unwrap());
    let calls = std::fs::read_to_string(&file).unwrap();
    let mut given = String::new();
    let here = std::env::current_dir().unwrap();
    let sequences = calls.split("begin\n").skip(1);
    for (number, sequence) in sequences.enumerate() {
        let directory = here.join(number.to_string());
        std::fs::create_dir(&directory).unwrap();
        // Whether other users may write is not what is compared.
        fs::chmod(&directory, Mode::from_raw_mode(0o777)).unwrap();
        // Its own thread, because each has users of its own.
        let one = || make_calls(&directory, sequence);
        given += &std::thread::scope(|scope| scope.spawn(one).join().unwrap());
    }
    std::fs::write(file.with_extension("given"), given).unwrap();
}

fn make_calls(directory: &Path, calls: &str) -> String {
    let mut text = "begin\n".to_owned();
    for call in calls.lines() {
        let words: Vec<&str> = call.split(' ').collect();
        let given = match make_call(directory, &words) {
            Ok(given) => given,
            Err(error) => format!("error {}", error.raw_os_error()),
        };
        writeln!(text, "{call}: {given}{}", looks(directory)).unwrap();
    }
    text
}

fn make_call(directory: &Path, words: &[&str]) -> Result<String, Errno> {
    let path = |number: usize| -> PathBuf { directory.join(words[number]) };
    let id = |number: usize| words[number].parse::<i64>().unwrap();
    let uid = |number| u32::try_from(id(number)).ok().map(Uid::from_raw);
    let gid = |number| u32::try_from(id(number)).ok().map(Gid::from_raw);
    let mode = |number: usize| Mode::from_raw_mode(u32::from_str_radix(words[number], 8).unwrap());
    let open = |number| {
        fs::open(
            path(number),
            OFlags::RDONLY | OFlags::NONBLOCK,
            Mode::empty(),
        )
    };
    let become_user = |number| uid(number).unwrap();
    let become_group = |number| gid(number).unwrap();
    let flags = |number: usize| XattrFlags::from_bits_retain(words[number].parse().unwrap());
    match words[0] {
        "chown" => fs::chownat(CWD, path(1), uid(2), gid(3), AtFlags::empty())?,
        "lchown" => fs::chownat(CWD, path(1), uid(2), gid(3), AtFlags::SYMLINK_NOFOLLOW)?,
        "fchown" => fs::fchown(open(1)?, uid(2), gid(3))?,
        "chmod" => fs::chmod(path(1), mode(2))?,
        "fchmod" => fs::fchmod(open(1)?, mode(2))?,
        "rename" => fs::rename(path(1), path(2))?,
        "exchange" => fs::renameat_with(CWD, path(1), CWD, path(2), RenameFlags::EXCHANGE)?,
        "link" => fs::link(path(1), path(2))?,
        "symlink" => fs::symlink(words[1], path(2))?,
        "unlink" => fs::unlink(path(1))?,
        "rmdir" => fs::rmdir(path(1))?,
        "mkdir" => fs::mkdir(path(1), mode(2))?,
        "create" => {
            let file = fs::open(
                path(1),
                OFlags::CREATE | OFlags::RDONLY | OFlags::NONBLOCK,
                mode(2),
            )?;
            let stat = fs::fstat(file)?;
            return Ok(format!(
                "{:o} {} {}",
                stat.st_mode, stat.st_uid, stat.st_gid
            ));
        }
        "unnamed" => {
            let file = fs::open(directory, OFlags::TMPFILE | OFlags::RDWR, mode(2))?;
            fs::fchown(&file, Some(Uid::from_raw(7)), None)?;
            let of_process = format!("/proc/self/fd/{}", std::os::fd::AsRawFd::as_raw_fd(&file));
            fs::linkat(CWD, of_process, CWD, path(1), AtFlags::SYMLINK_FOLLOW)?;
        }
        "device" => fs::mknodat(
            CWD,
            path(1),
            FileType::CharacterDevice,
            mode(2),
            fs::makedev(10, 229),
        )?,
        "pipe" => fs::mknodat(CWD, path(1), FileType::Fifo, mode(2), 0)?,
        "setxattr" => fs::setxattr(path(1), words[2], &value(words[4]), flags(3))?,
        "lsetxattr" => fs::lsetxattr(path(1), words[2], &value(words[4]), flags(3))?,
        "getxattr" => {
            let mut room = [0_u8; 4];
            let size = fs::getxattr(path(1), words[2], &mut room)?;
            return Ok(format!("{:?}", &room[..size]));
        }
        "removexattr" => fs::removexattr(path(1), words[2])?,
        "setuid" => thread::set_thread_uid(become_user(1))?,
        "setgid" => thread::set_thread_gid(become_group(1))?,
        "setresuid" => thread::set_thread_res_uid(become_user(1), become_user(2), become_user(3))?,
        "setresgid" => {
            thread::set_thread_res_gid(become_group(1), become_group(2), become_group(3))?;
        }
        "setgroups" => thread::set_thread_groups(&[become_group(1), become_group(2)])?,
        "keep" => thread::set_keep_capabilities(words[1] == "true")?,
        "drop" => {
            let mut sets = thread::capabilities(None)?;
            let dropped = CapabilitySet::from_bits_retain(1 << id(1));
            sets.effective.remove(dropped);
            if words[2] == "true" {
                sets.permitted.remove(dropped);
            } else {
                sets.effective
                    .insert(CapabilitySet::from_bits_retain(1 << (id(1) / 2)));
            }
            thread::set_capabilities(None, sets)?;
        }
        other => panic!("{other}"),
    }
    Ok("done".to_owned())
}

fn value(word: &str) -> Vec<u8> {
    match word {
        // `cap_net_raw+ep`
        "CAPS" => [&[1, 0, 0, 2, 0, 0x20], &[0; 14][..]].concat(),
        word => word.as_bytes().to_vec(),
    }
}

/// Who the thread is, and what it sees of every file.
fn looks(directory: &Path) -> String {
    let mut text = format!(
        " {}/{} {}/{}",
        rustix::process::getuid().as_raw(),
        rustix::process::geteuid().as_raw(),
        rustix::process::getgid().as_raw(),
        rustix::process::getegid().as_raw(),
    );
    let sets = thread::capabilities(None).unwrap();
    // Root may lack others where tests run.
    let [effective, permitted] =
        [sets.effective, sets.permitted].map(|set| set.bits() & CAPABILITIES);
    write!(text, " {effective:x} {permitted:x}").unwrap();
    for name in NAMES {
        let path = directory.join(name);
        let Ok(stat) = fs::lstat(&path) else {
            continue;
        };
        let (mode, uid, gid) = (stat.st_mode, stat.st_uid, stat.st_gid);
        write!(text, "; {name} {mode:o} {uid}:{gid} {}", stat.st_nlink).unwrap();
        if mode & 0o170_000 == 0o020_000 {
            write!(
                text,
                " {}:{}",
                fs::major(stat.st_rdev),
                fs::minor(stat.st_rdev)
            )
            .unwrap();
        }
        let mut list = [0_u8; 1024];
        if let Ok(size) = fs::llistxattr(&path, &mut list) {
            let list = String::from_utf8_lossy(&list[..size]).into_owned();
            let mut names: Vec<&str> = list.split('\0').filter(|name| !name.is_empty()).collect();
            names.sort_unstable();
            if !names.is_empty() {
                write!(text, " {names:?}").unwrap();
            }
        }
    }
    text
}
