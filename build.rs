//! What the linker is told of the shipped program, where it is seen to understand: options that no manifest can hold.
//!
//! They are for our own programs in a release build for Linux, and for nothing else: not for tests, not for the C library,
//! never for a program that embeds the library. Each is tried first, on a program that does nothing, with the compiler and the
//! flags of this build: GNU ld, lld and what else links have different ones, and so have the machines a program is to run on.
//! Where a trial fails the program is linked as usual. `GANNET_LINK=usual` has all linked so; `GANNET_LINK=portable` leaves out
//! what a C library older than the one here might not understand.

use std::env;
use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Tables for unwinding, a sixteenth of the file. The program aborts when it panics, so they would serve for the frames of a
/// panic's backtrace alone, which have no names in a program without symbols. The panic's message and place stay.
const WITHOUT_TABLES: &str = "SECTIONS {
  /DISCARD/ : { *(EXCLUDE_FILE(*crtbegin*.o *crtend*.o) .eh_frame .eh_frame.* .gcc_except_table .gcc_except_table.*) }
} INSERT AFTER .text;
";

/// Identical functions once: many are, of generic code for types of one layout. Rust promises no function an address of its own.
const IDENTICAL_ONCE: &str = "-Wl,--icf=all";

/// Addresses to be filled in when the program starts as a bit each in place of 24 bytes: glibc from 2.36 on, musl from 1.2.4.
const PACKED_RELOCATIONS: &str = "-Wl,-z,pack-relative-relocs";

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rerun-if-env-changed=GANNET_LINK");
    let is = |name, value: &str| env::var(name).is_ok_and(|found| found == value);
    let is_library = is("CARGO_PKG_NAME", "gannet") && env::var_os("CARGO_FEATURE_CLI").is_none();
    // Who asks for debug information wants to see frames.
    let is_shipped =
        is("PROFILE", "release") && is("DEBUG", "false") && is("CARGO_CFG_TARGET_OS", "linux");
    if is_library || !is_shipped || is("GANNET_LINK", "usual") {
        return;
    }
    let Some(folder) = env::var_os("OUT_DIR").map(PathBuf::from) else { return };
    let script = folder.join("without-tables.ld");
    let source = folder.join("trial.rs");
    let written = fs::write(&script, WITHOUT_TABLES)
        .and_then(|()| fs::write(&source, "fn main() { println!(\"runs\") }\n"));
    if written.is_err() {
        return;
    }
    let without_tables = format!("-T{}", script.display());
    for option in [without_tables.as_str(), IDENTICAL_ONCE] {
        if link(&source, option).is_some() {
            println!("cargo::rustc-link-arg-bins={option}");
        }
    }
    // The C library has to know them: it is seen whether a program runs, so one that is built for other processors goes without.
    let is_static = env::var("CARGO_CFG_TARGET_FEATURE")
        .is_ok_and(|all| all.split(',').any(|one| one == "crt-static"));
    if (is_static || !is("GANNET_LINK", "portable"))
        && let Some(program) = link(&source, PACKED_RELOCATIONS)
        && Command::new(program).output().is_ok_and(|said| said.stdout == b"runs\n")
    {
        println!("cargo::rustc-link-arg-bins={PACKED_RELOCATIONS}");
    }
}

/// Links the program of this source as cargo will link ours, with one more option.
fn link(source: &Path, option: &str) -> Option<PathBuf> {
    let program = source.with_extension("out");
    let mut rustc = Command::new(env::var_os("RUSTC")?);
    rustc.arg(source).arg("-o").arg(&program).arg("--target").arg(env::var_os("TARGET")?);
    rustc.args(["-C", "panic=abort", "-C"]).arg(format!("link-arg={option}"));
    if let Some(linker) = env::var_os("RUSTC_LINKER") {
        let mut setting = OsString::from("linker=");
        setting.push(linker);
        rustc.arg("-C").arg(setting);
    }
    let flags = env::var("CARGO_ENCODED_RUSTFLAGS").unwrap_or_default();
    rustc.args(flags.split('\x1f').filter(|flag| !flag.is_empty()));
    rustc.output().ok()?.status.success().then_some(program)
}
