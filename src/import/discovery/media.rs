//! Uploads and downloads.

use serde_json::{Map, Value, json};

use super::method::{self, Argument, Method, Parts, placed};
use super::names::Names;
use super::{Api, names};
use crate::import::Report;
use crate::import::slug::{self, Slugs};

/// What separates the parts of an upload. Arguments that have it in them are refused.
const BOUNDARY: &str = "patchbay-part-4f1c0b";

/// Where a method takes a file.
pub(super) struct Upload {
    path: String,
}

impl Upload {
    /// The simple way of a method to take a file, if it has one.
    pub(super) fn of(api: &Api<'_>, method: &Method<'_>) -> Option<Self> {
        let simple = method.value.pointer("/mediaUpload/protocols/simple")?;
        let path = simple.get("path")?.as_str()?;
        Some(Self { path: method::path(api, path).ok()? })
    }
}

/// A tool that gives the file itself instead of what is known of it.
pub(super) fn download(
    tool: &Value,
    parts: &Parts,
    names: &Names,
    slugs: &mut Slugs,
    origin: &str,
) -> Value {
    let resource = names.plain.split_once('_').map_or(names.plain.as_str(), |(_, rest)| rest);
    let plain = format!("DOWNLOAD_{}", names::singular(resource));
    let others = ["CONTENT".to_owned()];
    let (slug, _) = slugs.take(&plain, &others, &format!("{origin} media"));
    let mut tool = tool.clone();
    tool["slug"] = slug.into();
    tool["name"] = slug::title(&plain.to_lowercase()).into();
    let about = tool["description"].as_str().unwrap_or_default();
    let about = format!("Downloads the content as a file. {about}");
    tool["description"] = crate::import::text::clean(&about, crate::import::text::TOOL).into();
    tool["aliases"] = json!([]);
    let arguments: Vec<&Argument> = parts.arguments.iter().filter(|a| a.name != "fields").collect();
    let mut params = placed(&parts.arguments);
    params.retain(|name, _| arguments.iter().any(|a| a.name == *name));
    tool["params"] = params.into();
    tool["request"] =
        json!({"method": parts.method, "path": parts.path, "query": {"alt": "media"}});
    tool["response"] = json!({"file": true});
    tool
}

/// The requests of a tool that takes a file when it is given one: metadata and content in one body of
/// two parts, else the metadata alone.
pub(super) fn upload(
    tool: &mut Value,
    parts: &Parts,
    upload: &Upload,
    answer: Value,
    at: &str,
    report: &mut Report,
) {
    let in_template = |name: &str| {
        name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
            && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
    };
    let in_path = |path: &str| {
        parts
            .arguments
            .iter()
            .filter(|a| a.place == "path")
            .all(|a| !path.contains(&format!("{{{}", a.wire)) || a.wire == a.name)
    };
    let sayable = parts.arguments.iter().all(|a| in_template(&a.name) && in_template(&a.wire))
        && parts.arguments.iter().all(|a| a.fields.get("at").is_none())
        && in_path(&parts.path);
    if !sayable {
        report.repaired(at, "a file cannot be uploaded: arguments have unusual names");
        tool["params"] = placed(&parts.arguments).into();
        tool["request"] = json!({"method": parts.method, "path": parts.path});
        tool["response"] = answer;
        return;
    }
    let mut params: Map<String, Value> = parts
        .arguments
        .iter()
        .map(|argument| (argument.name.clone(), argument.fields.clone().into()))
        .collect();
    let file = ["file", "upload_file", "file_to_upload"]
        .into_iter()
        .find(|name| !params.contains_key(*name))
        .unwrap_or("media_file");
    params.insert(
        file.to_owned(),
        json!({"type": "file", "description": "The file to upload; without it there is no content."}),
    );
    let of = |place: &str| -> Map<String, Value> {
        let all = parts.arguments.iter().filter(|a| a.place == place);
        all.map(|a| (a.wire.clone(), format!("{{{{ args.{} }}}}", a.name).into())).collect()
    };
    let path = |path: &str| {
        parts.arguments.iter().filter(|a| a.place == "path").fold(path.to_owned(), |path, a| {
            path.replace(&format!("{{{}}}", a.wire), &format!("{{args.{}}}", a.name))
                .replace(&format!("{{{}*}}", a.wire), &format!("{{args.{}*}}", a.name))
        })
    };
    let body = of("body");
    let fields: Vec<String> = parts
        .arguments
        .iter()
        .filter(|a| a.place == "body")
        .map(|a| format!("'{}': args.{}", a.wire, a.name))
        .collect();
    let metadata = format!("{{{{ {{{}}}|compact|tojson }}}}", fields.join(", "));
    let text = format!(
        "--{BOUNDARY}\r\nContent-Type: application/json; charset=UTF-8\r\n\r\n{metadata}\r\n\
         --{BOUNDARY}\r\nContent-Type: {{{{ args.{file}.mimetype or 'application/octet-stream' }}}}\r\n\
         Content-Transfer-Encoding: base64\r\n\r\n{{{{ args.{file}.data }}}}\r\n--{BOUNDARY}--\r\n"
    );
    let mut sent = of("query");
    let mut alone = json!({"method": parts.method, "path": path(&parts.path), "query": sent});
    if !body.is_empty() {
        alone["json"] = body.into();
    }
    sent.insert("uploadType".to_owned(), "multipart".into());
    tool["params"] = params.into();
    tool["steps"] = json!([
        {
            "id": "uploaded",
            "when": format!("args.{file}"),
            "request": {
                "method": parts.method,
                "path": path(&upload.path),
                "query": sent,
                "raw": {"content_type": format!("multipart/related; boundary={BOUNDARY}"), "text": text},
            },
        },
        {"id": "made", "when": format!("not args.{file}"), "request": alone},
    ]);
    tool["result"] = "{{ uploaded or made }}".into();
    tool["response"] = answer;
}
