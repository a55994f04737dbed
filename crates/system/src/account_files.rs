//! The texts of the account files: `passwd(5)`, `group(5)`, `shadow(5)` and `gshadow(5)`.
//!
//! Users and groups are in order of their numbers, so that a reader finds root first.

use super::{Group, User};

/// The last change of every password, in days since 1970; 0 would ask for a new one at log-in.
const LAST_CHANGE: u32 = 1;

/// `/etc/passwd`.
pub(super) fn passwd(users: &[User]) -> String {
    let line = |user: &User| {
        let User {
            uid,
            name,
            gid,
            description,
            home,
            shell,
            ..
        } = user;
        format!("{name}:x:{uid}:{gid}:{description}:{home}:{shell}\n")
    };
    users.iter().map(line).collect()
}

/// `/etc/group`.
pub(super) fn group(groups: &[Group]) -> String {
    let line =
        |Group { gid, name, members }: &Group| format!("{name}:x:{gid}:{}\n", members.join(","));
    groups.iter().map(line).collect()
}

/// `/etc/shadow`. Passwords do not age.
pub(super) fn shadow(users: &[User]) -> String {
    let line =
        |User { name, password, .. }: &User| format!("{name}:{password}:{LAST_CHANGE}::::::\n");
    users.iter().map(line).collect()
}

/// `/etc/gshadow`. Groups have no passwords and no administrators.
pub(super) fn gshadow(groups: &[Group]) -> String {
    let line = |Group { name, members, .. }: &Group| format!("{name}:!::{}\n", members.join(","));
    groups.iter().map(line).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Accounts;
    use proptest::prelude::*;
    use serde_json::json;
    use strata_nix::System;

    #[test]
    fn lines_have_the_fields_of_their_manuals() {
        let users = [User {
            uid: 0,
            name: "root".into(),
            gid: 1,
            description: "System administrator".into(),
            home: "/root".into(),
            create_home: true,
            shell: "/bin/sh".into(),
            password: "!".into(),
        }];
        let groups = [Group {
            gid: 30000,
            name: "nixbld".into(),
            members: vec!["nixbld1".into(), "nixbld2".into()],
        }];
        for (text, expected) in [
            (
                passwd(&users),
                "root:x:0:1:System administrator:/root:/bin/sh\n",
            ),
            (shadow(&users), "root:!:1::::::\n"),
            (group(&groups), "nixbld:x:30000:nixbld1,nixbld2\n"),
            (gshadow(&groups), "nixbld:!::nixbld1,nixbld2\n"),
            (passwd(&[]), ""),
        ] {
            assert_eq!(text, expected);
        }
    }

    proptest! {
        /// Whatever passes the checks is read back from the text as it was.
        #[test]
        fn passwd_holds_what_was_asked_for(
            users in proptest::collection::btree_map(
                "[a-z_][a-z0-9_-]{0,8}",
                (0u32..4000, "[^\0/]{0,6}", "/[^\0/]{0,6}", "/[^\0]{0,6}"),
                0..6,
            ),
        ) {
            let requests: serde_json::Map<_, _> = users
                .iter()
                .map(|(name, (uid, description, home, shell))| {
                    let user = json!({
                        "uid": uid, "gid": uid, "description": description, "home": home, "shell": shell
                    });
                    (name.clone(), user)
                })
                .collect();
            let system: System = serde_json::from_value(json!({ "users": requests })).unwrap();
            if let Ok(accounts) = Accounts::check(&system) {
                let text = passwd(&accounts.users);
                prop_assert_eq!(text.lines().count(), users.len());
                let mut last = None;
                for line in text.lines() {
                    let fields: Vec<&str> = line.split(':').collect();
                    let [name, "x", uid, gid, description, home, shell] = fields[..] else {
                        panic!("{line}");
                    };
                    let number: u32 = uid.parse().unwrap();
                    prop_assert!(last.replace(number) < Some(number));
                    let found = (number, description.into(), home.into(), shell.into());
                    prop_assert_eq!((&found, gid), (&users[name], uid));
                }
            }
        }
    }
}
