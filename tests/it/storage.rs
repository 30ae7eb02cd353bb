//! Files behind signed links.

use std::collections::HashMap;

use patchbay::domain::id::{FileId, ProjectId};
use patchbay::error::codes;
use url::Url;

use crate::support::TestApp;

struct Link {
    project: ProjectId,
    id: FileId,
    expires: i64,
    signature: String,
}

fn parts(url: &str) -> Link {
    let url = Url::parse(url).unwrap();
    let path: Vec<&str> = url.path_segments().unwrap().collect();
    let query: HashMap<_, _> = url.query_pairs().into_owned().collect();
    assert_eq!(path[..4], ["api", "v3", "files", "content"]);
    Link {
        project: path[4].into(),
        id: path[5].into(),
        expires: query["expires"].parse().unwrap(),
        signature: query["signature"].clone(),
    }
}

#[tokio::test]
async fn a_link_opens_its_file_and_no_other() {
    let app = TestApp::new().await;
    let (files, project) = (&app.app.files, &app.project.id);
    let stored = files.put(project, "../a.pdf", "application/pdf", b"%PDF".into()).await.unwrap();
    assert!(stored.url.starts_with(&app.url("/api/v3/files/content/")));
    let link = parts(&stored.url);
    let file = files.get(&link.project, &link.id, link.expires, &link.signature).await.unwrap();
    assert_eq!((file.name.as_str(), file.content.as_slice()), ("a.pdf", b"%PDF".as_slice()));

    let second = files.put(project, "b", "text/plain", b"b".into()).await.unwrap();
    let second = parts(&second.url);
    let other = app.another_project().await.id;
    for (project, id, expires, signature) in [
        (&link.project, &second.id, link.expires, link.signature.as_str()),
        (&other, &link.id, link.expires, link.signature.as_str()),
        (&link.project, &link.id, link.expires + 1, link.signature.as_str()),
        (&link.project, &link.id, link.expires, second.signature.as_str()),
        (&link.project, &link.id, link.expires, ""),
        (&link.project, &link.id, link.expires, "zz"),
        (&link.project, &link.id, link.expires, &link.signature[..32]),
    ] {
        let error = files.get(project, id, expires, signature).await.err().unwrap();
        assert_eq!(error.code, codes::FILE_NOT_FOUND);
    }
}

#[tokio::test]
async fn a_link_ends() {
    let app = TestApp::with(&[("PATCHBAY_FILE_TTL_S", "1")]).await;
    let files = &app.app.files;
    let stored = files.put(&app.project.id, "a", "text/plain", b"a".into()).await.unwrap();
    let link = parts(&stored.url);
    tokio::time::sleep(std::time::Duration::from_millis(1100)).await;
    let error = files.get(&link.project, &link.id, link.expires, &link.signature).await;
    assert_eq!(error.err().unwrap().code, codes::FILE_NOT_FOUND);
}
