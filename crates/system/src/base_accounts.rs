//! Users and groups of a base system over those of a base image, as `useradd` and `groupadd` would add
//! them: `passwd(5)`, `group(5)`, `shadow(5)` and `gshadow(5)`.
//!
//! What the base has stays as it is, line by line, whatever it is.

use std::collections::{BTreeMap, BTreeSet};

use super::accounts::LOCKED;
use super::argument::{error, field};
use strata_error::{Error, Result};

/// The texts of the files; none where there is no file.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AccountFiles {
    /// `/etc/passwd`.
    pub passwd: Option<Vec<u8>>,
    /// `/etc/group`.
    pub group: Option<Vec<u8>>,
    /// `/etc/shadow`.
    pub shadow: Option<Vec<u8>>,
    /// `/etc/gshadow`.
    pub gshadow: Option<Vec<u8>>,
}

/// Users and groups that every base system has. They give way to the base's.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Usual {
    /// Names of users.
    pub users: BTreeSet<Vec<u8>>,
    /// Names of groups.
    pub groups: BTreeSet<Vec<u8>>,
}

/// The files of both; those that `own` does not have are none, which leaves the base's.
///
/// A user or group that both have must have the same numbers; then what `own` says of it wins, but
/// members are added. A number that somebody else has is an error that names the argument.
pub fn merge_accounts(
    base: &AccountFiles,
    own: &AccountFiles,
    usual: &Usual,
) -> Result<AccountFiles> {
    let mut passwd = Table::parse(base.passwd.as_deref());
    let mut users = BTreeSet::new();
    for line in lines(own.passwd.as_deref()) {
        let is_usual = usual.users.contains(name_of(line));
        if passwd.add(line, &[2, 3], is_usual, &USER)? {
            users.insert(name_of(line));
        }
    }
    let mut group = Table::parse(base.group.as_deref());
    let mut groups = BTreeSet::new();
    for line in lines(own.group.as_deref()) {
        let is_usual = usual.groups.contains(name_of(line));
        let is_added = |member: &[u8]| !is_usual || !usual.users.contains(member);
        let known = group.numbers(name_of(line), &[2]);
        if known.is_some_and(|known| is_usual || known == numbers(line, &[2])) {
            group.add_members(line, &is_added);
        } else if group.add(line, &[2], is_usual, &GROUP)? {
            groups.insert(name_of(line));
        }
    }
    let mut shadow = Table::parse(base.shadow.as_deref());
    for line in lines(own.shadow.as_deref()).filter(|line| users.contains(name_of(line))) {
        // Who says nothing of a password does not take the base's away.
        let says_nothing = fields(line).nth(1) == Some(LOCKED.as_bytes());
        if !says_nothing || !shadow.has(name_of(line)) {
            shadow.put(line);
        }
    }
    let mut gshadow = Table::parse(base.gshadow.as_deref());
    for line in lines(own.gshadow.as_deref()) {
        if gshadow.has(name_of(line)) {
            let is_usual = usual.groups.contains(name_of(line));
            gshadow.add_members(line, &|member| !is_usual || !usual.users.contains(member));
        } else if groups.contains(name_of(line)) {
            gshadow.put(line);
        }
    }
    let text = |own: &Option<Vec<u8>>, table: Table| own.as_ref().map(|_| table.text());
    Ok(AccountFiles {
        passwd: text(&own.passwd, passwd),
        group: text(&own.group, group),
        shadow: text(&own.shadow, shadow),
        gshadow: text(&own.gshadow, gshadow),
    })
}

/// What a line is about, for errors.
struct Kind {
    argument: &'static str,
    what: &'static str,
    numbers: &'static str,
}

const USER: Kind = Kind {
    argument: "users",
    what: "user",
    numbers: "uid:gid",
};
const GROUP: Kind = Kind {
    argument: "groups",
    what: "group",
    numbers: "gid",
};

/// The lines of a file, and where the names and numbers in it are.
#[derive(Default)]
struct Table {
    lines: Vec<Vec<u8>>,
    by_name: BTreeMap<Vec<u8>, usize>,
    by_number: BTreeMap<Vec<u8>, Vec<u8>>,
}

impl Table {
    fn parse(text: Option<&[u8]>) -> Self {
        let mut table = Self::default();
        for line in lines(text) {
            let name = name_of(line).to_vec();
            let number = table.lines.len();
            // The first line counts, as for getpwnam(3).
            if !name.is_empty() && !line.starts_with(b"#") {
                if let Some(id) = fields(line).nth(2) {
                    let others = table.by_number.entry(id.to_vec());
                    others.or_insert_with(|| name.clone());
                }
                table.by_name.entry(name).or_insert(number);
            }
            table.lines.push(line.to_vec());
        }
        table
    }

