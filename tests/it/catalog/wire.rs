//! Every way to place an argument, against the exact request.

use patchbay::catalog::{Catalog, Files, LoadedFile, Scope};
use patchbay::config::Providers;
use patchbay::domain::outbound::{OutboundBody, OutboundRequest};
use serde_json::{Map, Value, json};

/// A catalogue with a tool for each pair of arguments and request, named by its place.
fn catalog_of(tools: &[(&str, &str)]) -> Result<Catalog, String> {
    let dir = tempfile::tempdir().unwrap();
    let folder = dir.path().join("sample/tools");
    std::fs::create_dir_all(&folder).unwrap();
    let toolkit = "spec: 1\nslug: sample\nname: Sample\ndescription: A sample.\nversions: [\"20261101_00\"]\n\
        base_url: https://api.example.com/v1\nauth: [{scheme: NO_AUTH}]\n";
    std::fs::write(dir.path().join("sample/toolkit.yaml"), toolkit).unwrap();
    let mut text = "tools:\n".to_owned();
    for (i, (params, request)) in tools.iter().enumerate() {
        text.push_str(&format!(
            "  - slug: SAMPLE_DO_{i}\n    name: Do\n    description: Does.\n    hints: {{}}\n    \
             origin: \"POST /do\"\n    params: {{{params}}}\n    request: {{{request}}}\n"
        ));
    }
    std::fs::write(folder.join("a.yaml"), text).unwrap();
    Catalog::load(Some(dir.path()), &Providers::default()).map_err(|e| e.to_string())
}

/// A catalogue with one tool that has these arguments and this request.
fn catalog(params: &str, request: &str) -> Result<Catalog, String> {
    catalog_of(&[(params, request)])
}

fn uploaded() -> Files {
    let file = |name: &str, content: &'static [u8]| LoadedFile {
        name: name.to_owned(),
        mimetype: "image/png".to_owned(),
        content: content.into(),
    };
    Files::from([
        ("k1".to_owned(), file("one.png", b"\x89PNG\xff\xfe")),
        ("k2".to_owned(), file("two.png", b"two")),
    ])
}

/// The request that a tool makes of arguments, as it goes to the sender.
fn render(params: &str, request: &str, args: Value) -> Result<OutboundRequest, String> {
    render_in(&catalog(params, request)?, 0, args)
}

fn render_in(catalog: &Catalog, tool: usize, args: Value) -> Result<OutboundRequest, String> {
    let (toolkit, tool) = catalog.tool(&format!("SAMPLE_DO_{tool}")).unwrap();
    let tool = tool.open().unwrap();
    assert_eq!(tool.def.origin.as_deref(), Some("POST /do"));
    let Value::Object(args) = args else { panic!() };
    let mut args = tool.check_arguments(args).map_err(|problems| problems.join("; "))?;
    let files = uploaded();
    tool.put_files(&mut args, &files)?;
    let scope = Scope { args: &args, conn: Map::new(), steps: Map::new(), item: None };
    tool.render_with(toolkit, 0, &scope, &files)
}

fn url(params: &str, request: &str, args: Value) -> String {
    path_of(&render(params, request, args).unwrap())
}

fn path_of(request: &OutboundRequest) -> String {
    request.url.as_str().strip_prefix("https://api.example.com/v1").unwrap().to_owned()
}

fn header(params: &str, args: Value) -> Vec<(String, String)> {
    render(params, "method: GET, path: /a", args).unwrap().headers
}

/// A body as text, behind its type.
fn body(params: &str, request: &str, args: Value) -> (String, String) {
    body_of(render(params, request, args).unwrap())
}

fn body_of(request: OutboundRequest) -> (String, String) {
    let own = request.headers.iter().find(|(name, _)| name == "Content-Type");
    let own = own.map(|(_, value)| value.clone());
    match request.body {
        OutboundBody::Empty => (String::new(), String::new()),
        OutboundBody::Json(value) => (own.unwrap_or("application/json".into()), value.to_string()),
        OutboundBody::Form(pairs) => {
            let pairs: Vec<String> = pairs.iter().map(|(k, v)| format!("{k}={v}")).collect();
            ("form".to_owned(), pairs.join("&"))
        }
        OutboundBody::Multipart(parts) => {
            let parts: Vec<String> = parts
                .iter()
                .map(|part| {
                    format!(
                        "{}|{}|{}|{}",
                        part.name,
                        part.file_name.as_deref().unwrap_or_default(),
                        part.content_type.as_deref().unwrap_or_default(),
                        String::from_utf8_lossy(&part.content)
                    )
                })
                .collect();
            ("multipart".to_owned(), parts.join("\n"))
        }
        OutboundBody::Raw { content_type, bytes } => {
            (content_type, String::from_utf8_lossy(&bytes).into_owned())
        }
    }
}

