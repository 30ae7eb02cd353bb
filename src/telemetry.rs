//! Log lines: text for people, JSON for machines, on standard error.

use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;

use crate::config::Config;

/// Starts logging as the settings say. Standard output stays free for what was asked for.
///
/// # Errors
/// When the filter cannot be read, or logging was started before.
pub fn start(config: &Config) -> anyhow::Result<()> {
    let filter = EnvFilter::try_new(&config.log_filter)
        .map_err(|e| anyhow::anyhow!("log_filter (PATCHBAY_LOG_FILTER): {e}"))?;
    let registry = tracing_subscriber::registry().with(filter);
    let lines = fmt::layer().with_writer(std::io::stderr);
    if config.log_json {
        registry.with(lines.json().flatten_event(true)).try_init()?;
    } else {
        let colors = std::io::IsTerminal::is_terminal(&std::io::stderr());
        registry.with(lines.with_ansi(colors)).try_init()?;
    }
    Ok(())
}
