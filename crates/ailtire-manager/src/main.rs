//! The program inside stack images: see the library.

fn main() -> std::process::ExitCode {
    ailtire_manager::main()
}
