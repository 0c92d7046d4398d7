//! A file of this machine as the place of a value: alone in it, as lines of an environment file, or as fields of JSON.
//! It must never leave half a file, a value in a file that others can read, or a value of somebody else's overwritten.

mod format;
mod owners;
#[cfg(test)]
mod tests;

use std::{collections::BTreeMap, path::PathBuf, sync::Arc, time::Duration};

use async_trait::async_trait;
use provost_model::Order;
use serde::Deserialize;

use self::format::Format;
use super::{Destination, DestinationSpec, Holding};
use crate::{
    ActionError, Bundle,
    given::{
        Handed,
        files::{Found, Like, Place},
        program::Program,
        settings::parsed,
    },
    sinks::Checked,
};

/// What this destination is.
pub(super) static SPEC: DestinationSpec = DestinationSpec {
    name: "file",
    title: "A file on this machine",
    about: "writes values into a file that consumers on this machine read, and tells them by a program of yours",
    readable: true,
    acts: &["replace the file", "remove the file", "keep the former content beside it", "run the program of reload"],
    reads: &["read the file"],
    permissions: &[
        "writes the file's directory, which nobody else may write but the file's owner",
        "gives files away (CAP_CHOWN), where owner or group is another's",
    ],
    checked: Checked::RealServer("the file system of this machine"),
    example: EXAMPLE,
    documentation: &[
        "https://man7.org/linux/man-pages/man2/rename.2.html",
        "https://man7.org/linux/man-pages/man5/systemd.exec.5.html",
    ],
    build: &build,
};

const EXAMPLE: &str = r#"[[rotations.places]]
kind = "file"
path = "/etc/app/database.env"                # absolute, through no symbolic link, in a directory that others cannot write
format = "env"                                # env: KEY=value lines; json: fields of an object; text: one part, nothing else
fields = { password = "DATABASE_PASSWORD" }   # of env and json: which part is kept under which name; all else stays
# part = "private_key"                        # of text: which part
mode = "0640"                                 # without it: as it is now, and 0600 for a new file
owner = "root"                                # a number, or a name of /etc/passwd; without it as it is now
group = "app"                                 # a number, or a name of /etc/group; without it as it is now
reload = ["/usr/bin/systemctl", "reload", "app"]  # run without a shell; root's or the daemon's own, writable by nobody else
"#;

/// How long the program may take.
const PATIENCE: Duration = Duration::from_secs(60);
/// What the file with the former content is called, behind the file's own name.
const BEFORE: &str = "provost-before";
/// Nobody reads it but who rolls back.
const KEPT: Like = Like { mode: 0o600, uid: None, gid: None };

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Typed {
    path: PathBuf,
    format: format::Name,
    #[serde(default)]
    fields: BTreeMap<String, String>,
    part: Option<String>,
    mode: Option<String>,
    owner: Option<String>,
    group: Option<String>,
    reload: Option<Vec<String>>,
}

struct File(Arc<Inner>);

struct Inner {
    path: PathBuf,
    format: Format,
    mode: Option<u32>,
    owner: Option<String>,
    group: Option<String>,
    reload: Option<Program>,
}

fn build(handed: &Handed) -> Result<Box<dyn Destination>, String> {
    let typed: Typed = parsed(handed)?;
    if !typed.path.is_absolute() {
        return Err("path: expected an absolute path".to_owned());
    }
    let mode = |text: &str| {
        let mode = u32::from_str_radix(text, 8).ok().filter(|mode| *mode & 0o400 != 0 && *mode & !0o660 == 0);
        mode.ok_or_else(|| "mode: expected such as 0600, 0400 or 0640: a value is not for everybody".to_owned())
    };
    let reload = typed.reload.map(|words| Program::parse("reload", &words)).transpose()?;
    Ok(Box::new(File(Arc::new(Inner {
        format: Format::of(typed.format, typed.part, typed.fields)?,
        mode: typed.mode.as_deref().map(mode).transpose()?,
        owner: typed.owner,
        group: typed.group,
        path: typed.path,
        reload,
    }))))
}

impl File {
    /// Does something with the disk where waiting for it stops nobody.
    async fn aside<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Inner, Place) -> Result<T, ActionError> + Send + 'static,
    ) -> Result<T, ActionError> {
        let inner = self.0.clone();
        let done = tokio::task::spawn_blocking(move || work(&inner, Place::open(&inner.path)?)).await;
        done.unwrap_or_else(|_| {
            Err(ActionError::Ambiguous { said: "the work with the file was broken off".to_owned() })
        })
    }
}

impl Inner {
    /// How it is to be written, with that there now.
    fn like(&self, place: &Place, present: Option<&Found>) -> Result<Like, ActionError> {
        let present = present.map(|it| it.about);
        let uid = self.owner.as_deref().map(owners::user).transpose().map_err(refused)?;
        let gid = self.group.as_deref().map(owners::group).transpose().map_err(refused)?;
        let (uid, gid) = (uid.or(present.map(|it| it.uid)), gid.or(present.map(|it| it.gid)));
        if uid.is_some_and(|uid| !place.may_own(uid)) {
            return Err(refused("its directory belongs to another user than the file"));
        }
        let mode = self.mode.or(present.map(|it| it.mode)).unwrap_or(0o600);
        if mode & 0o007 != 0 {
            return Err(refused("everybody may read the file as it is now; set mode"));
        }
        Ok(Like { mode, uid, gid })
    }

