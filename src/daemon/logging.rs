//! Where structured logs go: standard error, as JSON under a service manager, in words on a terminal.
//! It must never be given a secret; nothing is redacted here, because nothing secret may arrive here.

use tracing_subscriber::{EnvFilter, fmt, prelude::*};

use crate::config::Environment;

/// Begins logging. A command that answers a question logs only what is wrong, and that a store was brought to
/// another format, unless `PROVOST_LOG` says otherwise.
pub fn begin(environment: &Environment, terminal: bool, quiet: bool) {
    let default = if quiet { "error,provost_store::steps=warn" } else { "info,provost=info" };
    let filter = environment
        .get("PROVOST_LOG")
        .and_then(|it| EnvFilter::try_new(it).ok())
        .unwrap_or_else(|| EnvFilter::new(default));
    let journal = environment.get("JOURNAL_STREAM").is_some() || !terminal;
    let registry = tracing_subscriber::registry().with(filter);
    // A second beginning in one process changes nothing.
    let _ = if journal && !quiet {
        registry.with(fmt::layer().json().with_writer(std::io::stderr)).try_init()
    } else {
        registry
            .with(fmt::layer().compact().with_target(false).with_ansi(false).with_writer(std::io::stderr))
            .try_init()
    };
}
