//! Puts the program of stack images into this one, where `cargo xtask manager` has built it.

use std::path::PathBuf;
use std::{env, fs, io};

#[expect(clippy::disallowed_methods, reason = "nobody else reads what a build script writes")]
fn main() -> io::Result<()> {
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rerun-if-env-changed=AILTIRE_MANAGER");
    let program = env::var_os("AILTIRE_MANAGER").map(PathBuf::from);
    let mut embedded = "None".to_owned();
    if let Some(program) = program {
        println!("cargo::rerun-if-changed={}", program.display());
        if program.is_file() {
            embedded = format!("Some(include_bytes!({:?}))", program.display().to_string());
        } else {
            println!(
                "cargo::warning=without the manager, no stack image can be built: \
                 `cargo xtask manager` makes it"
            );
        }
    }
    let folder = PathBuf::from(env::var_os("OUT_DIR").unwrap_or_default());
    let text = format!("const EMBEDDED: Option<&[u8]> = {embedded};\n");
    fs::write(folder.join("manager.rs"), text)
}
