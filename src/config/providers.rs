//! The operator's providers file: overrides and OAuth clients per toolkit.

use std::collections::BTreeMap;
use std::path::Path;

use secrecy::SecretString;
use serde::Deserialize;

/// Contents of the providers file, by toolkit slug.
#[derive(Debug, Clone, Default)]
pub struct Providers(BTreeMap<String, Provider>);

/// Overrides for one toolkit; every key is optional.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Provider {
    /// Replaces scheme, host and port of every request; the definition's path prefix stays
    /// unless this URL has a path of its own.
    pub base_url: Option<String>,
    /// Replaces the authorization endpoint.
    pub authorize_url: Option<String>,
    /// Replaces the token endpoint (and the refresh endpoint).
    pub token_url: Option<String>,
    /// Replaces the revocation endpoint.
    pub revoke_url: Option<String>,
    /// Further hosts that credentials may be sent to.
    pub hosts: Vec<String>,
    /// OAuth client behind `use_composio_managed_auth`: of OAUTH2, or of OAUTH1 where the toolkit
    /// has no OAUTH2; then id and secret are those of the consumer.
    pub managed: Option<Managed>,
}

/// The operator's OAuth client.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Managed {
    /// Client id.
    pub client_id: String,
    /// Client secret; empty for a public client.
    #[serde(default)]
    pub client_secret: SecretString,
    /// Private key in PEM, for toolkits whose clients authenticate themselves with one.
    #[serde(default)]
    pub private_key: Option<SecretString>,
    /// Id of that key.
    #[serde(default)]
    pub key_id: Option<String>,
    /// Scopes instead of the definition's.
    #[serde(default)]
    pub scopes: Option<Vec<String>>,
}

impl Providers {
    /// Reads the file.
    ///
    /// # Errors
    /// One line per problem; values are not repeated.
    pub fn read(path: &Path) -> Result<Self, Vec<String>> {
        let text = std::fs::read_to_string(path)
            .map_err(|e| vec![format!("cannot read {}: {e}", path.display())])?;
        Self::parse(&text).map_err(|problems| {
            problems.into_iter().map(|p| format!("{}: {p}", path.display())).collect()
        })
    }

    /// Parses the file's text.
    ///
    /// # Errors
    /// As [`Providers::read`].
    pub fn parse(text: &str) -> Result<Self, Vec<String>> {
        if text.trim().is_empty() {
            return Ok(Self::default());
        }
        let options = serde_saphyr::options! { with_snippet: false };
        let providers: BTreeMap<String, Provider> =
            serde_saphyr::from_str_with_options(text, options).map_err(|e| vec![e.to_string()])?;
        let mut problems = Vec::new();
        for (slug, provider) in &providers {
            for (key, value) in [
                ("base_url", &provider.base_url),
                ("authorize_url", &provider.authorize_url),
                ("token_url", &provider.token_url),
                ("revoke_url", &provider.revoke_url),
            ] {
                let good = value.as_deref().is_none_or(|v| {
                    url::Url::parse(v)
                        .is_ok_and(|u| matches!(u.scheme(), "http" | "https") && u.has_host())
                });
                if !good {
                    problems.push(format!("{slug}.{key}: must be an http or https URL"));
                }
            }
        }
        let by_slug = providers.into_iter().map(|(k, v)| (k.to_lowercase(), v)).collect();
        if problems.is_empty() { Ok(Self(by_slug)) } else { Err(problems) }
    }

    /// Overrides of one toolkit.
    pub fn get(&self, toolkit_slug: &str) -> Option<&Provider> {
        self.0.get(toolkit_slug)
    }

    /// Slugs that the file names.
    pub fn slugs(&self) -> impl Iterator<Item = &str> {
        self.0.keys().map(String::as_str)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_overrides_and_refuses_what_it_does_not_know() {
        let providers = Providers::parse(
            "github:\n  base_url: http://127.0.0.1:4101\n  managed: {client_id: a, client_secret: b}\n",
        )
        .unwrap();
        let github = providers.get("github").unwrap();
        assert_eq!(github.managed.as_ref().unwrap().client_id, "a");
        assert!(!format!("{github:?}").contains("\"b\""));
        assert!(Providers::parse("github: {base: x}").is_err());
        assert!(Providers::parse("github: {base_url: 'ftp://x'}").is_err());
    }
}
