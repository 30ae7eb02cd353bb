//! Real servers over one database, which can be killed at any moment.

use std::sync::Mutex;

use rustix::process::Signal;

use super::provider::Provider;
use super::toolkits;
use crate::boot::process::{Home, Server};
use crate::support::app::ENCRYPTION_KEY;
use crate::support::client::TestClient;
use crate::support::db::TestDatabase;

const PROJECT_KEY: &str = "ak_for_tests_of_crashes_only";
const ORG_KEY: &str = "oak_for_tests_of_crashes_only";

/// What all replicas share.
pub struct Fleet {
    pub database: TestDatabase,
    url: String,
    settings: Vec<(String, String)>,
    folder: tempfile::TempDir,
}

impl Fleet {
    pub async fn new(settings: &[(&str, &str)]) -> Self {
        let database = TestDatabase::create().await;
        let settings = settings.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect();
        Self { url: database.url(), database, settings, folder: tempfile::tempdir().unwrap() }
    }

    /// Starts a replica; the provider sees its name with every token request.
    pub fn start(&self, name: &str, provider: &Provider) -> Replica {
        let kit = toolkits(provider, &[]);
        let providers = self.folder.path().join(format!("{name}.yaml"));
        let text = format!("faulty: {{token_url: '{}/{name}/token'}}\n", provider.url);
        std::fs::write(&providers, text).unwrap();
        let mut all = vec![
            ("PATCHBAY_DATABASE_URL", self.url.as_str()),
            ("PATCHBAY_ENCRYPTION_KEY", ENCRYPTION_KEY),
            ("PATCHBAY_PROJECT_API_KEY", PROJECT_KEY),
            ("PATCHBAY_ORG_API_KEY", ORG_KEY),
            ("PATCHBAY_EGRESS_ALLOW", "127.0.0.0/8"),
            ("PATCHBAY_DATABASE_MAX_CONNECTIONS", "5"),
            ("PATCHBAY_RATE_LIMIT", "0"),
            ("PATCHBAY_TOOLKITS_DIR", kit.path().to_str().unwrap()),
            ("PATCHBAY_PROVIDERS_FILE", providers.to_str().unwrap()),
        ];
        all.extend(self.settings.iter().map(|(k, v)| (k.as_str(), v.as_str())));
        let home = Home::new();
        let server = home.start(&all);
        let client = server.client(PROJECT_KEY);
        let server = Mutex::new(Some(server));
        Replica { name: name.to_owned(), client, server, _home: home, _kit: kit }
    }
}

/// A server in a process of its own.
pub struct Replica {
    pub name: String,
    pub client: TestClient,
    server: Mutex<Option<Server>>,
    _home: Home,
    _kit: tempfile::TempDir,
}

impl Replica {
    pub fn is_alive(&self) -> bool {
        self.server.lock().unwrap().is_some()
    }

    /// Ends it as the kernel does when memory is short, without a chance to clean up.
    pub fn kill(&self) {
        if let Some(server) = self.server.lock().unwrap().take() {
            server.signal(Signal::KILL);
            // It is gone already; only its entry in the process table has to be waited for.
            drop(server);
        }
    }
}
