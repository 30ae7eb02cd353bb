//! The tools by which an agent connects its user: whether there is a connection, and a link to
//! make one. They are logged like any tool, under the toolkit of the meta tools.

use std::sync::{Arc, LazyLock};

use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::account;
use super::served::Served;
use crate::app::AppState;
use crate::catalog::Toolkit;
use crate::connect::auth_config;
use crate::connect::start::{self, Attempt};
use crate::db;
use crate::domain::id::AuthConfigId;
use crate::domain::scheme::AuthSchemeKind;
use crate::domain::sharing::Sharing;
use crate::domain::time::iso;
use crate::error::{Error, Result};
use crate::execute::{self, ExecuteOutcome, Noted};
use crate::session::TOOLKIT;
use crate::session::meta::{Answer, Spec};

/// A tool of the server itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ConnectionTool {
    /// `COMPOSIO_CHECK_ACTIVE_CONNECTION`
    Check,
    /// `COMPOSIO_INITIATE_CONNECTION`
    Initiate,
}

fn check_spec() -> &'static Spec {
    static SPEC: LazyLock<Spec> = LazyLock::new(|| Spec {
        slug: "COMPOSIO_CHECK_ACTIVE_CONNECTION",
        name: "Check active connection",
        description: "Says whether the user has a working connection to an app. Call it before the \
            first tool of an app, and again after the user has opened the link that \
            COMPOSIO_INITIATE_CONNECTION gave.",
        input: json!({
            "type": "object",
            "properties": {
                "toolkit": {
                    "type": "string",
                    "description": "Slug of the app, in lower case, such as gmail or github.",
                },
            },
            "required": ["toolkit"],
        }),
        output: json!({
            "type": "object",
            "properties": {
                "toolkit": {"type": "string"},
                "active_connection": {"type": "boolean", "description": "Whether tools of the app can be called now."},
                "needs_connection": {"type": "boolean", "description": "False for apps that work without an account."},
                "connected_account_id": {"type": ["string", "null"]},
                "message": {"type": "string", "description": "What to do next."},
            },
        }),
        tags: &["readOnlyHint", "idempotentHint"],
    });
    &SPEC
}

fn initiate_spec() -> &'static Spec {
    static SPEC: LazyLock<Spec> = LazyLock::new(|| Spec {
        slug: "COMPOSIO_INITIATE_CONNECTION",
        name: "Initiate connection",
        description: "Makes a link by which the user connects an account of an app. Show the link to \
            the user, wait until they say that they are done, then check with \
            COMPOSIO_CHECK_ACTIVE_CONNECTION. Call it only when there is no active connection.",
        input: json!({
            "type": "object",
            "properties": {
                "toolkit": {
                    "type": "string",
                    "description": "Slug of the app, in lower case, such as gmail or github.",
                },
            },
            "required": ["toolkit"],
        }),
        output: json!({
            "type": "object",
            "properties": {
                "toolkit": {"type": "string"},
                "redirect_url": {"type": ["string", "null"], "description": "The link for the user; null when nothing is left to do."},
                "connected_account_id": {"type": ["string", "null"]},
                "expires_at": {"type": ["string", "null"], "description": "When the link ends."},
                "message": {"type": "string", "description": "What to do next."},
            },
        }),
        tags: &["createHint", "openWorldHint"],
    });
    &SPEC
}

#[derive(Deserialize)]
struct Arguments {
    #[serde(alias = "tool", alias = "toolkit_slug")]
    toolkit: String,
}

impl ConnectionTool {
    /// All of them, in the order of lists.
    pub const ALL: &'static [Self] = &[Self::Check, Self::Initiate];

    /// The tool of a slug.
    pub fn of(slug: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|tool| tool.spec().slug == slug)
    }

    /// Its texts and schemas.
    pub fn spec(self) -> &'static Spec {
        match self {
            Self::Check => check_spec(),
            Self::Initiate => initiate_spec(),
        }
    }

    /// Executes it and logs that.
    ///
    /// # Errors
    /// What is wrong with the call.
    pub async fn execute(
        self,
        app: &AppState,
        served: &Served,
        arguments: Map<String, Value>,
    ) -> Result<ExecuteOutcome> {
        let call = Noted {
            tool_slug: self.spec().slug,
            toolkit_slug: TOOLKIT,
            user_id: &served.user_id,
            arguments: arguments.clone(),
        };
        execute::noted(app, &served.project, call, self.run(app, served, arguments)).await
    }

    async fn run(
        self,
        app: &AppState,
        served: &Served,
        arguments: Map<String, Value>,
    ) -> Result<Answer> {
        let slug = self.spec().slug;
        let arguments: Arguments = serde_json::from_value(arguments.into()).map_err(|error| {
            Error::invalid(format!("Invalid arguments for {slug}"), vec![error.to_string()])
                .fix("Correct the arguments as the tool's input schema says and call again")
        })?;
        let toolkit = app.toolkit(&served.project.id, arguments.toolkit.trim());
        let toolkit = toolkit.filter(|t| served.server.toolkits.contains(&t.file.slug));
        let Some(toolkit) = toolkit else {
            let problem = format!("toolkit: must be one of {}", served.server.toolkits.join(", "));
            return Err(Error::invalid("The MCP server does not have this app", vec![problem]));
        };
        let state = State::read(app, served, &toolkit).await?;
        match self {
            Self::Check => Ok((state.into_answer(&toolkit), None)),
            Self::Initiate if state.active => {
                let mut data = state.into_answer(&toolkit);
                data.insert("redirect_url".to_owned(), Value::Null);
                Ok((data, None))
            }
            Self::Initiate => Ok((initiate(app, served, &toolkit).await?, None)),
        }
    }
}