const ANY: &str = "type: object, additional_properties: true, description: D";
const LIST: &str = "type: array, items: {type: string}, description: D";

#[test]
fn a_query_is_written_in_every_style() {
    let list = json!({"a": ["1", "2 3"]});
    let object = json!({"a": {"b": 1, "c": "x&y=z"}});
    for (style, of_list, of_object) in [
        ("repeat", "a=1&a=2%203", "a%5Bb%5D=1&a%5Bc%5D=x%26y%3Dz"),
        ("csv", "a=1,2%203", "a%5Bb%5D=1&a%5Bc%5D=x%26y%3Dz"),
        ("brackets", "a%5B%5D=1&a%5B%5D=2%203", "a%5Bb%5D=1&a%5Bc%5D=x%26y%3Dz"),
        ("indexed", "a%5B0%5D=1&a%5B1%5D=2%203", "a%5Bb%5D=1&a%5Bc%5D=x%26y%3Dz"),
        ("pipes", "a=1%7C2%203", "a=b%7C1%7Cc%7Cx%26y%3Dz"),
        ("spaces", "a=1%202%203", "a=b%201%20c%20x%26y%3Dz"),
        ("deep", "a%5B%5D=1&a%5B%5D=2%203", "a%5Bb%5D=1&a%5Bc%5D=x%26y%3Dz"),
        ("exploded", "a=1&a=2%203", "b=1&c=x%26y%3Dz"),
        ("flat", "a=1,2%203", "a=b,1,c,x%26y%3Dz"),
        (
            "json",
            "a=%5B%221%22%2C%222%203%22%5D",
            "a=%7B%22b%22%3A1%2C%22c%22%3A%22x%26y%3Dz%22%7D",
        ),
    ] {
        let request = "method: GET, path: /q";
        let params = [LIST, ANY].map(|kind| format!("a: {{{kind}, style: {style}}}"));
        let catalog = catalog_of(&[(&params[0], request), (&params[1], request)]).unwrap();
        for (i, (args, wanted)) in [(&list, of_list), (&object, of_object)].into_iter().enumerate()
        {
            let made = render_in(&catalog, i, args.clone()).unwrap();
            assert_eq!(path_of(&made), format!("/q?{wanted}"), "{style}");
        }
    }
}

#[test]
fn a_path_is_written_in_every_style() {
    for (style, path, of_list, of_object) in [
        ("csv", "/p/{a}", "/p/1,2%2F3", "/p/b,1,c,x%2Fy"),
        ("flat", "/p/{a}", "/p/1,2%2F3", "/p/b,1,c,x%2Fy"),
        ("exploded", "/p/{a}", "/p/1,2%2F3", "/p/b=1,c=x%2Fy"),
        ("label", "/p{a}", "/p.1.2%2F3", "/p.b.1.c.x%2Fy"),
        ("label_exploded", "/p{a}", "/p.1.2%2F3", "/p.b=1.c=x%2Fy"),
        ("matrix", "/p{a}/q", "/p;a=1,2%2F3/q", "/p;a=b,1,c,x%2Fy/q"),
        ("matrix_exploded", "/p{a}", "/p;a=1;a=2%2F3", "/p;b=1;c=x%2Fy"),
    ] {
        let request = format!("method: GET, path: \"{path}\"");
        let params =
            [LIST, ANY].map(|kind| format!("a: {{{kind}, required: true, style: {style}}}"));
        let catalog = catalog_of(&[(&params[0], &request), (&params[1], &request)]).unwrap();
        let values = [(json!(["1", "2/3"]), of_list), (json!({"b": 1, "c": "x/y"}), of_object)];
        for (i, (value, wanted)) in values.into_iter().enumerate() {
            assert_eq!(path_of(&render_in(&catalog, i, json!({"a": value})).unwrap()), wanted);
        }
    }
    let params = format!("a: {{{LIST}, required: true}}");
    assert_eq!(url(&params, "method: GET, path: \"/p/{a}\"", json!({"a": ["1", "2"]})), "/p/1,2");
}

