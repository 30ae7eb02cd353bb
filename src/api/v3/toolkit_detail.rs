//! One toolkit in full.

use serde::Serialize;
use serde_json::{Map, Value};
use utoipa::ToSchema;

use super::toolkits::{Category, category, is_custom, managed_schemes, no_auth};
use crate::app::App;
use crate::catalog::Toolkit;
use crate::catalog::fields::{FieldSpec, config_fields, connect_fields, label};
use crate::catalog::model::AuthScheme;
use crate::domain::id::uuid_of;
use crate::domain::scheme::AuthSchemeKind;
use crate::domain::time::iso;

/// A field of a form.
#[derive(Debug, Serialize, ToSchema)]
struct FormField {
    /// Name to send the value under.
    name: String,
    /// Label.
    #[serde(rename = "displayName")]
    display_name: String,
    /// Value when none is sent.
    default: Option<String>,
    /// `string`
    r#type: &'static str,
    /// Help text.
    description: String,
    /// Whether it must be sent.
    required: bool,
    /// Whether it is masked in answers.
    is_secret: bool,
    /// Always true.
    user_visible: bool,
}

/// Fields of a form.
#[derive(Debug, Default, Serialize, ToSchema)]
struct FormFields {
    /// Those that must be sent.
    required: Vec<FormField>,
    /// Those that may be sent.
    optional: Vec<FormField>,
}

/// The two forms of a scheme.
#[derive(Debug, Serialize, ToSchema)]
struct SchemeFields {
    /// What creating an auth config takes.
    auth_config_creation: FormFields,
    /// What connecting an account takes.
    connected_account_initiation: FormFields,
}

/// Endpoints of a scheme.
#[derive(Debug, Serialize, ToSchema)]
struct ProviderUrls {
    /// Authorization endpoint.
    authorization_url: String,
    /// Token endpoint.
    token_url: String,
}

/// Where the proxy sends relative paths.
#[derive(Debug, Serialize, ToSchema)]
struct ProxyInfo {
    /// Root.
    base_url: String,
}

/// How a toolkit authenticates with one scheme.
#[derive(Debug, Serialize, ToSchema)]
struct AuthConfigDetails {
    /// The scheme.
    mode: AuthSchemeKind,
    /// Display name.
    name: String,
    /// What to fill in.
    fields: SchemeFields,
    /// Where the proxy sends relative paths.
    #[serde(skip_serializing_if = "Option::is_none")]
    proxy: Option<ProxyInfo>,
    /// Endpoints.
    #[serde(skip_serializing_if = "Option::is_none")]
    deprecated_auth_provider_details: Option<ProviderUrls>,
    /// Where a person gets credentials.
    #[serde(skip_serializing_if = "Option::is_none")]
    auth_hint_url: Option<String>,
    /// Scopes that cannot be left out.
    required_scopes: Vec<String>,
}

/// Scopes that can be asked for.
#[derive(Debug, Serialize, ToSchema)]
struct AvailableScopes {
    /// Names.
    available: Vec<String>,
}

/// The operator's own client for a scheme.
#[derive(Debug, Serialize, ToSchema)]
struct ManagedAuth {
    /// The scheme.
    mode: AuthSchemeKind,
    /// Scopes.
    scopes: AvailableScopes,
}

/// About a toolkit.
#[derive(Debug, Serialize, ToSchema)]
struct DetailMeta {
    /// Day of the oldest version.
    created_at: String,
    /// Day of the newest version.
    updated_at: String,
    /// What it is.
    description: String,
    /// URL of its logo.
    logo: String,
    /// Home page of the service.
    app_url: Option<String>,
    /// Its categories.
    categories: Vec<Category>,
    /// Number of trigger types.
    triggers_count: usize,
    /// Number of tools.
    tools_count: usize,
    /// The version shown.
    version: String,
    /// All versions, newest first.
    available_versions: Vec<String>,
}

/// What older clients read.
#[derive(Debug, Serialize, ToSchema)]
struct DeprecatedDetail {
    /// A stable UUID.
    #[serde(rename = "toolkitId")]
    toolkit_id: String,
    /// Always empty.
    #[serde(rename = "rawProxyInfoByAuthSchemes")]
    raw_proxy_info_by_auth_schemes: Vec<Map<String, Value>>,
}

