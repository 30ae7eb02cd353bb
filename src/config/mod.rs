//! Settings: built-in defaults, then a file, then the environment.

pub mod providers;
mod read;
mod relay;

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use secrecy::SecretString;

use crate::domain::project::OnAmbiguous;

pub use providers::Providers;
pub use read::{ConfigErrors, load, load_from};
pub use relay::Relay;

/// The commented defaults, which also name every key.
pub const DEFAULTS: &str = include_str!("../../config/default.toml");

/// All settings; `config/default.toml` explains each.
#[derive(Debug, Clone)]
pub struct Config {
    /// `listen`
    pub listen: SocketAddr,
    /// `public_url`, without a trailing slash. Made from `listen` when unset.
    pub public_url: String,
    /// `database_url`
    pub database_url: Option<SecretString>,
    /// `database_max_connections`
    pub database_max_connections: u32,
    /// `data_dir`
    pub data_dir: PathBuf,
    /// `postgres_bin_dirs`
    pub postgres_bin_dirs: Option<String>,
    /// `postgres_mirror_url`
    pub postgres_mirror_url: Option<String>,
    /// `encryption_key`; none of the three: the start-up generates and stores one.
    pub encryption_key: Option<SecretString>,
    /// `encryption_key_file`
    pub encryption_key_file: Option<PathBuf>,
    /// `encryption_key_command`: program and arguments.
    pub encryption_key_command: Option<Vec<String>>,
    /// `previous_encryption_keys`
    pub previous_encryption_keys: Vec<SecretString>,
    /// `org_api_key`
    pub org_api_key: Option<SecretString>,
    /// `project_api_key`
    pub project_api_key: Option<SecretString>,
    /// `toolkits_dir`
    pub toolkits_dir: Option<PathBuf>,
    /// Contents of `providers_file`.
    pub providers: Providers,
    /// `egress_allow`: names and networks.
    pub egress_allow: EgressAllow,
    /// `mcp_allowed_hosts`, lower case.
    pub mcp_allowed_hosts: Vec<String>,
    /// `mcp_allowed_origins`, lower case, without a trailing slash.
    pub mcp_allowed_origins: Vec<String>,
    /// `rate_limit`; 0 means none.
    pub rate_limit: u64,
    /// `max_body_bytes`
    pub max_body_bytes: usize,
    /// `request_timeout_s`
    pub request_timeout: Duration,
    /// `outbound_connect_timeout_s`
    pub outbound_connect_timeout: Duration,
    /// `outbound_read_timeout_s`
    pub outbound_read_timeout: Duration,
    /// `outbound_timeout_s`
    pub outbound_timeout: Duration,
    /// `outbound_max_response_bytes`
    pub outbound_max_response_bytes: usize,
    /// `log_wait_for_commit`
    pub log_wait_for_commit: bool,
    /// `log_queue_rows`
    pub log_queue_rows: usize,
    /// `search_schema_chars`
    pub search_schema_chars: usize,
    /// `log_max_payload_bytes`
    pub log_max_payload_bytes: usize,
    /// `file_ttl_s`
    pub file_ttl: Duration,
    /// `session_file_max_bytes`
    pub session_file_max_bytes: usize,
    /// `session_files_max_bytes`
    pub session_files_max_bytes: u64,
    /// `result_preview_chars`
    pub result_preview_chars: usize,
    /// `connect_ttl_s`
    pub connect_ttl: Duration,
    /// `link_max_tries`
    pub link_max_tries: i32,
    /// `refresh_claim_s`
    pub refresh_claim: Duration,
    /// `on_ambiguous_account`, for projects that do not say.
    pub on_ambiguous_account: OnAmbiguous,
    /// `refresh_concurrency`
    pub refresh_concurrency: usize,
    /// `refresh_max_refusals`
    pub refresh_max_refusals: i32,
    /// `poll_concurrency`
    pub poll_concurrency: usize,
    /// `poll_claim_s`
    pub poll_claim: Duration,
    /// `revocation_ttl_s`
    pub revocation_ttl: Duration,
    /// How long a webhook's receiver may take.
    pub webhook_timeout: Duration,
    /// Waits after failures of a delivery.
    pub webhook_retry: Vec<Duration>,
    /// Requests to one receiver at a time.
    pub webhook_concurrency: usize,
    /// How long a subscription may fail.
    pub webhook_disable_after: Duration,
    /// `event_ttl_s`
    pub event_ttl: Duration,
    /// `realtime_cluster`
    pub realtime_cluster: String,
    /// `realtime_host`: host and port. Made from `public_url` when unset and that is HTTPS.
    pub realtime_host: Option<String>,
    /// `realtime_relay_url`
    pub realtime_relay: Option<Relay>,
    /// `realtime_max_sockets`
    pub realtime_max_sockets: usize,
    /// `realtime_activity_timeout_s`
    pub realtime_activity_timeout: Duration,
    /// `llm_base_url`, `llm_api_key`, `llm_model`
    pub llm: Option<Llm>,
    /// `search_model`, `search_model_sha256`; or `search_embeddings_url`, `search_embeddings_model`,
    /// `search_embeddings_api_key`.
    pub embeddings: Option<Embeddings>,
    /// `log_format` is `json`.
    pub log_json: bool,
    /// `log_filter`
    pub log_filter: String,
}