    fn put(&self, place: &Place, value: &Bundle, before: Option<&str>) -> Result<String, ActionError> {
        let present = place.read()?;
        let wanted = self.format.with(present.as_ref().map(|it| it.bytes.as_slice()), value).map_err(refused)?;
        let version = version(present.as_ref());
        if let (Some(found), Some(version)) = (&present, &version)
            && found.bytes == wanted
        {
            return Ok(version.clone());
        }
        if version.as_deref() != before {
            return Err(refused("the file was changed since it was looked at first; it is left as it is"));
        }
        let like = self.like(place, present.as_ref())?;
        let kept = place.beside(BEFORE)?;
        let there = kept.about()?.map(|it| it.stamp);
        match (&present, there) {
            (Some(found), there) => {
                kept.replace(&found.bytes, KEPT, there).map_err(nothing)?;
                kept.date(found.about.stamp)?;
            }
            (None, Some(old)) => kept.remove(old).map_err(nothing)?,
            (None, None) => {}
        }
        let put = place.replace(&wanted, like, present.map(|it| it.about.stamp))?;
        Ok(put.to_string())
    }

    fn restore(&self, place: &Place, before: Option<&str>, ours: &str) -> Result<(), ActionError> {
        let present = place.read()?;
        let version = version(present.as_ref());
        let others = || refused("somebody else changed the file meanwhile; it is left as it is");
        if version.as_deref() == before {
            return Ok(());
        }
        let Some(before) = before else {
            let found = present.filter(|_| version.as_deref() == Some(ours)).ok_or_else(others)?;
            return place.remove(found.about.stamp);
        };
        let kept = place.beside(BEFORE)?.read()?.filter(|kept| kept.about.stamp.is_of(before));
        let kept = kept.ok_or_else(|| refused("what was in the file before is not kept any more"))?;
        let Some(found) = present else { return Err(others()) };
        if found.bytes == kept.bytes {
            return Ok(());
        }
        if version.as_deref() != Some(ours) {
            return Err(others());
        }
        let like = self.like(place, Some(&found))?;
        place.replace(&kept.bytes, like, Some(found.about.stamp)).map(drop)
    }
}

#[async_trait]
impl Destination for File {
    async fn look(&self) -> Result<Holding, ActionError> {
        self.aside(|inner, place| {
            let present = place.read()?;
            let value = present.as_ref().and_then(|found| inner.format.parts(&found.bytes));
            Ok(Holding { version: version(present.as_ref()), value })
        })
        .await
    }

    async fn put(&self, _: &Order, value: &Bundle, before: Option<&str>) -> Result<String, ActionError> {
        let (value, before) = (value.clone(), before.map(str::to_owned));
        self.aside(move |inner, place| inner.put(&place, &value, before.as_deref())).await
    }

    async fn restore(&self, _: &Order, before: Option<&str>, ours: &str) -> Result<(), ActionError> {
        let (before, ours) = (before.map(str::to_owned), ours.to_owned());
        self.aside(move |inner, place| inner.restore(&place, before.as_deref(), &ours)).await
    }

    async fn reload(&self, _: &Order) -> Result<(), ActionError> {
        match &self.0.reload {
            Some(program) => program.run(PATIENCE).await,
            None => Ok(()),
        }
    }

    async fn settle(&self, _: &Order) -> Result<(), ActionError> {
        self.aside(|_, place| {
            place.sweep()?;
            let kept = place.beside(BEFORE)?;
            kept.sweep()?;
            kept.about()?.map_or(Ok(()), |about| kept.remove(about.stamp))
        })
        .await
    }

    async fn check(&self) -> Result<String, ActionError> {
        if let Some(said) = self.0.reload.as_ref().and_then(|program| program.trusted().err()) {
            return Err(ActionError::GiveUp { said: format!("the program of reload would not be run: {said}") });
        }
        self.aside(|inner, place| {
            let present = place.read()?;
            inner.like(&place, present.as_ref())?;
            if !place.is_writable() {
                return Err(ActionError::Retry { after: None, said: "its directory may not be written".to_owned() });
            }
            let found = match present {
                None => "the file is not there yet, and can be made",
                Some(found) if inner.format.parts(&found.bytes).is_some() => {
                    "the file has all parts, and can be replaced"
                }
                Some(_) => "the file is there and does not have all parts; it can be replaced",
            };
            Ok(found.to_owned())
        })
        .await
    }
}

fn version(present: Option<&Found>) -> Option<String> {
    present.map(|it| it.about.stamp.to_string())
}

fn refused(said: impl Into<String>) -> ActionError {
    ActionError::GiveUp { said: said.into() }
}

/// What went wrong beside the file left the file as it was.
fn nothing(error: ActionError) -> ActionError {
    match error {
        ActionError::Ambiguous { said } => ActionError::Retry { after: None, said },
        error => error,
    }
}
