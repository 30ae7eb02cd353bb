//! `patchbay keys` and real servers.

use std::os::unix::fs::PermissionsExt;
use std::process::Output;
use std::time::Duration;

use patchbay::vault::Key;
use serde_json::{Value, json};

use crate::boot::process::{Home, Server};
use crate::support::client::TestClient;
use crate::support::db::TestDatabase;

const PROJECT_KEY: &str = "ak_for_tests_of_keys_only";

fn key(byte: u8) -> String {
    hex::encode([byte; 32])
}

fn id(key: &str) -> String {
    hex::encode(Key::parse(key).unwrap().id())
}

fn keys(home: &Home, settings: &[(&str, &str)], arguments: &[&str]) -> Output {
    home.command(settings).arg("keys").args(arguments).output().unwrap()
}

#[track_caller]
fn said(output: &Output) -> String {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let said = format!("{}{}", text(&output.stdout), text(&output.stderr));
    assert!(output.status.success(), "{said}");
    said
}

fn status(home: &Home, settings: &[(&str, &str)]) -> Value {
    serde_json::from_str(&said(&keys(home, settings, &["status", "--json"]))).unwrap()
}

/// An account whose secret only the server knows from now on.
async fn connect(client: &TestClient) -> String {
    let body = json!({"toolkit": {"slug": "exa"}, "auth_config": {"type": "use_custom_auth",
        "authScheme": "API_KEY"}});
    let config = client.post("/api/v3/auth_configs", body).await.expect(201);
    let body = json!({"auth_config": {"id": config["auth_config"]["id"]}, "connection":
        {"user_id": "u1", "state": {"authScheme": "API_KEY", "val": {"generic_api_key": "sk-a-secret"}}}});
    let made = client.post("/api/v3/connected_accounts", body).await.expect(201);
    made["id"].as_str().unwrap().to_owned()
}

async fn works(client: &TestClient, account: &str) {
    let found = client.get(&format!("/api/v3/connected_accounts/{account}")).await.expect(200);
    assert_eq!(found["status"], "ACTIVE", "{found}");
}

#[tokio::test]
async fn the_generated_key_is_exchanged_by_one_command_while_the_server_serves() {
    let home = Home::new();
    let server = home.start(&[]);
    let client = server.client(&home.file("project.key"));
    let account = connect(&client).await;
    let old = home.file("encryption.key");
    let text = said(&keys(&home, &[], &["rotate", "--new-master"]));
    assert!(!text.contains(&old), "{text}");
    let file = home.file("encryption.key");
    let lines: Vec<&str> = file.lines().collect();
    assert_eq!((lines.len(), lines[1]), (2, old.as_str()));
    let mode = std::fs::metadata(home.data_dir().join("encryption.key")).unwrap().permissions();
    assert_eq!(mode.mode() & 0o777, 0o600);
    works(&client, &account).await;
    // Things that need the new master key: a project has no data key before it is made.
    let made = server
        .org_client(&home.file("org.key"))
        .post("/api/v3/org/owner/project/new", json!({"name": "later"}))
        .await;
    assert!(made.status < 300, "{made:?}");
    let found = status(&home, &[]);
    for master in found["master_keys"].as_array().unwrap() {
        let is_new = master["id"] == id(lines[0]);
        assert_eq!(master["is_in_use"], is_new, "{found}");
        assert_eq!(master["data_keys"] == 0, !is_new, "{found}");
    }
    for key in found["data_keys"].as_array().unwrap() {
        assert_eq!(key["rows"] == 0, key["retired_at"] != Value::Null, "{found}");
    }
    let table = said(&keys(&home, &[], &["status"]));
    assert!(table.contains(&format!("Nothing in this database needs master key {}", id(&old))));
    assert!(table.contains("connected_account.state 1"), "{table}");
    server.stop();
    // The command also works on a private database that no server runs, without the old key.
    std::fs::write(home.data_dir().join("encryption.key"), lines[0]).unwrap();
    said(&keys(&home, &[], &["rotate"]));
    home.wait_until_quiet();
    let server = home.start(&[]);
    works(&server.client(&home.file("project.key")), &account).await;
    server.stop();
}

