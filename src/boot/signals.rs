//! SIGINT and SIGTERM: the first stops in order, the second at once.

use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

/// Exit code after a second signal, as shells have it for SIGINT.
const CUT_SHORT: i32 = 130;

/// What the process was told.
#[derive(Debug)]
pub struct Signals {
    /// Cancelled by the first signal.
    pub stop: CancellationToken,
}

impl Signals {
    /// Listens from now on.
    pub fn listen() -> anyhow::Result<Self> {
        let (mut interrupt, mut terminate) =
            (signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?);
        let stop = CancellationToken::new();
        let told = stop.clone();
        tokio::spawn(async move {
            loop {
                tokio::select! {
                    _ = interrupt.recv() => {}
                    _ = terminate.recv() => {}
                }
                if told.is_cancelled() {
                    // The private database sees this process end, and stops by itself.
                    std::process::exit(CUT_SHORT);
                }
                told.cancel();
            }
        });
        Ok(Self { stop })
    }
}
