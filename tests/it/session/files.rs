//! Files of a session: who may list, write, read and delete them.

use reqwest::Method;
use serde_json::{Value, json};

use super::{SESSIONS, session};
use crate::support::TestApp;
use crate::support::client::{TestClient, TestResponse};

/// A link to write a file.
async fn upload_url(client: &TestClient, session: &str, path: &str) -> String {
    let body = json!({"mount_relative_path": path});
    let link = client.post(&format!("{session}/mounts/files/upload_url"), body).await.expect(200);
    link["upload_url"].as_str().unwrap().to_owned()
}

async fn download_url(client: &TestClient, session: &str, path: &str) -> String {
    let body = json!({"mount_relative_path": path});
    let link = client.post(&format!("{session}/mounts/files/download_url"), body).await.expect(200);
    link["download_url"].as_str().unwrap().to_owned()
}

async fn put(client: &TestClient, url: &str, content: impl Into<reqwest::Body>) -> TestResponse {
    client.send(client.request(Method::PUT, url).body(content)).await
}

/// Writes a file as SDKs do.
async fn write(app: &TestApp, session: &str, path: &str, content: &str) {
    let url = upload_url(&app.client(), session, path).await;
    put(&app.anonymous(), &url, content.to_owned()).await.expect(200);
}

async fn list(client: &TestClient, session: &str, query: &str) -> Value {
    client.get(&format!("{session}/mounts/files/items{query}")).await.expect(200)
}

fn paths(page: &Value) -> Vec<&str> {
    let items = page["items"].as_array().unwrap().iter();
    items.map(|item| item["mount_relative_path"].as_str().unwrap()).collect()
}

#[tokio::test]
async fn a_file_is_written_listed_read_and_deleted_under_both_versions() {
    let app = TestApp::new().await;
    let (client, anyone) = (app.client(), app.anonymous());
    let newer = session(&client, "ann", json!({})).await;
    for own in [newer.replace("v3.1", "v3"), newer] {
        let mount = format!("{own}/mounts/files");
        let body = json!({"mount_relative_path": "/data/räport 1.csv", "mimetype": "text/csv"});
        let link = client.post(&format!("{mount}/upload_url"), body.clone()).await.expect(200);
        assert_eq!(link["mount_relative_path"], "data/räport 1.csv");
        assert_eq!(link["sandbox_mount_prefix"], "/mnt/files");
        assert!(link["expires_at"].as_str().unwrap().ends_with('Z'));
        let url = link["upload_url"].as_str().unwrap();
        assert!(url.starts_with(&app.url("/api/v3/files/session/")), "{url}");
        client.post(&format!("{mount}/download_url"), body.clone()).await.expect_error(404);
        for content in ["a,b\n", "a,b\n1,2\n"] {
            let done = put(&anyone, url, content).await.expect(200);
            assert_eq!(done["size"], content.len());
        }
        let page = list(&client, &own, "").await;
        assert_eq!(paths(&page), ["data/räport 1.csv"]);
        let item = &page["items"][0];
        assert_eq!(
            (item["size"].as_i64(), &item["sandbox_mount_prefix"]),
            (Some(8), &json!("/mnt/files"))
        );
        assert!(item["last_modified"].as_str().unwrap().ends_with('Z'));
        assert!(page.get("next_cursor").is_none(), "absent at the end: {page}");
        let read = anyone.get(&download_url(&client, &own, "data/räport 1.csv").await).await;
        assert_eq!((read.status, read.text.as_str()), (200, "a,b\n1,2\n"));
        assert_eq!(read.headers["content-type"], "text/csv");
        assert_eq!(read.headers["content-security-policy"], "default-src 'none'; sandbox");
        let name = read.headers["content-disposition"].to_str().unwrap();
        assert_eq!(name, "attachment; filename*=UTF-8''r%C3%A4port%201.csv");
        let gone = client.post(&format!("{mount}/delete"), body.clone()).await.expect(200);
        assert_eq!(
            gone,
            json!({"mount_relative_path": "data/räport 1.csv", "sandbox_mount_prefix": "/mnt/files"})
        );
        client.post(&format!("{mount}/delete"), body).await.expect_error(404);
        assert_eq!(list(&client, &own, "").await, json!({"items": []}));
    }
}

