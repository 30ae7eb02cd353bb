//! Swagger 2.0.

use serde_json::json;

use super::imported;

#[test]
fn swagger_is_imported_with_its_bodies_forms_and_lists() {
    let shop = imported(&json!({
        "swagger": "2.0",
        "info": {"title": "Shop", "version": "1"},
        "host": "api.shop.io",
        "basePath": "/v2",
        "schemes": ["http", "https"],
        "consumes": ["application/json"],
        "securityDefinitions": {"token": {"type": "apiKey", "in": "header", "name": "X-Token"}},
        "parameters": {"limit": {"name": "limit", "in": "query", "type": "integer", "maximum": 10}},
        "definitions": {"Thing": {"type": "object", "required": ["name"], "properties": {
            "name": {"type": "string"}, "parent": {"$ref": "#/definitions/Thing"}}}},
        "paths": {
            "/things": {
                "get": {"summary": "List things", "produces": ["application/json"], "parameters": [
                    {"$ref": "#/parameters/limit"},
                    {"name": "ids", "in": "query", "type": "array", "items": {"type": "integer"}},
                    {"name": "tags", "in": "query", "type": "array", "items": {"type": "string"}, "collectionFormat": "multi"},
                ], "responses": {"200": {"description": "", "schema": {"type": "array", "items": {"$ref": "#/definitions/Thing"}}}}},
                "post": {"summary": "Create a thing", "parameters": [
                    {"name": "thing", "in": "body", "required": true, "schema": {"$ref": "#/definitions/Thing"}},
                ], "responses": {"200": {"description": ""}}},
            },
            "/things/{id}/photo": {"post": {
                "summary": "Upload a photo", "consumes": ["multipart/form-data"], "parameters": [
                    {"name": "id", "in": "path", "required": true, "type": "string"},
                    {"name": "photo", "in": "formData", "type": "file", "required": true},
                    {"name": "title", "in": "formData", "type": "string"},
                ], "responses": {"200": {"description": ""}}}},
        },
    }));
    assert_eq!(shop.report.format, "Swagger 2.0");
    let (line, body) =
        shop.sent("SHOP_LIST_THINGS", json!({"limit": 5, "ids": [1, 2], "tags": ["a", "b"]}));
    assert_eq!(line, "GET https://api.shop.io/v2/things?limit=5&ids=1,2&tags=a&tags=b");
    assert_eq!(body, json!(null));
    let (line, body) =
        shop.sent("SHOP_CREATE_A_THING", json!({"name": "n", "parent": {"name": "p"}}));
    assert_eq!(line, "POST https://api.shop.io/v2/things");
    assert_eq!(body, json!({"name": "n", "parent": {"name": "p"}}));
    let file = json!({"name": "a.png", "mimetype": "image/png", "s3key": "k"});
    let (line, body) =
        shop.sent("SHOP_UPLOAD_A_PHOTO", json!({"id": 3, "photo": file, "title": "t"}));
    assert_eq!(line, "POST https://api.shop.io/v2/things/3/photo");
    assert_eq!(body, json!([["photo", "a.png", "\u{fffd}PNG"], ["title", "-", "t"]]));
    let injection = &shop.definition.toolkit["auth"][0]["inject"];
    assert_eq!(injection, &json!({"headers": {"X-Token": "{{ cred.api_key }}"}}));
}
