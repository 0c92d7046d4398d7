//! The credential report: its rows as readings, one at a time.
//! It must never drop a row silently, nor take an empty column for "there is none".
//!
//! Source of every meaning below: AWS IAM User Guide, "Generate credential reports for your AWS account".

mod cells;
mod row;

use std::{
    fmt,
    hash::{DefaultHasher, Hash as _, Hasher as _},
    ops::Range,
};

use bytes::Bytes;
use provost_model::{Reading, Time};

use row::{Columns, row};

/// IAM tracks password use since 2014-10-20: silence says nothing about the time before.
pub const PASSWORD_USE_TRACKED_SINCE: Time = Time::from_seconds(1_413_763_200);
/// IAM tracks access-key use since 2015-04-22: silence says nothing about the time before.
pub const KEY_USE_TRACKED_SINCE: Time = Time::from_seconds(1_429_660_800);

/// Most malformed rows that are named; the others are only counted.
const NAMED_MAX: usize = 20;

/// One row: a user, or the root user.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Row<'a> {
    /// The user's name; `<root_account>` for root.
    pub user: &'a str,
    /// Its ARN.
    pub arn: &'a str,
    /// Whether it is the account's root user.
    pub is_root: bool,
    /// When the user was created.
    pub created: Reading<Time>,
    /// The console password.
    pub password: Password,
    /// Whether a second factor is enabled.
    pub mfa_active: Reading<bool>,
    /// The two access-key slots.
    pub keys: [KeySlot<'a>; 2],
    /// The two signing-certificate slots.
    pub certs: [CertSlot; 2],
    /// What AWS says of a user that holds more keys or certificates than the report has slots.
    pub additional: Option<&'a str>,
}

/// The console password of a row. `not_supported` (root) and `N/A` without a password are [`Reading::NotReported`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Password {
    /// Whether there is one. `not_supported` for root: not reported.
    pub enabled: Reading<bool>,
    /// Last sign-in. `no_information`: never used, or not since [`PASSWORD_USE_TRACKED_SINCE`]; read as never, so that date
    /// has to be told beside it.
    pub last_used: Reading<Time>,
    /// When it was last set.
    pub last_changed: Reading<Time>,
    /// When it must be changed. `N/A` beside a password means that no password policy demands it: never.
    pub next_rotation: Reading<Time>,
}

/// An access-key slot. Beware: the guide documents its columns as `N/A` "if the user does not have an *active* access key",
/// so a slot that looks empty may hold an inactive key. Only ListAccessKeys can say that there is none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KeySlot<'a> {
    /// 1 or 2.
    pub slot: u8,
    /// Whether it holds a key whose status is Active.
    pub active: bool,
    /// When the key was "created or last changed": a change of status moves it, so it is no creation time.
    pub last_rotated: Option<Time>,
    /// Last use; of several within 15 minutes the first. `N/A` in a slot that holds a key: never used, or not since
    /// [`KEY_USE_TRACKED_SINCE`]; read as never. In a slot that looks empty: not reported.
    pub last_used: Reading<Time>,
    /// Namespace of the service it was last used against. `N/A` when never used.
    pub service: Option<&'a str>,
    /// Region it was last used in. `N/A` when never used, or against a service without regions.
    pub region: Option<&'a str>,
}

/// A signing-certificate slot; the same caution as for [`KeySlot`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CertSlot {
    /// 1 or 2.
    pub slot: u8,
    /// Whether it holds a certificate whose status is Active.
    pub active: bool,
    /// When the certificate was created or last changed.
    pub last_rotated: Option<Time>,
}

/// What was read, and what could not be.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Rows handed over, root included.
    pub rows: u64,
    /// Rows that could not be read. Above zero the report is no complete listing.
    pub malformed: u64,
    /// The first of them.
    pub named: Vec<Malformed>,
}

/// A row that could not be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Malformed {
    /// Line in the report, counted from 1.
    pub line: u64,
    /// What stands in its first column, shortened.
    pub user: String,
    /// Which column, or what else is wrong with it.
    pub fault: &'static str,
}

/// The bytes are no credential report.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ReportError {
    /// There is no header.
    #[error("the credential report is empty")]
    Empty,
    /// A column is lacking without which nothing can be said.
    #[error("the credential report has no column {0}")]
    NoColumn(&'static str),
    /// More columns than any credential report has.
    #[error("the credential report has too many columns")]
    TooWide,
}

