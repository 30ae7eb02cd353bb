//! OpenAPI 3.0 and 3.1.

use serde_json::{Map, json};

use super::{Options, imported, imported_with, options};

fn document(paths: serde_json::Value) -> serde_json::Value {
    json!({
        "openapi": "3.0.3",
        "info": {"title": "Shop API", "version": "1"},
        "servers": [{"url": "https://api.shop.example.io/v1"}],
        "paths": paths,
        "components": {
            "securitySchemes": {
                "oauth": {"type": "oauth2", "flows": {"authorizationCode": {
                    "authorizationUrl": "https://shop.example.io/authorize",
                    "tokenUrl": "/oauth/token",
                    "scopes": {"read": "Read", "write": "Write"},
                }}},
                "key": {"type": "apiKey", "in": "query", "name": "api_key"},
            },
        },
    })
}

fn with_body(kind: &str, media: serde_json::Value) -> serde_json::Value {
    document(json!({"/things": {"post": {
        "summary": "Create a thing",
        "requestBody": {"required": true, "content": {kind: media}},
        "responses": {"200": {"description": "Good"}},
    }}}))
}

#[test]
fn parameters_and_body_become_one_flat_list() {
    let shop = imported(&document(json!({"/things/{id}/parts/{part-no}": {
        "parameters": [{"name": "id", "in": "path", "required": true, "schema": {"type": "string"}}],
        "put": {
            "summary": "Change a part",
            "tags": ["Parts"],
            "security": [{"oauth": ["write"]}],
            "parameters": [
                {"name": "part-no", "in": "path", "required": true, "schema": {"type": "integer"}},
                {"name": "$filter", "in": "query", "schema": {"type": "string"}},
                {"name": "X-Trace", "in": "header", "schema": {"type": "string"}},
                {"name": "mode", "in": "query", "required": true, "schema": {"type": "string", "enum": ["full"]}},
                {"name": "Authorization", "in": "header", "schema": {"type": "string"}},
                {"name": "api_key", "in": "query", "required": true, "schema": {"type": "string"}},
            ],
            "requestBody": {"content": {"application/json": {"schema": {
                "type": "object",
                "required": ["id"],
                "properties": {
                    "id": {"type": "string", "description": "New id"},
                    "size": {"type": "object", "properties": {"width": {"type": "number"}, "unit": {"type": "string"}}},
                    "made": {"type": "string", "readOnly": true},
                },
            }}}},
            "responses": {"200": {"description": "Good"}},
        },
    }})));
    let tool = "SHOP_CHANGE_A_PART";
    let args = json!({"id": "a/b", "part-no": 7, "filter": "x eq 1", "X-Trace": "t", "body_id": "c", "size_width": "2.5"});
    let request = shop.request(tool, args);
    assert_eq!(
        request.url.as_str(),
        "https://api.shop.example.io/v1/things/a%2Fb/parts/7?$filter=x%20eq%201&mode=full"
    );
    assert_eq!(request.headers, [("X-Trace".to_owned(), "t".to_owned())]);
    assert_eq!(super::body(&request), json!({"id": "c", "size": {"width": 2.5}}));
    let nested =
        json!({"id": "a", "part-no": 7, "$filter": "x", "body_id": "c", "size": {"unit": "m"}});
    assert_eq!(shop.sent(tool, nested).1, json!({"id": "c", "size": {"unit": "m"}}));
    let made = &shop.definition.tools[0];
    assert_eq!(made["origin"], "PUT /things/{id}/parts/{part-no}");
    assert_eq!(made["scopes"], json!([["write"]]));
    assert_eq!(made["tags"], json!(["Parts", "important"]));
    let names: Vec<_> = made["params"].as_object().unwrap().keys().collect();
    assert_eq!(names, ["id", "part-no", "filter", "X-Trace", "mode", "body_id", "size"]);
    assert!(shop.report.renamed.iter().any(|r| r.from == "id" && r.to == "body_id"));
    assert!(shop.report.renamed.iter().any(|r| r.from == "$filter" && r.to == "filter"));
}

