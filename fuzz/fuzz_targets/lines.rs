//! The invariant stands at `gannet::cli::fuzzing::lines`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| gannet::cli::fuzzing::lines(data));
