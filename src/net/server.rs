//! Requests of the command line to a running server. Whoever types the command names the server, so the
//! guard over addresses does not apply.

use std::time::Duration;

use axum::http::Method;
use serde_json::Value;

/// Time without a byte after which a server is given up; it tells how far it is while it imports.
const STALLED: Duration = Duration::from_secs(120);

/// A server and a key for it.
#[derive(Debug, Clone)]
pub struct Server {
    http: reqwest::Client,
    /// Without a slash at its end.
    url: String,
    header: &'static str,
    key: secrecy::SecretString,
}

/// A refusal of the server, or why it gave no answer; for a person.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct Refused {
    /// HTTP status; none without an answer.
    pub status: Option<u16>,
    /// What is wrong and what to do.
    pub message: String,
}

impl Server {
    /// `header` is `x-api-key` or `x-org-api-key`.
    ///
    /// # Errors
    /// When the machine's certificates cannot be used.
    pub fn new(
        url: &str,
        header: &'static str,
        key: secrecy::SecretString,
    ) -> Result<Self, Refused> {
        let http = super::download::unguarded(STALLED)
            // The key goes to the server that was named and to no other.
            .redirect(reqwest::redirect::Policy::none())
            .build()
            .map_err(|e| without_answer(url, &e))?;
        Ok(Self { http, url: url.trim_end_matches('/').to_owned(), header, key })
    }

    /// A request with a JSON answer.
    ///
    /// # Errors
    /// See [`Refused`].
    pub async fn ask(&self, method: Method, path: &str) -> Result<Value, Refused> {
        let answer = self.request(method, path).send().await;
        let answer = answer.map_err(|e| without_answer(&self.url, &e))?;
        let status = answer.status();
        let text = answer.bytes().await.map_err(|e| without_answer(&self.url, &e))?;
        let value: Value = serde_json::from_slice(&text).unwrap_or_default();
        if status.is_success() { Ok(value) } else { Err(refused(status.as_u16(), &value)) }
    }

    /// Sends a JSON body whose answer is lines of JSON; `each` gets those before the last one, which is
    /// `{"result": …}` or `{"error": …}`.
    ///
    /// # Errors
    /// See [`Refused`].
    pub async fn follow(
        &self,
        path: &str,
        body: Vec<u8>,
        mut each: impl FnMut(&Value),
    ) -> Result<Value, Refused> {
        let request = self.request(Method::POST, path);
        let request = request
            .header("content-type", "application/json")
            .header("accept", "application/x-ndjson")
            .body(body);
        let mut answer = request.send().await.map_err(|e| without_answer(&self.url, &e))?;
        let status = answer.status().as_u16();
        let (mut rest, mut last) = (Vec::new(), Value::Null);
        while let Some(chunk) = answer.chunk().await.map_err(|e| without_answer(&self.url, &e))? {
            rest.extend_from_slice(&chunk);
            while let Some(end) = rest.iter().position(|b| *b == b'\n') {
                let line: Vec<u8> = rest.drain(..=end).collect();
                last = serde_json::from_slice(&line).unwrap_or_default();
                each(&last);
            }
        }
        if !rest.is_empty() {
            last = serde_json::from_slice(&rest).unwrap_or_default();
        }
        match last.get_mut("result") {
            Some(result) => Ok(result.take()),
            None => Err(refused(status, &last)),
        }
    }

    fn request(&self, method: Method, path: &str) -> reqwest::RequestBuilder {
        use secrecy::ExposeSecret;
        let request = self.http.request(method, format!("{}{path}", self.url));
        request.header(self.header, self.key.expose_secret())
    }
}

fn without_answer(url: &str, error: &dyn std::error::Error) -> Refused {
    let message = format!(
        "{url} does not answer: {}. Is the server running, and PATCHBAY_URL its address?",
        super::download::root_cause(error)
    );
    Refused { status: None, message }
}

fn refused(status: u16, body: &Value) -> Refused {
    let error = &body["error"];
    let status = error["status"].as_u64().and_then(|s| u16::try_from(s).ok()).unwrap_or(status);
    let mut message = match error["message"].as_str() {
        Some(message) => message.to_owned(),
        None => format!("The server answered {status}, and not as a Patchbay server does"),
    };
    for problem in error["errors"].as_array().into_iter().flatten().filter_map(Value::as_str) {
        message.push_str("\n  ");
        message.push_str(problem);
    }
    if let Some(fix) = error["suggested_fix"].as_str() {
        message.push('\n');
        message.push_str(fix);
    }
    Refused { status: Some(status), message }
}