#[tokio::test]
async fn a_master_key_is_not_taken_into_use_before_every_server_has_it() {
    let database = TestDatabase::create().await;
    let url = database.url();
    let (old, new) = (key(1), key(2));
    let base = [
        ("PATCHBAY_DATABASE_URL", url.as_str()),
        ("PATCHBAY_PROJECT_API_KEY", PROJECT_KEY),
        ("PATCHBAY_ORG_API_KEY", "oak_for_tests_of_keys_only"),
    ];
    let with = |current: &'static str, key: &str, previous: &str| {
        let mut all: Vec<(String, String)> =
            base.map(|(k, v)| (k.to_owned(), v.to_owned())).to_vec();
        all.push((current.to_owned(), key.to_owned()));
        all.push(("PATCHBAY_PREVIOUS_ENCRYPTION_KEYS".to_owned(), previous.to_owned()));
        all
    };
    fn refs(all: &[(String, String)]) -> Vec<(&str, &str)> {
        all.iter().map(|(k, v)| (k.as_str(), v.as_str())).collect()
    }
    const SETTING: &str = "PATCHBAY_ENCRYPTION_KEY";
    let (only_old, both) = (with(SETTING, &old, ""), with(SETTING, &new, &old));
    let (a, b, c) = (Home::new(), Home::new(), Home::new());
    let one = a.start(&refs(&only_old));
    let account = connect(&one.client(PROJECT_KEY)).await;
    // The first of the servers is started again with the new key; what it makes, the others open.
    let two = b.start(&refs(&both));
    let later = connect(&two.client(PROJECT_KEY)).await;
    works(&one.client(PROJECT_KEY), &later).await;
    let refused = keys(&c, &refs(&both), &["rotate", "--wait", "1"]);
    let text = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert!(!refused.status.success());
    assert!(text.contains("do not have the new master key") && text.contains("9900").eq(&false));
    assert!(text.contains(&one.address.to_string()), "{text}");
    assert!(!text.contains(&two.address.to_string()), "{text}");
    assert!(!text.contains(&old) && !text.contains(&new));
    one.stop();
    let one = a.start(&refs(&both));
    said(&keys(&c, &refs(&both), &["rotate", "--wait", "20"]));
    for server in [&one, &two] {
        works(&server.client(PROJECT_KEY), &account).await;
        works(&server.client(PROJECT_KEY), &later).await;
    }
    one.stop();
    two.stop();
    // The old key is of no use any more, and says so.
    let (code, text) = a.refused(&refs(&only_old));
    assert_eq!(code, 1);
    assert!(text.contains(SETTING) && text.contains(&id(&new)) && !text.contains(&old), "{text}");
    let only_new = with(SETTING, &new, "");
    let server = a.start(&refs(&only_new));
    works(&server.client(PROJECT_KEY), &account).await;
    server.stop();
}