/// A toolkit.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct ToolkitDetail {
    /// Slug.
    slug: String,
    /// Display name.
    name: String,
    /// Where it comes from: `native`, or `custom` when the project installed it.
    r#type: &'static str,
    /// Always true.
    enabled: bool,
    /// Always false.
    is_local_toolkit: bool,
    /// Whether it works without credentials.
    no_auth: bool,
    /// How it can authenticate.
    auth_schemes: Vec<AuthSchemeKind>,
    /// For which of them the operator gave the server a client of its own.
    composio_managed_auth_schemes: Vec<AuthSchemeKind>,
    /// The operator's clients.
    composio_managed_auth: Vec<ManagedAuth>,
    /// How it authenticates, per scheme.
    auth_config_details: Vec<AuthConfigDetails>,
    /// Root of its API; absent when it depends on the connection.
    #[serde(skip_serializing_if = "Option::is_none")]
    base_url: Option<String>,
    /// What older clients read.
    deprecated: DeprecatedDetail,
    /// About it.
    meta: DetailMeta,
}

fn form(fields: Vec<FieldSpec>) -> FormFields {
    let mut form = FormFields::default();
    for field in fields {
        let list = if field.required { &mut form.required } else { &mut form.optional };
        list.push(FormField {
            name: field.name,
            display_name: field.display_name,
            default: field.default,
            r#type: "string",
            description: field.description,
            required: field.required,
            is_secret: field.secret,
            user_visible: true,
        });
    }
    form
}

fn fixed(url: &str) -> Option<String> {
    (!url.contains("{{")).then(|| url.to_owned())
}

fn scheme_details(toolkit: &Toolkit, scheme: &AuthScheme) -> AuthConfigDetails {
    let name = scheme.name.clone();
    AuthConfigDetails {
        mode: scheme.scheme,
        name: name.unwrap_or_else(|| label(&scheme.scheme.as_str().to_lowercase())),
        fields: SchemeFields {
            auth_config_creation: form(config_fields(scheme)),
            connected_account_initiation: form(connect_fields(scheme)),
        },
        proxy: fixed(&toolkit.file.base_url).map(|base_url| ProxyInfo { base_url }),
        deprecated_auth_provider_details: scheme.oauth2.as_ref().map(|oauth| ProviderUrls {
            authorization_url: oauth.authorize.url.clone(),
            token_url: oauth.token.url.clone(),
        }),
        auth_hint_url: toolkit.file.docs.clone(),
        required_scopes: Vec::new(),
    }
}

fn managed(app: &App, toolkit: &Toolkit, mode: AuthSchemeKind) -> ManagedAuth {
    let provider = app.config.providers.get(&toolkit.file.slug);
    let own = provider.and_then(|p| p.managed.as_ref()).and_then(|m| m.scopes.clone());
    let scheme = toolkit.file.auth.iter().find(|a| a.scheme == mode);
    let declared =
        scheme.and_then(|a| a.oauth2.as_ref()).map(|oauth| match &oauth.available_scopes {
            all if all.is_empty() => oauth.scopes.clone(),
            all => all.clone(),
        });
    let available = own.or(declared).unwrap_or_default();
    ManagedAuth { mode, scopes: AvailableScopes { available } }
}

/// The answer for a toolkit in one version.
pub(super) fn detail(app: &App, toolkit: &Toolkit, version: &str) -> ToolkitDetail {
    let file = &toolkit.file;
    let managed_by_server = managed_schemes(app, toolkit);
    ToolkitDetail {
        slug: file.slug.clone(),
        name: file.name.clone(),
        r#type: if is_custom(toolkit) { "custom" } else { "native" },
        enabled: true,
        is_local_toolkit: false,
        no_auth: no_auth(toolkit),
        auth_schemes: file.auth.iter().map(|a| a.scheme).collect(),
        composio_managed_auth: managed_by_server
            .iter()
            .map(|mode| managed(app, toolkit, *mode))
            .collect(),
        composio_managed_auth_schemes: managed_by_server,
        auth_config_details: file.auth.iter().map(|a| scheme_details(toolkit, a)).collect(),
        base_url: fixed(&file.base_url),
        deprecated: DeprecatedDetail {
            toolkit_id: uuid_of(&file.slug),
            raw_proxy_info_by_auth_schemes: Vec::new(),
        },
        meta: DetailMeta {
            created_at: iso(toolkit.created_at()),
            updated_at: iso(toolkit.updated_at()),
            description: file.description.trim().to_owned(),
            logo: file.logo.clone().unwrap_or_default(),
            app_url: file.app_url.clone(),
            categories: file.categories.iter().map(|c| category(c)).collect(),
            triggers_count: toolkit.triggers.len(),
            tools_count: toolkit.tools.len(),
            version: version.to_owned(),
            available_versions: file.versions.clone(),
        },
    }
}
