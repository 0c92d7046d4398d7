//! Says to the linker how the program is laid out. Of its seventy thousand functions a run calls every tenth; where those
//! lie among the others, most of the program is in memory, since the kernel maps what lies around what is asked for.
//! `used.ld` names those that ran when `cargo xtask layout` looked, so that they lie side by side.
//! It must never decide what the program does: a function that is not named works as well.

use std::{
    env,
    process::{Command, Output},
};

/// The list of what is used; written by `cargo xtask layout`.
const USED: &str = "src/daemon/used.ld";
/// Linkers that cannot add a section to their own layout.
const OTHERS: [&str; 3] = ["mold", "gold", "wild"];

fn main() {
    say(&format!("rerun-if-changed={USED}"));
    let is = |name: &str, value: &str| env::var(name).is_ok_and(|it| it == value);
    let elf = is("CARGO_CFG_TARGET_OS", "linux") && is("CARGO_CFG_TARGET_ENV", "gnu");
    if !elf || !is("PROFILE", "release") || other_linker() {
        return;
    }
    if let Ok(root) = env::var("CARGO_MANIFEST_DIR") {
        say(&format!("rustc-link-arg-bin=provost=-Wl,-T,{root}/{USED}"));
    }
    let at_home = env::var("HOST").is_ok_and(|host| is("TARGET", &host));
    if at_home && is("CARGO_CFG_TARGET_ARCH", "x86_64") && packs() {
        // 130,000 addresses to be mended at every start, in 50 KiB instead of 3 MiB.
        say("rustc-link-arg-bin=provost=-Wl,-z,pack-relative-relocs");
    }
}

/// Whether somebody chose a linker that would refuse the list.
fn other_linker() -> bool {
    let chosen = ["CARGO_ENCODED_RUSTFLAGS", "RUSTC_LINKER"].map(|name| env::var(name).unwrap_or_default());
    OTHERS.iter().any(|other| chosen.iter().any(|flags| flags.contains(other)))
}

/// Whether the C library starts programs with packed relocations, as glibc does since 2.36.
fn packs() -> bool {
    let version = |said: Output| -> Option<(u32, u32)> {
        let said = String::from_utf8(said.stdout).ok()?;
        let (major, minor) = said.trim().strip_prefix("glibc ")?.split_once('.')?;
        Some((major.parse().ok()?, minor.parse().ok()?))
    };
    let said = Command::new("getconf").arg("GNU_LIBC_VERSION").output().ok();
    said.and_then(version).is_some_and(|version| version >= (2, 36))
}

#[allow(clippy::print_stdout, reason = "this is how a build script speaks to Cargo")]
fn say(what: &str) {
    println!("cargo::{what}");
}
