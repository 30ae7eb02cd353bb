//! The requests of a tool, in order.

use futures_util::{StreamExt, stream};
use serde_json::{Map, Value};

use super::exchange::{Exchange, Trouble};
use super::response::{self, Body, Failure};
use super::{files, link};
use crate::app::App;
use crate::catalog::model::ResponseRule;
use crate::catalog::{Files, Scope, Tool, Toolkit};
use crate::domain::id::ProjectId;
use crate::domain::outbound::{OutboundRequest, OutboundResponse};
use crate::error::{Error, Result};

/// Requests that one `for_each` may send.
const MAX_REPEATS: usize = 100;
/// How many of them are under way at once.
const AT_ONCE: usize = 8;

/// What a tool came to: its data, or why it failed.
pub(super) type Outcome = std::result::Result<Map<String, Value>, Failure>;

/// Why a step ends the tool.
enum Stop {
    /// Nothing was sent; the caller is told with an error status.
    Refused(Error),
    /// An outcome.
    Failed(Failure),
}

impl From<Error> for Stop {
    fn from(error: Error) -> Self {
        Self::Refused(error)
    }
}

impl From<Failure> for Stop {
    fn from(failure: Failure) -> Self {
        Self::Failed(failure)
    }
}

/// What the steps of one call share.
pub(super) struct Run<'a> {
    pub app: &'a App,
    pub project: &'a ProjectId,
    pub toolkit: &'a Toolkit,
    pub tool: &'a Tool,
    pub exchange: &'a Exchange<'a>,
    /// What templates see besides the arguments and the connection.
    pub given: Map<String, Value>,
    /// Content of the files that the arguments name.
    pub files: Files,
}

impl Run<'_> {
    /// Sends all requests of the tool and makes its result.
    ///
    /// # Errors
    /// The caller's faults, as long as nothing was sent.
    pub(super) async fn all(&self, args: &Map<String, Value>) -> Result<Outcome> {
        match self.try_all(args).await {
            Ok(data) => Ok(Ok(data)),
            Err(Stop::Failed(failure)) => Ok(Err(failure)),
            Err(Stop::Refused(error)) => Err(error),
        }
    }

    async fn try_all(&self, args: &Map<String, Value>) -> Result<Map<String, Value>, Stop> {
        let conn = self.exchange.access().fields(self.toolkit).conn;
        let mut scope = Scope { args, conn, steps: self.given.clone(), item: None };
        let mut last = Value::Null;
        for (index, step) in self.tool.steps().iter().enumerate() {
            let value = self.step(index, &step.rule, &mut scope).await?;
            if step.id.is_empty() {
                last = value.unwrap_or(Value::Null);
                continue;
            }
            // A step that was left out is null for templates and does not replace the result.
            if let Some(value) = &value {
                last = value.clone();
            }
            scope.steps.insert(step.id.clone(), value.unwrap_or(Value::Null));
        }
        let rule = &self.tool.rule;
        let result = self.tool.result(&scope).map_err(|problem| self.broken(&problem))?;
        let mut data = response::wrap(result.unwrap_or(last), rule.wrap.as_deref());
        files::keep_spelled_out(self.app, self.project, rule, &mut data).await?;
        Ok(data)
    }

    async fn step(
        &self,
        index: usize,
        rule: &ResponseRule,
        scope: &mut Scope<'_>,
    ) -> Result<Option<Value>, Stop> {
        if !self.tool.when(index, scope).map_err(|problem| self.broken(&problem))? {
            return Ok(None);
        }
        let items = self.tool.for_each(index, scope).map_err(|problem| self.broken(&problem))?;
        let Some(items) = items else {
            let request = self.render(index, scope)?;
            return self.one(request, rule).await.map(Some);
        };
        if items.len() > MAX_REPEATS {
            return Err(self.broken(&format!(
                "this would take {} requests, and {MAX_REPEATS} is the limit; ask for fewer items",
                items.len()
            )));
        }
        let mut requests = Vec::with_capacity(items.len());
        for item in items {
            scope.item = Some(item);
            requests.push(self.render(index, scope)?);
        }
        scope.item = None;
        let mut answers = Vec::with_capacity(requests.len());
        let mut sent = stream::iter(requests.into_iter().map(|request| self.one(request, rule)))
            .buffered(AT_ONCE);
        while let Some(answer) = sent.next().await {
            answers.push(answer?);
        }
        Ok(Some(Value::Array(answers)))
    }

    /// A request of the definition made of the arguments. While nothing was sent, a problem is the
    /// caller's fault; later it is how the tool ended.
    fn render(&self, index: usize, scope: &Scope<'_>) -> Result<OutboundRequest, Stop> {
        self.tool.render_with(self.toolkit, index, scope, &self.files).map_err(|problem| {
            if self.exchange.status().is_none() {
                let message = format!("The request of {} cannot be made", self.tool.def.slug);
                Stop::Refused(Error::invalid(message, vec![problem]))
            } else {
                self.broken(&problem)
            }
        })
    }

    fn broken(&self, problem: &str) -> Stop {
        let error = format!("{} could not go on: {problem}", self.tool.def.slug);
        Stop::Failed(Failure { error, data: Map::new() })
    }

    async fn one(&self, request: OutboundRequest, rule: &ResponseRule) -> Result<Value, Stop> {
        let asked = rule.next_link.then(|| request.url.clone());
        let answer = self.exchange.send(request).await.map_err(|trouble| match trouble {
            Trouble::Refused(error) => Stop::Refused(error),
            Trouble::Net(error) => {
                Stop::Failed(Failure { error: error.to_string(), data: Map::new() })
            }
        })?;
        let next = asked.and_then(|url| link::next(&answer.headers, &url));
        let value = self.value(answer, rule).await?;
        let Some(next) = next.map(|url| self.exchange.secrets().clean(url)) else {
            return Ok(value);
        };
        let mut data = response::wrap(value, rule.wrap.as_deref());
        data.entry("next_link").or_insert_with(|| next.into());
        Ok(Value::Object(data))
    }

    /// The part of the answer that counts, without secrets; a file goes to the storage.
    async fn value(&self, answer: OutboundResponse, rule: &ResponseRule) -> Result<Value, Stop> {
        let secrets = self.exchange.secrets();
        let status = answer.status;
        let good = (200..300).contains(&status);
        let tainted = secrets.occur_in(&answer.body);
        let mut value = match response::read(&answer) {
            Body::File(file) if good => {
                return Ok(files::keep(self.app, self.project, file, answer.body).await?);
            }
            Body::File(_) => Value::Null,
            Body::Value(value) => value,
        };
        if tainted {
            secrets.clean_value(&mut value);
        }
        let value = response::judge(&self.toolkit.file.name, rule, status, value)?;
        if !rule.file || status == 204 {
            return Ok(value);
        }
        let file = response::file(&answer);
        let content = match std::str::from_utf8(&answer.body) {
            Ok(text) if tainted => secrets.clean(text.to_owned()).into(),
            _ => answer.body,
        };
        Ok(files::keep(self.app, self.project, file, content).await?)
    }
}
