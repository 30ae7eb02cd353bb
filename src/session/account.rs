//! With which account a tool of a session is executed.

use crate::domain::session::Session;

/// The account that the session's configuration names for a toolkit.
pub fn pinned<'a>(session: &'a Session, toolkit: &str) -> Option<&'a str> {
    session.config.connected_accounts.get(toolkit)?.first().map(String::as_str)
}
