//! The private database: it starts with the server, stops with it, and loses nothing.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::os::unix::fs::PermissionsExt;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use serde_json::json;

use super::process::Home;

const NEW_PROJECT: &str = "/api/v3/org/owner/project/new";
const PROJECTS: &str = "/api/v3/org/owner/project/list";
const SESSION: &str = "/api/v3/auth/session/info";

#[tokio::test]
async fn a_first_start_prints_keys_that_work_and_a_second_one_keeps_everything() {
    let home = Home::new();
    let server = home.start(&[]);
    let (org_key, key) = (home.file("org.key"), home.file("project.key"));
    for part in [&org_key, &key, "/docs", "curl -s ", "from composio import Composio"] {
        assert!(server.greeting.contains(part), "{part} in {}", server.greeting);
    }
    assert!(server.greeting.contains(&format!("http://{}", server.address)));
    server.client(&key).get("/health/ready").await.expect(200);
    server.client(&key).get(SESSION).await.expect(200);
    let made = server.org_client(&org_key).post(NEW_PROJECT, json!({"name": "kept"})).await;
    assert!(made.status < 300, "{made:?}");
    server.stop();
    assert_eq!(home.processes(), Vec::<String>::new());

    let server = home.start(&[]);
    assert!(!server.greeting.contains(&key) && !server.greeting.contains(&org_key));
    assert!(server.greeting.contains("project.key"), "{}", server.greeting);
    server.client(&key).get(SESSION).await.expect(200);
    let list = server.org_client(&org_key).get(PROJECTS).await.expect(200).to_string();
    assert!(list.contains("\"kept\""), "{list}");
    server.stop();
    assert_eq!(home.processes(), Vec::<String>::new());
}

#[tokio::test]
async fn what_the_data_directory_holds_is_private_and_no_port_is_open() {
    let home = Home::new();
    let server = home.start(&[]);
    for name in ["encryption.key", "org.key", "project.key", "database.password"] {
        let file = std::fs::metadata(home.data_dir().join(name)).unwrap();
        assert_eq!(file.permissions().mode() & 0o777, 0o600, "{name}");
    }
    let mode = std::fs::metadata(home.data_dir()).unwrap().permissions().mode() & 0o066;
    assert_eq!(mode, 0, "others may at most pass through");
    let database = std::fs::metadata(home.data_dir().join("postgresql")).unwrap();
    assert_eq!(database.permissions().mode() & 0o777, 0o700);
    let pid_file =
        std::fs::read_to_string(home.data_dir().join("postgresql/cluster/postmaster.pid")).unwrap();
    assert_eq!(pid_file.lines().nth(5), Some(""), "listen address in {pid_file}");
    server.stop();
}

#[tokio::test]
async fn after_a_kill_the_database_stops_and_the_next_start_has_everything() {
    let home = Home::new();
    let server = home.start(&[]);
    let org_key = home.file("org.key");
    let made = server.org_client(&org_key).post(NEW_PROJECT, json!({"name": "kept"})).await;
    assert!(made.status < 300, "{made:?}");
    server.kill();
    // At once: the database of the dead server perhaps still runs.
    let server = home.start(&[]);
    let list = server.org_client(&org_key).get(PROJECTS).await.expect(200).to_string();
    assert!(list.contains("\"kept\""), "{list}");
    server.kill();
    home.wait_until_quiet();
}

#[tokio::test]
async fn a_killed_database_is_recovered_while_the_server_runs_and_after() {
    let home = Home::new();
    let server = home.start(&[]);
    let key = home.file("project.key");
    let postmaster = || {
        let file = home.data_dir().join("postgresql/cluster/postmaster.pid");
        let text = std::fs::read_to_string(file).ok()?;
        Pid::from_raw(text.lines().next()?.trim().parse().ok()?)
    };
    let first = postmaster().unwrap();
    kill_process(first, Signal::KILL).unwrap();
    let client = server.client(&key);
    let mut answer = client.get("/health/ready").await;
    for _ in 0..600 {
        if answer.status == 200 && postmaster().is_some_and(|now| now != first) {
            break;
        }
        assert!([200, 503].contains(&answer.status), "{answer:?}");
        tokio::time::sleep(Duration::from_millis(50)).await;
        answer = client.get("/health/ready").await;
    }
    answer.expect(200);
    // Both at once: the next start finds a stale postmaster.pid.
    let second = postmaster().unwrap();
    kill_process(second, Signal::KILL).unwrap();
    server.kill();
    let server = home.start(&[]);
    server.client(&key).get(SESSION).await.expect(200);
    server.stop();
    assert_eq!(home.processes(), Vec::<String>::new());
}

