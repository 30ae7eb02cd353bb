//! The log row of a call, written whatever becomes of the call.

use std::sync::Arc;
use std::time::{Duration, Instant};

use serde::Serialize;

use super::redact::Secrets;
use crate::app::App;
use crate::db::execution_log::ExecutionLogRow;
use crate::domain::connection::Project;
use crate::domain::id::LogId;
use crate::domain::project::LogVisibility;
use crate::domain::time;
use crate::error::wire::current_request_id;
use crate::error::{Error, Result};

/// Longest error text that a row keeps.
const MAX_ERROR: usize = 4000;
/// Written beyond the limit and cut off after the secrets are gone: a secret that the limit
/// falls into would otherwise leave its first half.
const SLACK: usize = 4096;

/// A call that is being made. When it is dropped unfinished, because the caller went away, a row
/// says so.
pub(super) struct Record<'a> {
    app: &'a App,
    row: Option<ExecutionLogRow>,
    began: Instant,
    stores_data: bool,
    /// Secrets that the row must not hold.
    pub secrets: Arc<Secrets>,
    /// Time spent waiting for the provider.
    pub provider: Duration,
    _running: tokio_util::task::task_tracker::TaskTrackerToken,
}

impl<'a> Record<'a> {
    /// Begins a row.
    pub(super) fn begin(app: &'a App, project: &Project, kind: &str) -> Self {
        let row = ExecutionLogRow {
            project_id: project.id.clone(),
            id: LogId::generate(),
            kind: kind.to_owned(),
            tool_slug: String::new(),
            toolkit_slug: String::new(),
            toolkit_version: String::new(),
            user_id: None,
            account_id: None,
            auth_config_id: None,
            successful: false,
            provider_status: None,
            error: None,
            request: None,
            response: None,
            duration_us: 0,
            provider_us: 0,
            request_id: current_request_id(),
            created_at: time::now(),
        };
        Self {
            app,
            row: Some(row),
            began: Instant::now(),
            stores_data: project.config.log_visibility_setting == LogVisibility::ShowAll,
            secrets: Arc::default(),
            provider: Duration::ZERO,
            _running: app.logbook.enter(),
        }
    }

    /// Fills in what is known of the call.
    pub(super) fn set(&mut self, fill: impl FnOnce(&mut ExecutionLogRow)) {
        if let Some(row) = &mut self.row {
            fill(row);
        }
    }

    /// Keeps the request, unless the project stores no data.
    pub(super) fn request(&mut self, request: &impl Serialize) {
        if self.stores_data {
            let text = bounded_json(request, self.app.config.log_max_payload_bytes + SLACK);
            self.set(|row| row.request = Some(text));
        }
    }

    /// Keeps the answer, unless the project stores no data.
    pub(super) fn response(&mut self, response: &impl Serialize) {
        if self.stores_data {
            let text = bounded_json(response, self.app.config.log_max_payload_bytes + SLACK);
            self.set(|row| row.response = Some(text));
        }
    }

    /// The row's id.
    pub(super) fn id(&self) -> String {
        self.row.as_ref().map(|row| row.id.as_str().to_owned()).unwrap_or_default()
    }

    /// Hands the row over.
    ///
    /// # Errors
    /// As [`crate::logbook::Logbook::write`].
    pub(super) async fn finish(mut self, error: Option<&str>) -> Result<()> {
        match self.close(error) {
            None => Ok(()),
            Some(row) => self.app.logbook.write(row).await,
        }
    }

    /// Hands the row of a call that was refused over; the refusal matters more than a
    /// log that cannot be written.
    pub(super) async fn refused(self, error: Error) -> Error {
        let _ = self.finish(Some(&error.message)).await;
        error
    }

    fn close(&mut self, error: Option<&str>) -> Option<ExecutionLogRow> {
        let mut row = self.row.take()?;
        row.duration_us = micros(self.began.elapsed());
        row.provider_us = micros(self.provider);
        row.successful = error.is_none();
        row.error = error.map(|error| self.error_text(error, row.provider_status));
        row.request = row.request.map(|text| self.payload(text));
        row.response = row.response.map(|text| self.payload(text));
        Some(row)
    }

    fn payload(&self, text: String) -> String {
        let mut text = self.secrets.clean(text);
        let mut end = text.len().min(self.app.config.log_max_payload_bytes);
        while !text.is_char_boundary(end) {
            end -= 1;
        }
        text.truncate(end);
        text
    }

    /// A project that stores no data keeps what happened, but not the provider's words.
    fn error_text(&self, error: &str, status: Option<i32>) -> String {
        if self.stores_data {
            return self.secrets.clean(error.chars().take(MAX_ERROR).collect());
        }
        match status {
            Some(status) => format!("The provider answered {status}"),
            None => "The call failed".to_owned(),
        }
    }
}

impl Drop for Record<'_> {
    fn drop(&mut self) {
        if let Some(row) = self.close(Some("The caller went away before the call was finished")) {
            self.app.logbook.offer(row);
        }
    }
}

fn micros(time: Duration) -> i64 {
    i64::try_from(time.as_micros()).unwrap_or(i64::MAX)
}

/// JSON text, cut at `max` bytes without being written in full first.
fn bounded_json(value: &impl Serialize, max: usize) -> String {
    struct Bounded {
        bytes: Vec<u8>,
        max: usize,
    }
    impl std::io::Write for Bounded {
        fn write(&mut self, more: &[u8]) -> std::io::Result<usize> {
            let room = self.max - self.bytes.len();
            if room == 0 {
                return Err(std::io::ErrorKind::StorageFull.into());
            }
            let taken = more.len().min(room);
            self.bytes.extend_from_slice(&more[..taken]);
            Ok(taken)
        }
        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }
    let mut out = Bounded { bytes: Vec::new(), max };
    // It fails only when it is full.
    let _ = serde_json::to_writer(&mut out, value);
    match String::from_utf8(out.bytes) {
        Ok(text) => text,
        Err(cut) => {
            let whole = cut.utf8_error().valid_up_to();
            let mut bytes = cut.into_bytes();
            bytes.truncate(whole);
            String::from_utf8(bytes).unwrap_or_default()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::bounded_json;

    #[test]
    fn a_payload_is_cut_between_characters() {
        assert_eq!(bounded_json(&"abc", 100), "\"abc\"");
        assert_eq!(bounded_json(&"abc", 3), "\"ab");
        assert_eq!(bounded_json(&"äöü", 4), "\"ä");
        assert_eq!(bounded_json(&"äöü", 0), "");
    }
}
