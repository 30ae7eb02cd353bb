//! Brings events to their receivers.
//!
//! Each subscription has a lane: a queue of letters that this server has claimed, and a
//! [`Pace`]. What the outbox stored comes straight here; the rest (what failed before, what another
//! server left, what there was no room for) is claimed by [`Sender::round`]. Nobody holds a
//! connection of the database while a receiver thinks.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::{Notify, mpsc};
use tokio::task::JoinHandle;

use super::notes::{self, Told};
use super::pace::Pace;
use super::send::{Sent, send};
use crate::app::AppState;
use crate::db::webhook_delivery::{self, Letter, Note, Verdict};
use crate::domain::id::{ProjectId, SubscriptionId, random_text};
use crate::error::Result;
use crate::outbox::{Courier, Offer};

/// Requests under way on one server, to all receivers.
const MOST: usize = 1024;
/// Letters in all queues of one server.
const QUEUED: usize = 8192;
/// How much longer a claim lasts than an attempt, so that what is queued gets its turn.
const CLAIM_MARGIN: Duration = Duration::from_secs(45);
/// Subscriptions that one round looks at.
const PAGE: i64 = 500;
/// Letters that one round claims.
const ROUND: i64 = 2000;
/// Notes that may wait to be written; then receivers wait.
const NOTES: usize = 4096;
/// How long a lane is remembered that has nothing to do.
const IDLE: Duration = Duration::from_secs(60);

/// See the module.
#[derive(Clone)]
pub struct Sender(Arc<Inner>);

struct Inner {
    app: AppState,
    lanes: Mutex<Lanes>,
    /// None: the server stops.
    notes: Mutex<Option<mpsc::Sender<Told>>>,
    /// Ends when all notes are written.
    writer: Mutex<Option<JoinHandle<()>>>,
    /// Where the next round goes on.
    after: Mutex<(String, String)>,
    wake: Notify,
    idle: Notify,
}

#[derive(Default)]
struct Lanes {
    by_id: HashMap<SubscriptionId, Lane>,
    running: usize,
    queued: usize,
    /// A lane had to wait for the others.
    is_crowded: bool,
    is_stopping: bool,
}

struct Lane {
    queue: VecDeque<Queued>,
    pace: Pace,
    /// There is, or may be, more than fitted.
    has_more: bool,
    used: Instant,
}

/// What is to be done when a place is free again.
struct Ended {
    /// Letters for others.
    back: Vec<Queued>,
    /// Lanes that waited for any place.
    others: Vec<SubscriptionId>,
    is_idle: bool,
}

/// A letter, and until when it is this server's.
struct Queued {
    letter: Letter,
    claim: Arc<str>,
    until: Instant,
}

impl std::fmt::Debug for Sender {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Sender")
    }
}

impl Courier for Sender {
    fn offer(&self) -> Option<Offer> {
        let now = Instant::now();
        let mut lanes = self.lanes();
        if lanes.is_stopping || lanes.queued >= QUEUED {
            return None;
        }
        let mut full = Vec::new();
        for (id, lane) in &mut lanes.by_id {
            if lane.pace.room(now, lane.queue.len()) == 0 {
                lane.has_more = true;
                full.push(id.clone());
            }
        }
        Some(Offer { claim: new_claim(), time: self.claim_time(), full })
    }

    fn take(&self, letters: Vec<Letter>, claim: Arc<str>, until: Instant) {
        let mut lanes = self.lanes();
        if lanes.is_stopping {
            drop(lanes);
            let queued =
                letters.into_iter().map(|letter| Queued { letter, claim: claim.clone(), until });
            let (sender, queued) = (self.clone(), queued.collect::<Vec<_>>());
            self.0.app.tasks.spawn(async move { sender.give_back(queued).await });
            return;
        }
        let mut touched = Vec::new();
        for letter in letters {
            let id = letter.subscription_id.clone();
            lanes.queued += 1;
            let lane = lanes.by_id.entry(id.clone()).or_insert_with(Lane::new);
            lane.queue.push_back(Queued { letter, claim: claim.clone(), until });
            if touched.last() != Some(&id) {
                touched.push(id);
            }
        }
        drop(lanes);
        for id in touched {
            self.pump(&id);
        }
    }
}

impl Lane {
    fn new() -> Self {
        let now = Instant::now();
        Self { queue: VecDeque::new(), pace: Pace::default(), has_more: false, used: now }
    }
}

