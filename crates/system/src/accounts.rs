//! Users and groups whose values are known to be good.

use std::collections::{BTreeMap, BTreeSet};

use super::argument::{error, field, path};
use strata_error::Result;
use strata_nix::{GroupRequest, System, UserRequest};

/// The group of users without one of their own: `nobody`.
const NOBODY: u32 = 65534;
/// The home of users without one; it is not made.
const EMPTY_HOME: &str = "/var/empty";
/// The field of `shadow` with which nobody can log in.
pub(super) const LOCKED: &str = "!";
/// The most characters that `useradd` and `groupadd` take.
const NAME_LENGTH: usize = 32;
/// -1 for programs that keep 16 bits of a number.
const MINUS_ONE_OF_16_BITS: u32 = 65535;

/// All users and groups.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Accounts {
    /// In order of their numbers.
    pub users: Vec<User>,
    /// In order of their numbers.
    pub groups: Vec<Group>,
}

/// A line of `passwd` and one of `shadow`. No field has a colon or a line break.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct User {
    /// The number.
    pub uid: u32,
    /// What the user is called.
    pub name: String,
    /// The number of the group, which need not be known.
    pub gid: u32,
    /// The full name.
    pub description: String,
    /// The home directory, absolute.
    pub home: String,
    /// Whether the home directory is to be made.
    pub create_home: bool,
    /// The login shell, absolute.
    pub shell: String,
    /// The field of `shadow`.
    pub password: String,
}

/// A line of `group` and one of `gshadow`. No field has a colon or a line break.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Group {
    /// The number.
    pub gid: u32,
    /// What the group is called.
    pub name: String,
    /// Names of users, in order of their numbers.
    pub members: Vec<String>,
}

impl Accounts {
    /// Checks `users` and `groups` of a request.
    pub fn check(system: &System) -> Result<Self> {
        let mut groups = check_groups(&system.groups)?;
        let mut users = system
            .users
            .iter()
            .map(|(name, user)| check_user(name, user, system))
            .collect::<Result<Vec<User>>>()?;
        unique(
            users.iter().map(|user| (user.uid, &user.name)),
            "users",
            "uid",
        )?;
        users.sort_unstable_by_key(|user| user.uid);
        for group in &mut groups {
            group.members = members(group, &users, system)?;
        }
        Ok(Self { users, groups })
    }
}

fn check_user(name: &str, user: &UserRequest, system: &System) -> Result<User> {
    let attribute = field("users", name);
    check_name(&attribute, name)?;
    let of_user = |key: &str| format!("{attribute}.{key}");
    let gid = match (user.gid, system.groups.get(name)) {
        (Some(gid), _) => number(&of_user("gid"), gid)?,
        (None, Some(group)) => number(&format!("{}.gid", field("groups", name)), group.gid)?,
        (None, None) => NOBODY,
    };
    for (number, group) in user.groups.iter().enumerate() {
        if !system.groups.contains_key(group) {
            let attribute = format!("{attribute}.groups[{number}]");
            let hint = "add the group to groups, with its gid";
            return Err(error(&attribute, format!("{group:?} is not a group"), hint));
        }
    }
    for (key, value) in [
        ("home", &user.home),
        ("shell", &user.shell),
        ("description", &user.description),
    ] {
        if has_separator(value) {
            return Err(separator(&of_user(key), format!("{value:?} has")));
        }
    }
    path(&of_user("shell"), &user.shell)?;
    let home = path(&of_user("home"), &user.home)?;
    let is_empty = EMPTY_HOME.trim_start_matches('/') == home;
    Ok(User {
        uid: number(&of_user("uid"), user.uid)?,
        name: name.to_owned(),
        gid,
        description: user.description.clone(),
        home: user.home.clone(),
        create_home: user.create_home.unwrap_or(!is_empty),
        shell: user.shell.clone(),
        password: password(&of_user("password"), user, system.shadow)?,
    })
}

/// The messages do not show the password.
fn password(attribute: &str, user: &UserRequest, has_shadow: bool) -> Result<String> {
    let hint = "write what belongs into /etc/shadow, as from `mkpasswd`, or \"!\" for none";
    let text = match &user.password {
        serde_json::Value::Null => return Ok(LOCKED.to_owned()),
        serde_json::Value::String(text) => text.clone(),
        _ => return Err(error(attribute, "is not a string", hint)),
    };
    if has_separator(&text) {
        return Err(separator(attribute, "has".into()));
    }
    if !has_shadow && text != LOCKED {
        let hint = "leave the password out, or set shadow to true";
        return Err(error(
            attribute,
            "has no place, since shadow is false",
            hint,
        ));
    }
    Ok(text)
}

/// Without their members.
fn check_groups(requests: &BTreeMap<String, GroupRequest>) -> Result<Vec<Group>> {
    let check = |(name, group): (&String, &GroupRequest)| {
        let attribute = field("groups", name);
        check_name(&attribute, name)?;
        Ok(Group {
            gid: number(&format!("{attribute}.gid"), group.gid)?,
            name: name.clone(),
            members: Vec::new(),
        })
    };
    let mut groups = requests.iter().map(check).collect::<Result<Vec<Group>>>()?;
    let numbers = groups.iter().map(|group| (group.gid, &group.name));
    unique(numbers, "groups", "gid")?;
    groups.sort_unstable_by_key(|group| group.gid);
    Ok(groups)
}

