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

/// Users, groups, and whether root's capabilities are there. The default is root.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Credentials {
    /// The users.
    pub(crate) users: Ids,
    /// The groups.
    pub(crate) groups: Ids,
    /// The other groups, sorted as Linux does.
    pub(crate) supplementary: Vec<u32>,
    /// Whether capabilities may be used again when the effective user is root.
    is_permitted: bool,
    /// Whether capabilities are in use.
    is_capable: bool,
}

impl Default for Credentials {
    fn default() -> Self {
        Self {
            users: Ids::default(),
            groups: Ids::default(),
            supplementary: Vec::new(),
            is_permitted: true,
            is_capable: true,
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
    /// Whether the thread has the capabilities of root.
    pub(crate) fn is_capable(&self) -> bool {
        self.is_capable
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
                if before.has(0) && !ids.has(0) {
                    self.is_permitted = false;
                    self.is_capable = false;
                }
                if before.effective == 0 && ids.effective != 0 {
                    self.is_capable = false;
                }
                if before.effective != 0 && ids.effective == 0 {
                    self.is_capable = self.is_permitted;
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
        if self.is_capable {
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
            if !self.is_capable && real != before.real && real != before.effective {
                return Err(libc::EPERM);
            }
        }
        if effective != UNCHANGED {
            ids.effective = effective;
            if !self.is_capable && !before.has(effective) {
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
        let is_allowed = |id| id == UNCHANGED || self.is_capable || before.has(id);
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
        if id != UNCHANGED && (self.is_capable || ids.has(id) || id == before) {
            ids.file_system = id;
            match kind {
                Kind::User => self.users = ids,
                Kind::Group => self.groups = ids,
            }
        }
        before
    }

    /// `setgroups`.
    pub(crate) fn set_groups(&mut self, mut groups: Vec<u32>) -> Result<(), Errno> {
        if !self.is_capable {
            return Err(libc::EPERM);
        }
        if groups.len() > MOST_GROUPS || groups.contains(&UNCHANGED) {
            return Err(libc::EINVAL);
        }
        groups.sort_unstable();
        self.supplementary = groups;
        Ok(())
    }

    /// A program is run; it may have another user or group than whoever runs it.
    pub(crate) fn run(&mut self, user: Option<u32>, group: Option<u32>) {
        for (ids, id) in [(&mut self.users, user), (&mut self.groups, group)] {
            ids.effective = id.unwrap_or(ids.effective);
            ids.saved = ids.effective;
            ids.file_system = ids.effective;
        }
        self.is_permitted = self.users.real == 0 || self.users.effective == 0;
        self.is_capable = self.users.effective == 0;
    }
}
