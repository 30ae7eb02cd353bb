//! One look at a provider: from what an instance remembers to its new events and what it
//! remembers then. Nothing is stored here.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::{Duration, Instant};

use chrono::{DateTime, SecondsFormat};
use serde_json::{Map, Value, json};

use super::each::{Fresh, Handled};
use super::event::{self, Told, storable};
use super::state::{Known, Later, MAX_SEEN, Scan, State, hash};
use super::wait::Cause;
use crate::app::App;
use crate::catalog::Toolkit;
use crate::catalog::model::Cursor;
use crate::catalog::trigger::{Fetched, Poll, Roots, Trigger};
use crate::db;
use crate::db::trigger_poll::DueRow;
use crate::domain::connection::{Account, AuthConfig};
use crate::error::{Error, codes};
use crate::execute;

/// Most new items of one poll; the rest is for the next.
const MAX_ITEMS: usize = 500;

/// The same when each is asked about: what is found is in memory until it is stored.
const MAX_ASKED: usize = 100;

/// A poll begins no more requests after this time.
const PATIENCE: Duration = Duration::from_secs(30);

/// How far the first look goes back: the clocks of the provider and the database may differ.
pub const LOOK_BACK_MS: i64 = 3_600_000;

/// Items of the baseline that are asked about to know when they were made.
const DATED: usize = 100;

/// What failed, and why.
#[derive(Debug, Clone)]
pub struct Trouble {
    /// Why, as far as it matters for the next attempt.
    pub cause: Cause,
    /// In words.
    pub error: String,
}

impl Trouble {
    /// Of an error before anything was sent.
    pub fn of(error: &Error) -> Self {
        let cause = match error.code {
            codes::REFRESH_FAILED => Cause::Account,
            codes::REFRESH_UNAVAILABLE => Cause::Limited(error.retry_after),
            _ => Cause::Outage,
        };
        let lines = error.errors.join("; ");
        Self { cause, error: format!("{} {lines}", error.message).trim_end().to_owned() }
    }
}

/// Who asks, and about what.
pub struct Asker<'a> {
    pub app: &'a App,
    pub due: &'a DueRow,
    pub toolkit: &'a Arc<Toolkit>,
    pub trigger: &'a Trigger,
    pub poll: &'a Poll,
    pub args: &'a Map<String, Value>,
    pub account: Arc<Account>,
    pub config: Arc<AuthConfig>,
    pub began: Instant,
    /// What the requests see.
    pub cursor: Value,
}

/// What a look came to.
#[derive(Debug)]
pub struct Looked {
    /// What is remembered.
    pub state: State,
    /// What is told, oldest first.
    pub told: Vec<Told>,
    /// There is more to do at once.
    pub goes_on: bool,
    /// What went wrong; what was found all the same counts.
    pub trouble: Option<Trouble>,
}

/// Why a page is not there.
struct NoPage {
    trouble: Trouble,
    status: Option<u16>,
}

/// The pages of one look.
#[derive(Default)]
struct Pages {
    /// Token of each page that was read, and how many items it has.
    read: Vec<(Option<Value>, usize)>,
    fresh: Vec<Fresh>,
    /// Token of the page to go on with.
    page: Option<Value>,
    complete: bool,
    /// The token for the next scan.
    next: Option<Value>,
    trouble: Option<Trouble>,
}

