//! Tells the chores which processor they were built for.

fn main() {
    let architecture = std::env::var("CARGO_CFG_TARGET_ARCH").unwrap_or_default();
    println!("cargo::rustc-env=HOST_ARCHITECTURE={architecture}");
    println!("cargo::rerun-if-changed=build.rs");
}
