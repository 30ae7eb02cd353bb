//! One socket, from its opening to its end.

use std::sync::Arc;
use std::time::Duration;

use axum::extract::ws::{CloseFrame, Message, Utf8Bytes, WebSocket};
use tokio::time::{Instant, sleep_until, timeout};

use super::rate::Rate;
use super::wire::{self, Problem, Said};
use crate::domain::id::ProjectId;
use crate::realtime::{Burst, Channel, Ended, Hub, Seat, verify};

/// Longest time for a ping's answer, for a subscription, and for a message to be taken.
const PONG: Duration = Duration::from_secs(30);
const FIRST: Duration = Duration::from_secs(60);
const SEND: Duration = Duration::from_secs(20);

/// Longest time that a closed socket may take to say that it knows.
const GOODBYE: Duration = Duration::from_secs(2);

/// Longest time for new events to be heard of before a subscription is given up.
const HEARS: Duration = Duration::from_secs(15);

/// The oldest version whose messages look like those of the newest.
const VERSIONS: std::ops::RangeInclusive<u32> = 5..=7;

/// The first version whose clients wait a moment when a server that they may come back to at once
/// is not there.
const PATIENT: u32 = 7;

/// Serves a socket until it ends.
pub async fn run(
    mut socket: WebSocket,
    hub: Arc<Hub>,
    project: ProjectId,
    protocol: Option<String>,
) {
    let version = match admit(&hub, &project, protocol.as_deref()).await {
        Ok(version) => version,
        Err(problem) => return close(&mut socket, problem).await,
    };
    let Ok(seat) = hub.enter(project.clone()) else {
        return close(&mut socket, wire::FULL).await;
    };
    let now = Instant::now();
    let session = Session {
        socket_id: format!("{}.{}", rand::random::<u32>(), rand::random::<u64>() >> 11),
        may_be_silent: hub.app.config.realtime_activity_timeout,
        hub,
        project,
        version,
        socket,
        seat,
        opened: now,
        heard: now,
        asked: false,
        has_listened: false,
        rate: Rate::new(now),
    };
    session.run().await;
}

/// The version that the client speaks, if it may come in.
async fn admit(hub: &Hub, project: &ProjectId, protocol: Option<&str>) -> Result<u32, Problem> {
    let version = protocol.ok_or(wire::NO_VERSION)?;
    let version: u32 = version.parse().map_err(|_| wire::BAD_VERSION)?;
    if !VERSIONS.contains(&version) {
        return Err(wire::UNSUPPORTED);
    }
    match hub.app.cache.project(project).await {
        Ok(Some(_)) => Ok(version),
        Ok(None) => Err(wire::UNKNOWN_KEY),
        Err(_) => Err(wire::UNAVAILABLE),
    }
}

/// Tells a client why, and closes.
async fn close(socket: &mut WebSocket, problem: Problem) {
    let frame = problem.code.map(|code| CloseFrame { code, reason: problem.message.into() });
    let goodbye = async {
        // Some clients look at the message alone, some at the code alone.
        socket.send(Message::Text(wire::error(problem))).await?;
        socket.send(Message::Close(frame)).await?;
        // What was not read would reset the connection, and the client might not see the code.
        while let Some(Ok(_)) = socket.recv().await {}
        Ok::<(), axum::Error>(())
    };
    let _ = timeout(GOODBYE, goodbye).await;
}

struct Session {
    socket: WebSocket,
    hub: Arc<Hub>,
    project: ProjectId,
    /// Of the protocol.
    version: u32,
    socket_id: String,
    may_be_silent: Duration,
    seat: Seat,
    opened: Instant,
    /// When the client last said something.
    heard: Instant,
    /// It was asked whether it is there, and has not answered.
    asked: bool,
    /// It has shown once that it may listen.
    has_listened: bool,
    rate: Rate,
}

/// How a session ends.
enum Over {
    /// The socket is gone, or not worth a word.
    Gone,
    /// With a word.
    Because(Problem),
}

enum Step {
    Came(Option<Result<Message, axum::Error>>),
    Event(Arc<Burst>),
    Ended(Ended),
    Stop,
    Time,
}

impl Session {
    async fn run(mut self) {
        let over = match self.serve().await {
            Ok(never) => match never {},
            Err(over) => over,
        };
        let Self { mut socket, seat, .. } = self;
        // The place is free before the client has said goodbye.
        drop(seat);
        if let Over::Because(problem) = over {
            tracing::debug!(code = problem.code, message = problem.message, "socket closed");
            close(&mut socket, problem).await;
        }
    }