impl Asker<'_> {
    /// The database's clock, in milliseconds.
    fn now(&self) -> i64 {
        let passed = i64::try_from(self.began.elapsed().as_millis()).unwrap_or(i64::MAX);
        self.due.now.timestamp_millis().saturating_add(passed)
    }

    /// Most new items of one poll.
    fn most(&self) -> usize {
        if self.poll.each.is_some() { MAX_ASKED } else { MAX_ITEMS }
    }

    /// Whether no more requests are to be begun.
    pub(super) fn is_over(&self) -> bool {
        self.app.stop.is_cancelled() || self.began.elapsed() > PATIENCE
    }

    fn overlap_ms(&self) -> i64 {
        let seconds = match self.poll.def.cursor {
            Cursor::Timestamp { overlap_s } => overlap_s,
            _ => 0,
        };
        i64::try_from(seconds).unwrap_or(i64::MAX).saturating_mul(1000)
    }

    /// Looks.
    pub async fn look(mut self, mut state: State) -> Looked {
        let mut known = Known::of(&state.seen);
        let mut told = Vec::new();
        self.cursor = self.cursor_of(&state, None);
        let mut trouble = self.again(&mut state, &mut known, &mut told).await;
        let mut goes_on = false;
        if trouble.is_none() {
            let mut pages = self.pages(&mut state, &mut known).await;
            goes_on = if state.ready {
                self.news(&mut state, &mut known, &mut pages, &mut told).await
            } else {
                self.baseline(&mut state, &mut known, &mut pages).await
            };
            trouble = pages.trouble;
        }
        state.seen = self.remembered(&state, &known);
        // Stable: what has no time of its own stays in the order of the provider.
        told.sort_by_key(|told: &Told| told.at.unwrap_or(i64::MAX));
        Looked { state, told, goes_on: goes_on && trouble.is_none(), trouble }
    }

    /// What is stored of the ids.
    fn remembered(&self, state: &State, known: &Known) -> super::state::Seen {
        match self.poll.def.cursor {
            // After a whole look, what it did not list lies behind the window.
            Cursor::Timestamp { .. } if state.scan.is_none() && state.ready => {
                known.stored(MAX_SEEN, Some(self.due.now.timestamp_millis()))
            }
            Cursor::Ids { keep } => known.stored(keep.saturating_mul(2), None),
            _ => known.stored(MAX_SEEN, None),
        }
    }

    fn cursor_of(&self, state: &State, page: Option<&Value>) -> Value {
        let since = state.since(self.overlap_ms());
        let iso = DateTime::from_timestamp_millis(since)
            .map(|at| at.to_rfc3339_opts(SecondsFormat::Secs, true));
        let forgotten =
            matches!(self.poll.def.cursor, Cursor::Token { .. }) && state.token.is_none();
        json!({
            "token": state.token,
            "since": since.div_euclid(1000),
            "since_ms": since,
            "since_iso": iso,
            "first": !state.ready || forgotten,
            "page": page,
        })
    }

    async fn page(&self, state: &State, page: Option<&Value>) -> Result<Fetched, NoPage> {
        let given = Map::from_iter([("cursor".to_owned(), self.cursor_of(state, page))]);
        let access = (self.account.clone(), self.config.clone());
        let (toolkit, tool) = (self.toolkit, &self.poll.fetch);
        let call = execute::call(self.app, toolkit, tool, access, self.args, given);
        let answered = Box::pin(call)
            .await
            .map_err(|error| NoPage { trouble: Trouble::of(&error), status: None })?;
        let status = answered.status;
        let no_page = |cause, error| NoPage { trouble: Trouble { cause, error }, status };
        let result = answered.outcome.map_err(|error| {
            let cause = match (status, answered.retry_after) {
                (Some(429), wish) | (_, wish @ Some(_)) => Cause::Limited(wish),
                (Some(401 | 403), None) => Cause::Refused,
                _ => Cause::Outage,
            };
            no_page(cause, error)
        })?;
        let mut result = Value::Object(result);
        storable(&mut result);
        let Value::Object(result) = result else { return Ok(Fetched::default()) };
        Fetched::of(result).map_err(|error| no_page(Cause::Outage, error))
    }

    /// Reads pages until there are enough new items, or no more pages.
    async fn pages(&self, state: &mut State, known: &mut Known) -> Pages {
        let begin = Scan { began: self.now(), ..Scan::default() };
        let carried = state.scan.as_ref().is_some_and(|scan| scan.page.is_some());
        let scan = state.scan.get_or_insert(begin.clone());
        let mut pages = Pages { page: scan.page.clone(), ..Pages::default() };
        let mut waiting: HashSet<String> = state
            .later
            .iter()
            .filter_map(|later| self.id(&later.item))
            .map(|id| hash(&id))
            .collect();
        let mut begun_anew = false;
        loop {
            let fetched = match self.page(state, pages.page.as_ref()).await {
                Ok(fetched) => fetched,
                Err(no) => {
                    let status = no.status.unwrap_or_default();
                    let gone = matches!(&self.poll.def.cursor, Cursor::Token { gone, .. }
                        if gone.contains(&status) && state.token.is_some());
                    let page_gone =
                        carried && pages.read.is_empty() && matches!(status, 400 | 404 | 410 | 422);
                    if begun_anew || !(gone || page_gone) {
                        pages.trouble = Some(no.trouble);
                        return pages;
                    }
                    // From the first page, and where the token is gone, without it: the ids say
                    // what was missed.
                    begun_anew = true;
                    let anew = gone || state.scan.as_ref().is_some_and(|scan| scan.anew);
                    state.scan = Some(Scan { anew, ..begin.clone() });
                    if gone {
                        tracing::info!(trigger = %self.due.trigger_id, "the provider forgot where the poll was");
                        state.token = None;
                    }
                    pages = Pages::default();
                    continue;
                }
            };
            let number = pages.read.len();
            pages.read.push((pages.page.clone(), fetched.items.len()));
            let fresh = self.sift(state, known, &mut waiting, fetched.items, number);
            pages.fresh.extend(fresh);
            pages.next = fetched.next;
            match fetched.more {
                Some(more)
                    if Some(&more) != pages.page.as_ref() && !self.has_enough(state, &pages) =>
                {
                    pages.page = Some(more);
                }
                _ => {
                    pages.complete = true;
                    return pages;
                }
            }
            let full = pages.read.len() >= self.poll.def.max_pages.max(1) as usize
                || pages.fresh.len() >= if state.ready { self.most() } else { MAX_ITEMS };
            if full || self.is_over() {
                return pages;
            }
        }
    }

    /// Of a list that is told apart by its ids alone, only so many are looked at: more than that
    /// are not remembered.
    fn has_enough(&self, state: &State, pages: &Pages) -> bool {
        let Cursor::Ids { keep } = self.poll.def.cursor else { return false };
        let before = state.scan.as_ref().map_or(0, |scan| scan.listed);
        let listed = before + pages.read.iter().map(|(_, items)| items).sum::<usize>();
        // The baseline looks further: what stands behind the end now may move up.
        listed >= if state.ready { keep } else { keep.saturating_mul(2) }
    }

    /// The id of an item; of one without, what it is.
    fn id(&self, item: &Value) -> Option<String> {
        match self.poll.id(self.trigger, self.args, item) {
            Ok(Some(id)) => Some(id),
            _ => Some(item.to_string()),
        }
    }

    /// The items that are new.
    fn sift(
        &self,
        state: &State,
        known: &mut Known,
        waiting: &mut HashSet<String>,
        items: Vec<Value>,
        page: usize,
    ) -> Vec<Fresh> {
        let (now, anew) = (self.now(), state.scan.as_ref().is_some_and(|scan| scan.anew));
        let behind = match &self.poll.def.cursor {
            Cursor::Timestamp { .. } if state.ready => {
                state.mark.map(|mark| mark.saturating_sub(self.overlap_ms()))
            }
            _ if anew => state.mark.map(|mark| mark.saturating_sub(LOOK_BACK_MS)),
            _ => None,
        };
        let mut fresh = Vec::new();
        for item in items {
            let Some(id) = self.id(&item) else { continue };
            let hash = hash(&id);
            if known.listed(&hash, now) || waiting.contains(&hash) {
                continue;
            }
            let at = self.at(&item, Roots::new());
            let old = match (at, behind) {
                (Some(at), Some(behind)) => at < behind,
                // Nothing but the ids says what is new, and not all of them are remembered.
                (None, _) => anew && known.is_cut(),
                _ => false,
            };
            if old {
                known.add_old(hash, now);
                continue;
            }
            waiting.insert(hash.clone());
            fresh.push(Fresh { item, id, hash, at, page });
        }
        fresh
    }

    /// Takes note of what is there. Nothing is told, but what was made after the instance is for
    /// the next poll.
    async fn baseline(&self, state: &mut State, known: &mut Known, pages: &mut Pages) -> bool {
        let born = self.due.updated_at.timestamp_millis();
        if self.poll.each.is_some() && self.poll.def.at.is_some() {
            let dated = pages.fresh.len().min(DATED);
            if pages.fresh[..dated].iter().all(|fresh| fresh.at.is_none()) {
                self.dates(&mut pages.fresh[..dated]).await;
            }
        }
        let mut top = state.scan.as_ref().and_then(|scan| scan.top);
        let (mut news, now) = (false, self.now());
        for fresh in &pages.fresh {
            if fresh.at.is_some_and(|at| at > born) && state.has_room(&fresh.item) {
                state.later.push(Later {
                    item: fresh.item.clone(),
                    since: now,
                    tries: 0,
                    next: now,
                });
                news = true;
                continue;
            }
            known.add_old(fresh.hash.clone(), now);
            top = top.max(fresh.at);
        }
        if let Some(scan) = &mut state.scan {
            scan.top = top;
        }
        let goes_on = self.advance(state, pages, None);
        goes_on || news
    }

    /// Handles the new items, oldest first.
    async fn news(
        &self,
        state: &mut State,
        known: &mut Known,
        pages: &mut Pages,
        told: &mut Vec<Told>,
    ) -> bool {
        let mut fresh = std::mem::take(&mut pages.fresh);
        fresh.sort_by_key(|fresh| fresh.at.unwrap_or(i64::MAX));
        let rest = fresh.split_off(fresh.len().min(self.most()));
        let mut first_left = rest.iter().map(|fresh| fresh.page).min();
        let mut top = state.scan.as_ref().and_then(|scan| scan.top);
        let had = match self.told_before(&fresh).await {
            Ok(had) => had,
            Err(error) => {
                pages.trouble = Some(Trouble::of(&error));
                return self.advance(state, pages, Some(0));
            }
        };
        let now = self.now();
        fresh.retain(|fresh| {
            let had = had.contains(&event::key(&fresh.id));
            if had {
                known.add_new(fresh.hash.clone(), now);
                top = top.max(fresh.at);
            }
            !had
        });
        let (handled, trouble) = self.handle(&fresh).await;
        if let Some(trouble) = trouble {
            pages.trouble.get_or_insert(trouble);
        }
        let now = self.now();
        for (fresh, handled) in fresh.into_iter().zip(handled) {
            match handled {
                Handled::Told(at, data) => {
                    known.add_new(fresh.hash, now);
                    top = top.max(at);
                    told.push(Told { at, id: fresh.id, item: fresh.item, data });
                }
                Handled::Nothing(at) => {
                    known.add_new(fresh.hash, now);
                    top = top.max(at);
                }
                Handled::Failed { error, .. } if !state.has_room(&fresh.item) => {
                    let trouble = Trouble { cause: Cause::Outage, error };
                    pages.trouble.get_or_insert(trouble);
                    first_left = Some(first_left.map_or(fresh.page, |page| page.min(fresh.page)));
                }
                Handled::Failed { .. } => {
                    state.later.push(Later { item: fresh.item, since: now, tries: 1, next: now });
                }
                Handled::Left => {
                    first_left = Some(first_left.map_or(fresh.page, |page| page.min(fresh.page)));
                }
            }
        }
        if let Some(scan) = &mut state.scan {
            scan.top = top;
        }
        self.advance(state, pages, first_left)
    }

    /// Moves on to where the next poll begins: the first page that is not done with, or a new
    /// look. Whether there is more to do.
    fn advance(&self, state: &mut State, pages: &mut Pages, first_left: Option<usize>) -> bool {
        let Some(mut scan) = state.scan.take() else { return false };
        let done = first_left.unwrap_or(pages.read.len()).min(pages.read.len());
        scan.listed += pages.read[..done].iter().map(|(_, items)| items).sum::<usize>();
        if let Some((page, _)) = first_left.and_then(|left| pages.read.get(left)) {
            scan.page = page.clone();
        } else if !pages.complete {
            scan.page = pages.page.take();
        } else {
            // Not into the future: nothing would be new for a long time.
            let own = matches!(self.poll.def.cursor, Cursor::Timestamp { .. })
                && self.poll.def.at.is_none();
            let top = scan.top.map(|top| top.min(self.now())).or(own.then_some(scan.began));
            state.mark = state.mark.max(top);
            if let Some(next) = pages.next.take() {
                state.token = Some(next);
            }
            state.ready = true;
            return false;
        }
        state.scan = Some(scan);
        true
    }

    /// Those of the items that have an event.
    async fn told_before(&self, fresh: &[Fresh]) -> Result<HashSet<String>, Error> {
        if fresh.is_empty() {
            return Ok(HashSet::new());
        }
        let keys: Vec<String> = fresh.iter().map(|fresh| event::key(&fresh.id)).collect();
        let (db, subject) = (&self.app.db, self.due.trigger_id.as_str());
        let had = db::event::known_keys(db, &self.due.project_id, subject, &keys).await?;
        Ok(had.into_iter().collect())
    }

    /// Tries items again that could not be asked about.
    async fn again(
        &self,
        state: &mut State,
        known: &mut Known,
        told: &mut Vec<Told>,
    ) -> Option<Trouble> {
        let now = self.now();
        let (due, left): (Vec<_>, Vec<_>) =
            std::mem::take(&mut state.later).into_iter().partition(|later| later.next <= now);
        state.later = left;
        if due.is_empty() {
            return None;
        }
        let fresh: Vec<Fresh> = due
            .iter()
            .filter_map(|later| {
                let id = self.id(&later.item)?;
                let (hash, at) = (hash(&id), self.at(&later.item, Roots::new()));
                Some(Fresh { item: later.item.clone(), id, hash, at, page: 0 })
            })
            .collect();
        let (handled, trouble) = self.handle(&fresh).await;
        let now = self.now();
        for ((mut later, fresh), handled) in due.into_iter().zip(fresh).zip(handled) {
            let data = match handled {
                Handled::Left => {
                    state.later.push(later);
                    continue;
                }
                Handled::Nothing(_) => None,
                Handled::Told(at, data) => Some((at, data)),
                Handled::Failed { error, status } => {
                    later.tries += 1;
                    if !is_hopeless(&later, status, now) {
                        let pause = 60_000_i64 << later.tries.min(6).saturating_sub(2);
                        later.next = now.saturating_add(pause.min(1_800_000));
                        state.later.push(later);
                        continue;
                    }
                    tracing::warn!(
                        trigger = %self.due.trigger_id,
                        project = %self.due.project_id,
                        %error,
                        "an item is told without what could not be asked about it"
                    );
                    Some((fresh.at, self.told_without(&fresh.item)))
                }
            };
            known.add_new(fresh.hash, now);
            if let Some((at, data)) = data {
                told.push(Told { at, id: fresh.id, item: fresh.item, data });
            }
        }
        trouble
    }
}

/// Whether an item is told as it is, because asking about it does not help: it is gone, or for a
/// long time there was no answer.
fn is_hopeless(later: &Later, status: Option<u16>, now: i64) -> bool {
    const LONG: i64 = 6 * 3_600_000;
    match status {
        Some(404 | 410) => later.tries >= 3,
        _ => later.tries >= 5 && now.saturating_sub(later.since) >= LONG,
    }
}