#[test]
fn lists_and_objects_are_written_in_the_style_that_is_described() {
    let list = json!({"type": "array", "items": {"type": "string"}});
    let object = json!({"type": "object", "properties": {"a": {"type": "integer"}, "b": {"type": "string"}}});
    let parameter = |name: &str, schema: &serde_json::Value, more: serde_json::Value| {
        let mut parameter = json!({"name": name, "in": "query", "schema": schema});
        parameter.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        parameter
    };
    let shop = imported(&document(json!({"/find/{tags}": {"get": {
        "operationId": "findThings",
        "parameters": [
            {"name": "tags", "in": "path", "required": true, "style": "matrix", "explode": true, "schema": list},
            parameter("each", &list, json!({})),
            parameter("joined", &list, json!({"explode": false})),
            parameter("piped", &list, json!({"style": "pipeDelimited", "explode": false})),
            parameter("deep", &object, json!({"style": "deepObject", "explode": true})),
            parameter("flat", &object, json!({"explode": false})),
            parameter("open", &object, json!({})),
            {"name": "json", "in": "query", "content": {"application/json": {"schema": object}}},
            parameter("where", &json!({"type": "string"}), json!({"allowReserved": true})),
            {"name": "session", "in": "cookie", "schema": {"type": "string"}},
        ],
        "responses": {"200": {"description": "Good"}},
    }}})));
    let args = json!({
        "tags": ["x", "y"], "each": ["1", "2"], "joined": ["1", "2"], "piped": ["1", "2"], "deep": {"a": 1},
        "flat": {"a": 1, "b": "c"}, "open": {"b": "d"}, "json": {"a": 2}, "where": "a/b", "session": "s",
    });
    let request = shop.request("SHOP_FIND_THINGS", args);
    assert_eq!(
        request.url.as_str(),
        "https://api.shop.example.io/v1/find/;tags=x;tags=y?each=1&each=2&joined=1,2&piped=1%7C2\
         &deep%5Ba%5D=1&flat=a,1,b,c&b=d&json=%7B%22a%22%3A2%7D&where=a/b"
    );
    assert_eq!(request.headers, [("Cookie".to_owned(), "session=s".to_owned())]);
}

#[test]
fn a_text_body_is_what_its_schema_asks_for() {
    let mut made = document(json!({
        "/keys/{id}": {"get": {
            "summary": "Get a key",
            "parameters": [{"name": "id", "in": "path", "required": true, "schema": {"type": "string"}}],
            "responses": {"200": {"description": "Good", "content": {"text/plain": {"schema":
                {"type": ["string", "null"], "minLength": 4, "description": "A key."}}}}},
        }},
        "/sessions": {"post": {
            "summary": "Create a session",
            // It says what form the answer has, and none of the codings that the client knows.
            "parameters": [{"name": "Accept-Encoding", "in": "header",
                "schema": {"type": "string", "enum": ["application/json", "base64"], "default": "base64"}}],
            "requestBody": {"required": true, "content": {"text/plain": {"example": "0000-key", "schema":
                {"$ref": "#/paths/~1keys~1%7Bid%7D/get/responses/200/content/text~1plain/schema"}}}},
            "responses": {"200": {"description": "Good"}},
        }},
        "/notes": {"post": {
            "summary": "Create a note",
            "requestBody": {"content": {"text/xml": {"schema":
                {"type": "object", "properties": {"title": {"type": "string"}}}}}},
            "responses": {"200": {"description": "Good"}},
        }},
    }));
    made["openapi"] = "3.1.0".into();
    let shop = imported(&made);
    let body = shop.param("SHOP_CREATE_A_SESSION", "body");
    assert_eq!((&body["type"], &body["min_length"]), (&json!("string"), &json!(4)), "{body}");
    assert_eq!(body["examples"], json!(["0000-key"]));
    let request = shop.request("SHOP_CREATE_A_SESSION", json!({"body": "1111-key"}));
    assert!(
        request.headers.contains(&("Accept-Encoding".into(), "base64".into())),
        "{:?}",
        request.headers
    );
    assert_eq!(super::body(&request), json!(["text/plain", "1111-key"]));
    // What XML means is not asked for; the text is the caller's.
    assert_eq!(shop.param("SHOP_CREATE_A_NOTE", "body")["type"], "string");
}

