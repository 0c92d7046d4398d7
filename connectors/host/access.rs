//! What a source may see on this host before it looks: its roots, which places are closed, and what a run costs.
//! It must never read the content of a file that may hold a secret.

use std::{collections::BTreeSet, path::Path};

use provost_model::Realm;
use rustix::io::Errno;

use super::{
    area::{self, Area},
    opening,
    place::{Place, Users},
    recognise,
    settings::{Bounds, Settings},
    walk::{Enough, Met, Walk},
};
use crate::{Access, Check, Verdict};

/// Most entries that a check counts below one root.
const COUNTED: u64 = 200_000;

/// What it is about to read.
pub(crate) fn announced(settings: &Settings) -> String {
    let roots = settings.roots.iter().map(|root| shown(root)).collect::<Vec<_>>().join(", ");
    let system = if settings.system {
        format!(", and the system's places below {}", shown(&settings.system_root))
    } else {
        String::new()
    };
    format!("files below {roots}{system}")
}

/// The realm, the user names, and the directories that have a scope of their own.
pub(crate) fn machine(settings: &Settings) -> (Realm, Users, BTreeSet<(u64, u64)>) {
    let etc = |name: &str| std::fs::read_to_string(settings.system_root.join("etc").join(name)).ok();
    let realm = settings.realm(etc("machine-id").as_deref());
    let users = Users::from_passwd(&etc("passwd").unwrap_or_default());
    let whole = area::all(settings).into_iter().filter(|area| !area.shallow);
    let elsewhere = whole.filter_map(|area| {
        let stat = rustix::fs::stat(&area.path).ok()?;
        Some((stat.st_dev, stat.st_ino))
    });
    (realm, users, elsewhere.collect())
}

/// Tries every area, and counts what a run would read.
pub(crate) fn checked(settings: &Settings) -> Access {
    let (realm, users, elsewhere) = machine(settings);
    let mut access = Access {
        principal: principal(settings, &users),
        target: format!("{realm}: {}", announced(settings)),
        ..Access::default()
    };
    let (mut entries, mut files, mut more, mut closed) = (0, 0, false, Vec::new());
    for area in area::all(settings) {
        let counted = count(settings, &area, &elsewhere);
        if let Ok(found) = &counted {
            entries += found.entries;
            files += found.files;
            more |= found.more;
        }
        if let Some(check) = line(&area, counted, &mut closed) {
            access.checks.push(check);
        }
    }
    let kinds = recognise::ALL.iter().map(|it| it.title).collect::<Vec<_>>().join("; ");
    access.cost.push(format!("looks for: {kinds}"));
    let at_least = if more { "at least " } else { "" };
    access.cost.push(format!("each run: {at_least}{entries} directory entries, {at_least}{files} files read"));
    if !closed.is_empty() {
        access.policy = Some(serde_json::Value::String(drop_in(&closed)));
    }
    access
}

struct Counted {
    entries: u64,
    files: u64,
    denied: u64,
    more: bool,
}

fn count(settings: &Settings, area: &Area, elsewhere: &BTreeSet<(u64, u64)>) -> Result<Counted, Errno> {
    let root = opening::root(&area.path)?;
    let wants = |place: &Place| recognise::of(place).is_some();
    let bounds = Bounds { files: settings.bounds.files.min(COUNTED), ..settings.bounds };
    let exclude = &settings.exclude;
    let walk = Walk { bounds, exclude, elsewhere, wants: &wants, reads: false, shallow: area.shallow, before: None };
    let mut counted = Counted { entries: 0, files: 0, denied: 0, more: false };
    let walked = walk.through(&root, &area.path, &mut |met| {
        match met {
            Met::File(..) => counted.files += 1,
            Met::Trouble(_, provost_model::Why::Denied, ..) => counted.denied += 1,
            Met::Trouble(..) | Met::Progress(_) => {}
        }
        Ok::<(), Enough>(())
    })?;
    counted.entries = walked.entries;
    counted.more = walked.entries > bounds.files;
    Ok(counted)
}

fn line(area: &Area, counted: Result<Counted, Errno>, closed: &mut Vec<String>) -> Option<Check> {
    let place = shown(&area.path);
    let (verdict, note) = match counted {
        Ok(found) if found.denied == 0 => {
            (Verdict::Granted, format!("{} of {} entries are read", found.files, found.entries))
        }
        Ok(found) => {
            closed.push(place.clone());
            (Verdict::Denied, format!("{} places below may not be read; not seen there: {}", found.denied, area.holds))
        }
        // A place of the system that this machine does not have.
        Err(Errno::NOENT) if area.system => return None,
        Err(Errno::ACCESS | Errno::PERM) => {
            closed.push(place.clone());
            (Verdict::Denied, format!("may not be read; not seen: {}", area.holds))
        }
        Err(Errno::NOENT) => (Verdict::Unknown, "is not there".to_owned()),
        Err(error) => (Verdict::Unknown, format!("could not be opened: {error}")),
    };
    Some(Check { action: format!("read {place}"), verdict, optional: area.system, note })
}

fn principal(settings: &Settings, users: &Users) -> String {
    let uid = settings.environment.uid.unwrap_or_else(|| rustix::process::geteuid().as_raw());
    match users.name(uid).known() {
        Some(name) => format!("user {name} (uid {uid})"),
        None => format!("uid {uid}"),
    }
}

/// The systemd drop-in that lets the service read what is closed to it, and nothing beside.
fn drop_in(closed: &[String]) -> String {
    let paths: Vec<&str> =
        closed.iter().map(String::as_str).filter(|path| !path.contains(char::is_whitespace)).collect();
    format!(
        "[Service]\n# Lets Provost read, not write, files of other users in the places below.\nAmbientCapabilities=CAP_DAC_READ_SEARCH\n\
         CapabilityBoundingSet=CAP_DAC_READ_SEARCH\nProtectHome=read-only\nReadOnlyPaths={}\n",
        paths.join(" ")
    )
}

fn shown(path: &Path) -> String {
    super::place::escaped(std::os::unix::ffi::OsStrExt::as_bytes(path.as_os_str()))
}
