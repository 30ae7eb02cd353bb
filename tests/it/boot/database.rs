//! A database that the operator brings, shared by several servers.

use super::process::{Home, Server};
use crate::support::db::TestDatabase;

const SESSION: &str = "/api/v3/auth/session/info";
const ENCRYPTION_KEY: &str = "0909090909090909090909090909090909090909090909090909090909090909";

fn project_of(session: &serde_json::Value) -> String {
    session["project"]["nano_id"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn servers_that_start_at_once_agree_on_the_given_keys() {
    let database = TestDatabase::create_empty().await;
    let url = database.url();
    let settings = [
        ("PATCHBAY_DATABASE_URL", url.as_str()),
        ("PATCHBAY_ENCRYPTION_KEY", ENCRYPTION_KEY),
        ("PATCHBAY_ORG_API_KEY", "oak_given_0123456789"),
        ("PATCHBAY_PROJECT_API_KEY", "ak_given_0123456789"),
    ];
    let homes: Vec<Home> = (0..3).map(|_| Home::new()).collect();
    let starts: Vec<_> = homes
        .iter()
        .map(|home| home.command(&settings))
        .map(|command| std::thread::spawn(move || Server::spawn(command)))
        .collect();
    let servers: Vec<Server> = starts.into_iter().map(|s| s.join().unwrap()).collect();
    let mut projects = Vec::new();
    for server in &servers {
        let session = server.client("ak_given_0123456789").get(SESSION).await.expect(200);
        projects.push(project_of(&session));
        let list = server
            .org_client("oak_given_0123456789")
            .get("/api/v3/org/owner/project/list")
            .await
            .expect(200);
        assert_eq!(list["data"].as_array().unwrap().len(), 1, "{list}");
        assert!(!server.greeting.contains("given_0123456789"), "{}", server.greeting);
    }
    projects.dedup();
    assert_eq!(projects.len(), 1);
    // With everything given, there is nothing to store.
    assert!(homes.iter().all(|home| !home.data_dir().exists()));
    servers.into_iter().for_each(Server::stop);
}

#[tokio::test]
async fn servers_that_share_a_data_directory_agree_on_what_is_generated() {
    let database = TestDatabase::create_empty().await;
    let url = database.url();
    let settings = [("PATCHBAY_DATABASE_URL", url.as_str())];
    let home = Home::new();
    let starts: Vec<_> = (0..3)
        .map(|_| home.command(&settings))
        .map(|command| std::thread::spawn(move || Server::spawn(command)))
        .collect();
    let servers: Vec<Server> = starts.into_iter().map(|s| s.join().unwrap()).collect();
    let key = home.file("project.key");
    for server in &servers {
        server.client(&key).get(SESSION).await.expect(200);
    }
    assert_eq!(servers.iter().filter(|s| s.greeting.contains(&key)).count(), 1, "shown once");
    servers.into_iter().for_each(Server::stop);
}

#[tokio::test]
async fn a_key_given_later_is_added_and_a_revoked_one_stays_revoked() {
    let database = TestDatabase::create_empty().await;
    let url = database.url();
    let home = Home::new();
    let settings = [("PATCHBAY_DATABASE_URL", url.as_str())];
    home.start(&settings).stop();
    let (org_key, old) = (home.file("org.key"), home.file("project.key"));
    let new = "my-own-key-0123456789";
    let with_key = [settings[0], ("PATCHBAY_PROJECT_API_KEY", new)];
    let server = home.start(&with_key);
    let project = project_of(&server.client(new).get(SESSION).await.expect(200));
    assert_eq!(project, project_of(&server.client(&old).get(SESSION).await.expect(200)));
    let path = format!("/api/v3/org/owner/project/{project}/regenerate_api_key");
    let answer = server.org_client(&org_key).post(&path, serde_json::json!({})).await;
    assert!(answer.status < 300, "{answer:?}");
    server.client(new).get(SESSION).await.expect_error(401);
    server.stop();
    let server = home.start(&with_key);
    server.client(new).get(SESSION).await.expect_error(401);
    server.client(&old).get(SESSION).await.expect_error(401);
    server.stop();
}

#[tokio::test]
async fn a_replica_without_the_encryption_key_is_refused() {
    let database = TestDatabase::create_empty().await;
    let url = database.url();
    let settings = [("PATCHBAY_DATABASE_URL", url.as_str())];
    let first = Home::new();
    let server = first.start(&settings);
    let second = Home::new();
    let (code, said) = second.refused(&settings);
    assert_eq!(code, 1, "{said}");
    assert!(said.contains("PATCHBAY_ENCRYPTION_KEY"), "{said}");
    assert!(!second.data_dir().join("encryption.key").exists());
    let key = first.file("encryption.key");
    let shared = [settings[0], ("PATCHBAY_ENCRYPTION_KEY", key.as_str())];
    let replica = second.start(&shared);
    replica.client(&first.file("project.key")).get(SESSION).await.expect(200);
    replica.stop();
    server.stop();
}

#[test]
fn a_database_that_is_away_is_named_without_its_password() {
    let home = Home::new();
    let url = "postgres://somebody:hunter2hunter2@127.0.0.1:1/x";
    let (code, said) = home.refused(&[("PATCHBAY_DATABASE_URL", url)]);
    assert_eq!(code, 1, "{said}");
    assert!(said.contains("database") && !said.contains("hunter2"), "{said}");
}