#[tokio::test]
async fn a_list_has_pages_and_a_prefix() {
    let app = TestApp::new().await;
    let client = app.client();
    let own = session(&client, "ann", json!({})).await;
    for path in ["b/2.txt", "a.txt", "b/1.txt", "c/d/e.txt", "B.txt", "b2.txt"] {
        write(&app, &own, path, path).await;
    }
    let page = list(&client, &own, "?limit=500").await;
    assert_eq!(paths(&page), ["B.txt", "a.txt", "b/1.txt", "b/2.txt", "b2.txt", "c/d/e.txt"]);
    assert_eq!(
        paths(&list(&client, &own, "?mount_relative_prefix=b/").await),
        ["b/1.txt", "b/2.txt"]
    );
    assert_eq!(paths(&list(&client, &own, "?mount_relative_prefix=%2Fc").await), ["c/d/e.txt"]);
    assert_eq!(list(&client, &own, "?mount_relative_prefix=nope%25").await, json!({"items": []}));
    // Changes between two pages neither repeat nor hide what was there all the time.
    let (mut seen, mut query) = (Vec::new(), "?limit=2".to_owned());
    loop {
        let page = list(&client, &own, &query).await;
        seen.extend(paths(&page).iter().map(|path| (*path).to_owned()));
        write(&app, &own, "0.txt", "new").await;
        let Some(cursor) = page.get("next_cursor") else { break };
        query = format!("?limit=2&cursor={}", cursor.as_str().unwrap());
    }
    assert_eq!(seen, ["B.txt", "a.txt", "b/1.txt", "b/2.txt", "b2.txt", "c/d/e.txt"]);
    for cursor in ["!", "Li4vYQ", "AAAA"] {
        let path = format!("{own}/mounts/files/items?cursor={cursor}");
        client.get(&path).await.expect_error(400);
    }
    client
        .get(&format!("{own}/mounts/files/items?mount_relative_prefix=%00"))
        .await
        .expect_error(400);
    // A folder goes with what is in it, and with nothing else.
    let body = json!({"mount_relative_path": "/b/"});
    client.post(&format!("{own}/mounts/files/delete"), body).await.expect(200);
    let left = list(&client, &own, "").await;
    assert_eq!(paths(&left), ["0.txt", "B.txt", "a.txt", "b2.txt", "c/d/e.txt"]);
}

#[tokio::test]
async fn a_path_never_leaves_the_mount_and_names_one_thing() {
    let app = TestApp::new().await;
    let client = app.client();
    let own = session(&client, "ann", json!({})).await;
    let long = "x".repeat(2000);
    for path in
        ["", "/", "..", "../a", "a/../../b", "a//b", "a/", "./a", "a\\b", "a\nb", "a\0b", &long]
    {
        for route in ["upload_url", "download_url"] {
            let body = json!({"mount_relative_path": path});
            let route = format!("{own}/mounts/files/{route}");
            let error = client.post(&route, body).await.expect_error(400);
            assert!(
                error["errors"][0].as_str().unwrap().starts_with("mount_relative_path: "),
                "{error}"
            );
        }
    }
    for body in [
        json!({}),
        json!({"mount_relative_path": 7}),
        json!({"mount_relative_path": "a", "mimetype": "a\r\nb: c"}),
    ] {
        client.post(&format!("{own}/mounts/files/upload_url"), body).await.expect_error(400);
    }
    let late = upload_url(&client, &own, "a").await;
    write(&app, &own, "a/b", "x").await;
    for path in ["a", "a/b/c"] {
        let body = json!({"mount_relative_path": path});
        client.post(&format!("{own}/mounts/files/upload_url"), body).await.expect_error(400);
    }
    put(&client, &late, "x").await.expect_error(400);
    for mount in ["other", "Files", "files%2F.."] {
        let path = format!("{own}/mounts/{mount}/items");
        client.get(&path).await.expect_error(404);
    }
}

