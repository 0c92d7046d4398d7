//! The table: each figure with its target, what SQLite takes for the same, and whether the target is met.
//! It must never print a ratio to a SQLite that was slowed down.

use std::{fmt, fs, process::Command};

use anyhow::{Context as _, Result};

use crate::{parts::Figures, say};

/// Below this rate, in records a second, the machine or SQLite's settings are at fault, and no ratio says anything.
pub(crate) const SQLITE_LEAST: f64 = 4_000.0;

/// Figures so far.
pub(crate) struct Table {
    head: Vec<String>,
    lines: Vec<Line>,
    /// The store is in a database: figures are other ones.
    database: bool,
    identities: f64,
    sqlite: f64,
    sqlite_cpu: f64,
    first_written: f64,
    first_changed: f64,
    first_disk: f64,
    peak: f64,
}

struct Line {
    what: String,
    figure: String,
    beside: String,
    target: String,
    met: Option<bool>,
}

impl Table {
    /// An empty table about this machine, now.
    pub(crate) fn begin((identities, credentials): (u64, u64), engine: &str) -> Result<Self> {
        let head = vec![
            format!(
                "{identities} identities with {credentials} credentials each, engine {engine}, commit {}",
                commit()?
            ),
            format!("{}, load {}", machine(), load()),
            format!("began {}", date()?),
        ];
        head.iter().for_each(|line| say(line));
        let identities = identities as f64;
        let zero = 0.0;
        Ok(Self {
            head,
            lines: Vec::new(),
            database: engine == crate::server::NAME,
            identities,
            sqlite: zero,
            sqlite_cpu: zero,
            first_written: zero,
            first_changed: zero,
            first_disk: zero,
            peak: zero,
        })
    }

    /// Notes the end.
    pub(crate) fn end(&mut self) -> Result<()> {
        self.add("peak RSS over all parts", format!("{:.0} MiB", self.peak), "≤ 700 MiB", self.peak <= 700.0);
        self.head.push(format!("ended {}, load {}", date()?, load()));
        Ok(())
    }

    /// What SQLite takes for the first load.
    pub(crate) fn sqlite(&mut self, first: &Figures) {
        self.sqlite = rate(first);
        self.sqlite_cpu = each(first, "cpu");
        let target = "≥ 4000/s, or ratios say nothing";
        let mut figure = cost(first);
        if of(first, "ended") > 0.0 {
            figure.push_str(&format!(", ended after {:.0} records, when it fell below that", of(first, "records")));
        }
        self.add("SQLite: first load", figure, target, self.sqlite >= SQLITE_LEAST);
        self.note("  written, disk after it", format!("{} / {}", mib(first, "written"), mib(first, "disk")));
    }

    /// What SQLite takes for the same once more.
    pub(crate) fn sqlite_again(&mut self, unchanged: &Figures, moved: &Figures) {
        self.note("SQLite: unchanged", cost(unchanged));
        self.note("SQLite: half the credentials used", cost(moved));
    }

    /// What the store alone takes.
    pub(crate) fn raw(&mut self, first: &Figures) {
        let beside = self.ratio(first);
        self.line("store alone: first load", cost(first), beside, ("", None));
    }

    /// What the first scans take.
    pub(crate) fn load(&mut self, first: &Figures) {
        self.first_written = of(first, "written");
        self.first_changed = of(first, "changed");
        self.first_disk = of(first, "disk");
        let (least, target) = if self.database { (3.0, "≥ 3 × SQLite") } else { (0.7, "≥ 0.7 × SQLite") };
        let (beside, met) = (self.ratio(first), rate(first) >= least * self.sqlite);
        let met = (self.sqlite >= SQLITE_LEAST).then_some(met);
        self.line("first load", cost(first), beside, (target, met));
        self.note("  written, disk after it", format!("{} / {}", mib(first, "written"), mib(first, "disk")));
        self.see(first);
    }

    /// What the same scans take once more.
    pub(crate) fn rescans(&mut self, unchanged: &Figures, moved: &Figures) {
        for (what, figures, bound) in [("unchanged", unchanged, 0.02), ("half the credentials used", moved, 0.35)] {
            self.note(&format!("rescan, {what}"), cost(figures));
            let bytes = of(figures, "written") / self.first_written;
            let records = of(figures, "changed") / self.first_changed;
            let figure = format!("{:.2} % of bytes, {:.2} % of records", bytes * 100.0, records * 100.0);
            if self.database {
                self.note("  its writes", figure);
            } else {
                let target = format!("≤ {} % of the first", bound * 100.0);
                self.add("  its writes", figure, &target, bytes <= bound);
            }
        }
        self.see(unchanged);
        self.see(moved);
    }

    /// How long opening takes.
    pub(crate) fn opening(&mut self, opening: &Figures) {
        let (wall, millions) = (of(opening, "wall"), self.first_changed / 1e6);
        let figure = format!("{:.2} s, {:.2} s per million records", wall, wall / millions);
        self.add("opening", figure, "≤ 2.5 s per million", wall / millions <= 2.5);
    }

    /// How long reading takes while a run goes on.
    pub(crate) fn look_ups(&mut self, figures: &Figures) {
        let (point, page) = (of(figures, "point"), of(figures, "page"));
        let figure = format!("{point:.3} ms of {}", of(figures, "points"));
        self.add("point look-up under load, p95", figure, "≤ 5 ms", point <= 5.0);
        let figure = format!("{page:.1} ms of {}", of(figures, "pages"));
        self.add("filtered page of 50 under load, p95", figure, "≤ 50 ms", page <= 50.0);
        self.see(figures);
    }

