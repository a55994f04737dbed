//! Amounts of bytes as people write them: `200M`, `5 %`.

use std::fmt;
use std::str::FromStr;

/// A number of bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Amount(pub u64);

/// How much more something may have than before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Growth {
    /// So many bytes.
    Bytes(u64),
    /// So many thousandths of a percent of what it was.
    Share(u64),
}

/// What stands behind a number: binary with and without its `i`, as in Nix, systemd and Docker; decimal with a `B`
/// alone (`MB`).
const UNITS: [(&str, u64); 14] = [
    ("", 1),
    ("B", 1),
    ("K", 1 << 10),
    ("KB", 1_000),
    ("KIB", 1 << 10),
    ("M", 1 << 20),
    ("MB", 1_000_000),
    ("MIB", 1 << 20),
    ("G", 1 << 30),
    ("GB", 1_000_000_000),
    ("GIB", 1 << 30),
    ("T", 1 << 40),
    ("TB", 1_000_000_000_000),
    ("TIB", 1 << 40),
];
const THOUSANDTHS: u64 = 1_000;

impl FromStr for Amount {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || "write bytes, as in 200M, 1.5G or 1000000".to_owned();
        let text = text.trim();
        let end = text
            .find(|character: char| !character.is_ascii_digit() && character != '.')
            .unwrap_or(text.len());
        let unit = text[end..].trim().to_ascii_uppercase();
        let (_, factor) = UNITS
            .iter()
            .find(|(name, _)| *name == unit)
            .ok_or_else(wrong)?;
        let thousandths = thousandths(&text[..end]).ok_or_else(wrong)?;
        let bytes = u128::from(thousandths) * u128::from(*factor) / u128::from(THOUSANDTHS);
        u64::try_from(bytes).map(Self).map_err(|_| wrong())
    }
}

impl FromStr for Growth {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if let Some(percent) = text.trim().strip_suffix('%') {
            let percent = thousandths(percent.trim_end());
            return percent
                .map(Self::Share)
                .ok_or_else(|| "write a share, as in 5 %, or bytes, as in 10M".to_owned());
        }
        text.parse().map(|Amount(bytes)| Self::Bytes(bytes))
    }
}

impl Growth {
    /// How many bytes there may be where there were `before`.
    pub fn most(self, before: u64) -> u64 {
        let more = match self {
            Self::Bytes(bytes) => bytes,
            Self::Share(thousandths) => {
                let more = u128::from(before) * u128::from(thousandths) / 100_000;
                u64::try_from(more).unwrap_or(u64::MAX)
            }
        };
        before.saturating_add(more)
    }
}

/// A decimal number with at most three places, in thousandths.
fn thousandths(text: &str) -> Option<u64> {
    let (whole, part) = text.split_once('.').unwrap_or((text, ""));
    let is_number = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    if whole.is_empty() || !is_number(whole) || !is_number(part) || part.len() > 3 {
        return None;
    }
    let part: u64 = format!("{part:0<3}").parse().ok()?;
    whole
        .parse::<u64>()
        .ok()?
        .checked_mul(THOUSANDTHS)?
        .checked_add(part)
}

impl fmt::Display for Amount {
    /// With the largest unit that leaves a number of at least one.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let units = [("TiB", 40), ("GiB", 30), ("MiB", 20), ("KiB", 10)];
        match units.iter().find(|(_, bits)| self.0 >> bits > 0) {
            None => write!(formatter, "{} B", self.0),
            Some((unit, bits)) => {
                let hundredths = (u128::from(self.0) * 100 + (1 << (bits - 1))) >> bits;
                write!(
                    formatter,
                    "{}.{:02} {unit}",
                    hundredths / 100,
                    hundredths % 100
                )
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn amounts_as_people_write_them() {
        for (text, bytes) in [
            ("0", 0),
            ("200M", 200 << 20),
            ("200 MiB", 200 << 20),
            ("200MB", 200_000_000),
            ("1.5G", 3 << 29),
            ("1k", 1 << 10),
            (" 12 b ", 12),
        ] {
            assert_eq!(text.parse(), Ok(Amount(bytes)), "{text}");
        }
        for text in [
            "",
            "M",
            "1.M2",
            "-1",
            "1.2345",
            "5 %",
            "99999999999999T",
            "1e3",
        ] {
            assert!(text.parse::<Amount>().is_err(), "{text}");
        }
    }

    #[test]
    fn growth_is_a_share_or_bytes() {
        for (text, before, most) in [
            ("5 %", 200, 210),
            ("5%", 200, 210),
            ("0.5%", 1000, 1005),
            ("0", 7, 7),
            ("1K", 1, 1025),
        ] {
            assert_eq!(text.parse::<Growth>().unwrap().most(before), most, "{text}");
        }
        assert!("%".parse::<Growth>().is_err());
        assert_eq!(Growth::Share(u64::MAX).most(u64::MAX), u64::MAX);
    }

    #[test]
    fn amounts_are_short() {
        for (bytes, text) in [
            (0, "0 B"),
            (1023, "1023 B"),
            (1024, "1.00 KiB"),
            (1_572_864, "1.50 MiB"),
            (u64::MAX, "16777216.00 TiB"),
        ] {
            assert_eq!(Amount(bytes).to_string(), text);
        }
    }
}
