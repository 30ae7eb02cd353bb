//! `config/toolkit.schema.json` and the loader say the same about a file.

use patchbay::catalog::model::{ToolkitFile, ToolsFile, TriggersFile};
use serde_json::Value;

const SCHEMA: &str = include_str!("../../../config/toolkit.schema.json");

const TOOLKIT: &str = r#"
spec: 1
slug: sample
name: Sample
description: Everything that a toolkit may have.
versions: ["20261101_00"]
categories: [developer-tools]
logo: https://example.com/logo.svg
app_url: https://example.com
docs: https://example.com/docs
sources: [https://example.com/oauth]
base_url: https://{{ conn.site }}.example.com
hosts: ["*.example.com"]
headers: {Accept: application/json}
response: {ok: /ok, fail_if: /bad, error: [/message], pick: /data, wrap: items, schema: {id: {type: string}}}
identity: {request: {method: GET, path: /me}, id: [/id], label: [/login], email: [/email], proves: true,
           refused: {status: [401], at: /code, values: [bad]}}
verify: {request: {method: GET, path: /ok}, refused: {status: [403]}}
pitfalls: [Goes wrong.]
auth:
  - scheme: OAUTH2
    name: Account
    setup_guide: https://example.com/how
    config_fields: [{name: app, host: true}]
    connect_fields:
      - {name: site, label: Site, description: Yours, required: true, secret: false, default: a,
         pattern: "[a-z]+", suffix: .example.com, aliases: [subdomain], enum: [a, b]}
    oauth2:
      grant: authorization_code
      client_from: auth_config
      authorize: {url: "https://example.com/a", params: {a: b}, scope_separator: ",", scope_param: s, user_scope_param: u,
                  skip_scopes: false, client_id_param: c, pkce: true, redirect_uri_note: https only}
      token: {url: "https://example.com/t", method: POST, client_auth: basic, body: json, params: {a: b}, headers: {c: d},
              client_id_param: c, client_secret_param: s, assertion: {alg: RS256, audience: a, lifetime_s: 60}}
      upgrade: {url: "https://example.com/u", method: GET, client_auth: none, body: query, params: {a: b}, headers: {c: d}}
      refresh: {url: "https://example.com/r", method: PUT, client_auth: post, body: form, params: {a: b}, headers: {c: d},
                with: refresh_token, unsupported: false, send_redirect_uri: true, send_scope: true, early_s: 1,
                min_age_s: 2, reuse_window_s: 3}
      revoke_url: https://example.com/v
      revoke: {url: "https://example.com/v", method: DELETE, client_auth: basic, body: json, params: {a: b},
               headers: {c: d}, token: access}
      response: {access_token: /a, user_access_token: /u, refresh_token: /r, expires_in: /e, expires_unit: ms,
                 expires_absolute: true, expires_default_s: 5, scope: /s, ok: /ok, error: /e, error_text: /d,
                 permanent: [dead], capture: {team: /t}}
      callback: {code_param: c, capture: {realm: realmId}}
      scopes: [a]
      user_scopes: [c]
      available_scopes: [a, b]
  - scheme: DCR_OAUTH
    dcr:
      resource: https://example.com/mcp
      issuer: https://example.com
      discovery_url: https://example.com/meta
      scopes: [a]
      available_scopes: [a, b]
      registration: {client_name: Me, contacts: [me@example.com]}
      client_auth: none
      authorize_params: {a: b}
      pkce_unadvertised: true
      fallback: {authorize_url: "https://example.com/a", token_url: "https://example.com/t",
                 registration_url: "https://example.com/g", revoke_url: "https://example.com/v"}
  - scheme: API_KEY
    inject: {headers: {A: b}, query: {c: d}, body: {e: f}, path: "/k", basic: {username: u, password: p}}
    identity: {request: {method: GET, path: /me}}
    verify: {request: {method: GET, path: /ok}}
  - scheme: OAUTH1
    connect_fields: [{name: pem, multiline: true}]
    oauth1:
      request: {url: "https://example.com/r", params: {a: b}}
      authorize: {url: "https://example.com/a", params: {c: d}}
      access: {url: "https://example.com/t", params: {e: f}}
      signature: HMAC-SHA1
      realm: r
      capture: {a: b}
  - scheme: SERVICE_ACCOUNT
    login:
      assertion: {alg: ES256, key: k, key_encoding: hex, key_id: i, headers: {a: b}, claims: {c: {d: [e]}}, ttl_s: 1,
                  backdate_s: 2}
      steps:
        - id: a
          request: {method: PUT, url: "https://example.com", path: /b, headers: {c: d}, query: {e: f}, form: {g: h},
                    json: {i: j}, raw: {content_type: text/xml, text: a}, basic: {username: u, password: p}}
          ok: /ok
          fail_if: /errors
          error: [/message]
      token: {value: v, name: sid, expires_in: e, expires_at: a, expires_default_s: 5, capture: {c: d}}
      scopes: [a]
      available_scopes: [a, b]
"#;

const TOOLS: &str = r#"
tools:
  - slug: SAMPLE_DO_IT
    aliases: [SAMPLE_IT]
    origin: GET /it
    name: Do it
    description: Does it.
    tags: [important]
    hints: {read_only: true, destructive: false, idempotent: true, create: false, update: false}
    scopes: [[a], [b]]
    deprecated: Use another.
    before: [SAMPLE_FIND]
    instead: [SAMPLE_DO_THAT]
    after: [SAMPLE_LOOK]
    pitfalls: [Goes wrong.]
    params:
      one: {type: array, items: {type: string, min_length: 1}, in: query, wire: "1", at: /a, style: csv, aliases: [uno],
            required: true, hidden: false, description: One, title: One, examples: [[a]], default: [a],
            nullable: true, min_items: 1, max_items: 2}
      two: {type: string, enum: [a, b], format: email, pattern: "a|b", max_length: 5}
      three: {type: integer, minimum: 1, maximum: 2}
      five: {type: file, encoding: base64url, also: [integer], allow_reserved: true}
      four: {type: object, properties: {x: {type: number, minimum: 0.5}}, required_properties: [x], additional_properties: false}
    request:
      method: POST
      path: /a
      base_url: https://b.example.com
      headers: {A: b}
      query: {a: {b: c}}
      body: form
      content_type: application/vnd.api+json
      json: {a: {b: [c]}}
      raw: {content_type: text/plain, text: a}
      graphql: {query: "{ a }", variables: {a: {b: c}}}
      timeout_s: 5
    steps:
      - {id: a, when: args.one, for_each: args.one, request: {method: GET, path: /b}, response: {pick: /c}}
    result: {a: {b: c}}
    builtin: x
    response: {file: true, next_link: true, schema: {a: {type: object, additional_properties: true}}}
"#;

const TRIGGERS: &str = r#"
triggers:
  - slug: SAMPLE_CALLED
    aliases: [SAMPLE_CALL]
    name: Called
    description: Tells of calls.
    instructions: Set it up.
    scopes: [[a], [b]]
    deprecated: Use another.
    config: {one: {type: string, required: true, description: One}}
    payload: {id: {type: string, nullable: true, description: Id}}
    webhook:
      ingress: app
      register:
        request: {method: POST, path: /a}
        steps: [{id: a, request: {method: GET, path: /b}}]
        keep: {a: b}
        keep_secret: {a: b}
        expires: "1"
        gone: [404]
      renew: {request: {method: PUT, path: /a}}
      remove: {request: {method: DELETE, path: /a}}
      verify: {kind: hmac, algorithm: sha1, header: a, prefix: b, field: c, encoding: base64, key: d, signed: "{body}",
               timestamp: {header: a, field: b, tolerance_s: 5}}
      handshake:
        - {method: GET, when: "true", verified: true, status: 201, headers: {a: b}, json: {a: b}, text: a, keep_secret: {a: b}}
      when: "true"
      for_each: body.a
      dedupe: a
      data: {id: a}
  - slug: SAMPLE_ASKED
    name: Asked
    description: Tells of answers.
    webhook: {verify: {kind: token, header: a, at: /b, key: c}, data: {id: a}}
    poll:
      request: {method: GET, path: /a}
      steps: [{id: a, request: {method: GET, path: /b}}]
      items: a
      id: b
      at: c
      cursor: {kind: token, next: a, gone: [410]}
      each: [{id: a, request: {method: GET, path: /b}}]
      when: "true"
      data: {id: a}
      max_pages: 5
      more: d
  - slug: SAMPLE_LISTED
    name: Listed
    description: Tells of lists.
    webhook: {verify: {kind: url}, data: {id: a}}
    poll: {items: a, id: b, cursor: {kind: timestamp, overlap_s: 5}, data: {id: a}}
  - slug: SAMPLE_COUNTED
    name: Counted
    description: Tells of counts.
    poll: {items: a, id: b, cursor: {kind: ids, keep: 5}, data: {id: a}}
"#;

fn validator() -> jsonschema::Validator {
    jsonschema::validator_for(&serde_json::from_str::<Value>(SCHEMA).unwrap()).unwrap()
}

fn yaml(text: &str) -> Value {
    serde_saphyr::from_str(text).unwrap()
}

fn loads(value: &Value) -> bool {
    if value.get("tools").is_some() {
        serde_json::from_value::<ToolsFile>(value.clone()).is_ok()
    } else if value.get("triggers").is_some() {
        serde_json::from_value::<TriggersFile>(value.clone()).is_ok()
    } else {
        serde_json::from_value::<ToolkitFile>(value.clone()).is_ok()
    }
}

/// JSON pointers of all objects in a document.
fn objects(value: &Value, at: &str, found: &mut Vec<String>) {
    match value {
        Value::Object(fields) => {
            found.push(at.to_owned());
            for (name, inner) in fields {
                objects(inner, &format!("{at}/{}", name.replace('/', "~1")), found);
            }
        }
        Value::Array(items) => {
            for (i, inner) in items.iter().enumerate() {
                objects(inner, &format!("{at}/{i}"), found);
            }
        }
        _ => {}
    }
}

#[test]
fn all_files_are_valid() {
    let validator = validator();
    let root = concat!(env!("CARGO_MANIFEST_DIR"), "/toolkits");
    let mut files = Vec::new();
    for toolkit in std::fs::read_dir(root).unwrap() {
        let toolkit = toolkit.unwrap().path();
        files.push(toolkit.join("toolkit.yaml"));
        // A toolkit without tools is one to connect and to use through the proxy endpoint.
        let tools = std::fs::read_dir(toolkit.join("tools")).into_iter().flatten();
        files.extend(tools.map(|f| f.unwrap().path()));
        let triggers = std::fs::read_dir(toolkit.join("triggers")).into_iter().flatten();
        files.extend(triggers.map(|f| f.unwrap().path()));
    }
    assert!(files.len() > 50);
    for path in files {
        let value = yaml(&std::fs::read_to_string(&path).unwrap());
        let problems: Vec<String> = validator
            .iter_errors(&value)
            .map(|e| format!("{}: {}: {e}", path.display(), e.instance_path()))
            .collect();
        assert!(problems.is_empty(), "{}", problems.join("\n"));
    }
}

#[test]
fn the_schema_and_the_loader_agree_on_unknown_and_on_missing_fields() {
    let validator = validator();
    let mut refused = 0;
    for text in [TOOLKIT, TOOLS, TRIGGERS] {
        let sample = yaml(text);
        let problems: Vec<String> =
            validator.iter_errors(&sample).map(|e| format!("{}: {e}", e.instance_path())).collect();
        assert!(problems.is_empty(), "{}", problems.join("\n"));
        assert!(loads(&sample));
        let mut places = Vec::new();
        objects(&sample, "", &mut places);
        for place in places {
            let mut more = sample.clone();
            let fields = more.pointer_mut(&place).unwrap().as_object_mut().unwrap();
            fields.insert("zz_unknown".into(), "x".into());
            assert_eq!(loads(&more), validator.is_valid(&more), "unknown field in {place}");
            refused += usize::from(!loads(&more));
            let names: Vec<String> = sample
                .pointer(&place)
                .and_then(Value::as_object)
                .map(|fields| fields.keys().cloned().collect())
                .unwrap();
            for name in names.into_iter().filter(|name| name != "tools" && name != "triggers") {
                let mut less = sample.clone();
                let fields = less.pointer_mut(&place).unwrap().as_object_mut().unwrap();
                fields.shift_remove(&name);
                assert_eq!(loads(&less), validator.is_valid(&less), "{place} without {name}");
            }
        }
    }
    assert!(refused > 30, "{refused}");
}
