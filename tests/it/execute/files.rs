//! Files that a caller uploads for an argument, and answers that are files.

use reqwest::Method;
use serde_json::{Value, json};

use super::provider::World;
use crate::support::TestApp;
use crate::support::client::{TestClient, TestResponse};

const REQUEST: &str = "/api/v3/files/upload/request";

/// The MD5 of `hello`, of `two` and of nothing.
const HELLO: &str = "5d41402abc4b2a76b9719d911017c592";
const TWO: &str = "b8a9f715dbb64fd5c56e7783c6820a61";
const NOTHING: &str = "d41d8cd98f00b204e9800998ecf8427e";

fn announced(name: &str, md5: &str) -> Value {
    json!({"md5": md5, "filename": name, "mimetype": "text/plain", "tool_slug": "MOFILE_SEND",
           "toolkit_slug": "mofile"})
}

async fn put(client: &TestClient, url: &str, content: impl Into<reqwest::Body>) -> TestResponse {
    client.send(client.request(Method::PUT, url).body(content)).await
}

/// Uploads a file as SDKs do, and gives the argument.
async fn upload(app: &TestApp, name: &str, md5: &str, content: &'static str) -> Value {
    let begun = app.client().post(REQUEST, announced(name, md5)).await.expect(200);
    put(&app.anonymous(), begun["new_presigned_url"].as_str().unwrap(), content).await.expect(200);
    json!({"name": name, "mimetype": "text/plain", "s3key": begun["key"]})
}