#[test]
fn names_that_are_no_identifiers_are_bound_and_sent() {
    let params = "filter: {type: string, wire: \"$filter\", description: D}, \
        name.first: {type: string, description: D}, \
        filter-name: {type: string, wire: \"filter[name]\", description: D}, \
        path_id: {type: string, in: path, wire: id, required: true, description: D}, \
        id: {type: string, in: query, description: D}, \
        user.id: {type: integer, wire: user-id, required: true, description: D}";
    let request = "method: GET, path: \"/x(id={id})/{user-id}:cancel\"";
    let args = json!({"filter": "a eq 'b'", "name.first": "N", "filter-name": "F", "path_id": "p/1",
                      "id": "q", "user.id": 7});
    assert_eq!(
        url(params, request, args),
        "/x(id=p%2F1)/7:cancel?$filter=a%20eq%20%27b%27&name.first=N&filter%5Bname%5D=F&id=q"
    );
}

#[test]
fn headers_and_cookies_hold_lists_and_objects_and_no_more() {
    let value = json!({"x_foo": {"R": 100, "G": 200}});
    for (style, wanted) in [
        ("", "R,100,G,200"),
        (", style: exploded", "R=100,G=200"),
        (", style: json", "{\"R\":100,\"G\":200}"),
    ] {
        let params = format!("x_foo: {{{ANY}, in: header, wire: X-Foo{style}}}");
        assert_eq!(header(&params, value.clone()), [("X-Foo".to_owned(), wanted.to_owned())]);
    }
    let params = format!("a: {{{LIST}, in: header}}");
    assert_eq!(header(&params, json!({"a": ["1", "2"]})), [("a".to_owned(), "1,2".to_owned())]);
    let refused = render(&params, "method: GET, path: /a", json!({"a": ["1\r\nX: y"]}));
    assert!(refused.err().unwrap().contains("control character"));

    let params = format!(
        "sid: {{type: string, in: cookie, description: D}}, b: {{{LIST}, in: cookie}}, c: {{{ANY}, in: cookie, style: exploded}}"
    );
    let headers =
        header(&params, json!({"sid": "a; admin=1\r\nX: y", "b": ["1", "2,3"], "c": {"d": "e=f"}}));
    assert_eq!(
        headers,
        [("Cookie".to_owned(), "sid=a%3B%20admin=1%0D%0AX:%20y; b=1,2%2C3; d=e=f".to_owned())]
    );
    for name in ["a;b", "a=b", "a b", "a\r\nb", ""] {
        let params = format!("c: {{{ANY}, in: cookie, style: exploded}}");
        let refused = render(&params, "method: GET, path: /a", json!({"c": {name: "x"}}));
        assert!(refused.err().unwrap().contains("name of a cookie"), "{name}");
    }
}

#[test]
fn reserved_characters_stay_where_the_definition_says_so() {
    let params = "q: {type: string, allow_reserved: true, description: D}";
    let request = "method: GET, path: /q";
    assert_eq!(
        url(params, request, json!({"q": "a/b:c,d?e&x=1#f+g%2f"})),
        "/q?q=a/b:c,d?e%26x%3D1%23f%2Bg%252f"
    );
}

#[test]
fn a_property_does_not_take_the_place_of_another_parameter() {
    let params = format!(
        "f: {{{ANY}, style: exploded}}, limit: {{type: integer, default: 10, hidden: true, description: D}}"
    );
    let request = "method: GET, path: /q, query: {v: \"2\"}";
    assert_eq!(url(&params, request, json!({"f": {"x": 1, "f": 2}})), "/q?v=2&x=1&f=2&limit=10");
    for name in ["limit", "v"] {
        let refused = render(&params, request, json!({"f": {name: 1}})).err().unwrap();
        assert!(refused.contains("name of another query parameter"), "{refused}");
    }
}

