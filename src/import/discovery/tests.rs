use proptest::prelude::*;
use serde_json::json;

use super::*;

fn options() -> Options {
    Options { slug: Some("files".into()), version: "20261101_00".into(), ..Options::default() }
}

fn document() -> Value {
    json!({
        "discoveryVersion": "v1", "name": "drive", "version": "v3", "title": "Drive API",
        "rootUrl": "https://www.example.com/", "servicePath": "drive/v3/",
        "documentationLink": "http://docs.example.com/",
        "parameters": {"fields": {"type": "string"}, "key": {"type": "string"}, "alt": {"type": "string"}},
        "auth": {"oauth2": {"scopes": {"https://x/all": {}, "https://x/read": {}}}},
        "schemas": {
            "File": {"id": "File", "type": "object", "properties": {
                "id": {"type": "string", "readOnly": true},
                "name": {"type": "string", "annotations": {"required": ["drive.files.create"]}},
                "fileId": {"type": "string"},
                "parent": {"$ref": "File"},
            }},
        },
        "resources": {"files": {"methods": {
            "get": {"id": "drive.files.get", "path": "files/{fileId}", "httpMethod": "GET",
                "supportsMediaDownload": true, "response": {"$ref": "File"},
                "parameters": {
                    "fileId": {"type": "string", "location": "path", "required": true},
                    "alt": {"type": "string", "location": "query"},
                    "ids": {"type": "string", "format": "int64", "repeated": true, "location": "query"},
                },
                "scopes": ["https://x/read", "https://x/all", "https://x/unknown"]},
            "create": {"id": "drive.files.create", "path": "files", "httpMethod": "POST",
                "request": {"$ref": "File"}, "response": {"$ref": "File"},
                "mediaUpload": {"protocols": {"simple": {"path": "/upload/drive/v3/files"}}},
                "scopes": ["https://x/all"]},
            "update": {"id": "drive.files.update", "path": "files/{fileId}", "httpMethod": "PATCH",
                "request": {"$ref": "File"},
                "parameters": {"fileId": {"type": "string", "location": "path"}}},
            "cancel": {"id": "drive.files.cancel", "path": "{+name}:cancel", "httpMethod": "POST"},
            "odd": {"id": "drive.files.odd", "path": "{/x*}", "httpMethod": "POST"},
        }}},
    })
}

fn tool<'a>(definition: &'a Definition, slug: &str) -> &'a Value {
    definition.tools.iter().find(|tool| tool["slug"] == slug).unwrap_or_else(|| panic!("{slug}"))
}

#[test]
fn methods_become_tools_with_their_ids_as_aliases() {
    let (definition, report) = import(&document(), &options(), &|_, _| {}).unwrap();
    let slugs: Vec<&str> = definition.tools.iter().map(|t| t["slug"].as_str().unwrap()).collect();
    assert_eq!(
        slugs,
        [
            "FILES_GET_FILE",
            "FILES_DOWNLOAD_FILE",
            "FILES_CREATE_FILE",
            "FILES_UPDATE_FILE",
            "FILES_CANCEL_FILE"
        ]
    );
    assert_eq!((report.operations, report.tools, report.left_out.len()), (5, 5, 1));
    let get = tool(&definition, "FILES_GET_FILE");
    assert_eq!(get["aliases"], json!(["FILES_FILES_GET"]));
    assert_eq!(get["request"], json!({"method": "GET", "path": "/drive/v3/files/{fileId}"}));
    assert_eq!(get["scopes"], json!([["https://x/read"], ["https://x/all"]]));
    let names: Vec<&String> = get["params"].as_object().unwrap().keys().collect();
    assert_eq!(names, ["fileId", "ids", "fields"]);
    assert_eq!(get["params"]["ids"]["items"], json!({"type": "string", "also": ["integer"]}));
    let download = tool(&definition, "FILES_DOWNLOAD_FILE");
    assert_eq!(download["request"]["query"], json!({"alt": "media"}));
    assert_eq!(download["response"], json!({"file": true}));
    assert_eq!(
        tool(&definition, "FILES_CANCEL_FILE")["request"]["path"],
        "/drive/v3/{name*}:cancel"
    );
    assert_eq!(definition.toolkit["base_url"], "https://www.example.com");
    assert_eq!(definition.toolkit["auth"][0]["oauth2"]["scopes"], json!(["https://x/all"]));
}

#[test]
fn what_stands_in_the_path_and_in_the_body_is_told_apart() {
    let (definition, _) = import(&document(), &options(), &|_, _| {}).unwrap();
    let params = &tool(&definition, "FILES_UPDATE_FILE")["params"];
    assert_eq!(params["fileId"]["in"], "path");
    assert_eq!(
        (&params["body_fileId"]["in"], &params["body_fileId"]["wire"]),
        (&json!("body"), &json!("fileId"))
    );
    assert!(params.get("id").is_none());
    assert!(params["parent"]["type"] == "object");
}

#[test]
fn a_file_is_uploaded_with_its_metadata_in_one_request() {
    let (definition, _) = import(&document(), &options(), &|_, _| {}).unwrap();
    let create = tool(&definition, "FILES_CREATE_FILE");
    assert_eq!(create["params"]["file"]["type"], "file");
    assert_eq!(create["params"]["name"]["required"], true);
    let upload = &create["steps"][0]["request"];
    assert_eq!(upload["path"], "/upload/drive/v3/files");
    assert_eq!(upload["query"]["uploadType"], "multipart");
    assert!(upload["raw"]["text"].as_str().unwrap().contains("'name': args.name"));
    assert_eq!(create["steps"][1]["request"]["json"]["name"], "{{ args.name }}");
}

#[test]
fn a_document_without_root_or_methods_is_refused() {
    let mut no_root = document();
    no_root["rootUrl"] = json!("file:///");
    assert_eq!(import(&no_root, &options(), &|_, _| {}).unwrap_err().at, "/rootUrl");
    let mut nothing = document();
    nothing["resources"] = json!({});
    assert!(import(&nothing, &options(), &|_, _| {}).is_err());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn no_method_makes_it_panic(
        path in "[a-z{}+/*:.-]{0,20}",
        id in "[a-zA-Z.]{0,20}",
        verb in prop::sample::select(vec!["GET", "POST", "BREW", ""]),
        place in prop::sample::select(vec!["path", "query", "x"]),
        parameter in "[a-z$.+]{0,6}",
    ) {
        let mut document = document();
        document["resources"] = json!({"a": {"methods": {"b": {
            "id": id, "path": path, "httpMethod": verb, "request": {"$ref": "File"},
            "parameters": {parameter: {"location": place, "type": 1, "enum": [1, "a", "a"]}},
            "mediaUpload": {"protocols": {"simple": {"path": path}}}, "supportsMediaDownload": true,
        }}}});
        let (definition, report) = import(&document, &options(), &|_, _| {}).unwrap();
        prop_assert!(!definition.tools.is_empty() || report.left_out.len() == 1);
    }
}
