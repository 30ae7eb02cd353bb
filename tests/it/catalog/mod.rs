//! The catalogue: definitions that load, schemas that models take, requests that render.

mod arguments;
mod documented_names;
mod format;
mod gate;
mod loading;
mod providers;
mod rendering;
mod samples;
mod tools;
mod trigger_requests;
mod triggers;

use patchbay::catalog::Catalog;
use patchbay::config::Providers;

/// The built-in definitions.
fn built_in() -> Catalog {
    Catalog::load(None, &Providers::default()).unwrap_or_else(|e| panic!("{e}"))
}
