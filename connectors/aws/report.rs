//! The credential report: its rows as readings, one at a time.
//! It must never drop a row silently, nor take an empty column for "there is none".
//!
//! Source of every meaning below: AWS IAM User Guide, "Generate credential reports for your AWS account".

use std::fmt;

use provost_model::{Reading, Time};

/// IAM tracks password use since 2014-10-20: silence says nothing about the time before.
pub const PASSWORD_USE_TRACKED_SINCE: Time = Time::from_seconds(1_413_763_200);
/// IAM tracks access-key use since 2015-04-22: silence says nothing about the time before.
pub const KEY_USE_TRACKED_SINCE: Time = Time::from_seconds(1_429_660_800);

/// Most malformed rows that are named; the others are only counted.
const NAMED_MAX: usize = 20;
/// Longest cell, in bytes. The longest the guide allows is an ARN with a path of 512 characters.
const CELL_MAX: usize = 2048;
/// Most columns looked at; the report has 22 or 23.
const COLUMNS_MAX: usize = 128;

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
    let csv = csv.strip_prefix(b"\xef\xbb\xbf").unwrap_or(csv);
    let mut lines = csv.split(|byte| *byte == b'\n').zip(1_u64..);
    let header =
        lines.next().map(|(line, _)| trimmed(line)).filter(|line| !line.is_empty()).ok_or(ReportError::Empty)?;
    let columns = Columns::found(header)?;
    let mut counts = Counts::default();
    let mut cells = Vec::with_capacity(columns.width);
    for (line, number) in lines {
        let line = trimmed(line);
        if line.is_empty() {
            continue;
        }
        // Line by line, so that a stray quote spoils one row and not all that follow: no cell of a report holds a newline.
        let Err(fault) = row(line, &columns, &mut cells).map(&mut *each) else {
            counts.rows += 1;
            continue;
        };
        counts.malformed += 1;
        if counts.named.len() < NAMED_MAX {
            counts.named.push(Malformed { line: number, user: first_cell(line), fault });
        }
    }
    Ok(counts)
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

/// Where each column stands.
struct Columns {
    width: usize,
    user: usize,
    arn: usize,
    created: Option<usize>,
    password: [Option<usize>; 4],
    mfa: Option<usize>,
    keys: [KeyColumns; 2],
    certs: [(Option<usize>, Option<usize>); 2],
    additional: Option<usize>,
}

struct KeyColumns {
    active: usize,
    last_rotated: usize,
    used: Option<usize>,
    region: Option<usize>,
    service: Option<usize>,
}

impl Columns {
    fn found(header: &[u8]) -> Result<Self, ReportError> {
        let mut names = Vec::new();
        split(header, &mut names).map_err(|_| ReportError::NoColumn("user"))?;
        if names.len() > COLUMNS_MAX {
            return Err(ReportError::TooWide);
        }
        let at = |name: &str| names.iter().position(|it| it.trim() == name);
        let need = |name: &'static str| at(name).ok_or(ReportError::NoColumn(name));
        let first = KeyColumns {
            active: need("access_key_1_active")?,
            last_rotated: need("access_key_1_last_rotated")?,
            used: at("access_key_1_last_used_date"),
            region: at("access_key_1_last_used_region"),
            service: at("access_key_1_last_used_service"),
        };
        let second = KeyColumns {
            active: need("access_key_2_active")?,
            last_rotated: need("access_key_2_last_rotated")?,
            used: at("access_key_2_last_used_date"),
            region: at("access_key_2_last_used_region"),
            service: at("access_key_2_last_used_service"),
        };
        Ok(Self {
            width: names.len(),
            user: need("user")?,
            arn: need("arn")?,
            created: at("user_creation_time"),
            password: [
                at("password_enabled"),
                at("password_last_used"),
                at("password_last_changed"),
                at("password_next_rotation"),
            ],
            mfa: at("mfa_active"),
            keys: [first, second],
            certs: [(at("cert_1_active"), at("cert_1_last_rotated")), (at("cert_2_active"), at("cert_2_last_rotated"))],
            additional: at("additional_credentials_info"),
        })
    }
}

