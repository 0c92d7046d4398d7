//! Reading one area: the walk, the recognisers, and what becomes of both. Blocking; runs on a thread of its own.
//! It must never call an area read whole when something in it may have been missed.

use std::collections::{BTreeSet, HashSet};

use provost_model::{Entity, Key, Realm, Time, Trouble, Why};
use rustix::io::Errno;
use tokio_util::sync::CancellationToken;

use super::{
    area::Area,
    found::Finds,
    opening::{self, Content},
    pin::Pin,
    place::{FileFacts, Place, Users},
    recognise::{self, Recogniser},
    record::Origin,
    settings::Settings,
    tree::Malformed,
    walk::{self, Enough, Met, Walk},
};
use crate::fingerprint::FingerprintKey;

/// Most troubles of one area that are named; the rest are counted.
const TROUBLES_MAX: usize = 20;

/// What is needed to read an area.
pub(crate) struct Scan<'s> {
    /// The source's settings.
    pub settings: &'s Settings,
    /// The authority for names on this host.
    pub realm: &'s Realm,
    /// The key for fingerprints.
    pub prints: &'s FingerprintKey,
    /// User names.
    pub users: &'s Users,
    /// Directories that other areas cover.
    pub elsewhere: &'s BTreeSet<(u64, u64)>,
    /// Time of the reading.
    pub now: Time,
    /// Ends the reading early.
    pub stop: &'s CancellationToken,
}

/// Something to say while reading.
#[derive(Debug)]
pub(crate) enum Said {
    /// Records of one file.
    Seen(Vec<Entity>),
    /// Something went wrong, but the reading goes on.
    Trouble(Trouble),
    /// So many directory entries looked at.
    Progress(u64),
}

/// How the reading ended.
#[derive(Debug)]
pub(crate) enum Ended {
    /// All of it was read.
    Whole(Pin),
    /// Something is missing from it.
    Partial(Why, String),
    /// A place of the system that is not there or closed, and never was read: nothing to say but why.
    Left(Why),
}

struct Reading<'r> {
    scan: &'r Scan<'r>,
    scope: &'r str,
    before: Option<&'r Pin>,
    say: &'r mut dyn FnMut(Said) -> Result<(), Enough>,
    workloads: HashSet<Key>,
    files: Option<BTreeSet<String>>,
    troubles: usize,
    partial: Option<(Why, String)>,
}

impl Scan<'_> {
    /// Reads an area whose former state was `before`.
    pub(crate) fn read(
        &self,
        area: &Area,
        before: Option<&Pin>,
        say: &mut dyn FnMut(Said) -> Result<(), Enough>,
    ) -> Ended {
        let root = match opening::root(&area.path) {
            Ok(root) => root,
            Err(error) if area.system && before.is_none() => return Ended::Left(walk::why(error)),
            Err(error) => return Ended::Partial(walk::why(error), said_of_root(error).to_owned()),
        };
        let wants = |place: &Place| recognise::of(place).is_some();
        let Settings { bounds, exclude, .. } = self.settings;
        let elsewhere = self.elsewhere;
        let walk =
            Walk { bounds: *bounds, exclude, elsewhere, wants: &wants, reads: true, shallow: area.shallow, before };
        let mut reading = Reading {
            scan: self,
            scope: &area.scope,
            before,
            say,
            workloads: HashSet::new(),
            files: Some(BTreeSet::new()),
            troubles: 0,
            partial: None,
        };
        let walked = walk.through(&root, &area.path, &mut |met| reading.meet(met));
        let unnamed = reading.troubles.saturating_sub(TROUBLES_MAX);
        let (partial, files) = (reading.partial.take(), reading.files.take());
        let mut walked = match walked {
            Ok(walked) => walked,
            Err(error) if area.system && before.is_none() => return Ended::Left(walk::why(error)),
            Err(error) => return Ended::Partial(walk::why(error), said_of_root(error).to_owned()),
        };
        match files {
            Some(files) => files.iter().for_each(|path| walked.pin.remember_file(path)),
            None => walked.pin.files = None,
        }
        if let Some(said) = not_the_same(&walked.pin, before) {
            return Ended::Partial(Why::Changed, said.to_owned());
        }
        match (walked.partial, partial) {
            (Some(Why::Stopped), _) => Ended::Partial(Why::Stopped, "the reading was stopped".to_owned()),
            (Some(why), _) if unnamed > 0 => {
                Ended::Partial(why, format!("parts were not seen; {unnamed} more troubles are not named"))
            }
            (Some(why), _) => Ended::Partial(why, "parts were not seen; each is named".to_owned()),
            (None, Some((why, said))) => Ended::Partial(why, said),
            (None, None) => Ended::Whole(walked.pin),
        }
    }
}