/// Reads a decoded report and hands over each row in turn; nothing is collected. Columns are found by name, in any order;
/// unknown ones are ignored, lacking ones not reported. Only user, arn and the active and last-rotated columns of the keys
/// are indispensable: without them a user with keys would look like one without.
pub fn read(csv: &[u8], each: &mut dyn FnMut(Row<'_>)) -> Result<Counts, ReportError> {
    each_line(csv, &mut |row, _| each(row)).map(|(_, counts)| counts)
}

/// Hands over each row with the place of its line.
fn each_line(csv: &[u8], each: &mut dyn FnMut(Row<'_>, Range<usize>)) -> Result<(Columns, Counts), ReportError> {
    let marked = csv.strip_prefix(b"\xef\xbb\xbf").unwrap_or(csv);
    let mut place = csv.len() - marked.len();
    let mut lines = marked.split(|byte| *byte == b'\n').zip(1_u64..).map(|(line, number)| {
        let from = place;
        place += line.len() + 1;
        (trimmed(line), number, from)
    });
    let header = lines.next().map(|(line, ..)| line).filter(|line| !line.is_empty()).ok_or(ReportError::Empty)?;
    let columns = Columns::found(header)?;
    let mut counts = Counts::default();
    let mut cells = Vec::with_capacity(columns.width());
    for (line, number, from) in lines {
        if line.is_empty() {
            continue;
        }
        // Line by line, so that a stray quote spoils one row and not all that follow: no cell of a report holds a newline.
        match row(line, &columns, &mut cells) {
            Ok(row) => {
                counts.rows += 1;
                each(row, from..from + line.len());
            }
            Err(fault) => {
                counts.malformed += 1;
                if counts.named.len() < NAMED_MAX {
                    counts.named.push(Malformed { line: number, user: first_cell(line), fault });
                }
            }
        }
    }
    Ok((columns, counts))
}

/// A report in which the rows of users are found by their names.
pub struct Rows {
    csv: Bytes,
    columns: Columns,
    /// A digest of each name with the place of its line, in order.
    places: Vec<(u64, Range<u32>)>,
}

impl Rows {
    /// The rows of a report. `each` is told of every one of them.
    pub fn of(csv: Bytes, each: &mut dyn FnMut(&Row<'_>)) -> Result<Self, ReportError> {
        let mut places = Vec::new();
        let (columns, _) = each_line(&csv, &mut |row, place| {
            each(&row);
            let ends = [place.start, place.end].map(u32::try_from);
            if let [Ok(start), Ok(end)] = ends {
                places.push((digest(row.user), start..end));
            }
        })?;
        places.sort_unstable_by_key(|(digest, _)| *digest);
        Ok(Self { csv, columns, places })
    }

    /// The row of the user of that name.
    pub fn of_user(&self, name: &str) -> Option<Row<'_>> {
        let digest = digest(name);
        let first = self.places.partition_point(|(it, _)| *it < digest);
        let alike = self.places.iter().skip(first).take_while(|(it, _)| *it == digest);
        let lines = alike.filter_map(|(_, place)| self.csv.get(place.start as usize..place.end as usize));
        let mut cells = Vec::with_capacity(self.columns.width());
        let rows = lines.filter_map(|line| row(line, &self.columns, &mut cells).ok());
        let mut rows = rows.filter(|row| row.user == name);
        rows.next()
    }
}

fn digest(name: &str) -> u64 {
    let mut hasher = DefaultHasher::new();
    name.hash(&mut hasher);
    hasher.finish()
}

impl KeySlot<'_> {
    /// Whether the report shows a key in it. If not, there may still be an inactive one.
    pub fn slot_exists(&self) -> bool {
        self.active || self.last_rotated.is_some()
    }
}

impl CertSlot {
    /// Whether the report shows a certificate in it. If not, there may still be an inactive one.
    pub fn slot_exists(&self) -> bool {
        self.active || self.last_rotated.is_some()
    }
}

impl Row<'_> {
    /// Whether the report shows any key of this user.
    pub fn shows_keys(&self) -> bool {
        self.keys.iter().any(KeySlot::slot_exists)
    }
}

impl fmt::Display for Malformed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {} ({:?}): {}", self.line, self.user, self.fault)
    }
}

fn trimmed(line: &[u8]) -> &[u8] {
    line.strip_suffix(b"\r").unwrap_or(line)
}

