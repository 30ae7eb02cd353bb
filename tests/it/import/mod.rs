//! Descriptions in, tools out: what comes out compiles, and its requests are the ones described.

mod descriptions;
mod external;
mod fuzz;
mod mutated;
mod openapi;
mod swagger;

use std::sync::Arc;

use patchbay::catalog::{Catalog, Catalogs, Change, Files, LoadedFile, Scope, Toolkit, compile};
use patchbay::config::Providers;
use patchbay::domain::outbound::{OutboundBody, OutboundRequest};
use patchbay::import::{Definition, Options, Report, import};
use serde_json::{Map, Value, json};

/// What an import made, compiled.
struct Imported {
    definition: Definition,
    report: Report,
    catalog: Arc<Catalog>,
}

fn options() -> Options {
    Options {
        slug: Some("shop".to_owned()),
        version: "20260101_00".to_owned(),
        ..Options::default()
    }
}

fn compiled(definition: &Definition) -> Result<Arc<Catalog>, String> {
    let catalogs = Catalogs::over(Catalog::default());
    let providers = Providers::default();
    let made = compile(&definition.toolkit, &definition.tools, None, &providers, catalogs.opened());
    let made = made.map_err(|problems| problems.join("\n"))?;
    if let Some(bad) = made.bad.first() {
        return Err(format!("{}: {}", bad.slug, bad.problems.join("\n")));
    }
    let slug = made.toolkit.slug().to_owned();
    catalogs.change(vec![Change { project: None, slug, toolkit: Some(Arc::new(made.toolkit)) }]);
    Ok(catalogs.server())
}

fn imported_with(document: &Value, options: &Options) -> Imported {
    let bytes = document.to_string();
    let (definition, report) = import(bytes.as_bytes(), options, &|_, _| {}).unwrap();
    let catalog = compiled(&definition).unwrap_or_else(|e| panic!("{e}"));
    Imported { definition, report, catalog }
}

fn imported(document: &Value) -> Imported {
    imported_with(document, &options())
}

impl Imported {
    fn toolkit(&self) -> &Toolkit {
        self.catalog.toolkit("shop").unwrap()
    }

    fn param(&self, tool: &str, name: &str) -> &Value {
        let tool = self.definition.tools.iter().find(|t| t["slug"] == tool).unwrap();
        &tool["params"][name]
    }

    /// The request of a call, checked and rendered as the executor does.
    fn request(&self, tool: &str, args: Value) -> OutboundRequest {
        self.request_with(tool, args, Map::new())
    }

    fn request_with(&self, tool: &str, args: Value, conn: Map<String, Value>) -> OutboundRequest {
        let (toolkit, entry) = self.catalog.tool(tool).unwrap();
        let tool = entry.open().unwrap();
        let Value::Object(args) = args else { panic!() };
        let mut args = tool.check_arguments(args).unwrap();
        let file = LoadedFile {
            name: "a.png".into(),
            mimetype: "image/png".into(),
            content: b"\x89PNG".to_vec().into(),
        };
        let files = Files::from([("k".to_owned(), file)]);
        tool.put_files(&mut args, &files).unwrap();
        let scope = Scope { args: &args, conn, steps: Map::new(), item: None };
        tool.render_with(toolkit, 0, &scope, &files).unwrap()
    }

    /// `METHOD url` and the body of a call.
    fn sent(&self, tool: &str, args: Value) -> (String, Value) {
        let request = self.request(tool, args);
        let line = format!("{} {}", request.method, request.url);
        (line, body(&request))
    }
}

fn body(request: &OutboundRequest) -> Value {
    match &request.body {
        OutboundBody::Empty => Value::Null,
        OutboundBody::Json(value) => value.clone(),
        OutboundBody::Form(pairs) => {
            pairs.iter().map(|(k, v)| Value::from(format!("{k}={v}"))).collect()
        }
        OutboundBody::Multipart(parts) => parts
            .iter()
            .map(|part| {
                let file = part.file_name.as_deref().unwrap_or("-");
                let text = String::from_utf8_lossy(&part.content).into_owned();
                json!([part.name, file, text])
            })
            .collect(),
        OutboundBody::Raw { content_type, bytes } => {
            json!([content_type, String::from_utf8_lossy(bytes)])
        }
    }
}
