//! `toolkit.yaml`.

use std::collections::BTreeMap;

use serde::Deserialize;

use super::{AuthScheme, IdentityCall, ResponseRule, VerifyCall};

/// One `toolkit.yaml`.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ToolkitFile {
    /// Version of the file format. Only `1` exists.
    pub spec: u32,
    /// Lower-case identifier, the prefix (upper-cased) of every tool slug.
    pub slug: String,
    /// Display name.
    pub name: String,
    /// What the service is, in our own words.
    pub description: String,
    /// Versions that resolve, newest first, each `YYYYMMDD_NN`.
    pub versions: Vec<String>,
    /// Category ids (`developer-tools`); the display name is derived.
    #[serde(default)]
    pub categories: Vec<String>,
    /// URL of a logo image.
    #[serde(default)]
    pub logo: Option<String>,
    /// Home page of the service.
    #[serde(default)]
    pub app_url: Option<String>,
    /// API documentation of the service; the source of the facts in the file.
    #[serde(default)]
    pub docs: Option<String>,
    /// Pages of the provider's documentation that the OAuth facts of the file come from;
    /// needed with OAUTH2.
    #[serde(default)]
    pub sources: Vec<String>,
    /// Root of every request; may hold `{{ conn.<field> }}` templates.
    pub base_url: String,
    /// Hosts that requests with credentials may go to, besides the host of
    /// `base_url`. `*.example.com` matches any depth of subdomain.
    #[serde(default)]
    pub hosts: Vec<String>,
    /// Headers sent with every request of the toolkit.
    #[serde(default)]
    pub headers: BTreeMap<String, String>,
    /// How answers are read, unless the tool says otherwise.
    #[serde(default)]
    pub response: ResponseRule,
    /// The call that says whose account at the provider a connection is.
    #[serde(default)]
    pub identity: Option<IdentityCall>,
    /// The call that says whether credentials are good; `identity` when absent.
    #[serde(default)]
    pub verify: Option<VerifyCall>,
    /// What goes wrong with any of its tools, one sentence or two each, for a model.
    #[serde(default)]
    pub pitfalls: Vec<String>,
    /// Toolkits whose tools this one has too, under its own name, with its own credentials: one
    /// connection to several services of one provider.
    #[serde(default)]
    pub tools_of: Vec<String>,
    /// Ways to authenticate, preferred first. Empty is not allowed: a toolkit
    /// without credentials lists `NO_AUTH`.
    pub auth: Vec<AuthScheme>,
}
