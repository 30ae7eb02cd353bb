//! Downloads of the start-up. The operator's settings name the host, so the guard does not
//! apply, and the machine's proxy settings do.

use std::time::Duration;

use super::NetError;

/// Time without a byte after which a download is given up.
const STALLED: Duration = Duration::from_secs(30);

/// A whole file of at most `max` bytes. `progress` hears how many bytes are there, and how many
/// there will be where the server says so.
///
/// # Errors
/// See [`NetError`]; messages name the URL, which holds nothing secret here.
pub async fn download(
    url: &str,
    max: u64,
    mut progress: impl FnMut(u64, Option<u64>),
) -> Result<Vec<u8>, NetError> {
    let failed = |e: &reqwest::Error| NetError::Connection(format!("{url}: {}", root_cause(e)));
    let http = unguarded(STALLED).build().map_err(|e| failed(&e))?;
    let mut response = http.get(url).send().await.map_err(|e| failed(&e))?;
    if !response.status().is_success() {
        return Err(NetError::Connection(format!("{url}: HTTP {}", response.status())));
    }
    let total = response.content_length();
    let too_large = || NetError::TooLarge(format!("{url}: larger than {max} bytes"));
    if total.is_some_and(|t| t > max) {
        return Err(too_large());
    }
    let mut content = Vec::new();
    while let Some(chunk) = response.chunk().await.map_err(|e| failed(&e))? {
        content.extend_from_slice(&chunk);
        if content.len() as u64 > max {
            return Err(too_large());
        }
        progress(content.len() as u64, total);
    }
    Ok(content)
}

/// A client without the guard over addresses, for hosts that a person named. It gives up after `stalled`
/// without a byte.
pub(super) fn unguarded(stalled: Duration) -> reqwest::ClientBuilder {
    // Fails only when a provider is there already, which is as good.
    let _ = rustls::crypto::ring::default_provider().install_default();
    #[expect(clippy::disallowed_methods, reason = "reqwest is used in this module alone")]
    reqwest::Client::builder()
        .user_agent(concat!("Patchbay/", env!("CARGO_PKG_VERSION")))
        .connect_timeout(Duration::from_secs(15))
        .read_timeout(stalled)
}

/// The innermost error: reqwest's own text says only that something failed.
pub(super) fn root_cause(error: &dyn std::error::Error) -> String {
    let mut cause = error;
    while let Some(inner) = cause.source() {
        cause = inner;
    }
    cause.to_string()
}
