//! How far a download is.

use std::io::IsTerminal;

use indicatif::{ProgressBar, ProgressStyle};

/// A bar on a terminal, else a log line now and then.
pub(super) struct Progress {
    what: &'static str,
    bar: Option<ProgressBar>,
    told: u64,
}

impl Progress {
    /// Of a download of something.
    pub fn new(what: &'static str) -> Self {
        let bar = std::io::stderr().is_terminal().then(|| {
            let style = ProgressStyle::with_template(
                "{msg} [{bar:40}] {decimal_bytes} of {decimal_total_bytes}",
            );
            let bar = ProgressBar::new(0).with_message(what);
            style.map_or(bar.clone(), |style| bar.with_style(style.progress_chars("=> ")))
        });
        Self { what, bar, told: 0 }
    }

    /// So many bytes of so many are there.
    pub fn at(&mut self, done: u64, total: Option<u64>) {
        if let Some(bar) = &self.bar {
            bar.set_length(total.unwrap_or(done));
            bar.set_position(done);
            return;
        }
        let step = total.map_or(8 * 1024 * 1024, |t| t / 4).max(1);
        if done / step > self.told {
            self.told = done / step;
            tracing::info!(bytes = done, of = total, "downloading {}", self.what);
        }
    }

    /// There is no more to say.
    pub fn done(&self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}