    fn has(&self, name: &[u8]) -> bool {
        self.by_name.contains_key(name)
    }

    fn line(&mut self, name: &[u8]) -> Option<&mut Vec<u8>> {
        let number = *self.by_name.get(name)?;
        self.lines.get_mut(number)
    }

    fn numbers(&mut self, name: &[u8], at: &[usize]) -> Option<Vec<u8>> {
        self.line(name).map(|line| numbers(line, at))
    }

    /// Adds a line with numbers in the fields `at`, the first of which nobody else may have; whether it
    /// is there now.
    fn add(&mut self, line: &[u8], at: &[usize], is_usual: bool, kind: &Kind) -> Result<bool> {
        let name = name_of(line);
        let own = numbers(line, at);
        match self.numbers(name, at) {
            Some(_) if is_usual => return Ok(false),
            Some(known) if known != own => return Err(other_numbers(name, &known, &own, kind)),
            Some(_) => {}
            None => {
                let id = fields(line).nth(2).unwrap_or_default();
                match self.by_number.get(id) {
                    Some(_) if is_usual => return Ok(false),
                    Some(other) => return Err(taken(name, id, other, kind)),
                    None => {}
                }
            }
        }
        self.put(line);
        Ok(true)
    }

    /// Puts a line in the place of the one with its name, or behind all.
    fn put(&mut self, line: &[u8]) {
        let name = name_of(line).to_vec();
        if let Some(old) = self.line(&name) {
            *old = line.to_vec();
            return;
        }
        self.by_name.insert(name, self.lines.len());
        self.lines.push(line.to_vec());
    }

    /// Adds members, the last field, to the line with the name of `line`.
    fn add_members(&mut self, line: &[u8], is_added: &dyn Fn(&[u8]) -> bool) {
        let Some(old) = self.line(name_of(line)) else {
            return;
        };
        let of = |line: &[u8]| {
            let last = fields(line).nth(3).unwrap_or_default();
            let names = last.split(|byte| *byte == b',');
            let names = names.filter(|name| !name.is_empty());
            names.map(<[u8]>::to_vec).collect::<Vec<_>>()
        };
        if fields(old).count() < 4 {
            return;
        }
        let known: BTreeSet<Vec<u8>> = of(old).into_iter().collect();
        for member in of(line) {
            if known.contains(&member) || !is_added(&member) {
                continue;
            }
            if !matches!(old.last(), Some(b':' | b',')) {
                old.push(b',');
            }
            old.extend(member);
        }
    }

    fn text(&self) -> Vec<u8> {
        let lines = self.lines.iter();
        lines
            .flat_map(|line| [line.as_slice(), b"\n"].concat())
            .collect()
    }
}

fn lines(text: Option<&[u8]>) -> impl Iterator<Item = &[u8]> {
    let text = text.unwrap_or_default();
    let text = text.strip_suffix(b"\n").unwrap_or(text);
    let is_empty = text.is_empty();
    text.split(|byte| *byte == b'\n').filter(move |_| !is_empty)
}

fn fields(line: &[u8]) -> impl Iterator<Item = &[u8]> {
    line.split(|byte| *byte == b':')
}

fn name_of(line: &[u8]) -> &[u8] {
    fields(line).next().unwrap_or_default()
}

fn numbers(line: &[u8], at: &[usize]) -> Vec<u8> {
    let number = |at: &usize| fields(line).nth(*at).unwrap_or_default();
    at.iter().map(number).collect::<Vec<_>>().join(&b':')
}

