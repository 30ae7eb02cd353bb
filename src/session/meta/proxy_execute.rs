//! `COMPOSIO_PROXY_EXECUTE`: a request of the agent's own, where no tool does it.

use std::sync::LazyLock;

use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::{Answer, Context, Spec, read};
use crate::domain::time::iso;
use crate::error::{Error, Result};
use crate::execute::ProxyRequest;
use crate::session::proxy::{proxy, target};

pub(super) fn spec() -> &'static Spec {
    static SPEC: LazyLock<Spec> = LazyLock::new(|| Spec {
        slug: "COMPOSIO_PROXY_EXECUTE",
        name: "Send a request",
        description: "Sends an HTTP request to the API of a toolkit with the user's connected account, \
            for what no tool does: search for a tool first. The credentials are added by the server; \
            send none. Example: {\"toolkit_slug\": \"github\", \"method\": \"GET\", \"endpoint\": \
            \"/user/repos\", \"query\": {\"per_page\": \"5\"}}",
        input: json!({
            "type": "object",
            "properties": {
                "toolkit_slug": {"type": "string", "description": "Toolkit whose account is used."},
                "method": {
                    "type": "string",
                    "enum": ["GET", "POST", "PUT", "PATCH", "DELETE", "HEAD"],
                },
                "endpoint": {
                    "type": "string",
                    "description": "Path below the API's root, or a URL on one of its hosts.",
                },
                "query": {
                    "type": "object",
                    "description": "Query parameters.",
                    "additionalProperties": true,
                },
                "headers": {
                    "type": "object",
                    "description": "Further headers.",
                    "additionalProperties": true,
                },
                "body": {
                    "type": "object",
                    "description": "JSON body.",
                    "additionalProperties": true,
                },
                "account": {
                    "type": "string",
                    "description": "Id or alias of the account. Only needed when there are several.",
                },
            },
            "required": ["toolkit_slug", "method", "endpoint"],
        }),
        output: json!({
            "type": "object",
            "properties": {
                "status": {"type": "integer"},
                "headers": {"type": "object", "additionalProperties": true},
                "binary_data": {"type": "object", "additionalProperties": true},
            },
            // `data` is whatever the provider answers: JSON of any kind, or text.
            "additionalProperties": true,
        }),
        tags: &["openWorldHint", "destructiveHint", "updateHint"],
    });
    &SPEC
}

#[derive(Deserialize)]
struct Arguments {
    toolkit_slug: String,
    method: String,
    endpoint: String,
    #[serde(default, alias = "query_params")]
    query: Option<Map<String, Value>>,
    #[serde(default)]
    headers: Option<Map<String, Value>>,
    #[serde(default)]
    body: Option<Value>,
    #[serde(default)]
    account: Option<String>,
}

pub(super) async fn run(context: &Context<'_>, arguments: Map<String, Value>) -> Result<Answer> {
    let arguments: Arguments = read(spec().slug, arguments)?;
    let Context { app, project, session, .. } = *context;
    let (slug, account) = (arguments.toolkit_slug.as_str(), arguments.account.as_deref());
    let target = target(app, project, session, Some(slug), account, None).await?;
    let request = ProxyRequest {
        endpoint: arguments.endpoint,
        method: arguments.method,
        body: arguments.body.filter(|body| !body.is_null()),
        headers: pairs("headers", arguments.headers)?,
        query: pairs("query", arguments.query)?,
        ..ProxyRequest::default()
    };
    let answer = proxy(app, project, target, request).await?;
    let failed = (answer.status >= 400).then(|| format!("The API answered {}", answer.status));
    let mut data = Map::new();
    data.insert("status".to_owned(), answer.status.into());
    data.insert("data".to_owned(), answer.data);
    data.insert("headers".to_owned(), answer.headers.into());
    if let Some((file, content_type, size)) = answer.binary {
        let expires_at = iso(file.expires_at);
        let file = json!({"url": file.url, "content_type": content_type, "size": size,
            "expires_at": expires_at});
        data.insert("binary_data".to_owned(), file);
    }
    Ok((data, failed))
}

fn pairs(what: &str, given: Option<Map<String, Value>>) -> Result<Vec<(String, String)>> {
    let pairs = given.unwrap_or_default().into_iter().map(|(name, value)| match value {
        Value::String(text) => Ok((name, text)),
        value @ (Value::Number(_) | Value::Bool(_)) => Ok((name, value.to_string())),
        _ => {
            let name: String = name.chars().take(100).collect();
            let problem = format!("{what}.{name}: must be text or a number");
            Err(Error::invalid("Invalid arguments for COMPOSIO_PROXY_EXECUTE", vec![problem]))
        }
    });
    pairs.collect()
}
