//! Hearing of events. One connection, and only while somebody listens.
//!
//! Events are announced with the transaction that stores them (`db::event::CHANNEL`). What is
//! announced while the connection is lost is read from the table afterwards: everything since a
//! while before the loss that was not heard of. So nothing is lost to a socket that stays open, and
//! nothing is sent twice.
//!
//! A connection may be gone without a word. When nothing was heard for a while, the channel is made
//! to sound, and a listener that does not hear that connects anew.

use std::collections::{HashSet, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use futures_util::StreamExt;
use sqlx::PgPool;
use sqlx::postgres::PgListener;
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep, timeout};

use super::hub::{Burst, Hub};
use super::message::{Message, frame, messages};
use super::payload::payload;
use super::relay::{self, Publications};
use crate::db;
use crate::db::event::{Announced, CHANNEL};
use crate::db::realtime::TriggerEvent;
use crate::domain::id::{EventId, ProjectId};
use crate::domain::time;

/// How far before its loss the connection is trusted no more: longer than it takes from the time
/// that an event bears to its commit, and than clocks of replicas differ.
const OVERLAP: Duration = Duration::from_secs(60);

/// The connection is kept for so long when nobody listens any more.
const LINGER: Duration = Duration::from_secs(60);

/// Silence after which the channel is made to sound, and after which it is given up.
const QUIET: Duration = Duration::from_secs(15);
const DEAF: Duration = Duration::from_secs(25);

/// Longest wait between attempts to connect.
const MAX_WAIT: Duration = Duration::from_secs(2);

/// Events that wait to be read; beyond that, their announcements wait at the database.
const QUEUE: usize = 10_000;

/// Events that are read at once, and their bytes.
const BATCH: usize = 64;
const BATCH_BYTES: i64 = 4 * 1024 * 1024;

/// Events that a listener may have missed; what is beyond that is left to webhooks.
const MOST_MISSED: i64 = 50_000;

type Id = (ProjectId, EventId);

/// Listens whenever a socket does, until the server stops.
pub async fn run(hub: Arc<Hub>, publications: Option<Publications>) {
    let stop = hub.app.stop.clone();
    let (sender, receiver) = mpsc::channel(QUEUE);
    let relay = async {
        let Some(relay) = hub.app.config.realtime_relay.as_ref() else { return };
        let Some((queue, publications)) = hub.relay.as_ref().zip(publications) else { return };
        tokio::join!(relay::lead(&hub, queue), relay::publish(&hub, relay, publications));
    };
    let work = async { tokio::join!(listen(&hub, sender), read(&hub, receiver), relay) };
    tokio::select! {
        _ = work => {}
        () = stop.cancelled() => {}
    }
}

/// Why listening ended.
enum End {
    Unwanted,
    Lost,
}

async fn listen(hub: &Hub, found: mpsc::Sender<Id>) {
    let pool = db::small_pool(&hub.app.db, 1);
    loop {
        hub.is_listened_to(true).await;
        let mut heard = Heard::default();
        let mut wait = Duration::from_millis(50);
        loop {
            let end = hear(hub, &pool, &mut heard, &found).await;
            hub.set_hears(false);
            match end {
                Ok(End::Unwanted) => break,
                Ok(End::Lost) => wait = Duration::from_millis(50),
                Err(error) => {
                    tracing::warn!(%error, "the listener for events is not connected; trying again");
                }
            }
            if hub.is_idle() {
                break;
            }
            sleep(wait).await;
            wait = (wait * 2).min(MAX_WAIT);
        }
    }
}

/// Connects, catches up, and hears until the connection is lost or nobody listens any more.
async fn hear(
    hub: &Hub,
    pool: &PgPool,
    heard: &mut Heard,
    found: &mpsc::Sender<Id>,
) -> sqlx::Result<End> {
    if heard.until.is_none() {
        // What is there by now was there before anybody listened.
        let recent = db::realtime::recent(&hub.app.db, OVERLAP).await?;
        heard.until = Some(time::now());
        for id in recent {
            heard.is_new(id);
        }
    }
    let mut listener = PgListener::connect_with(pool).await?;
    listener.listen(CHANNEL).await?;
    catch_up(hub, heard, found).await?;
    hub.set_hears(true);
    // One stream for all of the time: it may be waited for in parts, a single call may not.
    let notifications = futures_util::stream::unfold(listener, |mut listener| async {
        let next = listener.try_recv().await;
        Some((next, listener))
    });
    let mut notifications = std::pin::pin!(notifications);
    let mut unwanted = std::pin::pin!(unwanted(hub));
    let mut last = Instant::now();
    let mut rang = false;
    loop {
        let next = tokio::select! {
            next = timeout(if rang { DEAF - QUIET } else { QUIET }, notifications.next()) => next,
            () = &mut unwanted => return Ok(End::Unwanted),
        };
        match next {
            Ok(Some(Ok(Some(notification)))) => {
                (last, rang) = (Instant::now(), false);
                heard.until_now();
                let announced = serde_json::from_str::<Announced>(notification.payload());
                if let Ok(Announced { project, id }) = announced {
                    take(hub, heard, found, (project, id)).await;
                }
            }
            // The listener says so when it has lost its connection, also when it has a new one.
            Ok(Some(Ok(None)) | None) => return Ok(End::Lost),
            Ok(Some(Err(error))) => return Err(error),
            Err(_) if rang => {
                tracing::warn!(silent = ?last.elapsed(), "the listener for events hears nothing");
                return Ok(End::Lost);
            }
            Err(_) => {
                db::realtime::ring(&hub.app.db).await?;
                rang = true;
            }
        }
    }
}

