//! The sockets of this replica.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use axum::extract::ws::Utf8Bytes;
use tokio::sync::{mpsc, watch};
use tokio_util::sync::CancellationToken;

use super::channel::Channel;
use super::listen;
use super::relay::Queue;
use crate::app::AppState;
use crate::domain::id::ProjectId;

/// Events that wait for one socket.
const QUEUE: usize = 256;

/// Bytes that wait for one socket, besides one event of any length.
const QUEUE_BYTES: usize = 2 * 1024 * 1024;

/// The messages of one event, framed; all sockets share them.
#[derive(Debug)]
pub struct Burst {
    /// In the order in which they are sent.
    pub frames: Vec<Utf8Bytes>,
    bytes: usize,
}

impl Burst {
    /// Of these frames.
    pub fn new(frames: Vec<Utf8Bytes>) -> Self {
        let bytes = frames.iter().map(|frame| frame.as_str().len()).sum();
        Self { frames, bytes }
    }
}

/// Why the hub ends a socket.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ended {
    /// It does not read what is sent to it.
    Slow,
    /// It listens to nothing, and somebody else needs its place.
    Replaced,
}

/// The project has as many sockets as it may, and all of them listen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Full;

/// Knows every socket, and hears of events while there are any that listen.
#[derive(Debug)]
pub struct Hub {
    /// The server.
    pub app: AppState,
    rooms: Mutex<HashMap<ProjectId, Room>>,
    next: AtomicU64,
    /// How many sockets listen.
    listening: watch::Sender<usize>,
    /// Whether new events are heard of.
    hears: watch::Sender<bool>,
    /// The way to the relay, which listens to all projects.
    pub(super) relay: Option<Queue>,
}

/// The sockets of a project.
#[derive(Debug, Default)]
struct Room {
    outlets: HashMap<u64, Outlet>,
}

#[derive(Debug)]
struct Outlet {
    /// The channels that it listens to.
    channels: u8,
    inbox: mpsc::Sender<Arc<Burst>>,
    queued: Arc<AtomicUsize>,
    end: Arc<End>,
}

#[derive(Debug, Default)]
struct End {
    why: OnceLock<Ended>,
    token: CancellationToken,
}

impl End {
    fn now(&self, why: Ended) {
        // Only the first reason counts.
        let _ = self.why.set(why);
        self.token.cancel();
    }
}

impl Hub {
    /// Over a server. Listens for as long as that runs, whenever a socket does.
    pub fn start(app: &AppState) -> Arc<Self> {
        let relay = app.config.realtime_relay.as_ref().map(|_| Queue::new());
        let (relay, publications) = relay.unzip();
        let hub = Arc::new(Self {
            app: app.clone(),
            rooms: Mutex::default(),
            next: AtomicU64::default(),
            listening: watch::Sender::new(usize::from(relay.is_some())),
            hears: watch::Sender::new(false),
            relay,
        });
        app.tasks.spawn(listen::run(hub.clone(), publications));
        hub
    }

    fn rooms(&self) -> MutexGuard<'_, HashMap<ProjectId, Room>> {
        self.rooms.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A place for a socket.
    ///
    /// # Errors
    /// When the project has none left.
    pub fn enter(self: &Arc<Self>, project: ProjectId) -> Result<Seat, Full> {
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        let (sender, inbox) = mpsc::channel(QUEUE);
        let (queued, end) = (Arc::default(), Arc::<End>::default());
        let outlet =
            Outlet { channels: 0, inbox: sender, queued: Arc::clone(&queued), end: end.clone() };
        let mut rooms = self.rooms();
        let room = rooms.entry(project.clone()).or_default();
        if room.outlets.len() >= self.app.config.realtime_max_sockets {
            // Anybody may connect, only those with a key may listen: the former make way.
            let idle = room.outlets.iter().filter(|(_, other)| other.channels == 0);
            let oldest = idle.map(|(number, _)| *number).min();
            let outlet = oldest.and_then(|number| room.outlets.remove(&number)).ok_or(Full)?;
            outlet.end.now(Ended::Replaced);
        }
        room.outlets.insert(number, outlet);
        drop(rooms);
        Ok(Seat { hub: self.clone(), project, number, inbox, queued, end })
    }

    /// Waits until somebody listens, or until nobody does.
    pub(super) async fn is_listened_to(&self, wanted: bool) {
        let mut listening = self.listening.subscribe();
        // The sender is this very hub.
        let _ = listening.wait_for(|count| (*count > 0) == wanted).await;
    }

    /// Says whether new events are heard of.
    pub(super) fn set_hears(&self, hears: bool) {
        self.hears.send_replace(hears);
    }

