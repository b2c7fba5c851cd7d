//! gannet under engines of other people: Spark with separate workers, and the Kubernetes job's
//! command in a sandbox. The tests are Python's (`deploy/*/tests`); this runs them where
//! `GANNET_SCALE_OUT` names an interpreter that has what they need, as `.ci/run` does, and says by
//! name that they were skipped elsewhere.
#![cfg(all(feature = "cli", feature = "origin", unix))]

use std::path::Path;
use std::process::Command;

fn pytest(what: &str, folder: &str) {
    let Some(python) = std::env::var_os("GANNET_SCALE_OUT") else {
        eprintln!("skipped: {what}: GANNET_SCALE_OUT names no Python with deploy/spark[test]");
        return;
    };
    let built = Path::new(env!("CARGO_BIN_EXE_gannet")).parent().unwrap();
    assert!(
        built.join("examples/origin").is_file(),
        "build the scripted server first: cargo build --example origin"
    );
    let status = Command::new(python)
        .args(["-m", "pytest", "-q", "-s", "-p", "no:cacheprovider", "--durations=5"])
        .current_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join(folder))
        .env("GANNET_BUILT", built)
        .env("PYTHONDONTWRITEBYTECODE", "1")
        .status()
        .unwrap();
    assert!(status.success(), "{what}: {status}");
}

#[test]
fn spark() {
    pytest("Spark with separate workers", "deploy/spark");
}

#[test]
fn kubernetes() {
    pytest("the Kubernetes job in a sandbox", "deploy/kubernetes");
}
