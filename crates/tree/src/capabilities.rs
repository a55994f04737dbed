//! File capabilities as the value of the extended attribute `security.capability`
//! (`struct vfs_cap_data` version 2, `include/uapi/linux/capability.h` of Linux).

/// The attribute's name.
pub(super) const ATTRIBUTE: &str = "security.capability";

/// `VFS_CAP_REVISION_2` with `VFS_CAP_FLAGS_EFFECTIVE`.
const MAGIC: u32 = 0x0200_0001;

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

/// The attribute's value that permits these capabilities and makes them effective; the error is
/// the name that is not one. Case and the prefix `CAP_` do not matter.
pub(super) fn encode(names: &[String]) -> Result<Vec<u8>, String> {
    let mut permitted = 0_u64;
    for name in names {
        let upper = name.to_ascii_uppercase();
        let bare = upper.strip_prefix("CAP_").unwrap_or(&upper);
        let number = NAMES
            .iter()
            .position(|known| *known == bare)
            .ok_or_else(|| name.clone())?;
        permitted |= 1 << number;
    }
    let [low, high] = [permitted & 0xffff_ffff, permitted >> 32];
    let mut value = MAGIC.to_le_bytes().to_vec();
    for (permitted, inheritable) in [(low, 0_u32), (high, 0)] {
        value.extend_from_slice(&permitted.to_le_bytes()[..4]);
        value.extend_from_slice(&inheritable.to_le_bytes());
    }
    Ok(value)
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
        assert_eq!(encode(&["CAP_FLY".to_owned()]).unwrap_err(), "CAP_FLY");
    }
}
