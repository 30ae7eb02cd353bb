//! Reading and checking the settings, all problems at once.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::time::Duration;

use crate::domain::project::OnAmbiguous;

use super::{
    Config, DEFAULTS, EgressAllow, Embeddings, Llm, LocalModel, Providers, Relay, RemoteModel,
};

/// Every wrong setting, one line each. Values are not repeated: they may be secrets.
#[derive(Debug)]
pub struct ConfigErrors(pub Vec<String>);

impl fmt::Display for ConfigErrors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} wrong setting(s):", self.0.len())?;
        self.0.iter().try_for_each(|line| write!(f, "\n  - {line}"))
    }
}

impl std::error::Error for ConfigErrors {}

/// Settings from the process's environment and the file that it names.
///
/// # Errors
/// Every wrong key, unknown key or unreadable file, all at once.
pub fn load() -> Result<Config, ConfigErrors> {
    let env = std::env::vars_os()
        .filter_map(|(k, v)| Some((k.into_string().ok()?, v.into_string().ok()?)))
        .collect();
    load_from(&env)
}

/// The same from a given environment.
///
/// # Errors
/// As [`load`].
pub fn load_from(env: &BTreeMap<String, String>) -> Result<Config, ConfigErrors> {
    let mut reader = Reader::new(env);
    let config = reader.config(env);
    if reader.errors.is_empty() { Ok(config) } else { Err(ConfigErrors(reader.errors)) }
}

/// One setting as text, and how a person knows it.
struct Entry {
    text: String,
    source: String,
}

struct Reader {
    values: BTreeMap<String, Entry>,
    errors: Vec<String>,
}

impl Reader {
    fn new(env: &BTreeMap<String, String>) -> Self {
        let mut reader = Self { values: BTreeMap::new(), errors: Vec::new() };
        reader.layer(config::FileFormat::Toml, DEFAULTS, "config/default.toml", None);
        let known: BTreeSet<String> = reader.values.keys().cloned().collect();
        if let Some(path) = env.get("PATCHBAY_CONFIG").filter(|p| !p.is_empty()) {
            match std::fs::read_to_string(path) {
                Ok(text) => {
                    reader.layer(config::FileFormat::Toml, &text, path, Some(&known));
                }
                Err(e) => reader.errors.push(format!("PATCHBAY_CONFIG: cannot read {path}: {e}")),
            }
        }
        for (name, text) in env {
            let Some(key) = name.strip_prefix("PATCHBAY_").map(str::to_ascii_lowercase) else {
                continue;
            };
            if key == "config" {
                continue;
            }
            if !known.contains(&key) {
                reader.errors.push(format!("{name}: there is no such setting"));
                continue;
            }
            if !text.is_empty() {
                reader.values.insert(key, Entry { text: text.clone(), source: name.clone() });
            }
        }
        reader
    }

    fn layer(
        &mut self,
        format: config::FileFormat,
        text: &str,
        source: &str,
        known: Option<&BTreeSet<String>>,
    ) {
        let parsed = config::Config::builder()
            .add_source(config::File::from_str(text, format))
            .build()
            .and_then(|c| c.try_deserialize::<BTreeMap<String, config::Value>>());
        let values = match parsed {
            Ok(values) => values,
            Err(e) => return self.errors.push(format!("{source}: {e}")),
        };
        for (key, value) in values {
            if known.is_some_and(|k| !k.contains(&key)) {
                self.errors.push(format!("{source}: `{key}`: there is no such setting"));
                continue;
            }
            match value.into_string() {
                Ok(text) => {
                    let source = format!("{source}: `{key}`");
                    self.values.insert(key, Entry { text, source });
                }
                Err(_) => self.errors.push(format!("{source}: `{key}`: must be a plain value")),
            }
        }
    }

    fn text(&self, key: &str) -> Option<&Entry> {
        self.values.get(key).filter(|entry| !entry.text.is_empty())
    }

    fn wrong(&mut self, key: &str, expected: &str) {
        let source = self.values.get(key).map_or(key, |e| &e.source);
        self.errors.push(format!("{source}: must be {expected}"));
    }

    fn parse<T: FromStr + Default>(&mut self, key: &str, expected: &str) -> T {
        match self.text(key).map(|e| e.text.trim().parse()) {
            Some(Ok(value)) => value,
            _ => {
                self.wrong(key, expected);
                T::default()
            }
        }
    }

