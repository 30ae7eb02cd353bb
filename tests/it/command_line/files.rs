//! Descriptions in files: imported, compared, listed and removed.

use std::path::Path;

use serde_json::{Value, json};

use super::{description, toolkits};
use crate::support::TestApp;

fn put(folder: &Path, name: &str, text: &str) {
    let path = folder.join(name);
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    std::fs::write(path, text).unwrap();
}

#[tokio::test]
async fn a_file_is_imported_compared_listed_and_removed() {
    let (app, folder) = (TestApp::new().await, tempfile::tempdir().unwrap());
    let folder = folder.path();
    put(folder, "acme.json", &description("Acme", &["List things", "Get it"]).to_string());
    let said = toolkits(&app, folder, &["import", "acme.json", "--dry-run"]).await;
    assert!(said.good && said.out.contains("acme would be version"), "{said:?}");
    app.client().get("/api/v3/tools/ACME_GET_IT").await.expect(404);

    let said = toolkits(&app, folder, &["import", "acme.json"]).await;
    assert!(said.good && said.out.contains("acme is now version"), "{said:?}");
    assert!(said.out.contains("with 2 tools"), "{said:?}");
    app.client().get("/api/v3/tools/ACME_GET_IT").await.expect(200);
    let said = toolkits(&app, folder, &["import", "acme.json"]).await;
    assert!(said.out.contains("acme is unchanged at version"), "{said:?}");

    put(folder, "acme.json", &description("Acme", &["List things", "Count them"]).to_string());
    let said = toolkits(&app, folder, &["diff", "acme.json"]).await;
    assert!(said.good && said.out.contains("Added (1):\n  ACME_COUNT_THEM"), "{said:?}");
    assert!(said.out.contains("Removed (1):\n  ACME_GET_IT"), "{said:?}");
    // It was only looked at.
    app.client().get("/api/v3/tools/ACME_COUNT_THEM").await.expect(404);
    let said = toolkits(&app, folder, &["diff", "acme.json", "--json"]).await;
    let whole: Value = serde_json::from_str(&said.out).unwrap();
    assert_eq!(
        (&whole["is_new"], &whole["changes"]["counts"]["added"]),
        (&json!(false), &json!(1))
    );

    let said = toolkits(&app, folder, &["list"]).await;
    assert!(said.out.starts_with("acme 2") && said.out.contains("(2 tools) acme.json"), "{said:?}");
    assert!(said.out.ends_with("1 toolkits are installed.\n"), "{said:?}");
    let said = toolkits(&app, folder, &["list", "--for-server"]).await;
    assert_eq!(said.out, "0 toolkits are installed.\n");

    let said = toolkits(&app, folder, &["remove", "acme", "--for-server"]).await;
    assert!(!said.good && said.err.contains("acme"), "{said:?}");
    let said = toolkits(&app, folder, &["remove", "acme"]).await;
    assert!(said.good && said.out.starts_with("acme is gone."), "{said:?}");
    app.client().get("/api/v3/tools/ACME_LIST_THINGS").await.expect(404);
    let said = toolkits(&app, folder, &["remove", "acme"]).await;
    assert!(!said.good && said.err.contains("GET /api/v3/toolkits/installed"), "{said:?}");
}

#[tokio::test]
async fn files_that_a_file_refers_to_go_with_it() {
    let (app, folder) = (TestApp::new().await, tempfile::tempdir().unwrap());
    let folder = folder.path();
    let mut main = description("Acme", &["Get it"]);
    for (name, reference) in [("near", "parts/p.yaml#/near"), ("far", "../far/p.yaml#/far")] {
        let post = json!({"summary": name, "parameters": [{"$ref": reference}], "responses": {}});
        main["paths"][format!("/{name}")] = json!({"post": post});
    }
    put(folder, "api/acme.json", &main.to_string());
    let query =
        |name: &str| format!("{name}: {{name: {name}, in: query, schema: {{type: string}}}}\n");
    put(folder, "api/parts/p.yaml", &query("near"));
    put(folder, "far/p.yaml", &query("far"));
    let said = toolkits(&app, folder, &["import", "api/acme.json"]).await;
    assert!(said.good && said.out.contains("with 2 tools"), "{said:?}");
    assert!(said.err.contains("Not sent along: ../far/p.yaml: is outside"), "{said:?}");
    assert!(
        said.out.contains("POST /far: it needs ../far/p.yaml#/far: it was not sent along"),
        "{said:?}"
    );
    let tool = app.client().get("/api/v3/tools/ACME_NEAR").await.expect(200);
    assert!(tool["input_parameters"]["properties"]["near"].is_object(), "{tool}");
    let said = toolkits(&app, folder, &["import", "api/acme.json", "--allow", "./far"]).await;
    assert!(said.good && said.out.contains("Added (1):\n  ACME_FAR"), "{said:?}");
}