/// How it stands with the connection to an app.
struct State {
    active: bool,
    needed: bool,
    account: Option<String>,
}

impl State {
    async fn read(app: &AppState, served: &Served, toolkit: &Arc<Toolkit>) -> Result<Self> {
        let slug = &toolkit.file.slug;
        let open = toolkit.scheme(AuthSchemeKind::NoAuth).is_some();
        let named = served.account.as_ref().filter(|a| a.toolkit_slug == *slug).cloned();
        if let Some(account) = named {
            let active = account.status == crate::domain::status::AccountStatus::Active
                && !account.is_disabled;
            return Ok(Self { active, needed: true, account: Some(account.id.to_string()) });
        }
        let account = account::find(app, served, slug).await?.first().map(|a| a.id.to_string());
        Ok(Self { active: open || account.is_some(), needed: !open, account })
    }

    fn into_answer(self, toolkit: &Toolkit) -> Map<String, Value> {
        let message = match (self.active, self.needed) {
            (true, true) => "The connection works; call the app's tools.",
            (true, false) => "The app works without a connection; call its tools.",
            (false, _) => {
                "The user is not connected. Call COMPOSIO_INITIATE_CONNECTION and show the link to \
                 the user."
            }
        };
        let data = json!({
            "toolkit": toolkit.file.slug,
            "active_connection": self.active,
            "needs_connection": self.needed,
            "connected_account_id": self.account,
            "message": message,
        });
        match data {
            Value::Object(data) => data,
            _ => Map::new(),
        }
    }
}

async fn initiate(
    app: &AppState,
    served: &Served,
    toolkit: &Arc<Toolkit>,
) -> Result<Map<String, Value>> {
    let attempt = Attempt {
        auth_config_id: config_for(app, served, toolkit).await?,
        user_id: served.user_id.clone(),
        callback_url: None,
        given: None,
        alias: None,
        sharing: Sharing::default(),
    };
    let started = start::link(app, &served.project, attempt).await?;
    let message = format!(
        "Ask the user to open the link and to connect {}. When they are done, check with \
         COMPOSIO_CHECK_ACTIVE_CONNECTION and go on.",
        toolkit.file.name
    );
    let mut data = Map::new();
    data.insert("toolkit".to_owned(), toolkit.file.slug.clone().into());
    data.insert("redirect_url".to_owned(), started.redirect_url.into());
    data.insert("connected_account_id".to_owned(), started.account.id.to_string().into());
    data.insert("expires_at".to_owned(), iso(started.expires_at).into());
    data.insert("message".to_owned(), message.into());
    Ok(data)
}

/// The auth config to connect with: the server's own, else the project's newest of the toolkit,
/// else a new one with the operator's client.
async fn config_for(
    app: &AppState,
    served: &Served,
    toolkit: &Arc<Toolkit>,
) -> Result<AuthConfigId> {
    let slug = &toolkit.file.slug;
    let own = served.configs.iter().filter(|c| c.toolkit_slug == *slug);
    // A disabled one is named too: the error then says which setting is in the way.
    if let Some(config) = own.clone().find(|c| c.is_enabled).or_else(|| own.clone().next()) {
        return Ok(config.id.clone());
    }
    let filter = db::auth_config::Filter {
        toolkit_slugs: vec![slug.clone()],
        ..db::auth_config::Filter::default()
    };
    let (rows, _) = db::auth_config::list(&app.db, &served.project.id, &filter, 1, 0).await?;
    if let Some(row) = rows.into_iter().next() {
        return Ok(row.id);
    }
    let new = auth_config::New { toolkit_slug: slug.clone(), ..auth_config::New::default() };
    Ok(auth_config::create(app, &served.project, new).await?.id)
}
