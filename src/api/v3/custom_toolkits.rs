//! Remote MCP servers as toolkits of a project, as the SDKs' `custom` has them.

use std::collections::BTreeMap;

use axum::extract::State;
use axum::http::{HeaderName, HeaderValue, header};
use axum::response::{IntoResponse, Response};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use url::Url;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::api::auth::ProjectKey;
use crate::api::errors::{CommonErrors, OutboundErrors};
use crate::api::extract::{Json, Path};
use crate::app::{App, AppState};
use crate::domain::id::ProjectId;
use crate::error::{Error, Result};
use crate::install::logo::{self as logos, Logo};
use crate::install::remote::{self, Server};

/// What every slug begins with: no toolkit of the server has such a name.
const PREFIX: &str = "custom_";
/// Largest logo, decoded.
const MOST_LOGO: usize = 3 * 1024 * 1024;

/// Routes.
pub fn router() -> OpenApiRouter<AppState> {
    OpenApiRouter::new().routes(routes!(upsert)).routes(routes!(sync)).routes(routes!(logo))
}

/// A server to add, or to describe anew.
#[derive(Debug, Deserialize, ToSchema)]
struct CustomToolkitBody {
    /// Name of the toolkit, at most 30 letters, digits, `_` and blanks; the slug is `custom_` and this.
    slug: String,
    /// The server.
    toolkit_config: CustomToolkitConfig,
}

#[derive(Debug, Deserialize, ToSchema)]
struct CustomToolkitConfig {
    /// Display name.
    name: String,
    /// URL of the MCP server.
    app_url: String,
    /// Square PNG or JPEG of at most 3 MB; none when absent.
    #[serde(default)]
    logo_file: Option<CustomLogo>,
    /// The ways to connect.
    auth_schemes: Vec<CustomScheme>,
}

#[derive(Debug, Deserialize, ToSchema)]
struct CustomLogo {
    /// The image, in base64.
    content: String,
    /// `image/png` or `image/jpeg`.
    mime_type: String,
}

/// A way to connect.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(tag = "mode")]
enum CustomScheme {
    /// Without credentials.
    #[serde(rename = "NO_AUTH")]
    NoAuth,
    /// With a key in headers.
    #[serde(rename = "API_KEY")]
    ApiKey {
        /// Headers of every request, with `{{generic_api_key}}` where the key goes.
        headers: BTreeMap<String, String>,
        /// The field of the form that asks for the key.
        #[serde(default)]
        api_key_field: Option<CustomKeyField>,
    },
    /// By OAuth, with a client that is registered at the server.
    #[serde(rename = "DCR_OAUTH")]
    DcrOauth {
        /// Where the authorization server's metadata is; found by the MCP server when absent.
        #[serde(default)]
        discovery_url: Option<String>,
    },
}

#[derive(Debug, Deserialize, ToSchema)]
struct CustomKeyField {
    /// Label.
    #[serde(default)]
    display_name: Option<String>,
    /// Help text.
    #[serde(default)]
    description: Option<String>,
}

/// A server that was added.
#[derive(Debug, Serialize, ToSchema)]
struct UpsertedToolkit {
    /// Slug of the toolkit.
    slug: String,
}

/// A server to list again.
#[derive(Debug, Deserialize, ToSchema)]
struct SyncToolkitBody {
    /// Slug of the toolkit.
    slug: String,
    /// The account whose credentials are used; none where the server wants none.
    #[serde(default)]
    connected_account_id: Option<String>,
}

/// A server that was listed again.
#[derive(Debug, Serialize, ToSchema)]
struct SyncedToolkit {
    /// Slug of the toolkit.
    slug: String,
    /// Its newest version; the one before when nothing changed.
    version: String,
    /// Number of its tools.
    synced_count: usize,
}

fn slug_of(text: &str, problems: &mut Vec<String>) -> String {
    let words: Vec<&str> = text.split_whitespace().collect();
    let joined = words.join("_").to_lowercase();
    let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_';
    if joined.is_empty() || text.len() > 30 || !joined.chars().all(plain) {
        problems.push(
            "slug: must be made of letters, digits, _ and blanks, at most 30 characters".to_owned(),
        );
    }
    // Sent back as it came from here, it means the same toolkit.
    let bare = joined.strip_prefix(PREFIX).filter(|bare| !bare.is_empty()).unwrap_or(&joined);
    format!("{PREFIX}{bare}")
}

