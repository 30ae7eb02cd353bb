//! What the tests stand on: a database and a whole server per test.

pub mod app;
pub mod client;
pub mod crowd;
pub mod db;
pub mod gate;

pub use app::TestApp;