    /// Waits until new events are heard of.
    pub async fn hears(&self) {
        let _ = self.hears.subscribe().wait_for(|hears| *hears).await;
    }

    /// Whether anybody listens to anything.
    pub(super) fn is_idle(&self) -> bool {
        *self.listening.borrow() == 0
    }

    /// Whether anybody listens to a project.
    pub(super) fn wants(&self, project: &ProjectId) -> bool {
        self.relay.is_some() || self.channels(project).next().is_some()
    }

    /// The projects that somebody listens to; none when that is all of them.
    pub(super) fn projects(&self) -> Option<Vec<ProjectId>> {
        if self.relay.is_some() {
            return None;
        }
        let rooms = self.rooms();
        let listened = rooms.iter().filter(|(_, room)| room.channels() != 0);
        Some(listened.map(|(project, _)| project.clone()).collect())
    }

    /// The channels of a project that somebody listens to.
    pub(super) fn channels(&self, project: &ProjectId) -> impl Iterator<Item = Channel> + use<> {
        let set = self.rooms().get(project).map_or(0, Room::channels);
        Channel::ALL.into_iter().filter(move |channel| set & channel.bit() != 0)
    }

    /// Keeps the number of sockets that listen.
    fn count(&self, before: u8, after: u8) {
        match (before != 0, after != 0) {
            (false, true) => self.listening.send_modify(|count| *count += 1),
            (true, false) => self.listening.send_modify(|count| *count -= 1),
            _ => {}
        }
    }

    /// Hands an event to every socket that listens to the channel. One whose queue is full is
    /// ended: it would hold the memory of all that comes after.
    pub(super) fn send(&self, project: &ProjectId, channel: Channel, burst: &Arc<Burst>) {
        let mut rooms = self.rooms();
        let Some(room) = rooms.get_mut(project) else { return };
        let mut left = 0;
        room.outlets.retain(|_, outlet| {
            if outlet.channels & channel.bit() == 0 {
                return true;
            }
            let queued = outlet.queued.load(Ordering::Relaxed);
            let fits = queued == 0 || queued + burst.bytes <= QUEUE_BYTES;
            outlet.queued.fetch_add(burst.bytes, Ordering::Relaxed);
            if fits && outlet.inbox.try_send(burst.clone()).is_ok() {
                return true;
            }
            outlet.end.now(Ended::Slow);
            left += 1;
            false
        });
        drop(rooms);
        self.listening.send_modify(|count| *count -= left);
    }
}

impl Room {
    fn channels(&self) -> u8 {
        self.outlets.values().fold(0, |set, outlet| set | outlet.channels)
    }
}

/// A socket's place in the hub; given back when dropped.
#[derive(Debug)]
pub struct Seat {
    hub: Arc<Hub>,
    project: ProjectId,
    number: u64,
    inbox: mpsc::Receiver<Arc<Burst>>,
    queued: Arc<AtomicUsize>,
    end: Arc<End>,
}

impl Seat {
    /// Listens to a channel.
    pub fn listen(&self, channel: Channel) {
        self.change(|channels| channels | channel.bit());
    }

    /// Listens to it no more.
    pub fn leave(&self, channel: Channel) {
        self.change(|channels| channels & !channel.bit());
    }

    fn change(&self, change: impl FnOnce(u8) -> u8) {
        let mut rooms = self.hub.rooms();
        let outlet = rooms.get_mut(&self.project).and_then(|r| r.outlets.get_mut(&self.number));
        let Some(outlet) = outlet else { return };
        let (before, after) = (outlet.channels, change(outlet.channels));
        outlet.channels = after;
        drop(rooms);
        self.hub.count(before, after);
    }

    /// The next event. Never when the hub has ended the socket.
    pub async fn next(&mut self) -> Arc<Burst> {
        match self.inbox.recv().await {
            Some(burst) => burst,
            None => std::future::pending().await,
        }
    }

    /// Says that an event was sent.
    pub fn sent(&self, burst: &Burst) {
        self.queued.fetch_sub(burst.bytes, Ordering::Relaxed);
    }

    /// Waits until the hub ends the socket.
    pub fn ended(&self) -> impl Future<Output = Ended> + use<> {
        let end = self.end.clone();
        async move {
            end.token.cancelled().await;
            end.why.get().copied().unwrap_or(Ended::Slow)
        }
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        let mut rooms = self.hub.rooms();
        let Some(room) = rooms.get_mut(&self.project) else { return };
        let channels = room.outlets.remove(&self.number).map_or(0, |outlet| outlet.channels);
        if room.outlets.is_empty() {
            rooms.remove(&self.project);
        }
        drop(rooms);
        self.hub.count(channels, 0);
    }
}
