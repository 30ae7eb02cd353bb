//! What the tests stand on: a database and a whole server per test.

pub mod app;
pub mod client;
pub mod db;

pub use app::TestApp;
