//! The parts of the benchmark, each run in a process of its own, so that its memory is its own.
//! It must never keep anything from one part to the next but the files on disk.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, anyhow, bail};
use provost::{
    config::{self, Environment, Paths, Scene},
    filter::{DEADLINE, Filter},
    jobs::{
        anew, judge,
        judge::Yardstick,
        retention::{self, Keep},
        tell,
    },
    rows::{Candidate, Rows},
    wire::Wiring,
};
use provost_model::{RecordId, Span};
use provost_store::{
    CommitNo, EngineKind, Go, OpenOptions, Store,
    inventory::{BaselineState, Draft, Inventory},
    open,
};

use crate::{
    estate::{Estate, mixed},
    looker::Place,
    measure::{Since, bytes_below, p95, peak_mib},
    raw, say,
    server::Database,
    sqlite::{self, Sqlite},
    table::SQLITE_LEAST,
};

/// What a part measured.
pub(crate) type Figures = BTreeMap<String, f64>;

/// Memory that the embedded store takes for what is not in pages yet.
const JOURNAL: u64 = 32 << 20;
/// Records changed, whose judging is measured.
const CHANGES: u64 = 1_000;
/// Rows of a page.
const A_PAGE: usize = 50;
/// Pages and look-ups measured at most.
const LOOKUPS: usize = 20_000;
const PAGES: usize = 400;
/// What a page is filtered by: one of twenty credentials.
const WHERE: &str = "kind == 'access_key' && status == 'inactive'";

/// Where a part works, and on how much.
pub(crate) struct Work {
    pub(crate) directory: PathBuf,
    pub(crate) engine: String,
    /// Bytes of pages kept in memory.
    pub(crate) cache: u64,
    /// The database that holds the store instead.
    pub(crate) database: Option<Database>,
    pub(crate) identities: u64,
    pub(crate) credentials: u64,
    pub(crate) days: u64,
}

impl Work {
    /// Runs the part of that name.
    pub(crate) fn part(&self, name: &str) -> Result<Figures> {
        let mut figures = match name {
            "sqlite-load" => self.sqlite(0),
            "sqlite-unchanged" => self.sqlite(0),
            "sqlite-moved" => self.sqlite(1),
            "raw-load" => self.raw(),
            "load" | "unchanged" => self.look(0),
            "moved" => self.look(1),
            "open" => self.opening(),
            "look-ups" => self.look_ups(),
            "rules" => self.rules(),
            "telling" => self.telling(),
            "changes" => self.changes(),
            "days" => self.many_days(),
            other => bail!("there is no part {other:?}"),
        }?;
        figures.insert("rss".into(), peak_mib());
        Ok(figures)
    }

    fn estate(&self, day: u64) -> Estate {
        Estate { day, ..Estate::new(self.identities, self.credentials) }
    }

    fn store(&self, name: &str) -> Result<Arc<dyn Store>> {
        match &self.database {
            Some(database) => database.open(),
            None => opened(&self.directory.join(name), &self.engine, self.cache),
        }
    }