#[tokio::test]
async fn a_process_number_given_to_another_program_does_not_keep_it_from_starting() {
    let home = Home::new();
    home.start(&[]).stop();
    let pid_file = home.data_dir().join("postgresql/cluster/postmaster.pid");
    let cluster = home.data_dir().join("postgresql/cluster");
    let text = format!("{}\n{}\n0\n5432\n\n\n", std::process::id(), cluster.display());
    std::fs::write(&pid_file, text).unwrap();
    home.start(&[]).stop();
}

#[tokio::test]
async fn a_request_under_way_is_answered_after_the_signal() {
    let home = Home::new();
    let server = home.start(&[]);
    let mut under_way = TcpStream::connect(server.address).unwrap();
    let body = json!({"name": "finished"}).to_string();
    let (one, rest) = body.split_at(5);
    let head = format!(
        "POST {NEW_PROJECT} HTTP/1.1\r\nhost: x\r\nx-org-api-key: {}\r\n\
         content-type: application/json\r\nexpect: 100-continue\r\ncontent-length: {}\r\n\r\n",
        home.file("org.key"),
        body.len()
    );
    under_way.write_all(head.as_bytes()).unwrap();
    // The server says this when it begins to read the body: the request has been taken up.
    let mut taken_up = [0; b"HTTP/1.1 100 Continue\r\n\r\n".len()];
    under_way.read_exact(&mut taken_up).unwrap();
    assert!(taken_up.starts_with(b"HTTP/1.1 100"), "{taken_up:?}");
    under_way.write_all(one.as_bytes()).unwrap();
    server.signal(Signal::TERM);
    while TcpStream::connect(server.address).is_ok() {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    under_way.write_all(rest.as_bytes()).unwrap();
    let mut answer = String::new();
    under_way.read_to_string(&mut answer).unwrap();
    assert!(answer.starts_with("HTTP/1.1 2"), "{answer}");
    assert!(server.wait().success());
    let server = home.start(&[]);
    let list = server.org_client(&home.file("org.key")).get(PROJECTS).await.expect(200);
    assert!(list.to_string().contains("finished"), "{list}");
    server.stop();
}

#[tokio::test]
async fn a_second_signal_ends_the_server_at_once_and_the_database_follows() {
    let home = Home::new();
    let server = home.start(&[]);
    let mut under_way = TcpStream::connect(server.address).unwrap();
    under_way
        .write_all(b"POST /api/v3/x HTTP/1.1\r\nhost: x\r\ncontent-length: 9\r\n\r\n")
        .unwrap();
    server.client("none").get("/health/live").await.expect(200);
    server.signal(Signal::INT);
    while TcpStream::connect(server.address).is_ok() {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    server.signal(Signal::INT);
    assert_eq!(server.wait().code(), Some(130));
    home.wait_until_quiet();
}

#[tokio::test]
async fn a_data_directory_below_a_closed_folder_works_for_every_user() {
    let home = Home::new();
    // Longer than a socket's path may be, with characters that need quoting.
    let closed = home.path().join("it's a closed, \"quoted\" folder ".repeat(4));
    std::fs::create_dir(&closed).unwrap();
    std::fs::set_permissions(&closed, std::fs::Permissions::from_mode(0o700)).unwrap();
    let data_dir = closed.join("data");
    let settings = [("PATCHBAY_DATA_DIR", data_dir.to_str().unwrap())];
    let server = home.start(&settings);
    let key = std::fs::read_to_string(data_dir.join("project.key")).unwrap();
    server.client(key.trim()).get(SESSION).await.expect(200);
    server.stop();
    home.start(&settings).stop();
    // Root's database had to go elsewhere.
    if let Ok(elsewhere) = std::fs::read_link(data_dir.join("postgresql")) {
        assert!(elsewhere.join("cluster/PG_VERSION").is_file());
        std::fs::remove_dir_all(elsewhere).unwrap();
    }
}
