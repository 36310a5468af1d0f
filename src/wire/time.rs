//! Owns times as text: RFC 3339.

use time::format_description::well_known::Rfc3339;
use time::macros::format_description;
use time::{OffsetDateTime, UtcOffset};

use crate::ids::UnixMillis;

/// A time as RFC 3339 in UTC with milliseconds.
#[must_use]
pub fn rfc3339(at: UnixMillis) -> String {
    let format =
        format_description!("[year]-[month]-[day]T[hour]:[minute]:[second].[subsecond digits:3]Z");
    let moment = OffsetDateTime::from_unix_timestamp_nanos(i128::from(at.0) * 1_000_000);
    let text = moment.map(|moment| moment.to_offset(UtcOffset::UTC).format(format));
    match text {
        Ok(Ok(text)) => text,
        // Beyond the year 9999 in either direction: no clock says so.
        _ => String::from("9999-12-31T23:59:59.999Z"),
    }
}

/// Reads a time as RFC 3339 has it, with any offset; parts of a millisecond are cut off.
#[must_use]
pub fn parse_rfc3339(text: &str) -> Option<UnixMillis> {
    let moment = OffsetDateTime::parse(text, &Rfc3339).ok()?;
    let ms = moment.unix_timestamp_nanos().div_euclid(1_000_000);
    i64::try_from(ms).ok().map(UnixMillis)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ht2_times_are_rfc_3339_in_utc() {
        assert_eq!(rfc3339(UnixMillis(0)), "1970-01-01T00:00:00.000Z");
        assert_eq!(
            rfc3339(UnixMillis(951_782_400_000)),
            "2000-02-29T00:00:00.000Z"
        );
        assert_eq!(rfc3339(UnixMillis(-1)), "1969-12-31T23:59:59.999Z");
        assert_eq!(
            rfc3339(UnixMillis(4_107_542_400_000)),
            "2100-03-01T00:00:00.000Z"
        );
    }

    #[test]
    fn ht2_a_time_is_read_back() {
        for ms in [0, 951_782_400_000, -1, 4_107_542_400_000, 1_795_253_693_095] {
            assert_eq!(
                parse_rfc3339(&rfc3339(UnixMillis(ms))),
                Some(UnixMillis(ms))
            );
        }
        let same = [
            "1970-01-01T01:00:00+01:00",
            "1969-12-31t23:30:00.0009-00:30",
        ];
        assert!(
            same.iter()
                .all(|text| parse_rfc3339(text) == Some(UnixMillis(0)))
        );
        let wrong = [
            "",
            "7",
            "1970-01-01",
            "1970-13-01T00:00:00Z",
            "1970-01-01T00:00:00",
            "1970-01-01T00:00:00.Z",
            "\u{e9}970-01-01T00:00:00Z",
        ];
        assert!(wrong.iter().all(|text| parse_rfc3339(text).is_none()));
    }
}