fn first_cell(line: &[u8]) -> String {
    let cell = line.split(|byte| *byte == b',').next().unwrap_or_default();
    String::from_utf8_lossy(cell.get(..128.min(cell.len())).unwrap_or_default()).into_owned()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const HEADER: &str = "user,arn,user_creation_time,password_enabled,password_last_used,password_last_changed,\
        password_next_rotation,mfa_active,access_key_1_active,access_key_1_last_rotated,access_key_1_last_used_date,\
        access_key_1_last_used_region,access_key_1_last_used_service,access_key_2_active,access_key_2_last_rotated,\
        access_key_2_last_used_date,access_key_2_last_used_region,access_key_2_last_used_service,cert_1_active,\
        cert_1_last_rotated,cert_2_active,cert_2_last_rotated";
    const T: &str = "2023-11-14T22:13:20+00:00";

    fn t() -> Time {
        T.parse().unwrap()
    }

    /// A report of that header and those rows; `T` stands for the time above.
    fn report(header: &str, rows: &[&str]) -> String {
        rows.iter().fold(header.to_owned(), |all, row| all + "\n" + &row.replace('T', T).replace("NA", "N/A"))
    }

    fn one(row: &str) -> Result<String, String> {
        let mut seen = String::new();
        let counts = read(report(HEADER, &[row]).as_bytes(), &mut |row| {
            seen = format!("{:?} {:?} {:?} {:?}", row.password, row.mfa_active, row.keys, row.certs);
        });
        let counts = counts.unwrap();
        counts.named.first().map_or(Ok(seen), |it| Err(it.to_string()))
    }

    fn key(row: &str, slot: usize) -> (bool, bool, Option<Time>, Reading<Time>, Option<String>) {
        let mut seen = None;
        read(report(HEADER, &[row]).as_bytes(), &mut |row| {
            let key = row.keys[slot];
            seen =
                Some((key.slot_exists(), key.active, key.last_rotated, key.last_used, key.service.map(str::to_owned)));
        })
        .unwrap();
        seen.unwrap()
    }

    #[test]
    fn the_row_of_a_user_is_found_by_its_name() {
        let row = |name: &str, more: &str| {
            format!(
                "{name},arn:aws:iam::1:user/{more},T,false,NA,NA,NA,false,false,NA,NA,NA,NA,false,NA,NA,NA,NA,false,NA,false,NA"
            )
        };
        let (ann, comma) = (row("ann", "ann"), row("\"a,b\"", "ab"));
        let text = report(HEADER, &[&ann, "torn,arn:aws", &comma, &row("<root_account>", "root"), &row("bob", "bob")]);
        for text in [text.clone(), text.replace('\n', "\r\n"), format!("\u{feff}{text}\n\n")] {
            let mut told = Vec::new();
            let rows = Rows::of(text.into(), &mut |row| told.push(row.user.to_owned())).unwrap();
            assert_eq!(told, ["ann", "a,b", "<root_account>", "bob"]);
            let arn = |name: &str| rows.of_user(name).map(|row| row.arn.to_owned());
            let found = ["ann", "a,b", "bob", "torn", "Ann", ""].map(arn);
            let arn = |name: &str| Some(format!("arn:aws:iam::1:user/{name}"));
            assert_eq!(found, [arn("ann"), arn("ab"), arn("bob"), None, None, None]);
        }
        assert!(Rows::of("user,arn".into(), &mut |_| {}).is_err());
    }

    #[test]
    fn a_slot_tells_used_from_never_used_from_not_shown() {
        let row = |keys: &str| format!("u,arn:aws:iam::1:user/u,T,false,NA,NA,NA,false,{keys},false,NA,false,NA");
        let empty = "false,NA,NA,NA,NA";
        let cases = [
            ("true,T,T,us-east-1,s3", (true, true, Some(t()), Reading::Known(t()), Some("s3".to_owned()))),
            ("true,T,NA,NA,NA", (true, true, Some(t()), Reading::Never, None)),
            ("false,T,NA,NA,NA", (true, false, Some(t()), Reading::Never, None)),
            ("true,NA,NA,NA,NA", (true, true, None, Reading::Never, None)),
            // Documented as N/A without an active key: an inactive one may hide here, so this is not "never".
            (empty, (false, false, None, Reading::NotReported, None)),
        ];
        for (text, wanted) in cases {
            assert_eq!(key(&row(&format!("{text},{empty}")), 0), wanted, "{text}");
            assert_eq!(key(&row(&format!("{empty},{text}")), 1), wanted, "{text}");
        }
    }

    #[test]
    fn passwords_are_read_in_the_providers_words() {
        use Reading::{Known, Never, NotReported};
        let cases = [
            ("true,T,T,T", [Known(t()), Known(t()), Known(t())], Known(true)),
            ("true,no_information,T,NA", [Never, Known(t()), Never], Known(true)),
            ("false,NA,NA,NA", [NotReported, NotReported, NotReported], Known(false)),
            ("not_supported,T,not_supported,not_supported", [Known(t()), NotReported, NotReported], NotReported),
            (
                "not_supported,no_information,not_supported,not_supported",
                [Never, NotReported, NotReported],
                NotReported,
            ),
        ];
        for (text, [last_used, last_changed, next_rotation], enabled) in cases {
            let row = format!(
                "<root_account>,arn:aws:iam::1:root,T,{text},true,false,NA,NA,NA,NA,false,NA,NA,NA,NA,false,NA,false,NA"
            );
            let mut seen = None;
            let counts = read(report(HEADER, &[&row]).as_bytes(), &mut |row| seen = Some((row.is_root, row.password)));
            assert_eq!(counts.unwrap().malformed, 0);
            assert_eq!(seen, Some((true, Password { enabled, last_used, last_changed, next_rotation })), "{text}");
        }
    }

    #[test]
    fn a_row_that_cannot_be_read_is_counted_and_named_and_spoils_no_other() {
        let good =
            "u,arn:aws:iam::1:user/u,T,false,NA,NA,NA,false,false,NA,NA,NA,NA,false,NA,NA,NA,NA,false,NA,false,NA";
        assert!(one(good).is_ok());
        let cases = [
            ("wrong number of columns", "u,arn:aws:iam::1:user/u,T".to_owned()),
            ("wrong number of columns", format!("a,{good}")),
            ("a quote is never closed", format!("\"{good}")),
            ("no user name or ARN", good.replacen("u,arn", ",arn", 1)),
            ("user_creation_time", good.replacen(",T,", ",soon,", 1)),
            ("access_key_active", good.replacen("false,false,NA", "false,maybe,NA", 1)),
        ];
        for (fault, bad) in cases {
            let mut users = 0;
            let counts = read(report(HEADER, &[good, &bad, good]).as_bytes(), &mut |_| users += 1).unwrap();
            assert_eq!((users, counts.rows, counts.malformed), (2, 2, 1), "{bad}");
            assert_eq!((counts.named[0].line, counts.named[0].fault), (3, fault), "{bad}");
        }
        let counts = read((HEADER.to_owned() + &"\nx".repeat(1000)).as_bytes(), &mut |_| ()).unwrap();
        assert_eq!((counts.malformed, counts.named.len()), (1000, NAMED_MAX));
    }

    #[test]
    fn columns_are_found_by_name_and_only_some_are_indispensable() {
        let header = "\u{feff}new_column,arn,user,access_key_2_last_rotated,access_key_2_active,access_key_1_active,access_key_1_last_rotated\r";
        let mut seen = None;
        let text = report(header, &["?,arn:aws:iam::1:user/u,u,NA,FALSE,true,T\r"]);
        read(text.as_bytes(), &mut |row| {
            seen =
                Some((row.user.to_owned(), row.created, row.mfa_active, row.password.enabled, row.keys[0].last_used));
            assert!(row.keys[0].slot_exists() && !row.keys[1].slot_exists());
        })
        .unwrap();
        use Reading::NotReported;
        assert_eq!(seen, Some(("u".to_owned(), NotReported, NotReported, NotReported, NotReported)));
        let without = HEADER.replace("access_key_2_active", "renamed");
        assert_eq!(read(without.as_bytes(), &mut |_| ()), Err(ReportError::NoColumn("access_key_2_active")));
        assert_eq!(read(b"", &mut |_| ()), Err(ReportError::Empty));
        assert_eq!(read("a,".repeat(row::COLUMNS_MAX).as_bytes(), &mut |_| ()), Err(ReportError::TooWide));
    }

    #[test]
    fn the_dates_tracking_began_are_those_of_the_guide() {
        assert_eq!(PASSWORD_USE_TRACKED_SINCE.to_string(), "2014-10-20T00:00:00Z");
        assert_eq!(KEY_USE_TRACKED_SINCE.to_string(), "2015-04-22T00:00:00Z");
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_or_refused(bytes in prop::collection::vec(any::<u8>(), 0..400), headed in any::<bool>()) {
            let text = if headed { [HEADER.as_bytes(), b"\n", &bytes].concat() } else { bytes };
            let mut rows = 0;
            if let Ok(counts) = read(&text, &mut |_| rows += 1) {
                prop_assert_eq!(counts.rows, rows);
            }
        }

        #[test]
        fn every_line_is_handed_over_or_counted(cells in prop::collection::vec("(true|false|N/A|no_information|T|x|,)", 0..30)) {
            let text = report(HEADER, &[&cells.join(","), "u"]);
            let counts = read(text.as_bytes(), &mut |_| ()).unwrap();
            let lines = text.lines().skip(1).filter(|line| !line.is_empty()).count() as u64;
            prop_assert_eq!(counts.rows + counts.malformed, lines);
        }
    }
}
