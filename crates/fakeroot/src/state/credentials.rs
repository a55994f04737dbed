//! Who a thread believes to be, and what calls that change it answer (credentials(7),
//! capabilities(7), "Effect of user ID changes on capabilities").

/// The error of a call, as the C library numbers it.
pub(crate) type Errno = i32;

/// The number that means "as it is" where one may be left out.
pub(crate) const UNCHANGED: u32 = u32::MAX;

/// The most groups that a process may have, Linux's `NGROUPS_MAX`.
pub(crate) const MOST_GROUPS: usize = 65_536;

/// The user or group numbers of a thread.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Ids {
    /// Who started it.
    pub(crate) real: u32,
    /// On whose behalf it acts.
    pub(crate) effective: u32,
    /// Whom it may become again.
    pub(crate) saved: u32,
    /// Whose files it makes.
    pub(crate) file_system: u32,
}

impl Ids {
    fn has(self, id: u32) -> bool {
        [self.real, self.effective, self.saved].contains(&id)
    }
}

/// The capabilities that the calls here ask for, by their numbers (`include/uapi/linux/capability.h` of Linux).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Capability {
    /// Giving files away.
    Chown = 0,
    /// Changing files of others.
    FileOwner = 3,
    /// Setting setgid for a group that one is not in.
    FileSetId = 4,
    /// Becoming another group.
    SetGid = 6,
    /// Becoming another user.
    SetUid = 7,
    /// Among much else, `trusted` and `security` attributes.
    SystemAdministrator = 21,
    /// Making devices.
    MakeNode = 27,
    /// Giving programs capabilities.
    SetFileCapabilities = 31,
}

/// All capabilities that Linux has.
const ALL: u64 = (1 << 41) - 1;
/// Those that go and come with the user for files: owners, permissions, immutable files, devices, labels.
const OF_FILES: u64 = 0x1f | 1 << 9 | 1 << 27 | 1 << 32;

/// Sets of capabilities, a bit for each.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Capabilities {
    /// Those in use.
    pub(crate) effective: u64,
    /// Those that may be used.
    pub(crate) permitted: u64,
    /// Those that programs may keep.
    pub(crate) inheritable: u64,
}

/// Users, groups, capabilities. The default is root.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Credentials {
    /// The users.
    pub(crate) users: Ids,
    /// The groups.
    pub(crate) groups: Ids,
    /// The other groups, sorted as Linux does.
    pub(crate) supplementary: Vec<u32>,
    /// What may be done besides.
    pub(crate) capabilities: Capabilities,
    /// Whether capabilities stay permitted when root becomes another user.
    pub(crate) keeps_capabilities: bool,
}

impl Default for Credentials {
    fn default() -> Self {
        Self {
            users: Ids::default(),
            groups: Ids::default(),
            supplementary: Vec::new(),
            capabilities: Capabilities {
                effective: ALL,
                permitted: ALL,
                inheritable: 0,
            },
            keeps_capabilities: false,
        }
    }
}

/// The change of one of two kinds of numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Users.
    User,
    /// Groups.
    Group,
}

impl Credentials {
    /// Whether the thread may use a capability.
    pub(crate) fn has(&self, capability: Capability) -> bool {
        self.capabilities.effective & 1 << capability as u32 != 0
    }

    /// Whether the thread may become whoever it wants.
    fn may_become(&self, kind: Kind) -> bool {
        self.has(match kind {
            Kind::User => Capability::SetUid,
            Kind::Group => Capability::SetGid,
        })
    }

    /// Whether the thread is in a group.
    pub(crate) fn is_in(&self, group: u32) -> bool {
        self.groups.file_system == group || self.supplementary.contains(&group)
    }

    fn ids(&self, kind: Kind) -> Ids {
        match kind {
            Kind::User => self.users,
            Kind::Group => self.groups,
        }
    }