/// Waits until nobody has listened for a while.
async fn unwanted(hub: &Hub) {
    loop {
        hub.is_listened_to(false).await;
        if timeout(LINGER, hub.is_listened_to(true)).await.is_err() {
            return;
        }
    }
}

/// Passes on what was stored while nothing was heard.
async fn catch_up(hub: &Hub, heard: &mut Heard, found: &mpsc::Sender<Id>) -> sqlx::Result<()> {
    let Some(until) = heard.until else { return Ok(()) };
    let from = until - TimeDelta::from_std(OVERLAP).unwrap_or_default();
    let projects = hub.projects();
    let ids = db::realtime::since(&hub.app.db, projects.as_deref(), from, MOST_MISSED).await?;
    if ids.len() as i64 == MOST_MISSED {
        tracing::error!("more events were missed than are read again; sockets do not get the rest");
    }
    for id in ids {
        take(hub, heard, found, id).await;
    }
    heard.until_now();
    Ok(())
}

/// Passes an event on when it is new and somebody wants it.
async fn take(hub: &Hub, heard: &mut Heard, found: &mpsc::Sender<Id>, id: Id) {
    if heard.is_new(id.1.clone()) && hub.wants(&id.0) {
        // Fails only when the server stops.
        let _ = found.send(id).await;
    }
}

/// The events that were heard of lately.
#[derive(Default)]
struct Heard {
    ids: HashSet<EventId>,
    /// In the order in which they are forgotten.
    order: VecDeque<(Instant, EventId)>,
    /// Until when everything was heard. None before the first time.
    until: Option<DateTime<Utc>>,
}

impl Heard {
    /// Notes an event; false when it was known.
    fn is_new(&mut self, id: EventId) -> bool {
        let is_new = self.ids.insert(id.clone());
        if is_new {
            self.order.push_back((Instant::now(), id));
        }
        is_new
    }

    /// Everything was heard until now. Forgets what no second look goes back to any more; not
    /// while the connection is lost, because that look goes back to before.
    fn until_now(&mut self) {
        self.until = Some(time::now());
        let now = Instant::now();
        while self.order.front().is_some_and(|(at, _)| now - *at > OVERLAP * 2)
            && let Some((_, old)) = self.order.pop_front()
        {
            self.ids.remove(&old);
        }
    }
}

/// Reads events, many at once when there are many, and hands them to the sockets.
async fn read(hub: &Hub, mut found: mpsc::Receiver<Id>) {
    let mut ids = Vec::with_capacity(BATCH);
    loop {
        if ids.is_empty() && found.recv_many(&mut ids, BATCH).await == 0 {
            return;
        }
        ids.retain(|(project, _)| hub.wants(project));
        match events(hub, &mut ids).await {
            Ok(events) => events.iter().for_each(|event| send(hub, event)),
            Err(error) => {
                tracing::warn!(%error, "cannot read events; trying again");
                sleep(MAX_WAIT).await;
            }
        }
    }
}

/// Takes the events that come first out of the list: not all, when there are many, or long ones.
pub(super) async fn events(hub: &Hub, ids: &mut Vec<Id>) -> sqlx::Result<Vec<TriggerEvent>> {
    let wanted = &ids[..ids.len().min(BATCH)];
    if wanted.is_empty() {
        return Ok(Vec::new());
    }
    let events = db::realtime::events(&hub.app.db, wanted, BATCH_BYTES).await?;
    let cut = events.first().is_some_and(|first| first.found > events.len() as i64);
    let last = events.last().map_or(0, |last| usize::try_from(last.position).unwrap_or_default());
    let done = if cut { last.clamp(1, wanted.len()) } else { wanted.len() };
    ids.drain(..done);
    Ok(events)
}

/// An event as messages of the protocol.
pub(super) fn messages_of(event: &TriggerEvent) -> Vec<Message> {
    messages(event.id.as_str(), payload(event))
}

fn send(hub: &Hub, event: &TriggerEvent) {
    let messages = messages_of(event);
    for channel in hub.channels(&event.project_id) {
        let name = channel.name(&event.project_id);
        let frames = messages.iter().map(|message| frame(&name, message)).collect();
        hub.send(&event.project_id, channel, &Arc::new(Burst::new(frames)));
    }
    if let Some(relay) = &hub.relay {
        relay.publish(&event.project_id, &messages);
    }
}
