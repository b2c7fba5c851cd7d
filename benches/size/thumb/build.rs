//! The linker's script of `cortex-m-rt` wants to know the memory: any will do, nothing is run.

use std::path::PathBuf;

fn main() {
    let out = PathBuf::from(std::env::var_os("OUT_DIR").unwrap());
    std::fs::write(out.join("memory.x"), "MEMORY { FLASH : ORIGIN = 0x08000000, LENGTH = 1M\n RAM : ORIGIN = 0x20000000, LENGTH = 256K }\n").unwrap();
    println!("cargo::rustc-link-search={}", out.display());
    println!("cargo::rustc-link-arg=-Tlink.x");
    println!("cargo::rerun-if-changed=build.rs");
}