    fn since(&self) -> Since<'_> {
        Since::now(self.database.as_ref())
    }

    /// What was measured, once everything is where it stays; then how much room the store takes.
    fn settled(&self, since: &Since<'_>, store: Arc<dyn Store>, name: &str) -> Result<Figures> {
        store.tidy()?;
        let Some(database) = &self.database else {
            drop(store);
            return Ok(figures(since, bytes_below(&self.directory.join(name))));
        };
        database.settle()?;
        let mut figures = figures(since, 0);
        figures.insert("disk".into(), store.space()?.used as f64);
        Ok(figures)
    }

    fn sqlite(&self, day: u64) -> Result<Figures> {
        let directory = self.directory.join("sqlite");
        // As much as the store has for pages and journal.
        let mut sqlite = Sqlite::open(&directory, self.cache + JOURNAL)?;
        let since = Since::now(None);
        let (mut last, mut ended) = (Instant::now(), false);
        let (records, changed) = sqlite.look(self.estate(day), &mut |records| {
            let rate = sqlite::A_STEP as f64 / std::mem::replace(&mut last, Instant::now()).elapsed().as_secs_f64();
            say(&format!("  {records} records, {rate:.0} a second"));
            // It would only become slower still: its end is not waited for, and what it did until then counts for it.
            ended = rate < SQLITE_LEAST;
            !ended
        })?;
        sqlite.close()?;
        let mut figures = counted(figures(&since, bytes_below(&directory)), records, changed);
        figures.insert("ended".into(), f64::from(u8::from(ended)));
        Ok(figures)
    }

    fn raw(&self) -> Result<Figures> {
        let store = self.store("raw")?;
        let since = self.since();
        let records = raw::load(store.as_ref(), self.estate(0))?;
        Ok(counted(self.settled(&since, store, "raw")?, records, records))
    }

    fn look(&self, day: u64) -> Result<Figures> {
        let store = self.store("store")?;
        let before = store.head()?.number;
        let since = self.since();
        Place::over(Arc::clone(&store), day)?
            .look(self.estate(day), &mut |sources| say(&format!("  {sources} sources")))?;
        let figures = self.settled(&since, Arc::clone(&store), "store")?;
        let (records, changed) = written_after(store.as_ref(), before)?;
        Ok(counted(figures, records, changed))
    }

    /// How long it takes until an opened store answers.
    fn opening(&self) -> Result<Figures> {
        let since = self.since();
        let store = self.store("store")?;
        let (user, _) = Estate::keys(self.identities / 2);
        Inventory::of(store.as_ref()).resolve(&user)?.context("an identity is missing")?;
        Ok(figures(&since, 0))
    }

    /// Reading while a run goes on that writes half of the credentials.
    fn look_ups(&self) -> Result<Figures> {
        let store = self.store("store")?;
        let (over, estate) = (Arc::new(AtomicBool::new(false)), self.estate(2));
        let running = {
            let (store, over) = (Arc::clone(&store), Arc::clone(&over));
            thread::spawn(move || {
                let looked = Place::over(store, 2).and_then(|place| place.look(estate, &mut |_| {}));
                over.store(true, Ordering::SeqCst);
                looked
            })
        };
        let inventory = Inventory::of(store.as_ref());
        // One for all pages, as a daemon has one: it remembers who the people are.
        let yardstick = Yardstick::default();
        let filter = Filter::compile::<Candidate>(WHERE).map_err(|error| anyhow!("{error}"))?;
        let (mut points, mut pages) = (Vec::new(), Vec::new());
        while !over.load(Ordering::SeqCst) && (points.len() < LOOKUPS || pages.len() < PAGES) {
            let salt = u64::try_from(points.len())?;
            for turn in 0..50 {
                let (user, key) = Estate::keys(mixed(salt, 40 + turn) % self.identities);
                let begun = Instant::now();
                let id = inventory.resolve(if turn % 2 == 0 { &user } else { &key })?.context("a record is missing")?;
                inventory.record(id, None)?.context("a record is missing")?;
                points.push(begun.elapsed());
            }
            let (user, _) = Estate::keys(mixed(salt, 90) % self.identities);
            let from = inventory.resolve(&user)?.context("an identity is missing")?;
            let begun = Instant::now();
            page(inventory, &yardstick, &filter, from)?;
            pages.push(begun.elapsed());
        }
        running.join().map_err(|_| anyhow!("the run panicked"))??;
        let counts = [("points", points.len() as f64), ("pages", pages.len() as f64)];
        let times = [("point", p95(&mut points)), ("page", p95(&mut pages))];
        Ok(counts.into_iter().chain(times).map(|(name, it)| (name.to_owned(), it)).collect())
    }

    /// Judges every record from the store.
    fn rules(&self) -> Result<Figures> {
        let place = Place::over(self.store("store")?, 2)?;
        let since = self.since();
        anew::follow(&place.house, &Yardstick::default(), &mut |_| true)?;
        let mut counted = figures(&since, 0);
        let mut findings = 0.0;
        place.house.inventory().each_finding(None, &mut |_| {
            findings += 1.0;
            Ok(Go::On)
        })?;
        counted.insert("findings".into(), findings);
        Ok(counted)
    }

    /// Tells of every case by one route to a program: letters are written, and not sent.
    fn telling(&self) -> Result<Figures> {
        let place = Place::over(self.store("store")?, 2)?;
        let paths = Paths {
            scene: Scene::User,
            file: self.directory.join("provost.toml"),
            file_named: false,
            store: self.directory.join("store"),
            fingerprint_key: self.directory.join("fingerprint.key"),
            evidence_key: self.directory.join("evidence.key"),
            socket: self.directory.join("socket"),
        };
        let text = "[[sinks]]\nname = \"s\"\nkind = \"webhook\"\nurl = \"https://hooks.example/\"\nsecret = \"env:S\"\n\
                    [[routes]]\nname = \"r\"\nto = \"s\"\ndry_run = true\n";
        let config = config::parse(text, &paths).map_err(|problems| anyhow!("{problems:?}"))?;
        let wiring = Wiring::new(config, Environment::default())?;
        // Everything was found by first complete runs: somebody said that it is to be worked off.
        let now = place.house.now();
        let mut draft = Draft::new(place.house.inventory(), now);
        for name in place.house.inventory().source_names()? {
            let mut row = draft.source(&name)?;
            row.baseline = BaselineState::Working;
            row.words.push((now, format!("baseline {}", row.baseline.word())));
            draft.put_source(&name, &row)?;
        }
        draft.commit()?;
        let since = self.since();
        tell::survey(&place.house, &wiring)?;
        let letters = tell::turn(&place.house, &wiring)?;
        let mut counted = figures(&since, 0);
        counted.insert("letters".into(), letters as f64);
        Ok(counted)
    }

    /// Judges a thousand records that were given another name, then asks again and again what is due.
    fn changes(&self) -> Result<Figures> {
        let store = self.store("store")?;
        let place = Place::over(Arc::clone(&store), 2)?;
        let before = store.head()?.number;
        let identities = self.identities.min(crate::estate::A_SOURCE);
        let estate = Estate { renamed: CHANGES, day: 2, ..Estate::new(identities, self.credentials) };
        place.look(estate, &mut |_| {})?;
        let mut changed: Vec<RecordId> = Vec::new();
        place.house.inventory().each_record(None, &mut |record, commit| {
            changed.extend((commit > before).then_some(record.id));
            Ok(Go::On)
        })?;
        // One for all, as a daemon has one: it remembers who the people are.
        let yardstick = Yardstick::default();
        let begun = Instant::now();
        yardstick.people.everybody(place.house.inventory())?;
        let people = begun.elapsed().as_secs_f64();
        let since = self.since();
        judge::touched(&place.house, &yardstick, &changed)?;
        let spent = since.spent();
        judge::due(&place.house, &yardstick)?;
        let mut ticks: Vec<Duration> = Vec::new();
        for _ in 0..200 {
            let begun = Instant::now();
            if judge::due(&place.house, &yardstick)? > 0 {
                continue;
            }
            ticks.push(begun.elapsed());
        }
        let all = [
            ("changed", changed.len() as f64),
            ("people", people),
            ("wall", spent.wall),
            ("cpu", spent.cpu),
            ("tick", p95(&mut ticks)),
        ];
        Ok(all.into_iter().map(|(name, it)| (name.to_owned(), it)).collect())
    }

    /// A scan a day for so many days, and what the store then takes beside one that only ever saw the last day.
    fn many_days(&self) -> Result<Figures> {
        let store = self.store("store")?;
        let place = Place::over(Arc::clone(&store), 0)?;
        let since = self.since();
        for day in 0..self.days {
            place.look(self.estate(day), &mut |_| {})?;
            if day % 50 == 49 {
                say(&format!("  {} days", day + 1));
            }
        }
        store.tidy()?;
        let mut counted = figures(&since, bytes_below(&self.directory.join("store")));
        store.compact()?;
        let kept = bytes_below(&self.directory.join("store"));
        // As house-keeping does, by what is kept unless something else is configured.
        let keep = Keep { history: Span::days(400), daily: Span::days(7) };
        while !retention::turn(&place.house, keep)?.over {}
        store.compact()?;
        drop((place, store));
        let fresh = self.store("fresh")?;
        Place::over(Arc::clone(&fresh), self.days)?.look(self.estate(self.days - 1), &mut |_| {})?;
        fresh.compact()?;
        drop(fresh);
        counted.insert("kept".into(), kept as f64);
        counted.insert("live".into(), bytes_below(&self.directory.join("store")) as f64);
        counted.insert("fresh".into(), bytes_below(&self.directory.join("fresh")) as f64);
        Ok(counted)
    }
}

