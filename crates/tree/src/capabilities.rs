//! File capabilities as the value of the extended attribute `security.capability`
//! (`struct vfs_cap_data` version 2, `include/uapi/linux/capability.h` of Linux).

/// The attribute's name.
pub(super) const ATTRIBUTE: &str = "security.capability";

/// `VFS_CAP_REVISION_2`.
const REVISION: u32 = 0x0200_0000;
/// `VFS_CAP_FLAGS_EFFECTIVE`: what is permitted, and what is inherited, is effective at once. There is one for all.
const EFFECTIVE: u32 = 1;

/// The capabilities of Linux, each at the index that is its number.
const NAMES: [&str; 41] = [
    "CHOWN",
    "DAC_OVERRIDE",
    "DAC_READ_SEARCH",
    "FOWNER",
    "FSETID",
    "KILL",
    "SETGID",
    "SETUID",
    "SETPCAP",
    "LINUX_IMMUTABLE",
    "NET_BIND_SERVICE",
    "NET_BROADCAST",
    "NET_ADMIN",
    "NET_RAW",
    "IPC_LOCK",
    "IPC_OWNER",
    "SYS_MODULE",
    "SYS_RAWIO",
    "SYS_CHROOT",
    "SYS_PTRACE",
    "SYS_PACCT",
    "SYS_ADMIN",
    "SYS_BOOT",
    "SYS_NICE",
    "SYS_RESOURCE",
    "SYS_TIME",
    "SYS_TTY_CONFIG",
    "MKNOD",
    "LEASE",
    "AUDIT_WRITE",
    "AUDIT_CONTROL",
    "SETFCAP",
    "MAC_OVERRIDE",
    "MAC_ADMIN",
    "SYSLOG",
    "WAKE_ALARM",
    "BLOCK_SUSPEND",
    "AUDIT_READ",
    "PERFMON",
    "BPF",
    "CHECKPOINT_RESTORE",
];

/// The attribute's value for capabilities; the error says what is wrong with one of them. Each of `texts` is a
/// name, which is permitted and effective, or several with their flags as libcap writes them: `cap_net_raw+ep`,
/// `cap_chown,cap_kill=eip`. Case and the prefix `CAP_` do not matter.
pub(super) fn encode(texts: &[String]) -> Result<Vec<u8>, String> {
    let mut permitted = 0;
    let mut inheritable = 0;
    let mut effective = 0;
    for text in texts {
        let (names, flags) = match text.split_once(['+', '=']) {
            Some((names, flags)) => (names, flags),
            None => (text.as_str(), "ep"),
        };
        if flags.is_empty() || !flags.chars().all(|flag| "epi".contains(flag)) {
            return Err(format!("{text:?} has flags other than e, i and p"));
        }
        for name in names.split(',') {
            let bit = bit(name).ok_or_else(|| format!("{name:?} is not a capability"))?;
            for (flag, set) in [
                ('p', &mut permitted),
                ('i', &mut inheritable),
                ('e', &mut effective),
            ] {
                *set |= if flags.contains(flag) { bit } else { 0 };
            }
        }
    }
    if effective != 0 && effective != permitted | inheritable {
        return Err("some are effective and others are not, which no file can say".to_owned());
    }
    let flag = if effective == 0 { 0 } else { EFFECTIVE };
    let mut value = (REVISION | flag).to_le_bytes().to_vec();
    for shift in [0, 32] {
        for set in [permitted, inheritable] {
            let word: u64 = (set >> shift) & 0xffff_ffff;
            value.extend_from_slice(&word.to_le_bytes()[..4]);
        }
    }
    Ok(value)
}

/// The bit of a capability.
fn bit(name: &str) -> Option<u64> {
    let upper = name.trim().to_ascii_uppercase();
    let bare = upper.strip_prefix("CAP_").unwrap_or(&upper);
    let number = NAMES.iter().position(|known| *known == bare)?;
    Some(1 << number)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_those_of_setcap() {
        // `setcap cap_net_bind_service=ep f; getfattr -e hex -n security.capability f`
        let names = ["CAP_NET_BIND_SERVICE".to_owned()];
        assert_eq!(
            encode(&names).unwrap(),
            [1, 0, 0, 2, 0, 4, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]
        );
        let names = ["bpf".to_owned(), "cap_chown".to_owned()];
        assert_eq!(
            encode(&names).unwrap(),
            [
                1, 0, 0, 2, 1, 0, 0, 0, 0, 0, 0, 0, 0x80, 0, 0, 0, 0, 0, 0, 0
            ]
        );
    }

    #[test]
    fn flags_are_those_of_libcap() {
        let encoded = |text: &str| encode(&[text.to_owned()]);
        let raw = |magic: u8, permitted: u8, inheritable: u8| {
            let mut value = vec![magic, 0, 0, 2, 0, permitted, 0, 0, 0, inheritable, 0, 0];
            value.extend([0; 8]);
            value
        };
        // `setcap cap_net_raw+ep f; getfattr -e hex -n security.capability f`
        for (text, value) in [
            ("net_raw", raw(1, 0x20, 0)),
            ("cap_net_raw+ep", raw(1, 0x20, 0)),
            ("cap_net_raw=p", raw(0, 0x20, 0)),
            ("CAP_NET_RAW=eip", raw(1, 0x20, 0x20)),
            ("cap_net_raw,cap_net_admin+i", raw(0, 0, 0x30)),
        ] {
            assert_eq!(encoded(text).unwrap(), value, "{text}");
        }
        for (text, message) in [
            ("CAP_FLY", "\"CAP_FLY\" is not a capability"),
            ("cap_kill,fly+p", "\"fly\" is not a capability"),
            ("cap_kill+", "\"cap_kill+\" has flags other than e, i and p"),
            ("cap_kill-e", "\"cap_kill-e\" is not a capability"),
            ("", "\"\" is not a capability"),
        ] {
            assert_eq!(encoded(text).unwrap_err(), message);
        }
        let some = ["kill=ep".to_owned(), "chown=p".to_owned()];
        assert!(encode(&some).unwrap_err().contains("no file can say"));
    }
}
