//! The invariant stands at `gannet::cli::fuzzing::config`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| gannet::cli::fuzzing::config(data));
