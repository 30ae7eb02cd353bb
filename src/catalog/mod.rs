//! Toolkit and tool definitions: loading, checking, looking up.

pub mod model;