#[tokio::test]
async fn a_link_does_one_thing_with_one_file_of_one_session() {
    let app = TestApp::new().await;
    let (client, anyone) = (app.client(), app.anonymous());
    let own = session(&client, "ann", json!({})).await;
    let bobs = session(&client, "bob", json!({})).await;
    write(&app, &own, "a.txt", "ann").await;
    write(&app, &bobs, "a.txt", "bob").await;
    write(&app, &bobs, "b.txt", "bob").await;
    let read = download_url(&client, &own, "a.txt").await;
    let write_link = upload_url(&client, &own, "a.txt").await;
    let id = |session: &str| session.rsplit('/').next().unwrap().to_owned();
    let other = app.another_project().await.id;
    for wrong in [
        read.replace(&id(&own), &id(&bobs)),
        read.replace("a%2Etxt", "b%2Etxt"),
        read.replace(app.project.id.as_str(), other.as_str()),
        read.replace("path=", "mimetype=text%2Fhtml&path="),
        read.replace("expires=", "expires=1"),
        read.replace("signature=", "signature=00"),
        read.split("&signature").next().unwrap().to_owned(),
        read.split('?').next().unwrap().to_owned(),
        write_link.clone(),
    ] {
        anyone.get(&wrong).await.expect_error(404);
    }
    put(&anyone, &read, "x").await.expect_error(404);
    for wrong in [
        write_link.replace(&id(&own), &id(&bobs)),
        write_link.replace("a%2Etxt", "..%2Fa%2Etxt"),
        write_link.replace("path=", "mimetype=text%2Fhtml&path="),
    ] {
        put(&anyone, &wrong, "x").await.expect_error(404);
    }
    assert_eq!(anyone.get(&read).await.text, "ann");
    assert_eq!(anyone.get(&download_url(&client, &bobs, "a.txt").await).await.text, "bob");
}

#[tokio::test]
async fn a_session_of_another_project_has_no_files_to_show() {
    let app = TestApp::new().await;
    let client = app.client();
    let own = session(&client, "ann", json!({})).await;
    write(&app, &own, "a.txt", "ann").await;
    let body = json!({"mount_relative_path": "a.txt"});
    let stranger = app.client_of(&app.another_project().await);
    let theirs = session(&stranger, "ann", json!({})).await;
    for (client, session, status) in [
        (&stranger, own.as_str(), 404),
        (&app.anonymous(), own.as_str(), 401),
        (&client, &format!("{SESSIONS}/trs_never"), 404),
        (&stranger, &theirs, 404),
        (&client, &theirs, 404),
    ] {
        for route in ["download_url", "delete"] {
            let path = format!("{session}/mounts/files/{route}");
            client.post(&path, body.clone()).await.expect_error(status);
        }
    }
    assert_eq!(list(&stranger, &theirs, "").await, json!({"items": []}));
    assert_eq!(paths(&list(&client, &own, "").await), ["a.txt"]);
}

#[tokio::test]
async fn files_go_with_their_session() {
    let app = TestApp::new().await;
    let (client, anyone) = (app.client(), app.anonymous());
    let own = session(&client, "ann", json!({})).await;
    write(&app, &own, "a.txt", "ann").await;
    let read = download_url(&client, &own, "a.txt").await;
    let write_link = upload_url(&client, &own, "b.txt").await;
    client.delete(&own).await.expect(200);
    anyone.get(&read).await.expect_error(404);
    put(&anyone, &write_link, "x").await.expect_error(404);
    client.get(&format!("{own}/mounts/files/items")).await.expect_error(404);
    let session: patchbay::domain::id::SessionId = own.rsplit('/').next().unwrap().into();
    let left = patchbay::db::session_file::list(&app.app.db, &app.project.id, &session, "", "", 9);
    assert!(left.await.unwrap().is_empty());
}