    /// How long judging everything takes.
    pub(crate) fn rules(&mut self, figures: &Figures) {
        let (wall, millions) = (of(figures, "wall"), self.identities / 1e6);
        let figure = format!(
            "{wall:.1} s (cpu {:.1}), {:.0} s per million identities, {} findings",
            of(figures, "cpu"),
            wall / millions,
            of(figures, "findings")
        );
        self.add("all rules from the store", figure, "≤ 60 s per million", wall / millions <= 60.0);
        self.see(figures);
    }

    /// How long it takes to write a letter about every case.
    pub(crate) fn telling(&mut self, figures: &Figures) {
        let (wall, letters) = (of(figures, "wall"), of(figures, "letters"));
        let figure = format!("{wall:.1} s (cpu {:.1}), {:.0} letters a second", of(figures, "cpu"), letters / wall);
        self.note(&format!("telling of every case: {letters} letters written, not sent"), figure);
        self.see(figures);
    }

    /// How long judging a few changes takes, and a tick with nothing due.
    pub(crate) fn changes(&mut self, figures: &Figures) {
        let (wall, tick) = (of(figures, "wall"), of(figures, "tick"));
        let what = format!("judging after {} changes", of(figures, "changed"));
        self.add(&what, format!("{wall:.2} s (cpu {:.2})", of(figures, "cpu")), "≤ 1 s", wall <= 1.0);
        self.add("a tick with nothing due, p95", format!("{tick:.3} ms"), "≤ 10 ms", tick <= 10.0);
        self.see(figures);
    }

    /// What a year leaves behind.
    pub(crate) fn days(&mut self, days: u64, figures: &Figures) {
        let fresh = of(figures, "fresh");
        let times = |name: &str| format!("{:.1} × ({:.0} MiB)", of(figures, name) / fresh, of(figures, name) / MIB);
        self.note(&format!("{days} daily rescans beside a fresh store, before compaction"), times("disk"));
        self.note("  compacted, every version of every day kept", times("kept"));
        let met = of(figures, "live") <= 3.0 * fresh;
        self.add("  history thinned as house-keeping does, compacted", times("live"), "≤ 3 × after compaction", met);
        self.see(figures);
    }

    /// Names what was not measured, and why.
    pub(crate) fn left_out(&mut self, what: &str, why: &str) {
        self.note(what, format!("left out: {why}"));
    }

    fn see(&mut self, figures: &Figures) {
        self.peak = self.peak.max(of(figures, "rss"));
    }

    fn ratio(&self, figures: &Figures) -> String {
        if self.sqlite < SQLITE_LEAST {
            return "void".to_owned();
        }
        format!("{:.2} × (cpu {:.2} ×)", rate(figures) / self.sqlite, self.sqlite_cpu / each(figures, "cpu"))
    }

    fn add(&mut self, what: &str, figure: String, target: &str, met: bool) {
        self.line(what, figure, String::new(), (target, Some(met)));
    }

    fn note(&mut self, what: &str, figure: String) {
        self.line(what, figure, String::new(), ("", None));
    }

    fn line(&mut self, what: &str, figure: String, beside: String, (target, met): (&str, Option<bool>)) {
        let line = Line { what: what.to_owned(), figure, beside, target: target.to_owned(), met };
        // At once too: a run that is ended early has told what it knew.
        say(&line.to_string());
        self.lines.push(line);
    }
}

impl fmt::Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for line in &self.head {
            writeln!(f, "{line}")?;
        }
        writeln!(f)?;
        writeln!(f, "| figure | measured | beside SQLite | target | met |\n|---|---|---|---|---|")?;
        self.lines.iter().try_for_each(|line| writeln!(f, "{line}"))
    }
}

impl fmt::Display for Line {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { what, figure, beside, target, met } = self;
        let met = met.map_or("", |met| if met { "yes" } else { "no" });
        write!(f, "| {what} | {figure} | {beside} | {target} | {met} |")
    }
}

const MIB: f64 = 1_048_576.0;

fn of(figures: &Figures, name: &str) -> f64 {
    figures.get(name).copied().unwrap_or(f64::NAN)
}

fn rate(figures: &Figures) -> f64 {
    of(figures, "records") / of(figures, "wall")
}

/// Microseconds a record.
fn each(figures: &Figures, what: &str) -> f64 {
    of(figures, what) * 1e6 / of(figures, "records")
}

fn cost(figures: &Figures) -> String {
    format!(
        "{:.0} records/s, {:.1} µs of cpu each, {:.0} MiB RSS",
        rate(figures),
        each(figures, "cpu"),
        of(figures, "rss")
    )
}

fn mib(figures: &Figures, name: &str) -> String {
    format!("{:.0} MiB", of(figures, name) / MIB)
}

fn machine() -> String {
    let cpus = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = cpus.lines().find_map(|line| line.strip_prefix("model name")?.split_once(": ")).map_or("", |it| it.1);
    let memory = fs::read_to_string("/proc/meminfo").unwrap_or_default();
    let kib = memory.lines().find_map(|line| line.strip_prefix("MemTotal:")?.trim().strip_suffix(" kB")?.parse().ok());
    let gib = kib.unwrap_or(0.0) / MIB;
    let cores = std::thread::available_parallelism().map_or(0, usize::from);
    format!("{cores} cores ({model}), {gib:.0} GiB")
}

fn load() -> String {
    fs::read_to_string("/proc/loadavg").unwrap_or_default().split(' ').next().unwrap_or_default().to_owned()
}

fn commit() -> Result<String> {
    let said = Command::new("git").args(["describe", "--always", "--dirty"]).output().context("git")?;
    Ok(String::from_utf8_lossy(&said.stdout).trim().to_owned())
}

fn date() -> Result<String> {
    let said = Command::new("date").args(["-u", "+%Y-%m-%d %H:%M UTC"]).output().context("date")?;
    Ok(String::from_utf8_lossy(&said.stdout).trim().to_owned())
}
