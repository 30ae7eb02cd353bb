//! The real command, killed at random points.

use std::time::Instant;

use patchbay::vault::{KeySource, Masters, Vault};
use rand::RngExt;

use super::{
    Secrets, assert_all_open, assert_every_value_opens, assert_only_current_keys_seal, connect,
    copies, status,
};
use crate::boot::process::Home;
use crate::credentials::seed;
use crate::support::TestApp;
use crate::support::app::ENCRYPTION_KEY;

/// Runs that are killed.
const KILLS: usize = 25;

/// Accounts per project.
const ACCOUNTS: usize = 200;

#[tokio::test]
async fn no_account_is_lost_when_a_rotation_is_killed() {
    let app = TestApp::new().await;
    let mut secrets = Secrets::new();
    for _ in 0..3 {
        let project = app.another_project().await;
        let (id, secret) = connect(&app, &project).await;
        secrets.extend(copies(&app, &project.id, &id, ACCOUNTS).await);
        secrets.insert((project.id, id), secret);
    }
    let home = Home::new();
    let path = home.path().join("master.keys");
    std::fs::write(&path, ENCRYPTION_KEY).unwrap();
    let url = app.database.url();
    let settings = [
        ("PATCHBAY_DATABASE_URL", url.as_str()),
        ("PATCHBAY_ENCRYPTION_KEY_FILE", path.to_str().unwrap()),
    ];
    let command = || {
        let mut command = home.command(&settings);
        command.args(["keys", "rotate", "--new-master"]);
        command
    };
    let all = || async {
        let masters = Masters::read(KeySource::File(path.clone()), &[]).await.unwrap();
        Vault::new(masters, &app.app.db)
    };
    let began = Instant::now();
    assert!(command().output().unwrap().status.success());
    let whole = began.elapsed();

    let mut chance = seed::source(seed::seed(), 7);
    let mut unfinished = 0;
    for _ in 0..KILLS {
        let mut child = command().spawn().unwrap();
        std::thread::sleep(whole.mul_f64(chance.random_range(0.05..1.0)));
        child.kill().unwrap();
        child.wait().unwrap();
        let vault = all().await;
        vault.prove().await.unwrap();
        unfinished += usize::from(status(&vault, &app).await.unfinished_rotation.is_some());
        assert_all_open(&vault, &app, &secrets).await;
    }
    assert!(unfinished > 0, "some were killed in the middle");

    let output = command().output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success(), "{said}{}", String::from_utf8_lossy(&output.stderr));
    let vault = all().await;
    let after = status(&vault, &app).await;
    assert!(after.unfinished_rotation.is_none());
    assert_only_current_keys_seal(&after);
    // Only the newest master key is needed: everything opens without the others.
    let text = std::fs::read_to_string(&path).unwrap();
    let newest = text.lines().next().unwrap();
    let wanted = hex::encode(vault.masters().wanted().id());
    for master in &after.master_keys {
        let seals = master.data_keys + master.link_keys + master.rows;
        assert_eq!(seals > 0, master.id == wanted, "{master:?}");
    }
    let alone = Masters::read(KeySource::Setting(newest.into()), &[]).await.unwrap();
    let alone = Vault::new(alone, &app.app.db);
    alone.prove().await.unwrap();
    assert_all_open(&alone, &app, &secrets).await;
    assert_every_value_opens(&alone, &app).await;
    println!("{KILLS} kills of runs of {whole:?}, {unfinished} in the middle");
}
