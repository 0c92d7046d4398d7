//! One line of a credential report as a row.
//! It must never let a cell it cannot read pass for a reading.

use provost_model::Reading;

use super::cells::{flag, split, time, word};
use super::{CertSlot, KeySlot, Password, ReportError, Row};

/// Most columns looked at; the report has 22 or 23.
pub(super) const COLUMNS_MAX: usize = 128;

/// Where each column stands.
pub(super) struct Columns {
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
    /// Number of columns.
    pub(super) fn width(&self) -> usize {
        self.width
    }

    /// Finds them by name.
    pub(super) fn found(header: &[u8]) -> Result<Self, ReportError> {
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
pub(super) fn row<'a>(line: &'a [u8], columns: &Columns, cells: &mut Vec<&'a str>) -> Result<Row<'a>, &'static str> {
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
