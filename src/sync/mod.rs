//! Packages of API descriptions that others publish: which ones there are, and how a toolkit is made
//! of each. The list is data (`config/sync.yaml`, and `toolkits/<slug>/import.yaml` for toolkits that
//! are completed by a package); nothing of the packages is part of this repository.
//!
//! | module | knows |
//! |---|---|
//! | `npm` | fetching a package, checking it, going through its files |
//! | `plan` | what is taken of which package, under which name |

pub mod npm;
pub mod plan;

pub use npm::Archive;
pub use plan::{Package, Plan, Spec};