/// One row, or what is wrong with it.
fn row<'a>(line: &'a [u8], columns: &Columns, cells: &mut Vec<&'a str>) -> Result<Row<'a>, &'static str> {
    split(line, cells)?;
    if cells.len() != columns.width {
        return Err("wrong number of columns");
    }
    let cell = |at: usize| cells.get(at).copied().unwrap_or("");
    let optional = |at: Option<usize>| at.map_or("", cell);
    let (user, arn) = (cell(columns.user), cell(columns.arn));
    if user.is_empty() || !arn.starts_with("arn:") {
        return Err("no user name or ARN");
    }
    let [enabled, used, changed, rotation] = columns.password;
    let enabled = flag(optional(enabled)).map_err(|()| "password_enabled")?;
    let silent_if = |said: bool| if said { Reading::Never } else { Reading::NotReported };
    let password = Password {
        enabled,
        last_used: match optional(used) {
            "no_information" => Reading::Never,
            text => time(text, Reading::NotReported).map_err(|()| "password_last_used")?,
        },
        last_changed: time(optional(changed), Reading::NotReported).map_err(|()| "password_last_changed")?,
        next_rotation: match optional(rotation) {
            "N/A" => silent_if(enabled == Reading::Known(true)),
            text => time(text, Reading::NotReported).map_err(|()| "password_next_rotation")?,
        },
    };
    let key = |slot: u8, at: &KeyColumns| -> Result<KeySlot<'a>, &'static str> {
        let active = flag(cell(at.active)).map_err(|()| "access_key_active")? == Reading::Known(true);
        let last_rotated =
            time(cell(at.last_rotated), Reading::NotReported).map_err(|()| "access_key_last_rotated")?.known();
        let silent = match at.used {
            Some(_) => silent_if(active || last_rotated.is_some()),
            None => Reading::NotReported,
        };
        let last_used = time(optional(at.used), silent).map_err(|()| "access_key_last_used_date")?;
        Ok(KeySlot {
            slot,
            active,
            last_rotated,
            last_used,
            service: word(optional(at.service)),
            region: word(optional(at.region)),
        })
    };
    let cert = |slot: u8, (active, rotated): (Option<usize>, Option<usize>)| -> Result<CertSlot, &'static str> {
        let active = flag(optional(active)).map_err(|()| "cert_active")? == Reading::Known(true);
        let last_rotated = time(optional(rotated), Reading::NotReported).map_err(|()| "cert_last_rotated")?.known();
        Ok(CertSlot { slot, active, last_rotated })
    };
    let ([first, second], [cert_1, cert_2]) = (&columns.keys, columns.certs);
    Ok(Row {
        user,
        arn,
        is_root: user == "<root_account>",
        created: time(optional(columns.created), Reading::NotReported).map_err(|()| "user_creation_time")?,
        password,
        mfa_active: flag(optional(columns.mfa)).map_err(|()| "mfa_active")?,
        keys: [key(1, first)?, key(2, second)?],
        certs: [cert(1, cert_1)?, cert(2, cert_2)?],
        additional: word(optional(columns.additional)),
    })
}

/// `true` or `false` in any case, or one of the provider's words for "does not apply".
fn flag(text: &str) -> Result<Reading<bool>, ()> {
    match text {
        "" | "N/A" | "not_supported" => Ok(Reading::NotReported),
        _ if text.eq_ignore_ascii_case("true") => Ok(Reading::Known(true)),
        _ if text.eq_ignore_ascii_case("false") => Ok(Reading::Known(false)),
        _ => Err(()),
    }
}

/// An instant, or what its absence means in that place. A time without offset is UTC, as all of IAM's are.
fn time(text: &str, absent: Reading<Time>) -> Result<Reading<Time>, ()> {
    match text {
        "" | "N/A" | "no_information" => return Ok(absent),
        "not_supported" => return Ok(Reading::NotReported),
        _ => {}
    }
    if let Ok(instant) = text.parse::<Time>() {
        return Ok(Reading::Known(instant));
    }
    let civil: jiff::civil::DateTime = text.parse().map_err(|_| ())?;
    let instant = civil.to_zoned(jiff::tz::TimeZone::UTC).map_err(|_| ())?.timestamp();
    Ok(Reading::Known(Time::from_micros(instant.as_microsecond())))
}

fn word(text: &str) -> Option<&str> {
    (!matches!(text, "" | "N/A" | "not_supported" | "no_information")).then_some(text)
}

/// Splits a line into its cells. Quoted cells lose their quotes; a quote within one is malformed, since no name that IAM
/// allows holds one, so that every cell is a slice of the line.
fn split<'a>(line: &'a [u8], cells: &mut Vec<&'a str>) -> Result<(), &'static str> {
    cells.clear();
    let mut rest = std::str::from_utf8(line).map_err(|_| "not UTF-8")?;
    loop {
        let (cell, after) = match rest.strip_prefix('"') {
            Some(inner) => inner.split_once('"').ok_or("a quote is never closed")?,
            None => rest.split_at(rest.find(',').unwrap_or(rest.len())),
        };
        if cell.len() > CELL_MAX {
            return Err("a cell is too long");
        }
        cells.push(cell);
        match after.strip_prefix(',') {
            Some(next) => rest = next,
            None if after.is_empty() => return Ok(()),
            None => return Err("text after a quoted cell"),
        }
    }
}

fn trimmed(line: &[u8]) -> &[u8] {
    line.strip_suffix(b"\r").unwrap_or(line)
}

fn first_cell(line: &[u8]) -> String {
    let cell = line.split(|byte| *byte == b',').next().unwrap_or_default();
    String::from_utf8_lossy(cell.get(..128.min(cell.len())).unwrap_or_default()).into_owned()
}
