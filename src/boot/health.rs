//! Asks the server on this machine whether it is ready: the check of a container.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use anyhow::{Context, bail};

use crate::config::{Config, reachable};

const PATIENCE: Duration = Duration::from_secs(4);

/// Fails unless the server answers that it is ready.
///
/// # Errors
/// When it does not answer, or answers otherwise.
pub fn check(config: &Config) -> anyhow::Result<()> {
    let address = reachable(config.listen);
    let mut stream = TcpStream::connect_timeout(&address, PATIENCE)
        .with_context(|| format!("nothing answers on {address}"))?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_write_timeout(Some(PATIENCE))?;
    stream.write_all(b"GET /health/ready HTTP/1.0\r\nhost: localhost\r\n\r\n")?;
    let mut head = [0; 12];
    stream.read_exact(&mut head).with_context(|| format!("no answer from {address}"))?;
    if !head.ends_with(b" 200") {
        bail!("the server on {address} is not ready: {}", String::from_utf8_lossy(&head));
    }
    Ok(())
}
