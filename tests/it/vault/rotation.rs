//! Exchanging data keys while two replicas refresh tokens and make accounts.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use patchbay::credentials;
use patchbay::domain::id::AccountId;

use super::{
    Secrets, assert_all_open, assert_every_value_opens, assert_only_current_keys_seal, connect,
    fresh_vault, rotate, status, sweep,
};
use crate::connect::World;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_is_lost_while_replicas_refresh_and_connect() {
    let world = World::new().await;
    // A refresh token works once.
    let mut oauth: Vec<AccountId> = Vec::new();
    for _ in 0..5 {
        oauth.push(world.connected("linear").await.as_str().into());
    }
    let file = world.providers_file();
    let (replica, _) = world.app.replica(&[("PATCHBAY_PROVIDERS_FILE", &file)]).await;
    let apps = [world.app.app.clone(), replica.clone()];
    let project = world.app.project.id.clone();
    let stop = Arc::new(AtomicBool::new(false));
    let uses = Arc::new(AtomicUsize::new(0));
    let mut workers = tokio::task::JoinSet::new();
    for (i, id) in oauth.iter().cloned().enumerate() {
        for app in apps.clone() {
            let (id, stop, uses) = (id.clone(), stop.clone(), uses.clone());
            let project = project.clone();
            workers.spawn(async move {
                while !stop.load(Ordering::Relaxed) {
                    let account = app.cache.account(&project, &id).await.unwrap().unwrap();
                    // As if the provider had refused the token.
                    let version = account.state_version;
                    credentials::fresh(&app, account, Some(version)).await.unwrap();
                    uses.fetch_add(1, Ordering::Relaxed);
                    tokio::time::sleep(Duration::from_millis(5 + i as u64)).await;
                }
            });
        }
    }
    let vault = fresh_vault(&world.app);
    let mut secrets = Secrets::new();
    for _ in 0..6 {
        let began = uses.load(Ordering::Relaxed);
        let rotation = async {
            let report = rotate(&vault, &world.app).await;
            assert!(report.is_complete(), "{report:?}");
        };
        let creates = async {
            let mut made = Vec::new();
            for _ in 0..3 {
                made.push(connect(&world.app, &world.app.project).await);
            }
            made
        };
        let ((), made) = tokio::join!(rotation, creates);
        secrets.extend(made.into_iter().map(|(id, secret)| ((project.clone(), id), secret)));
        while uses.load(Ordering::Relaxed) < began + 10 {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
    stop.store(true, Ordering::Relaxed);
    while let Some(done) = workers.join_next().await {
        done.unwrap();
    }
    assert!(world.provider.refreshes() > 10, "{}", world.provider.refreshes());

    let swept = sweep(&vault, &world.app, Duration::ZERO).await;
    assert!(swept.data_keys_deleted >= 5, "{swept:?}");
    assert_only_current_keys_seal(&status(&vault, &world.app).await);
    let fresh = fresh_vault(&world.app);
    assert_all_open(&fresh, &world.app, &secrets).await;
    assert_every_value_opens(&fresh, &world.app).await;
    // No token was replaced by an older one: the provider takes each once more.
    for id in &oauth {
        let account = replica.cache.read_account(&project, id).await.unwrap().unwrap();
        let version = account.state_version;
        let newer = credentials::fresh(&replica, account, Some(version)).await.unwrap();
        assert!(newer.state_version > version);
        assert_eq!(world.account(id.as_str()).await["status"], "ACTIVE");
    }
    replica.stop.cancel();
}

#[tokio::test]
async fn two_rotations_at_once_share_the_work() {
    let app = crate::support::TestApp::new().await;
    let (id, secret) = connect(&app, &app.project).await;
    let mut secrets = super::copies(&app, &app.project.id, &id, 500).await;
    secrets.insert((app.project.id.clone(), id), secret);
    let (a, b) = (fresh_vault(&app), fresh_vault(&app));
    let (one, two) = tokio::join!(rotate(&a, &app), rotate(&b, &app));
    assert!(one.is_complete() && two.is_complete(), "{one:?} {two:?}");
    assert_only_current_keys_seal(&status(&a, &app).await);
    assert_all_open(&fresh_vault(&app), &app, &secrets).await;
}

#[tokio::test]
async fn a_rotation_changes_neither_versions_nor_times() {
    let app = crate::support::TestApp::new().await;
    let (id, _) = connect(&app, &app.project).await;
    let row = || patchbay::db::account::get(&app.app.db, &app.project.id, &id);
    let before = row().await.unwrap().unwrap();
    rotate(&fresh_vault(&app), &app).await;
    let after = row().await.unwrap().unwrap();
    assert_ne!(before.state, after.state);
    assert_eq!((before.state_version, before.updated_at), (after.state_version, after.updated_at));
}
