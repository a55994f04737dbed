//! Times as text (RFC 3339), as the configs of images have them.

/// The form of RFC 3339, section 5.6: `YYYY-MM-DDThh:mm:ss[.fraction](Z|±hh:mm)`, for days that
/// there are. Leap seconds are none of them: what is written in Go reads no image that has one.
pub fn is_rfc3339(text: &str) -> bool {
    let Some((date_time, rest)) = text.split_at_checked("YYYY-MM-DDThh:mm:ss".len()) else {
        return false;
    };
    let matches = |text: &str, pattern: &str| {
        text.len() == pattern.len()
            && text
                .bytes()
                .zip(pattern.bytes())
                .all(|(byte, expected)| match expected {
                    b'0' => byte.is_ascii_digit(),
                    b'+' => byte == b'+' || byte == b'-',
                    expected => byte == expected,
                })
    };
    let zone = match rest.strip_prefix('.') {
        Some(fraction) => {
            let zone = fraction.trim_start_matches(|digit: char| digit.is_ascii_digit());
            if zone.len() == fraction.len() {
                return false;
            }
            zone
        }
        None => rest,
    };
    let number = |text: &str| text.parse::<u32>().unwrap_or(u32::MAX);
    let is_clock = |hours: &str, minutes: &str| number(hours) < 24 && number(minutes) < 60;
    matches(date_time, "0000-00-00T00:00:00")
        && (1..=days(number(&date_time[..4]), number(&date_time[5..7])))
            .contains(&number(&date_time[8..10]))
        && is_clock(&date_time[11..13], &date_time[14..16])
        && number(&date_time[17..19]) < 60
        && (zone == "Z" || matches(zone, "+00:00") && is_clock(&zone[1..3], &zone[4..6]))
}

/// The seconds from the start of 1970 to a time of RFC 3339, without the fraction; none if it is no such time.
///
/// Dates to days by Howard Hinnant's `days_from_civil`.
pub fn seconds_of(text: &str) -> Option<i64> {
    if !is_rfc3339(text) {
        return None;
    }
    let number = |range: std::ops::Range<usize>| text.get(range)?.parse::<i64>().ok();
    let (month, day) = (number(5..7)?, number(8..10)?);
    let year = number(0..4)? - i64::from(month <= 2);
    let (era, year_of_era) = (year.div_euclid(400), year.rem_euclid(400));
    let day_of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    let day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    let days = era * 146_097 + day_of_era - 719_468;
    let seconds = number(11..13)? * 3600 + number(14..16)? * 60 + number(17..19)?;
    let zone = text.get(text.len().checked_sub("+00:00".len())?..)?;
    let ahead = match zone.as_bytes() {
        [sign @ (b'+' | b'-'), ..] => {
            let minutes =
                zone.get(1..3)?.parse::<i64>().ok()? * 60 + zone.get(4..6)?.parse::<i64>().ok()?;
            if *sign == b'-' { -minutes } else { minutes }
        }
        _ => 0,
    };
    Some(days * 86_400 + seconds - ahead * 60)
}

/// How many days a month has in the Gregorian calendar; one that is none has no day.
fn days(year: u32, month: u32) -> u32 {
    let is_leap = year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400));
    match month {
        2 if is_leap => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        1..=12 => 31,
        _ => 0,
    }
}

/// The time so many seconds after the start of 1970, in UTC, to the second.
///
/// Days to dates by Howard Hinnant's `civil_from_days`, in eras of 400 years that begin in March.
pub fn rfc3339(seconds: u64) -> String {
    let (days, seconds) = (seconds / 86_400, seconds % 86_400);
    let days = days + 719_468;
    let (era, day_of_era) = (days / 146_097, days % 146_097);
    let year_of_era =
        (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = if month_from_march < 10 {
        month_from_march + 3
    } else {
        month_from_march - 9
    };
    let year = era * 400 + year_of_era + u64::from(month <= 2);
    let (hours, minutes, seconds) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
    format!("{year:04}-{month:02}-{day:02}T{hours:02}:{minutes:02}:{seconds:02}Z")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seconds_are_those_of_date() {
        // `date -d TEXT +%s`
        for (text, seconds) in [
            ("1970-01-01T00:00:01Z", 1),
            ("1969-12-31T23:59:59Z", -1),
            ("1980-01-01T00:00:00+00:00", 315_532_800),
            ("2024-02-29T12:34:56.789Z", 1_709_210_096),
            ("2024-02-29T12:34:56+01:30", 1_709_204_696),
            ("2024-02-29T12:34:56-01:30", 1_709_215_496),
            ("2000-03-01T00:00:00Z", 951_868_800),
            ("0001-01-01T00:00:00Z", -62_135_596_800),
        ] {
            assert_eq!(seconds_of(text), Some(seconds), "{text}");
        }
        assert_eq!(seconds_of("now"), None);
    }

    #[test]
    fn times_are_those_of_date() {
        // `date -u -d @SECONDS +%FT%TZ`
        for (seconds, text) in [
            (0, "1970-01-01T00:00:00Z"),
            (951_782_400, "2000-02-29T00:00:00Z"),
            (1_735_689_599, "2024-12-31T23:59:59Z"),
            (4_107_542_400, "2100-03-01T00:00:00Z"),
        ] {
            assert_eq!(rfc3339(seconds), text);
        }
    }

    #[test]
    fn times_are_checked() {
        for good in [
            "0001-01-01T00:00:00Z",
            "2024-12-31T23:59:59.123+01:00",
            "2024-02-29T00:00:00Z",
            "2000-02-29T00:00:00Z",
            "1970-01-01T00:00:01-00:30",
        ] {
            assert!(is_rfc3339(good), "{good}");
        }
        for bad in [
            "",
            "now",
            "2024-12-31",
            "2024-13-31T23:59:59Z",
            "2024-12-31 23:59:59Z",
            "2024-12-31T23:59:59",
            "2024-12-31T23:59:59.Z",
            "2024-12-31T24:59:59Z",
            "2024-12-31T23:59:60Z",
            "2024-04-31T00:00:00Z",
            "2024-02-30T00:00:00Z",
            "2023-02-29T00:00:00Z",
            "1900-02-29T00:00:00Z",
            "2024-01-00T00:00:00Z",
            "2024-01-01T00:00:00+24:00",
            "2024-01-01T00:00:00-00:60",
            "é024-12-31T23:59:59",
        ] {
            assert!(!is_rfc3339(bad), "{bad}");
        }
    }
}