    async fn serve(&mut self) -> Result<std::convert::Infallible, Over> {
        self.send(wire::established(&self.socket_id, self.may_be_silent)).await?;
        let draining = self.hub.app.draining.clone();
        loop {
            let ended = self.seat.ended();
            let deadline = self.deadline();
            let step = tokio::select! {
                came = self.socket.recv() => Step::Came(came),
                burst = self.seat.next() => Step::Event(burst),
                why = ended => Step::Ended(why),
                () = draining.cancelled() => Step::Stop,
                () = sleep_until(deadline) => Step::Time,
            };
            match step {
                Step::Came(Some(Ok(message))) => self.came(message).await?,
                Step::Came(_) => return Err(Over::Gone),
                Step::Event(burst) => {
                    for frame in &burst.frames {
                        self.send(frame.clone()).await?;
                    }
                    self.seat.sent(&burst);
                }
                Step::Ended(why) => return Err(because(why)),
                Step::Stop => return Err(Over::Because(self.restart())),
                Step::Time => self.time().await?,
            }
        }
    }

    /// When something has to be done although nothing happens.
    fn deadline(&self) -> Instant {
        let silent = self.may_be_silent;
        let silence = self.heard + if self.asked { silent + PONG.min(silent) } else { silent };
        if self.has_listened { silence } else { silence.min(self.opened + FIRST.min(silent)) }
    }

    async fn time(&mut self) -> Result<(), Over> {
        if !self.has_listened && self.opened.elapsed() >= FIRST.min(self.may_be_silent) {
            return Err(Over::Because(wire::NEVER_LISTENED));
        }
        if self.asked {
            return Err(Over::Because(wire::NO_PONG));
        }
        self.asked = true;
        self.send(wire::ping()).await
    }

    /// Clients of older versions try again without any pause after the other code.
    fn restart(&self) -> Problem {
        if self.version >= PATIENT { wire::RESTART } else { wire::RESTART_LATER }
    }

    /// Sends a message. A client that does not take it is cut off.
    async fn send(&mut self, text: Utf8Bytes) -> Result<(), Over> {
        let ended = self.seat.ended();
        tokio::select! {
            sent = timeout(SEND, self.socket.send(Message::Text(text))) => match sent {
                Ok(Ok(())) => Ok(()),
                Ok(Err(_)) | Err(_) => Err(Over::Gone),
            },
            why = ended => Err(because(why)),
        }
    }

    async fn came(&mut self, message: Message) -> Result<(), Over> {
        let now = Instant::now();
        (self.heard, self.asked) = (now, false);
        if !self.rate.take(now) {
            return Err(Over::Because(wire::TOO_FAST));
        }
        let text = match message {
            Message::Text(text) => text,
            // The socket answers pings by itself.
            Message::Ping(_) | Message::Pong(_) => return Ok(()),
            Message::Close(_) => return Err(Over::Gone),
            Message::Binary(_) => return self.refuse("A message must be a text").await,
        };
        match wire::read(&text) {
            Said::Ping => self.send(wire::pong()).await,
            Said::Pong => Ok(()),
            Said::Subscribe { channel, auth } => self.subscribe(&channel, auth.as_deref()).await,
            Said::Unsubscribe { channel } => {
                if let Some(channel) = Channel::of(&channel, &self.project) {
                    self.seat.leave(channel);
                }
                Ok(())
            }
            Said::ClientEvent => self.send(wire::error(wire::NO_CLIENT_EVENTS)).await,
            Said::Unknown(what) => self.refuse(what).await,
        }
    }

    /// Says what is wrong with a message. No code: clients would take it for the connection's.
    async fn refuse(&mut self, message: &'static str) -> Result<(), Over> {
        self.send(wire::error(Problem { code: None, message })).await
    }

    async fn subscribe(&mut self, name: &str, auth: Option<&str>) -> Result<(), Over> {
        let Some(channel) = Channel::of(name, &self.project) else {
            return self.send(wire::refused(name, "The project has no such channel")).await;
        };
        let Some(auth) = auth else {
            // An older client asks so for all of its channels whenever it is connected again, and
            // then once more as it should. It must not take this for a failure of the latter.
            return self.refuse("A private channel needs the answer of the auth endpoint").await;
        };
        match verify(&self.hub.app, &self.project, &self.socket_id, channel, auth).await {
            Ok(true) => {}
            Ok(false) => {
                let error = "The signature is not one for this connection and channel";
                return self.send(wire::refused(name, error)).await;
            }
            Err(_) => return Err(Over::Because(wire::UNAVAILABLE)),
        }
        self.has_listened = true;
        self.seat.listen(channel);
        // From what the client is told now it takes that it misses nothing.
        if timeout(HEARS, self.hub.hears()).await.is_err() {
            return Err(Over::Because(wire::UNAVAILABLE));
        }
        self.send(wire::subscribed(name)).await
    }
}

fn because(why: Ended) -> Over {
    match why {
        // It would not read the word either.
        Ended::Slow => {
            tracing::debug!(message = wire::SLOW.message, "socket closed");
            Over::Gone
        }
        Ended::Replaced => Over::Because(wire::REPLACED),
    }
}