fn new_claim() -> Arc<str> {
    random_text(16).into()
}

impl Sender {
    /// Makes one, with the task that writes its notes.
    pub fn start(app: &AppState) -> Self {
        let (sender, told) = mpsc::channel(NOTES);
        let writer = app.tasks.spawn(notes::run(app.clone(), told));
        Self(Arc::new(Inner {
            app: app.clone(),
            lanes: Mutex::default(),
            notes: Mutex::new(Some(sender)),
            writer: Mutex::new(Some(writer)),
            after: Mutex::default(),
            wake: Notify::new(),
            idle: Notify::new(),
        }))
    }

    fn lanes(&self) -> MutexGuard<'_, Lanes> {
        self.0.lanes.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn claim_time(&self) -> Duration {
        self.0.app.config.webhook_timeout + CLAIM_MARGIN
    }

    fn notes(&self) -> Option<mpsc::Sender<Told>> {
        self.0.notes.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Waits until there may be something to claim that there was no room for.
    pub async fn wants_more(&self) {
        self.0.wake.notified().await;
    }

    /// Claims what is due, of each subscription what there is room for, and begins to send it;
    /// returns how many, and whether there are subscriptions that were not looked at.
    ///
    /// # Errors
    /// When the database is away.
    pub async fn round(&self) -> Result<(usize, bool)> {
        let db = &self.0.app.db;
        let after = self.0.after.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let waiting = webhook_delivery::waiting(db, (&after.0, &after.1), PAGE).await?;
        let is_full = i64::try_from(waiting.len()).is_ok_and(|found| found >= PAGE);
        let next = waiting.last().filter(|_| is_full);
        *self.0.after.lock().unwrap_or_else(PoisonError::into_inner) = next
            .map(|last| (last.project_id.to_string(), last.subscription_id.to_string()))
            .unwrap_or_default();
        let due = waiting.into_iter().filter(|waiting| waiting.is_due);
        let wants = self.rooms(due.map(|w| (w.project_id, w.subscription_id)));
        if wants.is_empty() {
            return Ok((0, is_full));
        }
        let (claim, begun) = (new_claim(), Instant::now());
        let letters =
            webhook_delivery::claim_due(db, (&claim, self.claim_time()), &wants, ROUND).await?;
        let claimed = letters.len();
        self.take(letters, claim, begun + self.claim_time());
        Ok((claimed, is_full))
    }

    /// How much of each subscription there is room for.
    fn rooms(
        &self,
        due: impl Iterator<Item = (ProjectId, SubscriptionId)>,
    ) -> Vec<(ProjectId, SubscriptionId, i32)> {
        let now = Instant::now();
        let mut lanes = self.lanes();
        if lanes.is_stopping || lanes.queued >= QUEUED {
            return Vec::new();
        }
        lanes.forget_idle(now);
        let mut wants = Vec::new();
        for (project, id) in due {
            let room = match lanes.by_id.get_mut(&id) {
                None => Pace::default().room(now, 0),
                Some(lane) => {
                    lane.has_more = true;
                    lane.pace.room(now, lane.queue.len())
                }
            };
            if let (Ok(room), true) = (i32::try_from(room), room > 0) {
                wants.push((project, id, room));
            }
        }
        wants
    }

    /// Begins what may begin of one subscription.
    fn pump(&self, id: &SubscriptionId) {
        let now = Instant::now();
        let mut guard = self.lanes();
        let lanes = &mut *guard;
        let Some(lane) = lanes.by_id.get_mut(id) else { return };
        lane.used = now;
        while lane.pace.may_begin(now) {
            if lanes.running >= MOST {
                lanes.is_crowded = true;
                return;
            }
            let Some(queued) = lane.queue.pop_front() else { break };
            lanes.queued -= 1;
            // Later, somebody else may be sending it.
            if queued.until < now + self.0.app.config.webhook_timeout {
                continue;
            }
            lane.pace.begin();
            lanes.running += 1;
            let sender = self.clone();
            self.0.app.tasks.spawn(async move { sender.deliver(queued).await });
        }
        if lane.has_more && lane.pace.room(now, lane.queue.len() * 2) > 0 {
            lane.has_more = false;
            self.0.wake.notify_one();
        }
    }

    async fn deliver(&self, queued: Queued) {
        let Queued { letter, claim, .. } = queued;
        let sent = send(&self.0.app, &letter).await;
        let (took, verdict) = (sent.took, sent.verdict);
        let was_made = sent.attempt.is_some();
        let id = letter.subscription_id.clone();
        self.note(letter, claim, sent).await;
        let success = was_made.then_some(verdict == Verdict::Delivered);
        let Ended { back, others, is_idle } = self.ended(&id, success, took);
        self.give_back(back).await;
        self.pump(&id);
        for id in others {
            self.pump(&id);
        }
        if is_idle {
            self.0.idle.notify_waiters();
        }
    }

    /// A place is free again. `success` is none when nothing was sent.
    fn ended(&self, id: &SubscriptionId, success: Option<bool>, took: Duration) -> Ended {
        let mut guard = self.lanes();
        let lanes = &mut *guard;
        lanes.running -= 1;
        let mut back = Vec::new();
        if let Some(lane) = lanes.by_id.get_mut(id) {
            match success {
                Some(success) => {
                    let limit = self.0.app.config.webhook_concurrency;
                    lane.pace.end(success, took, Instant::now(), limit);
                }
                None => lane.pace.leave(),
            }
            if lane.pace.is_tripped() {
                // They keep their attempts, and another server may know better.
                back.extend(lane.queue.drain(..));
                lanes.queued -= back.len();
            }
        }
        let mut others = Vec::new();
        if std::mem::take(&mut lanes.is_crowded) {
            let waiting = lanes.by_id.iter().filter(|(_, lane)| !lane.queue.is_empty());
            others.extend(waiting.map(|(id, _)| id.clone()));
        }
        Ended { back, others, is_idle: lanes.running == 0 && lanes.queued == 0 }
    }

    async fn note(&self, letter: Letter, claim: Arc<str>, sent: Sent) {
        let note = Note {
            project_id: letter.project_id,
            subscription_id: letter.subscription_id,
            event_id: letter.event_id,
            claim,
            verdict: sent.verdict,
            attempt: sent.attempt,
        };
        let told = Told { note, is_gone: sent.is_gone, is_repeated: letter.attempts > 0 };
        if let Some(notes) = self.notes() {
            // Its task ends after this one.
            let _ = notes.send(told).await;
        }
    }

    /// Leaves letters to others, at once.
    async fn give_back(&self, queued: Vec<Queued>) {
        if queued.is_empty() {
            return;
        }
        let notes = queued.into_iter().map(|Queued { letter, claim, .. }| Note {
            project_id: letter.project_id,
            subscription_id: letter.subscription_id,
            event_id: letter.event_id,
            claim,
            verdict: Verdict::Again(Duration::ZERO),
            attempt: None,
        });
        let notes: Vec<Note> = notes.collect();
        if let Err(error) = webhook_delivery::note(&self.0.app.db, &notes).await {
            tracing::warn!(%error, "claimed deliveries wait until their claim ends");
        }
    }

    /// Waits until nothing is queued here and under way.
    pub async fn idle(&self) {
        loop {
            let notified = self.0.idle.notified();
            tokio::pin!(notified);
            notified.as_mut().enable();
            {
                let lanes = self.lanes();
                if lanes.running == 0 && lanes.queued == 0 {
                    return;
                }
            }
            let _ = tokio::time::timeout(Duration::from_millis(200), notified).await;
        }
    }

    /// Takes nothing more, leaves what is queued to others, and waits until what is under way has
    /// ended and is noted.
    pub async fn stop(&self) {
        let queued: Vec<Queued> = {
            let mut lanes = self.lanes();
            lanes.is_stopping = true;
            lanes.queued = 0;
            lanes.by_id.values_mut().flat_map(|lane| lane.queue.drain(..)).collect()
        };
        self.give_back(queued).await;
        self.idle().await;
        drop(self.0.notes.lock().unwrap_or_else(PoisonError::into_inner).take());
        let writer = self.0.writer.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(writer) = writer {
            // It panics with nobody else.
            let _ = writer.await;
        }
    }
}

impl Lanes {
    fn forget_idle(&mut self, now: Instant) {
        self.by_id.retain(|_, lane| {
            !lane.queue.is_empty()
                || lane.pace.running() > 0
                || lane.pace.is_paused(now)
                || now.duration_since(lane.used) < IDLE
        });
    }
}