#[test]
fn bodies_of_every_kind_are_sent_as_described() {
    let thing = json!({"type": "object", "required": ["name"], "properties": {
        "name": {"type": "string"},
        "tags": {"type": "array", "items": {"type": "string"}},
        "box": {"type": "object", "properties": {"w": {"type": "integer"}}},
    }});
    let args = json!({"name": "n", "tags": ["a", "b"], "box": {"w": 1}});
    let tool = "SHOP_CREATE_A_THING";

    let shop = imported(&with_body("application/vnd.shop+json", json!({"schema": thing})));
    let request = shop.request(tool, args.clone());
    assert_eq!(super::body(&request), args);
    assert!(request.headers.contains(&("Content-Type".into(), "application/vnd.shop+json".into())));

    let shop = imported(&with_body("application/x-www-form-urlencoded", json!({"schema": thing})));
    let pairs = json!(["name=n", "tags=a", "tags=b", "box[w]=1"]);
    assert_eq!(shop.sent(tool, args.clone()).1, pairs);

    let encoding = json!({"tags": {"style": "deepObject", "explode": true}});
    let media = json!({"schema": thing, "encoding": encoding});
    let shop = imported(&with_body("application/x-www-form-urlencoded", media));
    assert_eq!(shop.sent(tool, args).1, json!(["name=n", "tags[]=a", "tags[]=b", "box[w]=1"]));

    let file = json!({"type": "object", "properties": {
        "photo": {"type": "string", "format": "binary"}, "about": {"type": "object", "properties": {"w": {"type": "integer"}}},
    }});
    let shop = imported(&with_body("multipart/form-data", json!({"schema": file})));
    let photo = json!({"name": "a.png", "mimetype": "image/png", "s3key": "k"});
    let parts = shop.sent(tool, json!({"photo": photo, "about": {"w": 1}})).1;
    assert_eq!(parts, json!([["photo", "a.png", "\u{fffd}PNG"], ["about", "-", "{\"w\":1}"]]));

    let shop = imported(&with_body(
        "application/json",
        json!({"schema": {"type": "array", "items": thing}}),
    ));
    assert_eq!(shop.sent(tool, json!({"body": [{"name": "n"}]})).1, json!([{"name": "n"}]));

    let shop = imported(&with_body("text/plain", json!({"schema": {"type": "string"}})));
    assert_eq!(shop.sent(tool, json!({"body": "a b"})).1, json!(["text/plain", "a b"]));

    let shop = imported(&with_body(
        "image/png",
        json!({"schema": {"type": "string", "format": "binary"}}),
    ));
    assert_eq!(shop.sent(tool, json!({"body": photo})).1, json!(["image/png", "\u{fffd}PNG"]));

    let wrapped =
        json!({"schema": {"type": "object", "required": ["data"], "properties": {"data": thing}}});
    let shop = imported(&with_body("application/json", wrapped));
    assert_eq!(shop.sent(tool, json!({"name": "n"})).1, json!({"data": {"name": "n"}}));
    assert_eq!(shop.sent(tool, json!({"data": {"name": "n"}})).1, json!({"data": {"name": "n"}}));

    let either = json!({"schema": {"oneOf": [
        thing, {"type": "object", "required": ["id"], "properties": {"id": {"type": "integer"}}},
    ]}});
    let shop = imported(&with_body("application/json", either));
    assert_eq!(shop.sent(tool, json!({"body": {"id": 1}})).1, json!({"id": 1}));
}