    fn change(&mut self, kind: Kind, ids: Ids) {
        let before = self.ids(kind);
        match kind {
            Kind::Group => self.groups = ids,
            Kind::User => {
                self.users = ids;
                let capabilities = &mut self.capabilities;
                if before.has(0) && !ids.has(0) && !self.keeps_capabilities {
                    capabilities.permitted = 0;
                    capabilities.effective = 0;
                }
                if before.effective == 0 && ids.effective != 0 {
                    capabilities.effective = 0;
                }
                if before.effective != 0 && ids.effective == 0 {
                    capabilities.effective = capabilities.permitted;
                }
            }
        }
    }

    /// `setuid` and `setgid`.
    pub(crate) fn set(&mut self, kind: Kind, id: u32) -> Result<(), Errno> {
        if id == UNCHANGED {
            return Err(libc::EINVAL);
        }
        let mut ids = self.ids(kind);
        if self.may_become(kind) {
            (ids.real, ids.saved) = (id, id);
        } else if id != ids.real && id != ids.saved {
            return Err(libc::EPERM);
        }
        (ids.effective, ids.file_system) = (id, id);
        self.change(kind, ids);
        Ok(())
    }

    /// `setreuid` and `setregid`.
    pub(crate) fn set_two(&mut self, kind: Kind, real: u32, effective: u32) -> Result<(), Errno> {
        let before = self.ids(kind);
        let mut ids = before;
        if real != UNCHANGED {
            ids.real = real;
            if !self.may_become(kind) && real != before.real && real != before.effective {
                return Err(libc::EPERM);
            }
        }
        if effective != UNCHANGED {
            ids.effective = effective;
            if !self.may_become(kind) && !before.has(effective) {
                return Err(libc::EPERM);
            }
        }
        if real != UNCHANGED || effective != UNCHANGED && effective != before.real {
            ids.saved = ids.effective;
        }
        ids.file_system = ids.effective;
        self.change(kind, ids);
        Ok(())
    }

    /// `setresuid` and `setresgid`.
    pub(crate) fn set_three(
        &mut self,
        kind: Kind,
        [real, effective, saved]: [u32; 3],
    ) -> Result<(), Errno> {
        let before = self.ids(kind);
        let is_allowed = |id| id == UNCHANGED || self.may_become(kind) || before.has(id);
        if ![real, effective, saved].into_iter().all(is_allowed) {
            return Err(libc::EPERM);
        }
        let or = |id, before| if id == UNCHANGED { before } else { id };
        let effective = or(effective, before.effective);
        let ids = Ids {
            real: or(real, before.real),
            effective,
            saved: or(saved, before.saved),
            file_system: effective,
        };
        self.change(kind, ids);
        Ok(())
    }

    /// `setfsuid` and `setfsgid`, which answer what it was before, whether they change it or not.
    pub(crate) fn set_file_system(&mut self, kind: Kind, id: u32) -> u32 {
        let mut ids = self.ids(kind);
        let before = ids.file_system;
        if id != UNCHANGED && (self.may_become(kind) || ids.has(id) || id == before) {
            ids.file_system = id;
            match kind {
                Kind::Group => self.groups = ids,
                Kind::User => {
                    self.users = ids;
                    let capabilities = &mut self.capabilities;
                    if before == 0 && id != 0 {
                        capabilities.effective &= !OF_FILES;
                    }
                    if before != 0 && id == 0 {
                        capabilities.effective |= capabilities.permitted & OF_FILES;
                    }
                }
            }
        }
        before
    }

    /// `setgroups`.
    pub(crate) fn set_groups(&mut self, mut groups: Vec<u32>) -> Result<(), Errno> {
        if !self.may_become(Kind::Group) {
            return Err(libc::EPERM);
        }
        if groups.len() > MOST_GROUPS || groups.contains(&UNCHANGED) {
            return Err(libc::EINVAL);
        }
        groups.sort_unstable();
        self.supplementary = groups;
        Ok(())
    }

