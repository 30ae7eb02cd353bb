//! Which server a command talks to, and with which key.

use std::path::Path;

use anyhow::{Context, bail};
use clap::Args;
use secrecy::SecretString;

use crate::config::{Config, reachable};
use crate::net::server::Server;

/// What every command that talks to a server takes.
#[derive(Debug, Args)]
pub struct Target {
    /// Address of the server; without it, the server on this machine.
    #[arg(long, env = "PATCHBAY_URL", global = true)]
    url: Option<String>,
}

/// For whom something is done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Whose {
    /// With the project's key; with the organization's where there is no other.
    Project,
    /// With the organization's key.
    Server,
}

impl Target {
    /// The server, with the key of the settings, or of this machine's data folder when the server is
    /// this machine's.
    ///
    /// # Errors
    /// When there is no key.
    pub fn connect(&self, config: &Config, whose: Whose) -> anyhow::Result<Server> {
        let folder = self.url.is_none().then_some(config.data_dir.as_path());
        let url = match &self.url {
            Some(url) => url.clone(),
            None => format!("http://{}", reachable(config.listen)),
        };
        let org = || key(config.org_api_key.as_ref(), folder, "org.key");
        let project = || key(config.project_api_key.as_ref(), folder, "project.key");
        let (header, key) = match whose {
            Whose::Server => {
                let key = org().context("set PATCHBAY_ORG_API_KEY to the organization's key")?;
                ("x-org-api-key", key)
            }
            Whose::Project => match (project(), org()) {
                (Some(key), _) => ("x-api-key", key),
                (None, Some(key)) => ("x-org-api-key", key),
                (None, None) => bail!(
                    "set PATCHBAY_PROJECT_API_KEY to a project's key, or PATCHBAY_ORG_API_KEY to the \
                     organization's"
                ),
            },
        };
        Ok(Server::new(&url, header, key)?)
    }
}

/// The key of the settings, or the one that this machine's server made.
fn key(given: Option<&SecretString>, folder: Option<&Path>, file: &str) -> Option<SecretString> {
    if let Some(key) = given {
        return Some(key.clone());
    }
    let text = std::fs::read_to_string(folder?.join(file)).ok()?;
    Some(SecretString::from(text.trim().to_owned()))
}
