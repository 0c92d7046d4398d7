//! Environments that the system hands to programs: of scheduled jobs, and of everybody who logs in.
//! It must never read the commands of jobs for more than assignments in front of them.

use super::{Recogniser, dotenv, text};
use crate::host::{
    environment::{Pair, search},
    found::Finds,
    place::Place,
    tree::Malformed,
};

pub(super) const CRON: Recogniser = Recogniser {
    name: "cron_environment",
    title: "Environments of scheduled jobs",
    keeps_secrets: false,
    takes: |place| {
        matches!(place.name(), "crontab" | "anacrontab") || place.parent() == "cron.d" || place.below("cron/crontabs")
    },
    read: cron,
};

pub(super) const ENVIRONMENT: Recogniser = Recogniser {
    name: "system_environment",
    title: "Environments handed to sessions and services",
    keeps_secrets: false,
    takes: |place| {
        place.ends("etc/environment")
            || place.parent() == "environment.d"
            || place.ends(".pam_environment")
            || place.below("etc/default")
    },
    read: |_, bytes, finds| {
        let text = text(bytes)?;
        search(&dotenv::pairs(&text), None, finds);
        Ok(())
    },
};

fn cron(_: &Place, bytes: &[u8], finds: &mut Finds<'_>) -> Result<(), Malformed> {
    let text = text(bytes)?;
    let mut pairs = dotenv::pairs(&text);
    // `17 * * * * user TOKEN=… command`: assignments in front of a command.
    for line in
        text.lines().filter(|line| line.starts_with(|first: char| first.is_ascii_digit() || matches!(first, '*' | '@')))
    {
        for word in line.split_ascii_whitespace().skip(1) {
            if let Some((name, value)) = word.split_once('=')
                && !name.is_empty()
                && name.bytes().all(|it| it.is_ascii_alphanumeric() || it == b'_')
            {
                pairs.push(Pair::new("job", name, value));
            }
        }
    }
    search(&pairs, None, finds);
    Ok(())
}
