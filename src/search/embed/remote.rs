//! A model behind a URL that speaks as OpenAI's embeddings do.

use std::time::Duration;

use axum::http::Method;
use futures_util::future::BoxFuture;
use secrecy::ExposeSecret as _;
use serde::Deserialize;
use serde_json::json;
use url::Url;

use super::Embedder;
use crate::config::RemoteModel;
use crate::domain::outbound::{OutboundBody, OutboundRequest};
use crate::net::Client;

/// How long an answer may take.
const PATIENCE: Duration = Duration::from_secs(30);

/// Largest vector.
const MOST: usize = 8_192;

/// The model.
#[derive(Debug)]
pub(super) struct Remote {
    settings: RemoteModel,
    net: Client,
    id: String,
}

#[derive(Deserialize)]
struct Answer {
    data: Vec<One>,
}

#[derive(Deserialize)]
struct One {
    index: Option<usize>,
    embedding: Vec<f32>,
}

impl Remote {
    /// As the settings say.
    pub fn new(settings: RemoteModel, net: Client) -> Self {
        // Another server's model of the same name may be another one.
        Self { id: format!("{}#{}", settings.url, settings.model), settings, net }
    }

    async fn ask(&self, texts: &[String]) -> Result<Vec<Vec<f32>>, String> {
        let url = format!("{}/embeddings", self.settings.url.trim_end_matches('/'));
        let url = Url::parse(&url).map_err(|_| "search_embeddings_url is not a URL")?;
        let mut headers = vec![("Accept".to_owned(), "application/json".to_owned())];
        if let Some(key) = &self.settings.api_key {
            headers.push(("Authorization".to_owned(), format!("Bearer {}", key.expose_secret())));
        }
        let body = json!({
            "model": self.settings.model,
            "input": texts,
            "encoding_format": "float",
        });
        let request = OutboundRequest {
            method: Method::POST,
            url,
            headers,
            body: OutboundBody::Json(body),
            timeout: Some(self.net.at_most(PATIENCE)),
        };
        let answer = self.net.send_once(request).await.map_err(|e| e.to_string())?;
        if answer.status != 200 {
            return Err(format!("search_embeddings_url answered {}", answer.status));
        }
        read(&answer.body, texts.len())
    }
}

/// The vectors of an answer, in the order of the texts.
fn read(body: &[u8], count: usize) -> Result<Vec<Vec<f32>>, String> {
    let answer: Answer = serde_json::from_slice(body)
        .map_err(|_| "search_embeddings_url answered something else than embeddings")?;
    let mut found: Vec<Option<Vec<f32>>> = vec![None; count];
    for (at, one) in answer.data.into_iter().enumerate() {
        if let Some(place) = found.get_mut(one.index.unwrap_or(at)) {
            *place = Some(one.embedding).filter(|vector| vector.len() <= MOST);
        }
    }
    let found: Option<Vec<Vec<f32>>> = found.into_iter().collect();
    found.ok_or_else(|| "search_embeddings_url left out some of the texts".to_owned())
}

impl Embedder for Remote {
    fn id(&self) -> &str {
        &self.id
    }

    fn embed<'a>(&'a self, texts: &'a [String]) -> BoxFuture<'a, Result<Vec<Vec<f32>>, String>> {
        Box::pin(self.ask(texts))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn vectors_are_read_in_the_order_of_the_texts() {
        let body = br#"{"object":"list","data":[{"index":1,"embedding":[0.5]},
            {"index":0,"embedding":[1,2]}],"model":"m","usage":{}}"#;
        assert_eq!(read(body, 2).unwrap(), [vec![1.0, 2.0], vec![0.5]]);
        let plain = br#"{"data":[{"embedding":[1]},{"embedding":[2]}]}"#;
        assert_eq!(read(plain, 2).unwrap(), [[1.0], [2.0]]);
    }

    #[test]
    fn what_is_no_answer_is_said_so() {
        for (body, count) in [
            (&b"<html>"[..], 1),
            (br#"{"error":{}}"#, 1),
            (br#"{"data":[]}"#, 1),
            (br#"{"data":[{"index":7,"embedding":[1]}]}"#, 1),
            (br#"{"data":[{"index":0,"embedding":[1]}]}"#, 2),
        ] {
            assert!(read(body, count).is_err());
        }
    }
}
