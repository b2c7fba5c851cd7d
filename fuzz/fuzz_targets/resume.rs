//! The invariant stands at `gannet::cli::fuzzing::resume`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| gannet::cli::fuzzing::resume(data));
