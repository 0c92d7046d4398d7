//! How far a long step is, for somebody who waits at a terminal.
//! It must never write anything when nobody watches, nor for a step under a second.

use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use super::door;

/// Steps shorter than this show nothing.
const PATIENCE: Duration = Duration::from_secs(1);

/// One bar on the standard error, or nothing at all.
#[derive(Debug)]
pub struct Progress {
    bar: ProgressBar,
    begun: Instant,
    watched: bool,
}

impl Progress {
    /// A bar that appears after a second, if somebody watches.
    pub fn new(watched: bool) -> Self {
        let bar = ProgressBar::with_draw_target(None, ProgressDrawTarget::hidden());
        Self { bar, begun: Instant::now(), watched }
    }

    /// Says how far it is: so many done, of how many if known, of what.
    pub fn at(&mut self, done: u64, total: Option<u64>, of: &str) {
        if !self.watched {
            return;
        }
        if self.bar.is_hidden() && self.begun.elapsed() >= PATIENCE {
            self.bar.set_draw_target(ProgressDrawTarget::stderr());
        }
        self.bar.set_style(style(total.is_some()));
        match total {
            Some(total) => self.bar.set_length(total.max(done)),
            None => self.bar.unset_length(),
        }
        self.bar.set_message(door::terminal(of).into_owned());
        self.bar.set_position(done);
    }

    /// Takes the bar away.
    pub fn done(&self) {
        self.bar.finish_and_clear();
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.done();
    }
}

fn style(bounded: bool) -> ProgressStyle {
    let template = if bounded { "{bar:30} {pos}/{len} {msg} {eta}" } else { "{spinner} {pos} {msg}" };
    ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nobody_watching_nothing_drawn() {
        let mut progress = Progress::new(false);
        progress.at(5, Some(10), "keys");
        assert!(progress.bar.is_hidden());
        assert_eq!(progress.bar.position(), 0);
    }

    #[test]
    fn a_step_under_a_second_draws_nothing() {
        let mut progress = Progress::new(true);
        progress.at(5, Some(10), "keys\u{1b}[2J");
        assert!(progress.bar.is_hidden());
        assert_eq!(progress.bar.message(), "keys\\u{1b}[2J");
        assert_eq!(progress.bar.position(), 5);
    }

    #[test]
    fn both_styles_are_well_formed() {
        for bounded in [true, false] {
            let _ = style(bounded);
        }
        assert!(ProgressStyle::with_template("{bar:30} {pos}/{len} {msg} {eta}").is_ok());
    }
}