#[tokio::test]
async fn files_go_with_their_project() {
    let app = TestApp::new().await;
    let (project, anyone) = (app.another_project().await, app.anonymous());
    let client = app.client_of(&project);
    let own = session(&client, "ann", json!({})).await;
    let write_link = upload_url(&client, &own, "a.txt").await;
    put(&anyone, &write_link, "ann").await.expect(200);
    let read = download_url(&client, &own, "a.txt").await;
    let kept = session(&app.client(), "ann", json!({})).await;
    write(&app, &kept, "a.txt", "ann").await;
    let path = format!("/api/v3/org/owner/project/{}", project.id);
    app.org_client().delete(&path).await.expect(200);
    anyone.get(&read).await.expect_error(404);
    put(&anyone, &write_link, "x").await.expect_error(404);
    assert_eq!(patchbay::db::session_file::delete_orphans(&app.app.db).await.unwrap(), 1);
    assert_eq!(paths(&list(&app.client(), &kept, "").await), ["a.txt"]);
}

#[tokio::test]
async fn a_session_holds_no_more_than_it_may() {
    let app = TestApp::with(&[
        ("PATCHBAY_SESSION_FILE_MAX_BYTES", "100"),
        ("PATCHBAY_SESSION_FILES_MAX_BYTES", "150"),
        ("PATCHBAY_MAX_BODY_BYTES", "1024"),
    ])
    .await;
    let (client, anyone) = (app.client(), app.anonymous());
    let own = session(&client, "ann", json!({})).await;
    let link = upload_url(&client, &own, "a").await;
    put(&anyone, &link, vec![0u8; 101]).await.expect_error(413);
    let chunks = futures_util::stream::iter((0..3).map(|_| Ok::<_, std::io::Error>(vec![0u8; 50])));
    put(&anyone, &link, reqwest::Body::wrap_stream(chunks)).await.expect_error(413);
    put(&anyone, &link, vec![0u8; 100]).await.expect(200);
    // What is replaced does not count.
    put(&anyone, &link, vec![1u8; 100]).await.expect(200);
    let second = upload_url(&client, &own, "b").await;
    let error = put(&anyone, &second, vec![0u8; 51]).await.expect_error(413);
    assert_eq!(error["slug"], "ToolRouter_FilesFull");
    put(&anyone, &second, vec![0u8; 50]).await.expect(200);
    // Others have room of their own.
    let bobs = session(&client, "bob", json!({})).await;
    write(&app, &bobs, "a", &"x".repeat(100)).await;
    // Writers at the same time do not take more than there is, together.
    let crowd = session(&client, "eve", json!({})).await;
    let mut links = Vec::new();
    for n in 0..8 {
        links.push(upload_url(&client, &crowd, &format!("{n}")).await);
    }
    let writes = links.iter().map(|link| put(&anyone, link, vec![0u8; 50]));
    let done = futures_util::future::join_all(writes).await;
    assert_eq!(done.iter().filter(|answer| answer.status == 200).count(), 3);
}

#[tokio::test]
async fn a_file_larger_than_other_bodies_is_taken_and_a_link_ends() {
    let settings = [("PATCHBAY_MAX_BODY_BYTES", "1024"), ("PATCHBAY_FILE_TTL_S", "2")];
    let app = TestApp::with(&settings).await;
    let (client, anyone) = (app.client(), app.anonymous());
    let own = session(&client, "ann", json!({})).await;
    let link = upload_url(&client, &own, "a").await;
    put(&anyone, &link, vec![b'x'; 3_000_000]).await.expect(200);
    let read = download_url(&client, &own, "a").await;
    assert_eq!(anyone.get(&read).await.text.len(), 3_000_000);
    tokio::time::sleep(std::time::Duration::from_millis(2100)).await;
    anyone.get(&read).await.expect_error(404);
    put(&anyone, &link, "x").await.expect_error(404);
    // The file stays: only links end.
    assert_eq!(paths(&list(&client, &own, "").await), ["a"]);
}

#[tokio::test]
async fn a_link_works_on_every_replica() {
    let app = TestApp::new().await;
    let (_second, there) = app.another_server().await;
    let own = session(&app.client(), "ann", json!({})).await;
    let link = upload_url(&app.client(), &own, "a").await;
    let moved = link.replace(&app.url(""), "");
    put(&there, &moved, "x").await.expect(200);
    let read = download_url(&there, &own, "a").await;
    let path = &read[read.find("/api/").unwrap()..];
    assert_eq!(app.anonymous().get(path).await.text, "x");
}