/// Those that the group names and those that name the group.
fn members(group: &Group, users: &[User], system: &System) -> Result<Vec<String>> {
    let listed = system.groups.get(&group.name);
    let listed = listed.map_or(&[][..], |group| &group.members);
    for (number, member) in listed.iter().enumerate() {
        if !system.users.contains_key(member) {
            let attribute = format!("{}.members[{number}]", field("groups", &group.name));
            let hint = "add the user to users, with its uid";
            return Err(error(&attribute, format!("{member:?} is not a user"), hint));
        }
    }
    let names_group = |user: &&User| {
        let user = system.users.get(&user.name);
        user.is_some_and(|user| user.groups.contains(&group.name))
    };
    let mut members: BTreeSet<&String> = listed.iter().collect();
    members.extend(users.iter().filter(names_group).map(|user| &user.name));
    let members = users.iter().filter(|user| members.contains(&user.name));
    Ok(members.map(|user| user.name.clone()).collect())
}

/// `useradd(8)`, "Caveats": a small letter or underscore, then also digits and dashes; a dollar
/// sign may be last.
fn check_name(attribute: &str, name: &str) -> Result<()> {
    let stem = name.strip_suffix('$').unwrap_or(name);
    let begins = |byte: &u8| byte.is_ascii_lowercase() || *byte == b'_';
    let continues = |byte: u8| byte.is_ascii_digit() || byte == b'-' || begins(&byte);
    let fits = stem.as_bytes().first().is_some_and(begins) && stem.bytes().all(continues);
    if fits && name.len() <= NAME_LENGTH {
        return Ok(());
    }
    let hint = "names are up to 32 of a-z, 0-9, _ and -, and begin with a letter or _";
    Err(error(attribute, format!("{name:?} is not a name"), hint))
}

/// 4294967295 is -1, which no user is.
fn number(attribute: &str, number: i64) -> Result<u32> {
    let message = match u32::try_from(number) {
        Ok(MINUS_ONE_OF_16_BITS) => {
            "is 65535, which is -1 for programs that keep 16 bits".to_owned()
        }
        Ok(number) if number < u32::MAX => return Ok(number),
        _ => format!("{number} is out of range"),
    };
    let hint = "take a number from 0 to 4294967294, other than 65535";
    Err(error(attribute, message, hint))
}

fn unique<'a>(
    numbers: impl Iterator<Item = (u32, &'a String)>,
    parent: &str,
    key: &str,
) -> Result<()> {
    let mut seen: BTreeMap<u32, &String> = BTreeMap::new();
    for (number, name) in numbers {
        if let Some(first) = seen.insert(number, name) {
            let attribute = format!("{}.{key}", field(parent, name));
            let message = format!("is {number}, as {}.{key} is", field(parent, first));
            let hint = "give each a number of its own";
            return Err(error(&attribute, message, hint));
        }
    }
    Ok(())
}

/// Whether the text would end its field or line.
fn has_separator(text: &str) -> bool {
    text.contains([':', '\n', '\r', '\0'])
}

fn separator(attribute: &str, subject: String) -> strata_error::Error {
    let message = subject + " a colon, line break or null character in it";
    error(
        attribute,
        message,
        "leave these characters out: they end a field",
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn check(system: Value) -> Result<Accounts, String> {
        let system: System = serde_json::from_value(system).unwrap();
        Accounts::check(&system).map_err(|error| {
            assert!(error.hint().is_some());
            error.to_string()
        })
    }

    #[test]
    fn order_groups_and_defaults() {
        let accounts = check(json!({
            "users": {
                "b": { "uid": 2, "groups": ["all", "all"] },
                "a": { "uid": 10, "gid": 7, "home": "/home/a" },
                "c": { "uid": 1, "createHome": true },
            },
            "groups": { "b": { "gid": 20 }, "all": { "gid": 3, "members": ["a", "c", "b"] } },
        }));
        let accounts = accounts.unwrap();
        let users = accounts.users.iter();
        let users: Vec<_> = users
            .map(|user| {
                (
                    user.name.as_str(),
                    user.gid,
                    user.create_home,
                    user.password.as_str(),
                )
            })
            .collect();
        let expected = [
            ("c", 65534, true, "!"),
            ("b", 20, false, "!"),
            ("a", 7, true, "!"),
        ];
        assert_eq!(users, expected);
        let names: Vec<&str> = accounts
            .groups
            .iter()
            .map(|group| group.name.as_str())
            .collect();
        assert_eq!(names, ["all", "b"]);
        assert_eq!(accounts.groups[0].members, ["c", "b", "a"]);
    }

    #[test]
    fn names_are_those_of_useradd() {
        let longest = "a".repeat(32);
        for name in ["root", "_x", "a-b_9", "host$", &longest] {
            check_name("x", name).unwrap();
        }
        for name in [
            "",
            "$",
            "9a",
            "-a",
            "A",
            "a.b",
            "a$b",
            "é",
            "a b",
            "a:b",
            &format!("{longest}a"),
        ] {
            assert!(check_name("x", name).is_err(), "{name}");
        }
    }

    #[test]
    fn numbers_fit() {
        for good in [0, 1, 65534, 65536, 4_294_967_294] {
            assert_eq!(i64::from(number("x", good).unwrap()), good);
        }
        for bad in [-1, 65535, 4_294_967_295, i64::MAX, i64::MIN] {
            assert!(number("x", bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn passwords_are_not_shown() {
        for password in [
            json!("secret:"),
            json!(5_318_008),
            json!("secret\n"),
            json!(["secret"]),
        ] {
            let user = json!({ "uid": 1, "password": password });
            let error = check(json!({ "users": { "a": user } })).unwrap_err();
            assert!(error.starts_with("attribute users.a.password: "), "{error}");
            assert!(
                !error.contains("secret") && !error.contains("5318008"),
                "{error}"
            );
        }
        let user = json!({ "uid": 1, "password": "secret" });
        let error = check(json!({ "shadow": false, "users": { "a": user } })).unwrap_err();
        assert!(!error.contains("secret"), "{error}");
    }
}
