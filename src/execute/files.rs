//! Files on their way in and out: uploads that arguments name, and answers that are files.

use axum::body::Bytes;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use serde_json::{Map, Value, json};

use super::response::FileBody;
use crate::app::App;
use crate::catalog::model::{ResponseRule, SchemaType};
use crate::catalog::{Files, Tool};
use crate::domain::id::ProjectId;
use crate::error::{Error, Result};
use crate::storage::clean_name;

/// Most files that the arguments of one call may name.
const MAX_FILES: usize = 50;

/// Reads the uploads that checked arguments name, and puts them in where they are sent as text.
///
/// # Errors
/// A file that this project has not uploaded, or more of them than one call may have.
pub(super) async fn load(
    app: &App,
    project: &ProjectId,
    tool: &Tool,
    args: &mut Map<String, Value>,
) -> Result<Files> {
    let mut files = Files::new();
    let keys = tool.file_keys(args);
    if keys.is_empty() {
        return Ok(files);
    }
    let most = app.config.session_file_max_bytes;
    let too_many = || {
        let problem = format!("at most {MAX_FILES} files with {most} bytes together can be sent");
        Error::invalid("The files of the arguments cannot be sent", vec![problem])
    };
    if keys.len() > MAX_FILES {
        return Err(too_many());
    }
    let mut bytes = 0_usize;
    for key in keys {
        let file = app.files.uploads().load(project, &key).await?;
        bytes = bytes.saturating_add(file.content.len());
        if bytes > most {
            return Err(too_many());
        }
        files.insert(key, file);
    }
    tool.put_files(args, &files).map_err(|problem| {
        Error::invalid("The files of the arguments cannot be sent", vec![problem])
    })?;
    Ok(files)
}

/// Stores the files that a result spells out as `{name, data}` where the tool's output schema has a
/// file, and puts their links in.
///
/// # Errors
/// When the database is away.
pub(super) async fn keep_spelled_out(
    app: &App,
    project: &ProjectId,
    rule: &ResponseRule,
    data: &mut Map<String, Value>,
) -> Result<()> {
    let declared = rule.schema.0.iter().filter(|(_, schema)| schema.kind == SchemaType::File);
    for (key, _) in declared {
        let Some(slot) = data.get_mut(key) else { continue };
        let Some(content) = slot["data"].as_str().and_then(decoded) else { continue };
        let name = clean_name(slot["name"].as_str().unwrap_or_default());
        let given = slot["mimetype"].as_str().filter(|kind| !kind.is_empty());
        let mimetype = given.unwrap_or_else(|| media_type(&name)).to_owned();
        let stored = app.files.put(project, &name, &mimetype, content).await?;
        *slot = json!({"name": name, "mimetype": mimetype, "s3url": stored.url});
    }
    Ok(())
}

/// Base64 in either alphabet, with and without padding.
fn decoded(text: &str) -> Option<Vec<u8>> {
    let usual = |c: char| match c {
        '-' => '+',
        '_' => '/',
        other => other,
    };
    let text: String =
        text.chars().filter(|c| !c.is_whitespace() && *c != '=').map(usual).collect();
    STANDARD_NO_PAD.decode(text).ok()
}

/// The media type that the ending of a name tells.
fn media_type(name: &str) -> &'static str {
    let ending = name.rsplit_once('.').map(|(_, ending)| ending.to_ascii_lowercase());
    match ending.as_deref().unwrap_or_default() {
        "pdf" => "application/pdf",
        "zip" => "application/zip",
        "json" => "application/json",
        "txt" | "log" => "text/plain",
        "md" => "text/markdown",
        "csv" => "text/csv",
        "html" | "htm" => "text/html",
        "ics" => "text/calendar",
        "xml" => "application/xml",
        "png" => "image/png",
        "jpg" | "jpeg" => "image/jpeg",
        "gif" => "image/gif",
        "webp" => "image/webp",
        "svg" => "image/svg+xml",
        "mp3" => "audio/mpeg",
        "mp4" => "video/mp4",
        "doc" => "application/msword",
        "docx" => "application/vnd.openxmlformats-officedocument.wordprocessingml.document",
        "xls" => "application/vnd.ms-excel",
        "xlsx" => "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
        "pptx" => "application/vnd.openxmlformats-officedocument.presentationml.presentation",
        "eml" => "message/rfc822",
        _ => "application/octet-stream",
    }
}

/// Stores what an answer has, and gives the result that callers know files by.
///
/// # Errors
/// When the database is away.
pub(super) async fn keep(
    app: &App,
    project: &ProjectId,
    file: FileBody,
    content: Bytes,
) -> Result<Value> {
    let name = clean_name(&file.name);
    let stored = app.files.put(project, &name, &file.mimetype, content.into()).await?;
    Ok(json!({"file": {"name": name, "mimetype": file.mimetype, "s3url": stored.url}}))
}