    /// `capset`.
    pub(crate) fn set_capabilities(&mut self, wanted: Capabilities) -> Result<(), Errno> {
        let before = self.capabilities;
        let is_within = |some: u64, others: u64| some & !others == 0;
        if !is_within(wanted.permitted, before.permitted)
            || !is_within(wanted.effective, wanted.permitted)
            || !is_within(wanted.inheritable, before.inheritable | ALL)
        {
            return Err(libc::EPERM);
        }
        self.capabilities = wanted;
        Ok(())
    }

    /// A program is run; it may have another user or group than whoever runs it.
    pub(crate) fn run(&mut self, user: Option<u32>, group: Option<u32>) {
        for (ids, id) in [(&mut self.users, user), (&mut self.groups, group)] {
            ids.effective = id.unwrap_or(ids.effective);
            ids.saved = ids.effective;
            ids.file_system = ids.effective;
        }
        let Ids {
            real, effective, ..
        } = self.users;
        self.keeps_capabilities = false;
        self.capabilities.permitted = if real == 0 || effective == 0 { ALL } else { 0 };
        self.capabilities.effective = if effective == 0 { ALL } else { 0 };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn users(credentials: &Credentials) -> [u32; 4] {
        let Ids {
            real,
            effective,
            saved,
            file_system,
        } = credentials.users;
        [real, effective, saved, file_system]
    }

    /// setreuid(2), which `tests/calls.rs` has no way to make.
    #[test]
    fn two_users_are_set() {
        let mut root = Credentials::default();
        root.set_two(Kind::User, 1, 2).unwrap();
        assert_eq!(users(&root), [1, 2, 2, 2]);
        assert!(!root.has(Capability::Chown));
        assert_eq!(root.set_two(Kind::User, 3, UNCHANGED), Err(libc::EPERM));
        root.set_two(Kind::User, 2, 1).unwrap();
        assert_eq!(users(&root), [2, 1, 1, 1]);

        let mut kept = Credentials::default();
        kept.set_two(Kind::User, UNCHANGED, 5).unwrap();
        assert_eq!(users(&kept), [0, 5, 5, 5]);
        kept.set_two(Kind::User, UNCHANGED, 0).unwrap();
        assert_eq!(users(&kept), [0, 0, 5, 0]);
        assert!(kept.has(Capability::Chown));
    }

    #[test]
    fn files_are_made_for_somebody_else() {
        let mut root = Credentials::default();
        assert_eq!(root.set_file_system(Kind::User, 7), 0);
        assert_eq!(users(&root), [0, 0, 0, 7]);
        assert!(!root.has(Capability::Chown) && root.has(Capability::SetUid));
        assert_eq!(root.set_file_system(Kind::User, UNCHANGED), 7);
        assert_eq!(root.set_file_system(Kind::User, 0), 7);
        assert!(root.has(Capability::Chown));
    }

    #[test]
    fn a_program_of_root_makes_root() {
        let mut user = Credentials::default();
        user.set(Kind::User, 7).unwrap();
        user.run(None, None);
        assert_eq!(users(&user), [7; 4]);
        assert!(!user.has(Capability::SetUid));
        user.run(Some(0), None);
        assert_eq!(users(&user), [7, 0, 0, 0]);
        assert!(user.has(Capability::SetUid));
    }

    #[test]
    fn groups_are_sorted_and_not_endless() {
        let mut root = Credentials::default();
        root.set_groups(vec![3, 1, 2]).unwrap();
        assert_eq!(root.supplementary, [1, 2, 3]);
        assert!(root.is_in(3) && root.is_in(0) && !root.is_in(4));
        assert_eq!(root.set_groups(vec![0; MOST_GROUPS + 1]), Err(libc::EINVAL));
        assert_eq!(root.set_groups(vec![UNCHANGED]), Err(libc::EINVAL));
    }
}
