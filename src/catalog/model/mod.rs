//! The declarative toolkit format, as the YAML files spell it.
//!
//! These types are what `toolkits/<slug>/toolkit.yaml` and
//! `toolkits/<slug>/tools/*.yaml` deserialize into, field by field, with
//! unknown fields refused. The prose reference is `docs/TOOLKIT-FORMAT.md`; the
//! machine-readable one is `config/toolkit.schema.json`.

mod auth;
mod dcr;
mod login;
mod oauth1;
mod oauth2;
mod param;
mod probe;
mod tool;
mod toolkit;
mod trigger;

pub use auth::*;
pub use dcr::*;
pub use login::*;
pub use oauth1::*;
pub use oauth2::*;
pub use param::*;
pub use probe::*;
pub use tool::*;
pub use toolkit::*;
pub use trigger::*;
