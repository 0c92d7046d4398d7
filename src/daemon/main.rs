//! The program: reads its arguments and environment once, hands them on, and exits with a status that means one thing.
//! It must never hold logic of its own.

use std::{io::IsTerminal as _, process::ExitCode};

use provost::{
    config::Environment,
    entry::{Entry, run},
};

fn main() -> ExitCode {
    harden();
    // One provider for the whole process; a second call would only say that it is there.
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    let uid = rustix::process::geteuid().as_raw();
    let variables =
        std::env::vars_os().filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)));
    let entry = Entry {
        arguments: std::env::args_os().collect(),
        environment: Environment::new(variables, uid),
        out_terminal: std::io::stdout().is_terminal(),
        err_terminal: std::io::stderr().is_terminal(),
    };
    run(&entry, &mut std::io::stdout().lock(), &mut std::io::stderr())
}

/// No core image, no reading of this process's memory by others of the same user.
fn harden() {
    let _ = rustix::process::setrlimit(
        rustix::process::Resource::Core,
        rustix::process::Rlimit { current: Some(0), maximum: Some(0) },
    );
    let _ = rustix::process::set_dumpable_behavior(rustix::process::DumpableBehavior::NotDumpable);
}
