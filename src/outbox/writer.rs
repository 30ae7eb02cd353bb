//! The task that stores what callers bring.

use std::collections::{HashMap, HashSet};
use std::sync::PoisonError;
use std::time::Instant;

use sqlx::PgPool;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use super::{Entry, Slot};
use crate::db::event::{self, Claim, EventRow, Inserted};
use crate::db::webhook_delivery::Letter;
use crate::error::{Error, Result, codes};

/// Callers of one commit.
const CALLERS: usize = 256;

/// Events of one commit, but for a caller that brings more by itself.
const ROWS: usize = 500;

/// Stores until `stop`, and then what is queued.
pub(super) async fn run(
    db: PgPool,
    mut entries: mpsc::Receiver<Entry>,
    courier: Slot,
    stop: CancellationToken,
) {
    let mut batch = Vec::with_capacity(CALLERS);
    loop {
        let taken = tokio::select! {
            biased;
            taken = entries.recv_many(&mut batch, CALLERS) => taken,
            () = stop.cancelled(), if !entries.is_closed() => {
                entries.close();
                continue;
            }
        };
        if taken == 0 {
            return;
        }
        while !batch.is_empty() {
            let mut rows = 0;
            let fits = batch.iter().take_while(|entry| {
                rows += entry.rows.len();
                rows <= ROWS
            });
            let fits = fits.count().max(1);
            store(&db, &courier, batch.drain(..fits).collect()).await;
        }
    }
}

/// Stores what some callers brought, and tells them.
async fn store(db: &PgPool, courier: &Slot, mut entries: Vec<Entry>) {
    let mut rows = Vec::new();
    let mut ends = Vec::with_capacity(entries.len());
    for entry in &mut entries {
        rows.append(&mut entry.rows);
        ends.push(rows.len());
    }
    match insert(db, courier, &rows).await {
        Ok(found) => {
            let new: HashSet<&str> = found.iter().map(|new| new.id.as_str()).collect();
            let mut begin = 0;
            for (entry, end) in entries.into_iter().zip(ends) {
                let stored = rows[begin..end].iter().filter(|row| new.contains(row.id.as_str()));
                // Whoever waited may have gone.
                let _ = entry.stored.send(Ok(stored.count()));
                begin = end;
            }
        }
        // What is wrong with one caller's events is not the others' concern.
        Err(error) if entries.len() > 1 && error.code != codes::DATABASE_UNAVAILABLE => {
            let mut begin = 0;
            for (entry, end) in entries.into_iter().zip(ends) {
                let own = &rows[begin..end];
                let answer = insert(db, courier, own).await.map(|found| count(own, &found));
                let _ = entry.stored.send(answer);
                begin = end;
            }
        }
        Err(error) => {
            for entry in entries {
                let _ = entry.stored.send(Err(error.clone()));
            }
        }
    }
}

/// How many of the events are among the new ones.
pub(super) fn count(rows: &[EventRow], found: &[Inserted]) -> usize {
    let new: HashSet<&str> = found.iter().map(|new| new.id.as_str()).collect();
    rows.iter().filter(|row| new.contains(row.id.as_str())).count()
}

/// Stores events, and gives the courier what it can take.
async fn insert(db: &PgPool, courier: &Slot, rows: &[EventRow]) -> Result<Vec<Inserted>> {
    let courier = courier.read().unwrap_or_else(PoisonError::into_inner).clone();
    let offer = courier.as_ref().and_then(|courier| courier.offer());
    let begun = Instant::now();
    let claim = offer.as_ref().map(|offer| Claim {
        name: &offer.claim,
        time: offer.time,
        except: &offer.full,
    });
    let found = event::insert_all(db, rows, claim).await.map_err(Error::from)?;
    if let (Some(courier), Some(offer)) = (courier, offer) {
        let letters = letters(rows, &found);
        if !letters.is_empty() {
            courier.take(letters, offer.claim, begun + offer.time);
        }
    }
    Ok(found)
}

fn letters(rows: &[EventRow], found: &[Inserted]) -> Vec<Letter> {
    let by_id: HashMap<&str, &EventRow> = rows.iter().map(|row| (row.id.as_str(), row)).collect();
    let mut letters = Vec::with_capacity(found.len());
    for new in found.iter().filter(|new| new.is_claimed) {
        let (Some(subscription), Some(row)) = (&new.subscription_id, by_id.get(new.id.as_str()))
        else {
            continue;
        };
        let mut payload = row.payload.clone();
        if let (Some(org), Some(place)) = (&new.org_id, payload.pointer_mut("/metadata/org_id"))
            && place.is_null()
        {
            *place = org.clone().into();
        }
        letters.push(Letter {
            project_id: new.project_id.clone(),
            subscription_id: subscription.clone(),
            event_id: new.id.clone(),
            attempts: 0,
            payload: Some(payload),
        });
    }
    letters
}