fn opened(directory: &Path, engine: &str, cache: u64) -> Result<Arc<dyn Store>> {
    let engine =
        EngineKind::named(engine).with_context(|| format!("there is no engine {engine:?}: sled, redb, postgres"))?;
    Ok(Arc::new(open(directory, &OpenOptions { engine: Some(engine), cache, ..OpenOptions::default() })?))
}

/// A page as a list shows it: rows with owner and sources, from somewhere on, those that the filter keeps.
fn page(inventory: Inventory<'_>, yardstick: &Yardstick, filter: &Filter, from: RecordId) -> Result<()> {
    let rows = Rows::new(inventory, yardstick, crate::estate::DAWN)?;
    let (mut after, mut found) = (Some(from), 0);
    while found < A_PAGE {
        let records = inventory.of_kinds_after(after, 512, &|kind| filter.may_keep(kind))?;
        let Some(last) = records.last() else { break };
        after = Some(last.id);
        let (kept, _) = rows.kept(records, Some(filter), DEADLINE)?;
        found += kept.len();
    }
    Ok(())
}

/// How many records there are, and how many have a version made after that commit.
fn written_after(store: &dyn Store, before: CommitNo) -> Result<(u64, u64)> {
    let (mut records, mut changed) = (0, 0);
    Inventory::of(store).each_record(None, &mut |_, commit| {
        records += 1;
        changed += u64::from(commit > before);
        Ok(Go::On)
    })?;
    Ok((records, changed))
}

fn figures(since: &Since<'_>, disk: u64) -> Figures {
    let spent = since.spent();
    let all = [("wall", spent.wall), ("cpu", spent.cpu), ("written", spent.written as f64), ("disk", disk as f64)];
    all.into_iter().map(|(name, it)| (name.to_owned(), it)).collect()
}

fn counted(mut figures: Figures, records: u64, changed: u64) -> Figures {
    figures.extend([("records".into(), records as f64), ("changed".into(), changed as f64)]);
    figures
}
