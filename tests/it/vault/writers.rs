//! Data keys go only when nobody needs them, whoever writes at that moment.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use patchbay::db;
use patchbay::domain::connection::{Account, SecretMap};
use patchbay::domain::id::{AccountId, random_text};
use patchbay::error::codes;
use rand::RngExt;
use serde_json::json;

use super::{
    Secrets, assert_all_open, assert_only_current_keys_seal, connect, fresh_vault, rotate, status,
    sweep,
};
use crate::credentials::seed;
use crate::support::TestApp;

async fn first(app: &TestApp) -> Account {
    let (id, _) = connect(app, &app.project).await;
    let row = db::account::get(&app.app.db, &app.project.id, &id).await.unwrap().unwrap();
    app.app.vault.open_account(row).await.unwrap()
}

fn another(first: &Account) -> (Account, String) {
    let secret = format!("sk-{}", random_text(24));
    let mut state = first.state.0.clone();
    state.insert("generic_api_key".to_owned(), json!(secret));
    (Account { id: AccountId::generate(), state: SecretMap(state), ..first.clone() }, secret)
}

#[tokio::test]
async fn a_key_waits_for_a_writer_that_is_about_to_need_it() {
    let app = TestApp::new().await;
    let first = first(&app).await;
    // A server that does not hear of the rotation.
    let deaf = fresh_vault(&app);
    let (account, secret) = another(&first);
    let sealed = deaf.seal_account(&account).await.unwrap();
    let vault = fresh_vault(&app);
    rotate(&vault, &app).await;
    // It writes, and its transaction is open while the key is deleted.
    let mut tx = app.app.db.begin().await.unwrap();
    db::account::insert(&mut *tx, &sealed).await.unwrap();
    let (swept, ()) = tokio::join!(sweep(&vault, &app, Duration::ZERO), async {
        tokio::time::sleep(Duration::from_millis(300)).await;
        tx.commit().await.unwrap();
    });
    assert_eq!(swept.data_keys_deleted, 0);
    let secrets = Secrets::from([((app.project.id.clone(), account.id), secret)]);
    assert_all_open(&fresh_vault(&app), &app, &secrets).await;
    // The next time around, the row is sealed anew and the key goes.
    let swept = sweep(&vault, &app, Duration::ZERO).await;
    assert_eq!((swept.resealed, swept.data_keys_deleted), (1, 1), "{swept:?}");
    assert_all_open(&fresh_vault(&app), &app, &secrets).await;
    // Who comes later still is refused, and may try again.
    let (late, _) = another(&first);
    let sealed = deaf.seal_account(&late).await.unwrap();
    let error = db::account::insert(&app.app.db, &sealed).await.unwrap_err();
    let error = patchbay::error::Error::from(error);
    assert_eq!(error.code, codes::DATA_KEY_GONE);
    deaf.forget_all();
    let sealed = deaf.seal_account(&late).await.unwrap();
    db::account::insert(&app.app.db, &sealed).await.unwrap();
}

#[tokio::test]
async fn a_young_retired_key_stays() {
    let app = TestApp::new().await;
    first(&app).await;
    let vault = fresh_vault(&app);
    let made = rotate(&vault, &app).await;
    assert!(made.data_keys_made > 0);
    let swept = sweep(&vault, &app, Duration::from_secs(60)).await;
    assert_eq!(swept.data_keys_deleted, 0);
    let swept = sweep(&vault, &app, Duration::ZERO).await;
    assert_eq!(swept.data_keys_deleted, made.data_keys_made);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_row_is_lost_to_writers_that_hear_late_of_rotations() {
    let app = TestApp::new().await;
    let first = Arc::new(first(&app).await);
    let stop = Arc::new(AtomicBool::new(false));
    let mut writers = tokio::task::JoinSet::new();
    let seed = seed::seed();
    for number in 0..4 {
        let (vault, pool) = (fresh_vault(&app), app.app.db.clone());
        let (first, stop) = (first.clone(), stop.clone());
        writers.spawn(async move {
            let mut chance = seed::source(seed, number);
            let (mut written, mut refused) = (Secrets::new(), 0);
            while !stop.load(Ordering::Relaxed) {
                let (account, secret) = another(&first);
                let sealed = vault.seal_account(&account).await.unwrap();
                if chance.random_bool(0.1) {
                    vault.forget_all();
                }
                tokio::time::sleep(Duration::from_millis(chance.random_range(0..40))).await;
                match db::account::insert(&pool, &sealed).await {
                    Ok(()) => {
                        written.insert((account.project_id, account.id), secret);
                    }
                    Err(error) => {
                        let error = patchbay::error::Error::from(error);
                        assert_eq!(error.code, codes::DATA_KEY_GONE, "{error}");
                        vault.forget_all();
                        refused += 1;
                    }
                }
            }
            (written, refused)
        });
    }
    let vault = fresh_vault(&app);
    let mut deleted = 0;
    for _ in 0..6 {
        // Keys are deleted as soon as no row needs them, long before servers have heard.
        let (rotated, sweeps) = (AtomicBool::new(false), AtomicUsize::new(0));
        let rotation = async {
            rotate(&vault, &app).await;
            rotated.store(true, Ordering::Relaxed);
        };
        let sweeper = async {
            while !rotated.load(Ordering::Relaxed) || sweeps.load(Ordering::Relaxed) == 0 {
                deleted += sweep(&vault, &app, Duration::ZERO).await.data_keys_deleted;
                sweeps.fetch_add(1, Ordering::Relaxed);
            }
        };
        tokio::join!(rotation, sweeper);
    }
    stop.store(true, Ordering::Relaxed);
    let (mut written, mut refused) = (Secrets::new(), 0);
    while let Some(done) = writers.join_next().await {
        let (one, n) = done.unwrap();
        written.extend(one);
        refused += n;
    }
    assert!(written.len() > 20 && deleted > 0, "{} rows, {deleted} keys", written.len());
    println!("{} rows written, {refused} refused, {deleted} keys deleted", written.len());
    sweep(&vault, &app, Duration::ZERO).await;
    assert_only_current_keys_seal(&status(&vault, &app).await);
    assert_all_open(&fresh_vault(&app), &app, &written).await;
}