#[test]
fn one_argument_may_be_the_whole_body() {
    let request = "method: POST, path: /b";
    for (schema, value) in [
        ("type: array, items: {type: integer}", json!([1, 2])),
        ("type: integer", json!(5)),
        ("type: string", json!("x")),
        ("type: object, additional_properties: true", json!({"any": {"thing": [null]}})),
    ] {
        let params = format!("body: {{{schema}, at: \"\", description: D}}");
        let (kind, text) = body(&params, request, json!({"body": value}));
        assert_eq!((kind.as_str(), text), ("application/json", value.to_string()));
        assert_eq!(body(&params, request, json!({})), (String::new(), String::new()));
    }
    let params = format!("body: {{{ANY}, at: \"\"}}, x: {{type: integer, description: D}}");
    let args = json!({"body": {"a": 1}, "x": 2});
    assert_eq!(body(&params, request, args.clone()).1, r#"{"a":1,"x":2}"#);
    assert_eq!(body(&params, "method: POST, path: /b, body: form", args).1, "a=1&x=2");
}

#[test]
fn a_body_may_have_another_type() {
    let params = "a: {type: integer, description: D}";
    let request = "method: PATCH, path: /b, content_type: application/vnd.api+json";
    let wanted = ("application/vnd.api+json".to_owned(), r#"{"a":1}"#.to_owned());
    assert_eq!(body(params, request, json!({"a": 1})), wanted);

    let params = "a: {type: string, description: D}";
    for (request, kind) in [
        ("body: text", "text/plain; charset=utf-8"),
        ("body: text, content_type: application/xml", "application/xml"),
        ("body: binary", "application/octet-stream"),
    ] {
        let request = format!("method: POST, path: /b, {request}");
        let wanted = (kind.to_owned(), "<a>&amp;</a>".to_owned());
        assert_eq!(body(params, &request, json!({"a": "<a>&amp;</a>"})), wanted);
        assert_eq!(body(params, &request, json!({})), (String::new(), String::new()));
    }
}

#[test]
fn a_form_is_written_in_every_style() {
    let cases = [
        ("", "a[0]=1&a[1]=2&o[b][0]=1&o[c]=x,y&s=t"),
        (", style: repeat", "a=1&a=2&o[b]=1&o[c]=x,y&s=t"),
        (", style: csv", "a=1,2&o[b]=1&o[c]=x,y&s=t"),
        (", style: brackets", "a[]=1&a[]=2&o[b][]=1&o[c]=x,y&s=t"),
        (", style: pipes", "a=1|2&o=b|[1]|c|x,y&s=t"),
        (", style: spaces", "a=1 2&o=b [1] c x,y&s=t"),
        (", style: deep", "a[]=1&a[]=2&o[b][]=1&o[c]=x,y&s=t"),
        (", style: exploded", "a=1&a=2&b=1&c=x,y&s=t"),
        (", style: flat", "a=1,2&o=b,[1],c,x,y&s=t"),
        (", style: json", "a=[\"1\",\"2\"]&o={\"b\":[1],\"c\":\"x,y\"}&s=t"),
    ];
    let params = cases.map(|(style, _)| {
        format!("a: {{{LIST}{style}}}, o: {{{ANY}{style}}}, s: {{type: string, description: D}}")
    });
    let tools: Vec<(&str, &str)> =
        params.iter().map(|p| (p.as_str(), "method: POST, path: /b, body: form")).collect();
    let catalog = catalog_of(&tools).unwrap();
    for (i, (style, wanted)) in cases.into_iter().enumerate() {
        let args = json!({"a": ["1", "2"], "o": {"b": [1], "c": "x,y"}, "s": "t"});
        assert_eq!(body_of(render_in(&catalog, i, args).unwrap()).1, wanted, "{style}");
    }
}

#[test]
fn a_multipart_body_has_texts_json_and_files() {
    let file = json!({"name": "../a \"b\".png", "mimetype": "image/webp", "s3key": "k1"});
    let plain = json!({"name": "", "mimetype": "no type\r\nX: y", "s3key": "k2"});
    let params = format!(
        "f: {{type: file, description: D}}, fs: {{type: array, items: {{type: file}}, description: D}}, \
         a: {{{LIST}}}, o: {{{ANY}}}, b: {{{ANY}, style: deep}}, n: {{type: integer, description: D}}, \
         deep: {{type: object, properties: {{x: {{type: file}}}}, description: D}}"
    );
    let args = json!({"f": file, "fs": [file, plain], "a": ["1", "2"], "o": {"x": [1]}, "b": {"y": 2}, "n": 5,
                      "deep": {"x": plain}});
    let (_, text) = body(&params, "method: POST, path: /b, body: multipart", args);
    let png = String::from_utf8_lossy(b"\x89PNG\xff\xfe");
    let wanted = [
        &format!("f|a \"b\".png|image/webp|{png}"),
        &format!("fs|a \"b\".png|image/webp|{png}"),
        "fs|two.png|image/png|two",
        "a|||1",
        "a|||2",
        "o||application/json|{\"x\":[1]}",
        "b[y]|||2",
        "n|||5",
        "deep||application/json|{\"x\":\"dHdv\"}",
    ];
    assert_eq!(text, wanted.join("\n"));
}

#[test]
fn a_file_is_a_body_or_a_text() {
    let file = json!({"name": "a.png", "mimetype": "image/webp", "s3key": "k1"});
    let params = "f: {type: file, required: true, description: D}";
    let png = String::from_utf8_lossy(b"\x89PNG\xff\xfe").into_owned();
    for (request, kind) in
        [("body: binary", "image/webp"), ("body: binary, content_type: image/*", "image/*")]
    {
        let request = format!("method: POST, path: /b, {request}");
        assert_eq!(body(params, &request, json!({"f": file})), (kind.to_owned(), png.clone()));
    }
    for (encoding, wanted) in [
        ("", "iVBOR//+"),
        (", encoding: base64", "iVBOR//+"),
        (", encoding: base64url", "iVBOR__-"),
    ] {
        let params = format!("f: {{type: file, description: D, at: /x/f{encoding}}}");
        let wanted = json!({"x": {"f": wanted}}).to_string();
        assert_eq!(body(&params, "method: POST, path: /b", json!({"f": file})).1, wanted);
    }
    let request =
        "method: POST, path: /b, json: {a: \"{{ args.f.data }}\", b: \"{{ args.f.name }}\"}";
    assert_eq!(body(params, request, json!({"f": file})).1, r#"{"a":"iVBOR//+","b":"a.png"}"#);
    let unknown = json!({"f": {"name": "a", "mimetype": "a/b", "s3key": "k9"}});
    let problem = render(params, "method: POST, path: /b, body: binary", unknown).err().unwrap();
    assert!(problem.contains("no uploaded file `k9`"), "{problem}");
    for wrong in [json!({}), json!({"name": "a", "mimetype": "b"}), json!("k1"), json!([1])] {
        assert!(
            render(params, "method: POST, path: /b, body: binary", json!({"f": wrong})).is_err()
        );
    }
}

#[test]
fn a_file_is_shown_as_what_sdks_look_for() {
    let catalog = catalog(
        "f: {type: file, required: true, description: A picture.}",
        "method: POST, path: /b, body: binary}\n    response: {file: true, next_link: true",
    )
    .unwrap();
    let tool = catalog.tool("SAMPLE_DO_0").unwrap().1.open().unwrap();
    let shown = &tool.input_schema["properties"]["f"];
    assert_eq!(shown["type"], "object");
    assert_eq!(shown["file_uploadable"], true);
    assert_eq!(shown["required"], json!(["name", "mimetype", "s3key"]));
    let given = &tool.output_schema["properties"]["data"]["properties"];
    assert_eq!(given["file"]["file_downloadable"], true);
    assert_eq!(given["file"]["required"], json!(["name", "mimetype", "s3url"]));
    assert_eq!(given["next_link"]["type"], "string");
}

#[test]
fn a_value_of_another_type_that_is_accepted_is_sent_as_it_is() {
    let request = "method: POST, path: /b";
    let cases = [
        ("type: string, also: [integer]", json!(5)),
        ("type: integer, also: [string]", json!("5")),
        ("type: array, items: {type: string}, also: [string]", json!("a")),
        ("type: array, items: {type: string}, also: [string, object]", json!({"a": 1})),
        ("type: string, enum: [a, b], also: [array, boolean]", json!(["z", 1])),
        ("type: string, enum: [a, b], also: [boolean]", json!(true)),
        ("type: object, additional_properties: true, also: [string]", json!("{\"a\":1}")),
        ("type: number, also: [boolean, string]", json!("1e3")),
    ];
    let params: Vec<String> =
        cases.iter().map(|(schema, _)| format!("a: {{{schema}, description: D}}")).collect();
    let tools: Vec<(&str, &str)> = params.iter().map(|p| (p.as_str(), request)).collect();
    let several = catalog_of(&tools).unwrap();
    for (i, (schema, value)) in cases.iter().enumerate() {
        let args = json!({"a": value});
        let made = body_of(render_in(&several, i, args.clone()).unwrap()).1;
        assert_eq!(made, args.to_string(), "{schema}");
    }
    let params = "a: {type: string, enum: [a, b], also: [integer], description: A thing}";
    let refused = render(params, request, json!({"a": "c"})).err().unwrap();
    assert!(refused.contains("must be one of a, b"), "{refused}");
    assert_eq!(body(params, request, json!({"a": "A"})).1, r#"{"a":"a"}"#);
    let refused = render(params, request, json!({"a": [1]})).err().unwrap();
    assert!(refused.contains("must be an integer or string"), "{refused}");
    let catalog = catalog(params, request).unwrap();
    let tool = catalog.tool("SAMPLE_DO_0").unwrap().1.open().unwrap();
    let shown = &tool.input_schema["properties"]["a"];
    assert_eq!(shown["type"], "string");
    assert_eq!(shown["description"], "A thing. Also accepted: integer.");
}

#[test]
fn what_cannot_be_sent_is_no_definition() {
    let get = "method: GET, path: /a";
    let post = "method: POST, path: /a";
    let cases = [
        ("a: {type: string, style: label, description: D}", get, "style Label cannot stand"),
        (
            "a: {type: string, style: repeat, in: header, description: D}",
            get,
            "style Repeat cannot stand",
        ),
        ("a: {type: string, style: csv, description: D}", post, "style Csv cannot stand"),
        (
            "a: {type: string, allow_reserved: true, description: D}",
            post,
            "allow_reserved goes with",
        ),
        (
            "a: {type: string, at: \"\", description: D}",
            get,
            "`at` goes with arguments in the body",
        ),
        ("a: {type: string, at: x, description: D}", post, "starts with a slash, or is empty"),
        ("a: {type: string, in: header, wire: \"A B\", description: D}", get, "name of a header"),
        (
            "a: {type: string, in: cookie, wire: \"a;b\", description: D}",
            get,
            "name of a header or a cookie",
        ),
        (
            "a: {type: string, in: header, wire: host, description: D}",
            get,
            "belongs to the connection",
        ),
        ("a: {type: string, encoding: base64, description: D}", post, "goes with type file"),
        ("a: {type: file, also: [string], description: D}", post, "cannot be something else"),
        ("\"a b\": {type: string, description: D}", post, "must be made of letters"),
        (
            "a: {type: string, description: D}, b: {type: string, description: D}",
            "method: POST, path: /a, body: text",
            "made of one argument",
        ),
        (
            "a: {type: string, description: D}",
            "method: POST, path: /a, content_type: \"a/b\\r\\nX: y\"",
            "is no media type",
        ),
        (
            "a: {type: string, description: D}",
            "method: POST, path: /a, body: form, content_type: text/plain",
            "goes with a json, text",
        ),
        (
            "a: {type: string, required: true, wire: id, description: D}, id: {type: string, required: true, in: path, description: D}",
            "method: POST, path: \"/a/{id}\"",
            "another argument has its place",
        ),
    ];
    let tools: Vec<(&str, &str)> =
        cases.iter().map(|(params, request, _)| (*params, *request)).collect();
    let found = catalog_of(&tools).err().unwrap();
    for (i, (params, _, problem)) in cases.iter().enumerate() {
        let of = format!("SAMPLE_DO_{i}: ");
        let told = found.lines().any(|line| line.contains(&of) && line.contains(problem));
        assert!(told, "{params}: {problem}\n{found}");
    }
}
