//! What clients are told to connect to.
//!
//! Clients build the host of the socket themselves, `ws-{cluster}.pusher.com`; the cluster is all
//! that a server has a say in. Most take any text for it, and so can be sent to any host: in
//! `ws-x@host:port/.pusher.com` the host is `host`. Newer Python clients insist on a label, which
//! then has to lead here by name resolution (docs/REALTIME.md).

use crate::config::Config;
use crate::domain::id::ProjectId;

/// What a client says of itself.
#[derive(Debug, Clone, Copy, Default)]
pub struct Client<'a> {
    /// `x-source`.
    pub source: Option<&'a str>,
    /// `x-sdk-version`.
    pub version: Option<&'a str>,
}

/// Where a client connects to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Access {
    /// Names the project at the socket.
    pub key: String,
    /// What stands between `ws-` and `.pusher.com`.
    pub cluster: String,
}

/// Where this client connects to, for the events of a project.
pub fn access(config: &Config, project: &ProjectId, client: Client<'_>) -> Access {
    if let Some(relay) = &config.realtime_relay
        && let Some(cluster) = &relay.cluster
    {
        return Access { key: relay.key.clone(), cluster: cluster.clone() };
    }
    let cluster = match &config.realtime_host {
        Some(host) if client.takes_any_cluster() => format!("x@{host}/"),
        _ => config.realtime_cluster.clone(),
    };
    // A relay of the operator's own stands where this server would.
    let key = config.realtime_relay.as_ref().map_or(project.as_str(), |relay| &relay.key);
    Access { key: key.to_owned(), cluster }
}

impl Client<'_> {
    /// Whether it puts any text into the host's name. Those that are not known to do so are not
    /// tried.
    fn takes_any_cluster(self) -> bool {
        let Some(version) = self.version.and_then(version) else { return false };
        match self.source {
            Some("PYTHON_SDK") => version < (0, 22),
            Some("TYPESCRIPT_SDK") => version <= (0, 21),
            _ => false,
        }
    }
}

/// Major and minor number.
fn version(text: &str) -> Option<(u32, u32)> {
    let mut parts = text.trim_start_matches('v').split('.');
    Some((parts.next()?.parse().ok()?, parts.next()?.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_clients_that_are_known_to_take_any_cluster_are_sent_elsewhere() {
        let takes = |source, version| {
            Client { source: Some(source), version: Some(version) }.takes_any_cluster()
        };
        assert!(takes("PYTHON_SDK", "0.11.1") && takes("PYTHON_SDK", "0.20.0"));
        assert!(!takes("PYTHON_SDK", "0.22.0") && !takes("PYTHON_SDK", "0.30.0"));
        assert!(!takes("PYTHON_SDK", "1.0.0") && !takes("PYTHON_SDK", "unknown"));
        assert!(takes("TYPESCRIPT_SDK", "0.6.4") && takes("TYPESCRIPT_SDK", "0.21.0"));
        assert!(!takes("TYPESCRIPT_SDK", "0.22.0") && !takes("CLI", "0.1.24"));
        assert!(!Client::default().takes_any_cluster());
    }
}