    fn at_least<T: FromStr + Default + PartialOrd + fmt::Display>(
        &mut self,
        key: &str,
        least: T,
    ) -> T {
        let expected = format!("a whole number of {least} or more");
        let before = self.errors.len();
        let value: T = self.parse(key, &expected);
        if self.errors.len() == before && value < least {
            self.wrong(key, &expected);
        }
        value
    }

    fn seconds(&mut self, key: &str) -> Duration {
        Duration::from_secs(self.at_least(key, 1))
    }

    fn string(&self, key: &str) -> Option<String> {
        self.text(key).map(|e| e.text.clone())
    }

    fn url(&mut self, key: &str, schemes: &[&str]) -> Option<String> {
        let text = self.string(key)?;
        let good = url::Url::parse(&text).is_ok_and(|u| {
            schemes.contains(&u.scheme()) && (u.has_host() || u.scheme().starts_with("postgres"))
        });
        if !good {
            self.wrong(key, &format!("a URL that starts with {}://", schemes.join(":// or ")));
        }
        Some(text.trim_end_matches('/').to_owned())
    }

    fn config(&mut self, env: &BTreeMap<String, String>) -> Config {
        let listen = match self.text("listen").map(|e| e.text.parse()) {
            Some(Ok(address)) => address,
            _ => {
                self.wrong("listen", "an address and port, such as 127.0.0.1:9900");
                std::net::SocketAddr::from(([127, 0, 0, 1], 9900))
            }
        };
        let public_url = self
            .url("public_url", &["http", "https"])
            .unwrap_or_else(|| super::default_public_url(listen));
        let realtime_host = self.realtime_host(&public_url);
        Config {
            listen,
            public_url,
            database_url: self.url("database_url", &["postgres", "postgresql"]).map(Into::into),
            database_max_connections: self.at_least("database_max_connections", 2),
            data_dir: self.string("data_dir").map_or_else(|| default_data_dir(env), PathBuf::from),
            postgres_bin_dirs: self.string("postgres_bin_dirs"),
            postgres_mirror_url: self.url("postgres_mirror_url", &["http", "https"]),
            encryption_key: self.encryption_key(),
            encryption_key_file: self.encryption_key_file(),
            encryption_key_command: self.encryption_key_command(),
            previous_encryption_keys: self.previous_encryption_keys(),
            org_api_key: self.api_key("org_api_key"),
            project_api_key: self.project_api_key(),
            toolkits_dir: self.folder("toolkits_dir"),
            providers: self.providers(),
            egress_allow: self.egress_allow(),
            mcp_allowed_hosts: self.mcp_allowed_hosts(),
            mcp_allowed_origins: self.mcp_allowed_origins(),
            rate_limit: self.at_least("rate_limit", 0),
            max_body_bytes: self.at_least("max_body_bytes", 1024),
            request_timeout: self.seconds("request_timeout_s"),
            outbound_connect_timeout: self.seconds("outbound_connect_timeout_s"),
            outbound_read_timeout: self.seconds("outbound_read_timeout_s"),
            outbound_timeout: self.seconds("outbound_timeout_s"),
            outbound_max_response_bytes: self.at_least("outbound_max_response_bytes", 1024),
            log_wait_for_commit: self.parse("log_wait_for_commit", "true or false"),
            log_queue_rows: self.at_least("log_queue_rows", 1),
            search_schema_chars: self.at_least("search_schema_chars", 0),
            log_max_payload_bytes: self.at_least("log_max_payload_bytes", 0),
            file_ttl: self.seconds("file_ttl_s"),
            session_file_max_bytes: self.session_file_max_bytes(),
            session_files_max_bytes: self.at_least("session_files_max_bytes", 0),
            result_preview_chars: self.at_least("result_preview_chars", 2000),
            connect_ttl: self.seconds("connect_ttl_s"),
            link_max_tries: self.at_least("link_max_tries", 1),
            refresh_claim: self.refresh_claim(),
            revocation_ttl: self.seconds("revocation_ttl_s"),
            on_ambiguous_account: self.on_ambiguous_account(),
            refresh_concurrency: self.at_least("refresh_concurrency", 0),
            refresh_max_refusals: self.at_least("refresh_max_refusals", 1),
            webhook_timeout: self.seconds("webhook_timeout_s"),
            webhook_retry: self.webhook_retry(),
            webhook_concurrency: self.at_least("webhook_concurrency", 1),
            webhook_disable_after: self.seconds("webhook_disable_after_s"),
            poll_concurrency: self.at_least("poll_concurrency", 0),
            poll_claim: Duration::from_secs(self.at_least("poll_claim_s", 3)),
            event_ttl: self.seconds("event_ttl_s"),
            realtime_cluster: self.realtime_cluster(),
            realtime_host,
            realtime_relay: self.realtime_relay(),
            realtime_max_sockets: self.at_least("realtime_max_sockets", 1),
            realtime_activity_timeout: self.seconds("realtime_activity_timeout_s"),
            llm: self.llm(),
            embeddings: self.embeddings(),
            log_json: self.log_json(),
            log_filter: self.log_filter(),
        }
    }

