//! New items, asked about one by one: several at a time, and one that cannot be asked about holds
//! up nobody.

use futures_util::future::BoxFuture;
use futures_util::{FutureExt, StreamExt, stream};
use serde_json::{Map, Value};

use super::look::{Asker, Trouble};
use super::wait::Cause;
use crate::catalog::trigger::{Roots, moment};
use crate::error::codes;
use crate::execute;

/// Requests about items of one poll that are under way at once.
const AT_ONCE: usize = 8;

/// A new item.
#[derive(Debug, Clone)]
pub struct Fresh {
    /// As the list had it.
    pub item: Value,
    /// Its id.
    pub id: String,
    /// Hash of it.
    pub hash: String,
    /// When it was made, as far as the list says.
    pub at: Option<i64>,
    /// The page that it stands on.
    pub page: usize,
}

/// What became of an item.
#[derive(Debug)]
pub enum Handled {
    /// It is an event, made then.
    Told(Option<i64>, Value),
    /// It is none.
    Nothing(Option<i64>),
    /// It could not be asked about, for a reason of its own.
    Failed {
        /// In words.
        error: String,
        /// What the provider answered.
        status: Option<u16>,
    },
    /// It was not asked about: there is no time, or asking is no use now.
    Left,
}

impl Asker<'_> {
    /// Handles items, in their order; and what makes asking no use now.
    pub(super) async fn handle(&self, items: &[Fresh]) -> (Vec<Handled>, Option<Trouble>) {
        let trouble: std::sync::Mutex<Option<Trouble>> = std::sync::Mutex::new(None);
        let set = || trouble.lock().is_ok_and(|trouble| trouble.is_some());
        let mut asked: Vec<BoxFuture<'_, Handled>> = Vec::with_capacity(items.len());
        for fresh in items {
            let (trouble, set) = (&trouble, &set);
            let one = async move {
                if set() || self.is_over() {
                    return Handled::Left;
                }
                match self.answers(&fresh.item).await {
                    Ok(Ok(answers)) => self.told(&fresh.item, fresh.at, answers),
                    Ok(Err(failed)) => failed,
                    Err(new) => {
                        if let Ok(mut trouble) = trouble.lock() {
                            trouble.get_or_insert(new);
                        }
                        Handled::Left
                    }
                }
            };
            asked.push(one.boxed());
        }
        let handled = stream::iter(asked).buffered(AT_ONCE).collect().await;
        (handled, trouble.into_inner().unwrap_or_default())
    }

    /// When the items that do not say it were made, as far as asking about them tells.
    pub(super) async fn dates(&self, items: &mut [Fresh]) {
        let mut asked: Vec<BoxFuture<'_, Option<i64>>> = Vec::with_capacity(items.len());
        for fresh in items.iter() {
            let one = async move {
                if self.is_over() {
                    return None;
                }
                match self.answers(&fresh.item).await {
                    Ok(Ok(answers)) => self.at(&fresh.item, answers),
                    _ => None,
                }
            };
            asked.push(one.boxed());
        }
        let dates: Vec<Option<i64>> = stream::iter(asked).buffered(AT_ONCE).collect().await;
        for (fresh, at) in items.iter_mut().zip(dates) {
            fresh.at = at;
        }
    }

    /// When an item was made, in milliseconds.
    pub(super) fn at(&self, item: &Value, answers: Roots) -> Option<i64> {
        let at = self.poll.at(self.trigger, self.args, item, answers).ok()?;
        moment(&at).map(|at| at.timestamp_millis())
    }

    /// The answers of `each`; an inner error is the item's own, an outer one everybody's.
    async fn answers(&self, item: &Value) -> Result<Result<Roots, Handled>, Trouble> {
        let Some(tool) = &self.poll.each else { return Ok(Ok(Map::new())) };
        let mut given = Map::from_iter([("item".to_owned(), item.clone())]);
        given.insert("cursor".to_owned(), self.cursor.clone());
        let access = (self.account.clone(), self.config.clone());
        let call = execute::call(self.app, self.toolkit, tool, access, self.args, given);
        let answered = match Box::pin(call).await {
            Ok(answered) => answered,
            Err(error) => {
                let everybodys = [
                    codes::REFRESH_FAILED,
                    codes::REFRESH_UNAVAILABLE,
                    codes::DATABASE_UNAVAILABLE,
                    codes::INTERNAL,
                ];
                if everybodys.contains(&error.code) {
                    return Err(Trouble::of(&error));
                }
                let lines = error.errors.join("; ");
                let error = format!("{} {lines}", error.message).trim_end().to_owned();
                return Ok(Err(Handled::Failed { error, status: None }));
            }
        };
        match answered.outcome {
            Ok(answers) => Ok(Ok(answers)),
            Err(error) => match (answered.status, answered.retry_after) {
                (Some(401), _) => Err(Trouble { cause: Cause::Refused, error }),
                (Some(429), wish) | (_, wish @ Some(_)) => {
                    Err(Trouble { cause: Cause::Limited(wish), error })
                }
                (status, None) => Ok(Err(Handled::Failed { error, status })),
            },
        }
    }

    fn told(&self, item: &Value, at: Option<i64>, answers: Roots) -> Handled {
        let at = at.or_else(|| self.at(item, answers.clone()));
        match self.poll.data(self.trigger, self.args, item, Some(answers)) {
            Ok(Some(data)) => Handled::Told(at, data),
            Ok(None) => Handled::Nothing(at),
            Err(error) => Handled::Failed { error, status: None },
        }
    }

    /// The data of an item that could not be asked about: what the list said.
    pub(super) fn told_without(&self, item: &Value) -> Value {
        match self.poll.data(self.trigger, self.args, item, None) {
            Ok(Some(data)) => data,
            _ => item.clone(),
        }
    }
}