#[test]
fn a_form_that_is_nothing_but_files_has_a_part_for_them() {
    let one = json!({"type": "string", "format": "binary"});
    let many = json!({"type": "array", "items": one});
    for (schema, kind) in [(one, "file"), (many, "array")] {
        let shop = imported(&with_body("multipart/form-data", json!({"schema": schema})));
        let tool = "SHOP_CREATE_A_THING";
        assert_eq!(shop.param(tool, "file")["type"], kind);
        assert_eq!(shop.param(tool, "file")["required"], true);
        let file = json!({"name": "a.png", "mimetype": "image/png", "s3key": "k"});
        let file = if kind == "array" { json!([file]) } else { file };
        let parts = shop.sent(tool, json!({"file": file})).1;
        assert_eq!(parts, json!([["file", "a.png", "\u{fffd}PNG"]]));
    }
}

#[test]
fn credentials_and_servers_become_schemes_and_fields() {
    let paths = json!({"/a": {"get": {"responses": {}}}});
    let shop = imported(&document(paths.clone()));
    let auth = &shop.definition.toolkit["auth"];
    assert_eq!(auth[0]["oauth2"]["token"]["url"], "https://api.shop.example.io/oauth/token");
    assert_eq!(auth[1]["inject"], json!({"query": {"api_key": "{{ cred.api_key }}"}}));
    assert_eq!(shop.definition.tools[0]["slug"], "SHOP_GET_A");

    let mut templated = document(paths.clone());
    templated["servers"] = json!([{"url": "https://{region}.shop.io/{base}", "variables": {
        "region": {"default": "eu", "enum": ["eu", "us"]}, "base": {"default": "v1"},
    }}]);
    let shop = imported(&templated);
    let url = |shop: &super::Imported, conn: serde_json::Value| {
        let conn: Map<_, _> = conn.as_object().unwrap().clone();
        shop.toolkit().base_url(&conn).map(|url| url.to_string())
    };
    assert_eq!(url(&shop, json!({})).unwrap(), "https://eu.shop.io/v1");
    assert_eq!(url(&shop, json!({"region": "us"})).unwrap(), "https://us.shop.io/v1");
    assert!(url(&shop, json!({"region": "evil.com/"})).is_err());

    let mut relative = document(paths);
    relative["servers"] = json!([{"url": "/api/v2"}]);
    let own = imported(&relative);
    assert_eq!(url(&own, json!({"host": "git.corp.io"})).unwrap(), "https://git.corp.io/api/v2");
    let source = Options { source_url: Some("https://git.shop.io/spec.json".into()), ..options() };
    let fetched = imported_with(&relative, &source);
    assert_eq!(url(&fetched, json!({})).unwrap(), "https://git.shop.io/api/v2");
    relative["components"] = json!({});
    let nobody = imported(&relative);
    assert_eq!(nobody.definition.toolkit["auth"][0]["scheme"], "NO_AUTH");
    assert!(nobody.report.notes.iter().any(|note| note.contains("no security")));
}

#[test]
fn a_description_that_is_full_of_holes_gives_what_there_is() {
    let mut holes = document(json!({
        "/good": {"get": {"summary": "Good\u{202e} one", "responses": {"200": {"$ref": "#/nowhere"}}}},
        "/{id": {"get": {"summary": "No end", "responses": {}}},
        "/also/{x}": {"get": {"summary": "Good\u{202e} one", "tags": ["More"], "parameters": [{"$ref": "#/nowhere"}, {"in": "query"}, 5]}},
        "/trace": {"trace": {"summary": "Trace"}, "parameters": "none"},
    }));
    holes["components"]["schemas"] = json!({"a": {"$ref": "#/components/schemas/a"}});
    let shop = imported(&holes);
    let slugs: Vec<_> = shop.definition.tools.iter().map(|t| t["slug"].as_str().unwrap()).collect();
    assert_eq!(slugs, ["SHOP_GOOD_ONE", "SHOP_GOOD_ONE_MORE"]);
    assert_eq!(shop.definition.tools[0]["name"], "Good one");
    assert_eq!((shop.report.operations, shop.report.tools), (4, 2));
    let left: Vec<_> = shop.report.left_out.iter().map(|l| l.at.as_str()).collect();
    assert!(
        left.contains(&"/paths/~1trace/trace") && left.contains(&"/paths/~1{id/get"),
        "{left:?}"
    );
    assert_eq!(shop.param("SHOP_GOOD_ONE_MORE", "x")["required"], true);
}