    /// The database takes no value of a gigabyte; what a server holds in memory is less.
    fn session_file_max_bytes(&mut self) -> usize {
        let most = self.at_least("session_file_max_bytes", 0);
        if most > 512 * 1024 * 1024 {
            self.wrong("session_file_max_bytes", "at most 536870912");
        }
        most
    }

    /// A claim that ends while the provider is still asked lets two servers use one token.
    fn refresh_claim(&mut self) -> Duration {
        let claim = self.seconds("refresh_claim_s");
        let call = self.text("outbound_timeout_s").and_then(|e| e.text.trim().parse().ok());
        let call = call.unwrap_or(20u64).min(20);
        if claim <= Duration::from_secs(call) {
            self.wrong("refresh_claim_s", &format!("a whole number of {} or more", call + 1));
        }
        claim
    }

    fn webhook_retry(&mut self) -> Vec<Duration> {
        const KEY: &str = "webhook_retry_s";
        // A month: longer than events are kept.
        let second = |word: &String| word.parse().ok().filter(|s| (1..=2_592_000).contains(s));
        let waits: Option<Vec<u64>> = self.words(KEY).iter().map(second).collect();
        let waits = waits.filter(|waits| waits.len() <= 20);
        if waits.is_none() {
            self.wrong(KEY, "up to 20 whole numbers of seconds, separated by commas");
        }
        waits.unwrap_or_default().into_iter().map(Duration::from_secs).collect()
    }

    /// Words between commas, lower case.
    fn words(&self, key: &str) -> Vec<String> {
        let text = self.string(key).unwrap_or_default();
        let words = text.split(',').map(|word| word.trim().to_ascii_lowercase());
        words.filter(|word| !word.is_empty()).collect()
    }

    fn realtime_relay(&mut self) -> Option<Relay> {
        const KEY: &str = "realtime_relay_url";
        let relay = Relay::parse(&self.string(KEY)?);
        if relay.is_none() {
            self.wrong(KEY, "as https://KEY:SECRET@api-CLUSTER.pusher.com/apps/ID");
        }
        relay
    }

    fn realtime_cluster(&mut self) -> String {
        const KEY: &str = "realtime_cluster";
        let label = self.string(KEY).unwrap_or_default();
        let good = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-';
        // With `ws-` before it, it is a part of a host's name.
        if label.is_empty() || label.len() > 60 || !label.bytes().all(good) || label.ends_with('-')
        {
            self.wrong(KEY, "a label of lower case letters, digits and dashes, such as patchbay");
        }
        label
    }

    fn realtime_host(&mut self, public_url: &str) -> Option<String> {
        const KEY: &str = "realtime_host";
        let authority = |url: &url::Url| {
            let host = url.host_str().filter(|host| !host.is_empty())?;
            Some(format!("{host}:{}", url.port_or_known_default()?))
        };
        let Some(text) = self.string(KEY) else {
            let url = url::Url::parse(public_url).ok()?;
            return authority(&url).filter(|_| url.scheme() == "https");
        };
        let good = |b: u8| b.is_ascii_alphanumeric() || b".-:[]".contains(&b);
        let url = url::Url::parse(&format!("https://{text}")).ok();
        let host = url.as_ref().and_then(authority).filter(|_| text.bytes().all(good));
        if host.is_none() {
            self.wrong(KEY, "a host, such as api.example.com or api.example.com:8443");
        }
        host
    }

