//! The catalogue: definitions that load, schemas that models take, requests that render.

mod arguments;
mod documented_names;
mod format;
mod gate;
mod loading;
mod providers;
mod rendering;
pub mod rules;
mod samples;
mod tools;
mod trigger_requests;
mod triggers;
mod wire;

use patchbay::catalog::Catalog;
use patchbay::config::Providers;

/// The built-in definitions as they are on disk now: a change of one needs no build to be tried.
fn built_in() -> Catalog {
    let folder = std::path::Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/toolkits"));
    Catalog::load(Some(folder), &Providers::default()).unwrap_or_else(|e| panic!("{e}"))
}