#[tokio::test]
async fn a_command_supplies_the_key_and_servers_run_it_again_for_a_new_one() {
    let database = TestDatabase::create().await;
    let url = database.url();
    let store = tempfile::tempdir().unwrap();
    let (old, new) = (key(1), key(2));
    let script = store.path().join("agent");
    // The agent of a key store, which also talks, and must not see the server's settings.
    let text = format!(
        "#!/bin/sh\nenv | grep -c ^PATCHBAY_ > {0}/seen\necho talk-0123456789 >&2\ncat {0}/keys\n",
        store.path().display()
    );
    std::fs::write(&script, text).unwrap();
    std::fs::set_permissions(&script, std::fs::Permissions::from_mode(0o755)).unwrap();
    std::fs::write(store.path().join("keys"), &old).unwrap();
    let command = format!("{} get  patchbay", script.display());
    let settings = [
        ("PATCHBAY_DATABASE_URL", url.as_str()),
        ("PATCHBAY_PROJECT_API_KEY", PROJECT_KEY),
        ("PATCHBAY_ORG_API_KEY", "oak_for_tests_of_keys_only"),
        ("PATCHBAY_ENCRYPTION_KEY_COMMAND", command.as_str()),
    ];
    let (a, b) = (Home::new(), Home::new());
    let servers: Vec<Server> = [&a, &b].map(|home| home.start(&settings)).into();
    let account = connect(&servers[0].client(PROJECT_KEY)).await;
    assert_eq!(std::fs::read_to_string(store.path().join("seen")).unwrap().trim(), "0");
    std::fs::write(store.path().join("keys"), format!("{new}\n{old}\n")).unwrap();
    // The sources were read a moment ago.
    tokio::time::sleep(Duration::from_secs(2)).await;
    let text = said(&keys(&a, &settings, &["rotate"]));
    assert!(text.contains(&format!("Master key {} is in use", id(&new))), "{text}");
    std::fs::write(store.path().join("keys"), &new).unwrap();
    let made = servers[1].client(PROJECT_KEY);
    for server in &servers {
        works(&server.client(PROJECT_KEY), &account).await;
        works(&server.client(PROJECT_KEY), &connect(&made).await).await;
    }
    assert!(!a.data_dir().exists() && !b.data_dir().exists(), "nothing is written");
    servers.into_iter().for_each(Server::stop);
    std::fs::write(&script, "#!/bin/sh\necho talk-0123456789 >&2; cat keys; exit 3\n").unwrap();
    let (code, text) = a.refused(&settings);
    assert_eq!(code, 1);
    assert!(text.contains("PATCHBAY_ENCRYPTION_KEY_COMMAND") && text.contains("exit status: 3"));
    assert!(!text.contains("talk-"), "{text}");
}

#[tokio::test]
async fn a_server_that_lacks_a_key_that_is_still_needed_is_refused() {
    let database = TestDatabase::create().await;
    let url = database.url();
    let home = Home::new();
    let path = home.path().join("keys");
    let (old, new) = (key(1), key(2));
    std::fs::write(&path, &old).unwrap();
    let settings = [
        ("PATCHBAY_DATABASE_URL", url.as_str()),
        ("PATCHBAY_PROJECT_API_KEY", PROJECT_KEY),
        ("PATCHBAY_ORG_API_KEY", "oak_for_tests_of_keys_only"),
        ("PATCHBAY_ENCRYPTION_KEY_FILE", path.to_str().unwrap()),
    ];
    let server = home.start(&settings);
    connect(&server.client(PROJECT_KEY)).await;
    server.stop();
    // An exchange that came as far as its first step.
    let pool = patchbay::db::connect(database.options.clone(), 2).await.unwrap();
    let old_row: Vec<u8> =
        sqlx::query_scalar("select sealed from data_key limit 1").fetch_one(&pool).await.unwrap();
    std::fs::write(&path, format!("{new}\n{old}")).unwrap();
    said(&keys(&home, &settings, &["rewrap"]));
    sqlx::query("update data_key set sealed = $1").bind(&old_row).execute(&pool).await.unwrap();
    std::fs::write(&path, &new).unwrap();
    let (code, text) = home.refused(&settings);
    assert_eq!(code, 1);
    assert!(text.contains(&id(&old)) && text.contains("PREVIOUS_ENCRYPTION_KEYS"), "{text}");
    assert!(!text.contains(&old) && !text.contains(&new));
    // The status shows what is missing, and an exchange is refused like a start.
    let found = status(&home, &settings);
    let missing = &found["master_keys"].as_array().unwrap()[..];
    let missing = missing.iter().find(|m| m["id"] == id(&old)).unwrap();
    assert_eq!((&missing["is_at_hand"], missing["data_keys"] != 0), (&json!(false), true));
    assert!(!keys(&home, &settings, &["rotate"]).status.success());
    std::fs::write(&path, format!("{new}\n{old}")).unwrap();
    said(&keys(&home, &settings, &["rewrap"]));
    std::fs::write(&path, &new).unwrap();
    home.start(&settings).stop();
    std::fs::write(&path, "").unwrap();
    let (_, text) = home.refused(&settings);
    assert!(text.contains("no encryption key"), "{text}");
    assert!(!text.contains("panicked"), "{text}");
}