    fn mcp_allowed_hosts(&mut self) -> Vec<String> {
        const KEY: &str = "mcp_allowed_hosts";
        let hosts = self.words(KEY);
        let good = |host: &String| {
            host == "*"
                || host
                    .bytes()
                    .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'.' | b'_'))
        };
        if !hosts.iter().all(good) {
            self.wrong(KEY, "host names without scheme and port, separated by commas");
        }
        hosts
    }

    fn mcp_allowed_origins(&mut self) -> Vec<String> {
        const KEY: &str = "mcp_allowed_origins";
        let origins: Vec<String> =
            self.words(KEY).iter().map(|o| o.trim_end_matches('/').to_owned()).collect();
        // An origin is what a URL begins with, and nothing after it.
        let good = |origin: &String| {
            origin == "*"
                || url::Url::parse(origin).is_ok_and(|url| {
                    matches!(url.scheme(), "http" | "https")
                        && url.origin().ascii_serialization() == *origin
                })
        };
        if !origins.iter().all(good) {
            self.wrong(KEY, "origins such as https://chat.example.com, separated by commas");
        }
        origins
    }

    fn log_filter(&mut self) -> String {
        let text = self.string("log_filter").unwrap_or_default();
        if tracing_subscriber::EnvFilter::try_new(&text).is_err() {
            self.wrong("log_filter", "a filter as in RUST_LOG, such as patchbay=debug,warn");
        }
        text
    }

    fn encryption_key(&mut self) -> Option<secrecy::SecretString> {
        let text = self.string("encryption_key")?;
        if crate::vault::Key::parse(&text).is_none() {
            self.wrong("encryption_key", "32 bytes in base64 or hex (openssl rand -base64 32)");
        }
        Some(text.into())
    }

    /// Of the places where the encryption key can be, one is set at most.
    fn encryption_key_file(&mut self) -> Option<PathBuf> {
        let path = self.string("encryption_key_file")?;
        if self.text("encryption_key").is_some() {
            self.wrong("encryption_key_file", "left out when encryption_key is set");
        }
        Some(PathBuf::from(path))
    }

    /// Words between blanks; no shell reads them.
    fn encryption_key_command(&mut self) -> Option<Vec<String>> {
        const KEY: &str = "encryption_key_command";
        let text = self.string(KEY)?;
        for other in ["encryption_key", "encryption_key_file"] {
            if self.text(other).is_some() {
                self.wrong(KEY, &format!("left out when {other} is set"));
            }
        }
        let words: Vec<String> = text.split_whitespace().map(str::to_owned).collect();
        if words.is_empty() || text.contains(['"', '\'', '\\', '$', '`', '|', ';', '<', '>', '&']) {
            self.wrong(
                KEY,
                "a program and arguments between blanks: no shell reads it, so quotes and other \
                 signs of a shell mean nothing; put those into a script",
            );
        }
        Some(words)
    }

    fn previous_encryption_keys(&mut self) -> Vec<secrecy::SecretString> {
        const KEY: &str = "previous_encryption_keys";
        let text = self.string(KEY).unwrap_or_default();
        let keys: Vec<&str> = text.split(',').map(str::trim).filter(|k| !k.is_empty()).collect();
        if keys.iter().any(|k| crate::vault::Key::parse(k).is_none()) {
            self.wrong(KEY, "encryption keys in base64 or hex, separated by commas");
        }
        keys.into_iter().map(Into::into).collect()
    }

    fn api_key(&mut self, key: &str) -> Option<secrecy::SecretString> {
        let text = self.string(key)?;
        let good = (16..=200).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_graphic());
        if !good {
            self.wrong(key, "16 to 200 printable characters without spaces");
        }
        Some(text.into())
    }

    fn project_api_key(&mut self) -> Option<secrecy::SecretString> {
        let key = self.api_key("project_api_key");
        if key.is_some() && self.string("project_api_key") == self.string("org_api_key") {
            self.wrong("project_api_key", "another key than org_api_key");
        }
        key
    }

    fn folder(&mut self, key: &str) -> Option<PathBuf> {
        let path = PathBuf::from(self.string(key)?);
        if !path.is_dir() {
            self.wrong(key, "an existing folder");
        }
        Some(path)
    }

    fn providers(&mut self) -> Providers {
        let Some(path) = self.string("providers_file") else { return Providers::default() };
        match Providers::read(Path::new(&path)) {
            Ok(providers) => providers,
            Err(problems) => {
                let source = self.values["providers_file"].source.clone();
                self.errors.extend(problems.into_iter().map(|p| format!("{source}: {p}")));
                Providers::default()
            }
        }
    }

    fn egress_allow(&mut self) -> EgressAllow {
        let mut allow = EgressAllow::default();
        let text = self.string("egress_allow").unwrap_or_default();
        for item in text.split(',').map(str::trim).filter(|i| !i.is_empty()) {
            if let Ok(network) = item.parse::<ipnet::IpNet>() {
                allow.networks.push(network);
            } else if let Ok(address) = item.parse::<std::net::IpAddr>() {
                allow.networks.push(address.into());
            } else if url::Host::parse(item).is_ok() {
                allow.hosts.push(item.to_ascii_lowercase());
            } else {
                self.wrong("egress_allow", "host names and networks, separated by commas");
            }
        }
        allow
    }

    fn embeddings(&mut self) -> Option<Embeddings> {
        let sha256 = self.string("search_model_sha256").unwrap_or_default().to_ascii_lowercase();
        if sha256.len() != 64 || !sha256.bytes().all(|b| b.is_ascii_hexdigit()) {
            self.wrong("search_model_sha256", "64 hexadecimal digits");
        }
        let weights = self.string("search_model").map(PathBuf::from);
        if weights.as_ref().is_some_and(|path| !path.is_file()) {
            self.wrong("search_model", "a file; `patchbay search fetch-model` fetches it");
        }
        let url = self.url("search_embeddings_url", &["http", "https"]);
        let model = self.string("search_embeddings_model");
        let api_key = self.string("search_embeddings_api_key").map(Into::into);
        match (weights, url, model) {
            (None, None, None) => None,
            (Some(weights), None, None) => Some(Embeddings::Local(LocalModel { weights, sha256 })),
            (None, Some(url), Some(model)) => {
                Some(Embeddings::Remote(RemoteModel { url, api_key, model }))
            }
            (Some(_), _, _) => {
                self.wrong("search_model", "unset when an embeddings endpoint is set");
                None
            }
            (None, Some(_), None) => {
                self.wrong("search_embeddings_model", "set when search_embeddings_url is");
                None
            }
            (None, None, Some(_)) => {
                self.wrong("search_embeddings_url", "set when search_embeddings_model is");
                None
            }
        }
    }

    fn llm(&mut self) -> Option<Llm> {
        let base_url = self.url("llm_base_url", &["http", "https"]);
        let model = self.string("llm_model");
        match (base_url, model) {
            (None, None) => None,
            (Some(base_url), Some(model)) => {
                Some(Llm { base_url, model, api_key: self.string("llm_api_key").map(Into::into) })
            }
            (None, Some(_)) => {
                self.wrong("llm_base_url", "set when llm_model is");
                None
            }
            (Some(_), None) => {
                self.wrong("llm_model", "set when llm_base_url is");
                None
            }
        }
    }

    fn on_ambiguous_account(&mut self) -> OnAmbiguous {
        match self.string("on_ambiguous_account").as_deref() {
            Some("newest") => OnAmbiguous::Newest,
            Some("refuse") => OnAmbiguous::Refuse,
            _ => {
                self.wrong("on_ambiguous_account", "newest or refuse");
                OnAmbiguous::Newest
            }
        }
    }

    fn log_json(&mut self) -> bool {
        match self.string("log_format").as_deref() {
            Some("text") => false,
            Some("json") => true,
            _ => {
                self.wrong("log_format", "text or json");
                false
            }
        }
    }
}

fn default_data_dir(env: &BTreeMap<String, String>) -> PathBuf {
    let set = |name: &str| env.get(name).filter(|v| !v.is_empty()).map(PathBuf::from);
    if rustix::process::geteuid().is_root() {
        return PathBuf::from("/var/lib/patchbay");
    }
    set("XDG_DATA_HOME")
        .or_else(|| set("HOME").map(|home| home.join(".local/share")))
        .map_or_else(|| PathBuf::from("/var/lib/patchbay"), |base| base.join("patchbay"))
}

#[cfg(test)]
mod tests;