#[tokio::test]
async fn an_uploaded_file_is_sent_as_a_part_as_a_body_and_as_text() {
    let world = World::new().await;
    let file = upload(&world.app, "a b.txt", HELLO, "hello").await;
    let two = upload(&world.app, "two.txt", TWO, "two").await;

    let args = json!({"file": file, "more": [two, file], "note": "hi"});
    assert_eq!(world.run("MOFILE_SEND", args).await["successful"], true);
    let seen = world.provider.last();
    let kind = seen.header("content-type").unwrap().to_owned();
    let mark = kind.strip_prefix("multipart/form-data; boundary=").unwrap();
    let part = |name: &str, file: &str, text: &str| {
        format!(
            "--{mark}\r\nContent-Disposition: form-data; name=\"{name}\"; filename=\"{file}\"\r\n\
             Content-Type: text/plain\r\n\r\n{text}\r\n"
        )
    };
    let wanted = format!(
        "{}{}{}--{mark}\r\nContent-Disposition: form-data; name=\"note\"\r\n\r\nhi\r\n--{mark}--\r\n",
        part("file", "a b.txt", "hello"),
        part("more", "two.txt", "two"),
        part("more", "a b.txt", "hello"),
    );
    assert_eq!(seen.body, wanted);

    world.run("MOFILE_PUT", json!({"file": file})).await;
    let seen = world.provider.last();
    assert_eq!((seen.body.as_str(), seen.header("content-type")), ("hello", Some("text/plain")));

    let answer = world.run("MOFILE_ENCODE", json!({"file": file})).await;
    assert_eq!(world.provider.last().body, r#"{"content":{"data":"aGVsbG8="}}"#);
    // The log has the key, not the bytes.
    let log = format!("{:?}", world.log(&answer["log_id"]).await);
    assert!(log.contains(file["s3key"].as_str().unwrap()));
}

#[tokio::test]
async fn an_upload_is_answered_as_sdks_read_it_and_is_listed() {
    let app = TestApp::new().await;
    for path in [REQUEST, "/api/v3.1/files/upload/request"] {
        let begun = app.client().post(path, announced("../x/a.txt", HELLO)).await.expect(200);
        assert_eq!(begun["type"], "new");
        assert_eq!(begun["metadata"]["storage_backend"], "s3");
        assert_eq!(begun["new_presigned_url"], begun["newPresignedUrl"]);
        let url = begun["new_presigned_url"].as_str().unwrap();
        assert!(url.starts_with(&app.url("/api/v3/files/upload/")), "{url}");
        // Once more does no harm: a line may break when everything was sent.
        for _ in 0..2 {
            let done = put(&app.anonymous(), url, "hello").await.expect(200);
            assert_eq!(done, json!({"key": begun["key"], "size": 5}));
        }
    }
    app.client().post(REQUEST, announced("never.txt", HELLO)).await.expect(200);
    let page =
        app.client().get("/api/v3/files/list?tool_slug=MOFILE_SEND&limit=1").await.expect(200);
    let file = json!({"toolkit_slug": "mofile", "tool_slug": "MOFILE_SEND", "filename": "a.txt",
                      "mimetype": "text/plain", "md5": HELLO});
    assert_eq!((&page["items"], &page["total_items"]), (&json!([file]), &json!(2)));
    let rest =
        format!("/api/v3/files/list?limit=1&cursor={}", page["next_cursor"].as_str().unwrap());
    let rest = app.client().get(&rest).await.expect(200);
    assert_eq!((rest["items"].as_array().unwrap().len(), &rest["next_cursor"]), (1, &Value::Null));
    let none = app.client().get("/api/v3/files/list?toolkit_slug=other").await.expect(200);
    assert_eq!(none["total_items"], 0);
    let other = app.client_of(&app.another_project().await);
    assert_eq!(other.get("/api/v3/files/list").await.expect(200)["total_items"], 0);
    app.anonymous().get("/api/v3/files/list").await.expect_error(401);
    app.anonymous().post(REQUEST, announced("a", HELLO)).await.expect_error(401);
}

#[tokio::test]
async fn only_what_was_announced_can_be_uploaded_and_only_with_its_link() {
    let app = TestApp::with(&[("PATCHBAY_SESSION_FILE_MAX_BYTES", "64")]).await;
    let begun = app.client().post(REQUEST, announced("a.txt", HELLO)).await.expect(200);
    let url = begun["new_presigned_url"].as_str().unwrap();
    let anyone = app.anonymous();
    put(&anyone, url, "hullo").await.expect_error(400);
    put(&anyone, url, "x".repeat(65)).await.expect_error(413);
    let second = app.client().post(REQUEST, announced("b.txt", NOTHING)).await.expect(200);
    let (key, other) = (begun["key"].as_str().unwrap(), second["key"].as_str().unwrap());
    let project = app.project.id.as_str();
    for wrong in [
        url.split('?').next().unwrap().to_owned(),
        url.replace(key, other),
        url.replace(project, "pr_another"),
        url.replace("expires=", "expires=9"),
        url.replace("signature=", "signature=0"),
        url.replace("/upload/", "/content/"),
    ] {
        let refused = put(&anyone, &wrong, "hello").await;
        assert!([404, 405].contains(&refused.status), "{wrong}: {}", refused.text);
    }
    put(&anyone, second["new_presigned_url"].as_str().unwrap(), "").await.expect(200);
    put(&anyone, url, "hello").await.expect(200);
    // A link to write does not read.
    assert_ne!(anyone.get(url).await.status, 200);
    for wrong in [
        json!({"md5": "x"}),
        json!({"md5": "5d41402abc4b2a76b9719d911017c59z"}),
        json!({"filename": ""}),
        json!({"mimetype": "a/b\r\nX: y"}),
        json!({"tool_slug": "A\u{0}"}),
        json!({"toolkit_slug": "a".repeat(201)}),
    ] {
        let mut body = announced("a.txt", HELLO);
        body.as_object_mut().unwrap().extend(wrong.as_object().unwrap().clone());
        app.client().post(REQUEST, body).await.expect_error(400);
    }
}

#[tokio::test]
async fn a_file_of_another_project_or_one_that_never_came_is_not_sent() {
    let world = World::new().await;
    let foreign = {
        let other = world.app.client_of(&world.app.another_project().await);
        let begun = other.post(REQUEST, announced("a.txt", HELLO)).await.expect(200);
        put(&other, begun["new_presigned_url"].as_str().unwrap(), "hello").await.expect(200);
        begun["key"].clone()
    };
    let begun = world.app.client().post(REQUEST, announced("late.txt", HELLO)).await.expect(200);
    for (key, problem) in [
        (foreign, "there is no uploaded file"),
        (json!("file_unknown"), "there is no uploaded file"),
        (json!("a\u{0}b"), "there is no uploaded file"),
        (json!("x".repeat(5000)), "there is no uploaded file"),
        (begun["key"].clone(), "the upload of `late.txt` was not completed"),
    ] {
        let file = json!({"name": "a", "mimetype": "text/plain", "s3key": key});
        let body = json!({"arguments": {"file": file}, "user_id": "ann"});
        let refused = world.post("MOFILE_SEND", body).await.expect_error(400);
        assert!(refused.to_string().contains(problem), "{refused}");
    }
    assert!(world.provider.seen().is_empty());
}

#[tokio::test]
async fn an_answer_becomes_a_file_with_a_clean_name() {
    let world = World::new().await;
    let answer = world.run("MOFILE_NAMED", json!({})).await;
    let file = &answer["data"]["file"];
    assert_eq!(
        (&file["name"], &file["mimetype"]),
        (&json!("räport;.bin"), &json!("application/x-thing"))
    );
    let fetched = reqwest::get(file["s3url"].as_str().unwrap()).await.unwrap();
    assert_eq!(fetched.bytes().await.unwrap().as_ref(), b"\0\xff\xfe");

    let answer = world.run("MOFILE_REPORT", json!({})).await;
    let file = &answer["data"]["file"];
    assert_eq!(
        (&file["name"], &file["mimetype"]),
        (&json!("file.json"), &json!("application/json"))
    );
    let text = reqwest::get(file["s3url"].as_str().unwrap()).await.unwrap().text().await.unwrap();
    assert_eq!(serde_json::from_str::<Value>(&text).unwrap()["path"], "/api/report");

    let answer = world.run("MOFILE_MADE", json!({"data": "_-8"})).await;
    let file = &answer["data"]["doc"];
    assert_eq!((&file["name"], &file["mimetype"]), (&json!("a.pdf"), &json!("application/pdf")));
    let fetched = reqwest::get(file["s3url"].as_str().unwrap()).await.unwrap();
    assert_eq!(fetched.bytes().await.unwrap().as_ref(), b"\xff\xef");

    for tool in ["MOFILE_REFUSED", "MOFILE_NOT_OK"] {
        let answer = world.run(tool, json!({})).await;
        assert_eq!(answer["successful"], false);
        assert!(answer["data"].get("file").is_none(), "{answer}");
    }
}

#[tokio::test]
async fn the_next_page_of_a_link_header_is_told_where_the_tool_says_so() {
    let world = World::new().await;
    let answer = world.run("MOFILE_PAGED", json!({})).await;
    let next = format!("http://{}/api/paged?page=2&key=sk-secret-12345678", world.provider.address);
    assert_eq!(answer["data"], json!({"items": [1, 2], "next_link": next}));
    let answer = world.run("MOFILE_UNPAGED", json!({})).await;
    assert_eq!(answer["data"], json!({"items": [1, 2]}));
}