fn address(app: &App, key: &str, text: &str, problems: &mut Vec<String>) -> Option<Url> {
    let url = Url::parse(text.trim()).ok().filter(|url| {
        text.len() <= 2048
            && url.has_host()
            && url.username().is_empty()
            && url.password().is_none()
            && url.fragment().is_none()
    });
    let safe = url.filter(|url| app.net.is_safe_way(url));
    if safe.is_none() {
        problems.push(format!(
            "{key}: must be an https URL without a user; http goes to hosts of PATCHBAY_EGRESS_ALLOW alone"
        ));
    }
    safe
}

fn checked_logo(logo: &CustomLogo, problems: &mut Vec<String>) -> Option<Logo> {
    let (mime_type, begins): (_, &[u8]) = match logo.mime_type.as_str() {
        "image/png" => ("image/png", b"\x89PNG\r\n\x1a\n"),
        "image/jpeg" => ("image/jpeg", b"\xff\xd8\xff"),
        _ => {
            problems
                .push("toolkit_config.logo_file.mime_type: must be image/png or image/jpeg".into());
            return None;
        }
    };
    let most = MOST_LOGO.div_ceil(3) * 4;
    let image = (logo.content.len() <= most).then(|| STANDARD.decode(&logo.content).ok()).flatten();
    let image = image.filter(|image| image.len() <= MOST_LOGO && image.starts_with(begins));
    if image.is_none() {
        problems.push(
            "toolkit_config.logo_file.content: must be such an image of at most 3 MB in base64"
                .into(),
        );
    }
    image.map(|content| Logo { content, mime_type })
}

fn scheme(app: &App, at: &str, given: CustomScheme, problems: &mut Vec<String>) -> Value {
    match given {
        CustomScheme::NoAuth => json!({"scheme": "NO_AUTH"}),
        CustomScheme::DcrOauth { discovery_url } => match discovery_url {
            None => json!({"scheme": "DCR_OAUTH"}),
            Some(text) => {
                let url = address(app, &format!("{at}.discovery_url"), &text, problems);
                let url = url.map(|url| url.to_string()).unwrap_or_default();
                json!({"scheme": "DCR_OAUTH", "dcr": {"discovery_url": url}})
            }
        },
        CustomScheme::ApiKey { headers, api_key_field } => {
            let headers: Vec<_> = headers.into_iter().collect();
            let field = api_key_field.as_ref();
            let label = field.and_then(|field| field.display_name.as_deref());
            let help = field.and_then(|field| field.description.as_deref());
            for (name, text, most) in [("display_name", label, 100), ("description", help, 500)] {
                if text.is_some_and(|text| text.chars().count() > most) {
                    problems
                        .push(format!("{at}.api_key_field.{name}: has at most {most} characters"));
                }
            }
            match remote::key_scheme(&headers, label, help) {
                Ok(scheme) => scheme,
                Err(found) => {
                    problems.extend(found.into_iter().map(|problem| format!("{at}.{problem}")));
                    Value::Null
                }
            }
        }
    }
}

impl CustomToolkitBody {
    fn checked(self, app: &App) -> Result<Server> {
        let mut problems = Vec::new();
        let slug = slug_of(&self.slug, &mut problems);
        let config = self.toolkit_config;
        let name = config.name.trim().to_owned();
        if name.is_empty() || name.chars().count() > 200 {
            problems.push("toolkit_config.name: must have 1 to 200 characters".to_owned());
        }
        let url = address(app, "toolkit_config.app_url", &config.app_url, &mut problems);
        let logo = config.logo_file.as_ref().and_then(|logo| checked_logo(logo, &mut problems));
        if config.auth_schemes.is_empty() || config.auth_schemes.len() > 3 {
            problems.push("toolkit_config.auth_schemes: one to three are needed".to_owned());
        }
        let mut auth: Vec<Value> = Vec::new();
        for (i, given) in config.auth_schemes.into_iter().enumerate().take(3) {
            let at = format!("toolkit_config.auth_schemes[{i}]");
            let made = scheme(app, &at, given, &mut problems);
            if auth.iter().any(|known| known["scheme"] == made["scheme"]) {
                problems.push(format!("{at}: the same mode is there twice"));
            }
            auth.push(made);
        }
        match url {
            Some(url) if problems.is_empty() => Ok(Server { slug, name, url, auth, logo }),
            _ => Err(Error::invalid("Invalid toolkit", problems)),
        }
    }
}

