//! A machine without PostgreSQL: the programs come from a mirror.

use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::process::Command;

use axum::Router;
use axum::extract::State;
use axum::http::{StatusCode, Uri};
use sha2::{Digest, Sha256};

use super::process::Home;

/// A release whose programs start this machine's own: those find their libraries only where
/// they were installed.
fn release() -> Vec<u8> {
    packed(|name| format!("exec '{}' \"$@\"", installed().join(name).display()))
}

fn packed(script: impl Fn(&str) -> String) -> Vec<u8> {
    let dir = tempfile::tempdir().unwrap();
    let bin = dir.path().join("postgresql-x/bin");
    std::fs::create_dir_all(&bin).unwrap();
    for name in ["initdb", "postgres", "pg_ctl"] {
        let script = format!("#!/bin/sh\n{}\n", script(name));
        let program = bin.join(name);
        std::fs::write(&program, script).unwrap();
        std::fs::set_permissions(&program, std::fs::Permissions::from_mode(0o755)).unwrap();
    }
    let archive = dir.path().join("release.tar.gz");
    let mut tar = Command::new("tar");
    tar.arg("czf").arg(&archive).arg("-C").arg(dir.path()).arg("postgresql-x");
    assert!(tar.status().unwrap().success());
    std::fs::read(archive).unwrap()
}

/// Where this machine's PostgreSQL is; the tests need one anyway.
fn installed() -> PathBuf {
    let path = std::env::var_os("PATH").unwrap();
    let mut places: Vec<PathBuf> = std::env::split_paths(&path).collect();
    for parent in ["/usr/lib/postgresql", "/opt/homebrew/opt", "/usr/local/opt"] {
        let entries = std::fs::read_dir(parent).into_iter().flatten().flatten();
        places.extend(entries.map(|e| e.path().join("bin")));
    }
    let initdb = places.iter().map(|p| p.join("initdb")).find(|p| p.is_file()).unwrap();
    initdb.canonicalize().unwrap().parent().unwrap().to_owned()
}

/// Serves the archive and a checksum under any release.
async fn mirror(archive: Vec<u8>, checksum: String) -> String {
    let files = Router::new()
        .fallback(|State((archive, checksum)): State<(Vec<u8>, String)>, uri: Uri| async move {
            let path = uri.path();
            if !path.starts_with("/pg/releases/download/") {
                (StatusCode::NOT_FOUND, Vec::new())
            } else if path.ends_with(".tar.gz.sha256") {
                (StatusCode::OK, checksum.into_bytes())
            } else if path.ends_with(".tar.gz") {
                (StatusCode::OK, archive)
            } else {
                (StatusCode::NOT_FOUND, Vec::new())
            }
        })
        .with_state((archive, checksum));
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/pg/", listener.local_addr().unwrap());
    tokio::spawn(async move { axum::serve(listener, files).await });
    url
}

fn settings(url: &str) -> Vec<(&'static str, &str)> {
    vec![("PATCHBAY_POSTGRES_BIN_DIRS", "/nowhere"), ("PATCHBAY_POSTGRES_MIRROR_URL", url)]
}

#[tokio::test(flavor = "multi_thread")]
async fn a_mirror_gives_a_machine_its_database() {
    let archive = release();
    let digest = hex::encode(Sha256::digest(&archive));
    let url = mirror(archive, format!("{digest}  postgresql.tar.gz\n")).await;
    let home = Home::new();
    let settings = settings(&url);
    let server = home.start(&settings);
    server.client(&home.file("project.key")).get("/health/ready").await.expect(200);
    server.stop();
    // What is there is not fetched again.
    let offline = [settings[0], ("PATCHBAY_POSTGRES_MIRROR_URL", "http://127.0.0.1:1")];
    home.start(&offline).stop();
    assert_eq!(home.processes(), Vec::<String>::new());
}

#[tokio::test(flavor = "multi_thread")]
async fn an_archive_with_another_checksum_is_not_used() {
    let url = mirror(b"something else".to_vec(), format!("{}  x\n", "ab".repeat(32))).await;
    let home = Home::new();
    let (code, said) = home.refused(&settings(&url));
    assert_eq!(code, 1, "{said}");
    assert!(said.contains("SHA-256"), "{said}");
    let left = std::fs::read_dir(home.data_dir().join("postgresql")).unwrap();
    let left: Vec<_> = left.map(|e| e.unwrap().file_name()).collect();
    assert!(left.iter().all(|n| n == "run"), "{left:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_mirror_without_a_checksum_is_not_trusted() {
    let url = mirror(release(), "<html>no such file</html>".to_owned()).await;
    let home = Home::new();
    let (_, said) = home.refused(&settings(&url));
    assert!(said.contains("holds no SHA-256"), "{said}");
}

#[tokio::test(flavor = "multi_thread")]
async fn programs_that_do_not_run_here_are_refused_with_their_own_words() {
    let archive = packed(|_| "echo 'libxml2.so.2: no such file' >&2; exit 127".to_owned());
    let digest = hex::encode(Sha256::digest(&archive));
    let url = mirror(archive, digest).await;
    let home = Home::new();
    let (code, said) = home.refused(&settings(&url));
    assert_eq!(code, 1, "{said}");
    assert!(said.contains("libxml2.so.2") && said.contains("apt install postgresql"), "{said}");
}

#[test]
fn without_a_network_one_message_says_what_to_install() {
    let home = Home::new();
    let (code, said) = home.refused(&settings("http://127.0.0.1:1"));
    assert_eq!(code, 1, "{said}");
    for hint in [
        "apt install postgresql",
        "dnf install postgresql-server",
        "brew install postgresql@17",
        "PATCHBAY_DATABASE_URL",
        "PATCHBAY_POSTGRES_MIRROR_URL",
    ] {
        assert!(said.contains(hint), "{hint} in {said}");
    }
    assert_eq!(said.matches("error:").count(), 1, "{said}");
}