impl Reading<'_> {
    fn meet(&mut self, met: Met) -> Result<(), Enough> {
        if self.scan.stop.is_cancelled() {
            return Err(Enough);
        }
        match met {
            Met::Progress(entries) => (self.say)(Said::Progress(entries)),
            Met::Trouble(place, why, said, blind_spot) => self.trouble(&place, why, &said, blind_spot),
            Met::File(place, file, content) => match recognise::of(&place) {
                Some(recogniser) => self.file(recogniser, &place, &file, content),
                None => Ok(()),
            },
        }
    }

    fn file(
        &mut self,
        recogniser: &'static Recogniser,
        place: &Place,
        file: &FileFacts,
        content: Content,
    ) -> Result<(), Enough> {
        let Scan { realm, users, .. } = self.scan;
        let origin = Origin { realm, place, file, users, store_kind: recogniser.name };
        let bytes = match content {
            Content::Bytes(bytes) => bytes,
            Content::Denied if recogniser.keeps_secrets => {
                self.hidden(place, Why::Denied, "cannot be read any more, and something was found in it before")?;
                return (self.say)(Said::Seen(vec![origin.unreadable()]));
            }
            Content::Denied => {
                self.trouble(place, Why::Denied, "the file may not be read", true)?;
                return self.hidden(
                    place,
                    Why::Denied,
                    "cannot be read any more, and something was found in it before",
                );
            }
            Content::TooLarge(size) => {
                return self.not_understood(&origin, Why::TooLarge, &format!("{size} bytes are more than is read"));
            }
            // It changed or went while it was looked at: what was in it is not known.
            Content::Failed(Errno::NOENT) => return Ok(()),
            Content::Failed(_) => return self.not_understood(&origin, Why::Unavailable, "the file could not be read"),
        };
        let mut finds = Finds::new(self.scan.prints, self.scan.now);
        let read = (recogniser.read)(place, &bytes, &mut finds);
        drop(bytes);
        let (found, more) = finds.finish();
        if more {
            self.trouble(place, Why::TooLarge, "more finds than are kept of one file", false)?;
            self.partial.get_or_insert((Why::TooLarge, "a file has more finds than are kept".to_owned()));
        }
        if !found.is_empty() {
            self.remember(place);
        }
        let mut entities = Vec::with_capacity(found.len());
        for found in found {
            if let Some(workload) = origin.workload(&found)
                && self.workloads.insert(workload.key.clone())
            {
                entities.push(workload);
            }
            entities.push(origin.entity(found));
        }
        if !entities.is_empty() {
            (self.say)(Said::Seen(entities))?;
        }
        match read {
            Ok(()) => Ok(()),
            Err(Malformed(line)) => {
                let said = line.map_or("not understood".to_owned(), |line| format!("not understood at line {line}"));
                self.not_understood(&origin, Why::Malformed, &said)
            }
        }
    }

    /// A file of a recognised name that could not be made sense of. If something was found in it before, that is not
    /// known to be gone, and the reading is not whole; if not, it is named and no more.
    fn not_understood(&mut self, origin: &Origin<'_>, why: Why, said: &str) -> Result<(), Enough> {
        self.trouble(origin.place, why, said, true)?;
        if recognise::of(origin.place).is_some_and(|it| it.keeps_secrets) {
            (self.say)(Said::Seen(vec![origin.not_understood(said)]))?;
        }
        self.hidden(origin.place, why, "is not understood any more, and something was found in it before")
    }

    fn hidden(&mut self, place: &Place, why: Why, said: &str) -> Result<(), Enough> {
        if self.before.is_some_and(|before| before.had_finds(place.shown())) {
            self.partial.get_or_insert((why, format!("{} {said}", place.shown())));
        }
        Ok(())
    }

    fn remember(&mut self, place: &Place) {
        if let Some(files) = &mut self.files {
            files.insert(place.shown().to_owned());
            if files.len() > 10_000 {
                self.files = None;
            }
        }
    }

    fn trouble(&mut self, place: &Place, why: Why, said: &str, blind_spot: bool) -> Result<(), Enough> {
        self.troubles += 1;
        if self.troubles > TROUBLES_MAX {
            return Ok(());
        }
        let said = format!("{}: {said}", place.shown());
        (self.say)(Said::Trouble(Trouble { place: self.scope.to_owned(), why, said, blind_spot }))
    }
}

/// Why what was read is not the root that was read before, or not one at all.
fn not_the_same(now: &Pin, before: Option<&Pin>) -> Option<&'static str> {
    if let Some(before) = before {
        if let Some(said) = before.differs(now) {
            return Some(said);
        }
        if before.filled && !now.filled {
            return Some("it is empty and was not");
        }
    }
    // What a service manager or a failed mount puts in the place of a directory.
    (now.mounted && !now.filled).then_some("it is an empty mount: the directory proper is hidden")
}

fn said_of_root(error: Errno) -> &'static str {
    match error {
        Errno::NOENT => "it is not there",
        Errno::ACCESS | Errno::PERM => "it may not be read",
        Errno::NOTDIR => "it is no directory",
        Errno::NOTSUP => "it is a view of the kernel, not a directory of files",
        _ => "it could not be opened",
    }
}