/// The address under which a server that listens there is reached on its own machine:
/// loopback when it listens on every address.
pub fn reachable(listen: SocketAddr) -> SocketAddr {
    let mut address = listen;
    if address.ip().is_unspecified() {
        address.set_ip(match address.ip() {
            IpAddr::V4(_) => Ipv4Addr::LOCALHOST.into(),
            IpAddr::V6(_) => Ipv6Addr::LOCALHOST.into(),
        });
    }
    address
}

/// The public URL of a server that was given none.
pub fn default_public_url(listen: SocketAddr) -> String {
    format!("http://{}", reachable(listen))
}

/// Names of this process's variables that are settings: other programs must not see them.
pub fn own_variables() -> Vec<std::ffi::OsString> {
    let names = std::env::vars_os().map(|(name, _)| name);
    names.filter(|name| name.as_encoded_bytes().starts_with(b"PATCHBAY_")).collect()
}

/// What makes vectors of tools and queries.
#[derive(Debug, Clone)]
pub enum Embeddings {
    /// A model in this process.
    Local(LocalModel),
    /// A model behind a URL.
    Remote(RemoteModel),
}

/// Files of all-MiniLM-L6-v2.
#[derive(Debug, Clone)]
pub struct LocalModel {
    /// The weights; the vocabulary lies beside them.
    pub weights: PathBuf,
    /// SHA-256 of the weights, lower case.
    pub sha256: String,
}

impl LocalModel {
    /// The list of word pieces.
    pub fn vocabulary(&self) -> PathBuf {
        self.weights.with_file_name("vocab.txt")
    }
}

/// An embeddings endpoint.
#[derive(Debug, Clone)]
pub struct RemoteModel {
    /// Root of the OpenAI-compatible API, such as `https://host/v1`.
    pub url: String,
    /// Bearer token.
    pub api_key: Option<SecretString>,
    /// Model name.
    pub model: String,
}

/// Language model endpoint.
#[derive(Debug, Clone)]
pub struct Llm {
    /// Root of the OpenAI-compatible API, such as `https://host/v1`.
    pub base_url: String,
    /// Bearer token.
    pub api_key: Option<SecretString>,
    /// Model name.
    pub model: String,
}

/// What the outbound guard lets through besides public addresses.
#[derive(Debug, Clone, Default)]
pub struct EgressAllow {
    /// Host names, lower case.
    pub hosts: Vec<String>,
    /// Networks.
    pub networks: Vec<ipnet::IpNet>,
}