fn show(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

fn other_numbers(name: &[u8], known: &[u8], own: &[u8], kind: &Kind) -> Error {
    let Kind { what, numbers, .. } = kind;
    error(
        &field(kind.argument, &show(name)),
        format!(
            "the base image has a {what} of this name whose {numbers} is {}, not {}",
            show(known),
            show(own)
        ),
        "give it the numbers that it has there, or another name",
    )
}

fn taken(name: &[u8], id: &[u8], other: &[u8], kind: &Kind) -> Error {
    error(
        &field(kind.argument, &show(name)),
        format!(
            "the number {} is that of {} in the base image",
            show(id),
            show(other)
        ),
        "take another number, or the name that it has there",
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    const PASSWD: &str = "root:x:0:0:root:/root:/bin/bash\n# a comment\ndaemon:x:1:1::/:/bin/sh\n\
                          app:x:7:7::/srv:/bin/sh\n+::::::";
    const GROUP: &str = "root:x:0:\nnogroup:x:65534:\napp:x:7:daemon\n";

    fn bytes(text: &str) -> Vec<u8> {
        text.as_bytes().to_vec()
    }

    fn usual() -> Usual {
        let names = || {
            ["root", "nobody"]
                .map(|name| name.as_bytes().to_vec())
                .into()
        };
        Usual {
            users: names(),
            groups: names(),
        }
    }

    fn merged(own: &AccountFiles) -> Result<AccountFiles, String> {
        let base = AccountFiles {
            passwd: Some(bytes(PASSWD)),
            group: Some(bytes(GROUP)),
            shadow: Some(bytes("root:$6$x:1::::::\napp:secret:1::::::\n")),
            gshadow: None,
        };
        merge_accounts(&base, own, &usual()).map_err(|error| error.to_string())
    }

    fn text(bytes: Option<Vec<u8>>) -> String {
        String::from_utf8(bytes.unwrap()).unwrap()
    }

    #[test]
    fn the_base_stays_and_ours_is_added() {
        let own = AccountFiles {
            passwd: Some(bytes(
                "root:x:0:0::/root:/bin/sh\napp:x:7:7:App:/app:/bin/app\nnew:x:8:7::/new:/bin/sh\n\
                 nobody:x:65534:65534::/:/bin/false\n",
            )),
            group: Some(bytes(
                "root:x:0:root,new\napp:x:7:new,daemon\nmore:x:9:new\nnobody:x:65534:nobody\n",
            )),
            shadow: Some(bytes(
                "root:!:1::::::\napp:!:1::::::\nnew:$6$y:1::::::\nnobody:!:1::::::\n",
            )),
            gshadow: Some(bytes("root:!::root\napp:!::new\nmore:!::new\n")),
        };
        let merged = merged(&own).unwrap();
        assert_eq!(
            text(merged.passwd),
            "root:x:0:0:root:/root:/bin/bash\n# a comment\ndaemon:x:1:1::/:/bin/sh\n\
             app:x:7:7:App:/app:/bin/app\n+::::::\nnew:x:8:7::/new:/bin/sh\n\
             nobody:x:65534:65534::/:/bin/false\n"
        );
        assert_eq!(
            text(merged.group),
            "root:x:0:new\nnogroup:x:65534:\napp:x:7:daemon,new\nmore:x:9:new\n"
        );
        assert_eq!(
            text(merged.shadow),
            "root:$6$x:1::::::\napp:secret:1::::::\nnew:$6$y:1::::::\nnobody:!:1::::::\n"
        );
        assert_eq!(text(merged.gshadow), "more:!::new\n");
    }

    #[test]
    fn numbers_that_clash_name_the_argument() {
        for (passwd, group, message) in [
            (
                "app:x:8:7::/:/bin/sh\n",
                "",
                "attribute users.app: the base image has a user of this name whose uid:gid is 7:7, not 8:7",
            ),
            (
                "app:x:7:8::/:/bin/sh\n",
                "",
                "attribute users.app: the base image has a user of this name whose uid:gid is 7:7, not 7:8",
            ),
            (
                "new:x:1:7::/:/bin/sh\n",
                "",
                "attribute users.new: the number 1 is that of daemon in the base image",
            ),
            (
                "",
                "app:x:8:\n",
                "attribute groups.app: the base image has a group of this name whose gid is 7, not 8",
            ),
            (
                "",
                "users:x:65534:\n",
                "attribute groups.users: the number 65534 is that of nogroup in the base image",
            ),
        ] {
            let own = AccountFiles {
                passwd: Some(bytes(passwd)),
                group: Some(bytes(group)),
                ..AccountFiles::default()
            };
            assert_eq!(merged(&own).unwrap_err(), message);
        }
    }

    proptest::proptest! {
        /// Whatever the base says is still there.
        #[test]
        fn no_line_of_the_base_is_lost(base: Vec<u8>, name in "[a-z]{1,3}", number in 0_u32..20) {
            let own = AccountFiles {
                passwd: Some(format!("{name}:x:{number}:1::/:/bin/sh\n").into_bytes()),
                ..AccountFiles::default()
            };
            let files = AccountFiles { passwd: Some(base.clone()), ..AccountFiles::default() };
            let usual = Usual { users: [name.into_bytes()].into(), ..Usual::default() };
            let merged = merge_accounts(&files, &own, &usual).unwrap().passwd.unwrap();
            let base = base.strip_suffix(b"\n").unwrap_or(&base);
            proptest::prop_assert!(merged.starts_with(base));
        }
    }
}
