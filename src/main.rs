//! The `patchbay` program.

use std::process::ExitCode;

/// Gives memory back that the catalogue and its index needed while they were made, which the C library's
/// keeps: with 50,000 tools that is half of the server's.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    patchbay::cli::run()
}
