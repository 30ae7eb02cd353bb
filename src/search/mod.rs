//! Finding tools by what somebody wants to do.

pub mod words;
