//! Arguments out of plain language, by an OpenAI-compatible endpoint of the operator's choice.

use axum::http::Method;
use secrecy::ExposeSecret;
use serde_json::{Map, Value, json};
use url::Url;

use crate::app::App;
use crate::catalog::Tool;
use crate::domain::outbound::{OutboundBody, OutboundRequest};
use crate::error::{Error, Result, codes};
use crate::net::NetError;

/// What the model is asked.
#[derive(Debug, Default)]
pub struct Wish<'a> {
    /// What the person wants.
    pub text: &'a str,
    /// Description of the tool instead of its own.
    pub description: Option<&'a str>,
    /// Instructions instead of the usual ones.
    pub system_prompt: Option<&'a str>,
}

const SYSTEM_PROMPT: &str = "You fill in the arguments of one function call. Use only what the \
    request says or clearly implies. Leave out optional arguments that it does not mention, and \
    never make up ids, names or addresses.";

/// The error of an outbound request that is not a provider's.
pub fn unreachable(error: NetError) -> Error {
    match error {
        NetError::Timeout(text) => Error::new(codes::GATEWAY_TIMEOUT, text),
        NetError::Refused(text) => Error::new(codes::BAD_GATEWAY, text)
            .fix("The operator can let the address through with PATCHBAY_EGRESS_ALLOW"),
        other => Error::new(codes::BAD_GATEWAY, other.to_string()),
    }
}

/// Asks the model for the arguments of a tool. The inner error is the model's failure, in words.
///
/// # Errors
/// 501 when no model is configured; 502 and 504 when it does not answer.
pub async fn arguments(
    app: &App,
    tool: &Tool,
    wish: Wish<'_>,
) -> Result<std::result::Result<Map<String, Value>, String>> {
    let Some(llm) = &app.config.llm else {
        return Err(Error::new(
            codes::NOT_IMPLEMENTED,
            "This server has no language model to make arguments out of text",
        )
        .fix("Send `arguments`, or set PATCHBAY_LLM_BASE_URL and PATCHBAY_LLM_MODEL"));
    };
    let url = format!("{}/chat/completions", llm.base_url.trim_end_matches('/'));
    let url = Url::parse(&url).map_err(|_| Error::internal("llm_base_url is not a URL"))?;
    let name = &tool.def.slug;
    let description = wish.description.unwrap_or(tool.def.description.trim());
    let body = json!({
        "model": llm.model,
        "messages": [
            {"role": "system", "content": wish.system_prompt.unwrap_or(SYSTEM_PROMPT)},
            {"role": "user", "content": wish.text},
        ],
        "tools": [{"type": "function", "function": {
            "name": name,
            "description": description,
            "parameters": tool.input_schema,
        }}],
        "tool_choice": {"type": "function", "function": {"name": name}},
    });
    let mut headers = vec![("Accept".to_owned(), "application/json".to_owned())];
    if let Some(key) = &llm.api_key {
        headers.push(("Authorization".to_owned(), format!("Bearer {}", key.expose_secret())));
    }
    let request = OutboundRequest {
        method: Method::POST,
        url,
        headers,
        body: OutboundBody::Json(body),
        timeout: None,
    };
    let response = app.net.send(request).await.map_err(unreachable)?;
    if !(200..300).contains(&response.status) {
        let text = format!("The language model's endpoint answered {}", response.status);
        return Err(Error::new(codes::BAD_GATEWAY, text)
            .fix("Check PATCHBAY_LLM_BASE_URL, PATCHBAY_LLM_API_KEY and PATCHBAY_LLM_MODEL"));
    }
    Ok(read(&response.body))
}

/// The arguments in a chat completion.
fn read(body: &[u8]) -> std::result::Result<Map<String, Value>, String> {
    let answer: Value = serde_json::from_slice(body)
        .map_err(|_| "The language model's answer is not JSON".to_owned())?;
    let message = &answer["choices"][0]["message"];
    let found = match &message["tool_calls"][0]["function"]["arguments"] {
        Value::Null => &message["content"],
        arguments => arguments,
    };
    let found = match found {
        Value::String(text) => serde_json::from_str(fenced(text)).unwrap_or(Value::Null),
        other => other.clone(),
    };
    match found {
        Value::Object(arguments) => Ok(arguments),
        _ => Err("The language model did not come up with arguments".to_owned()),
    }
}

/// The text inside of a code fence, which some models put around JSON.
fn fenced(text: &str) -> &str {
    let text = text.trim();
    let inner = text.strip_prefix("```json").or_else(|| text.strip_prefix("```"));
    inner.and_then(|t| t.strip_suffix("```")).unwrap_or(text).trim()
}

#[cfg(test)]
mod tests {
    use super::read;

    #[test]
    fn arguments_come_from_a_tool_call_or_from_text() {
        for answer in [
            r#"{"choices":[{"message":{"tool_calls":[{"function":{"arguments":"{\"a\":1}"}}]}}]}"#,
            r#"{"choices":[{"message":{"content":"```json\n{\"a\":1}\n```"}}]}"#,
            r#"{"choices":[{"message":{"tool_calls":[{"function":{"arguments":{"a":1}}}]}}]}"#,
        ] {
            assert_eq!(read(answer.as_bytes()).unwrap()["a"], 1);
        }
        for answer in ["", "{}", r#"{"choices":[{"message":{"content":"I cannot"}}]}"#, "[]"] {
            assert!(read(answer.as_bytes()).is_err());
        }
    }
}