/// Make a toolkit of a remote MCP server, or describe it anew.
#[utoipa::path(post, path = "/custom/toolkits/upsert", tag = "toolkits",
    operation_id = "upsertCustomToolkit", request_body = CustomToolkitBody,
    responses((status = 200, body = UpsertedToolkit), CommonErrors, OutboundErrors))]
async fn upsert(
    State(app): State<AppState>,
    key: ProjectKey,
    Json(body): Json<CustomToolkitBody>,
) -> Result<Json<UpsertedToolkit>> {
    let server = body.checked(&app)?;
    let done = remote::upsert(&app, &key.project.id, server).await?;
    Ok(Json(UpsertedToolkit { slug: done.slug }))
}

/// Ask a remote MCP server for its tools again.
#[utoipa::path(post, path = "/custom/toolkits/sync", tag = "toolkits",
    operation_id = "syncCustomToolkit", request_body = SyncToolkitBody,
    responses((status = 200, body = SyncedToolkit), CommonErrors, OutboundErrors))]
async fn sync(
    State(app): State<AppState>,
    key: ProjectKey,
    Json(body): Json<SyncToolkitBody>,
) -> Result<Json<SyncedToolkit>> {
    let account = body.connected_account_id.as_deref().filter(|id| !id.is_empty());
    let done = remote::sync(&app, &key.project.id, &body.slug, account).await?;
    Ok(Json(SyncedToolkit { slug: done.slug, version: done.version, synced_count: done.tools }))
}

/// The logo of a custom toolkit. Its address is shown with the toolkit; no key is needed.
#[utoipa::path(get, path = "/custom/toolkits/logos/{project_id}/{slug}/{digest}", tag = "toolkits",
    operation_id = "getCustomToolkitLogo", security(()),
    params(
        ("project_id" = String, Path, description = "Project id"),
        ("slug" = String, Path, description = "Toolkit slug"),
        ("digest" = String, Path, description = "SHA-256 of the image"),
    ),
    responses(
        (status = 200, description = "The image", body = Vec<u8>, content_type = "image/png"),
        CommonErrors,
    ))]
async fn logo(
    State(app): State<AppState>,
    Path((project, slug, digest)): Path<(String, String, String)>,
) -> Result<Response> {
    let image = logos::get(&app, &ProjectId::from(project), &slug, &digest).await?;
    let kind = HeaderValue::from_str(&image.mime_type).map_err(Error::internal)?;
    // Somebody else's content: it is an image and nothing more.
    let headers: [(HeaderName, HeaderValue); 4] = [
        (header::CONTENT_TYPE, kind),
        (header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff")),
        (header::CONTENT_SECURITY_POLICY, HeaderValue::from_static("default-src 'none'; sandbox")),
        (header::CACHE_CONTROL, HeaderValue::from_static("public, max-age=31536000, immutable")),
    ];
    Ok((headers, image.content).into_response())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slugs_begin_with_what_no_other_toolkit_has() {
        let slug = |text: &str| {
            let mut problems = Vec::new();
            let slug = slug_of(text, &mut problems);
            problems.is_empty().then_some(slug)
        };
        assert_eq!(slug("My  Server").as_deref(), Some("custom_my_server"));
        assert_eq!(slug("CUSTOM_MY_SERVER").as_deref(), Some("custom_my_server"));
        for bad in ["", "  ", "a-b", "é", "a/../b", &"a".repeat(31)] {
            assert_eq!(slug(bad), None, "{bad}");
        }
    }
}
