//! `patchbay toolkits`: what is installed in a running server.

use std::path::{Path, PathBuf};

use anyhow::Context;
use axum::http::Method;
use clap::{Args, Subcommand};
use indicatif::{ProgressBar, ProgressStyle};
use serde_json::value::RawValue;
use serde_json::{Map, Value, json};

use super::beside;
use super::server::{Target, Whose};
use super::sync::{self, SyncArgs};
use crate::config::Config;
use crate::net::server::{Refused, Server};

const IMPORT: &str = "/api/v3/toolkits/import";
pub(super) const INSTALLED: &str = "/api/v3/toolkits/installed";
/// Most lines of each kind that are printed.
const MOST_LINES: usize = 20;

/// Install toolkits into a running server.
#[derive(Debug, Args)]
pub struct Toolkits {
    #[command(flatten)]
    target: Target,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Make a toolkit of a description of an API, or the next version of one.
    Import {
        #[command(flatten)]
        what: What,
        /// Only say what would be done.
        #[arg(long)]
        dry_run: bool,
    },
    /// Show what an import would change.
    Diff {
        #[command(flatten)]
        what: What,
    },
    /// List what is installed.
    List {
        /// What the whole server has, not a project.
        #[arg(long)]
        for_server: bool,
        /// Print JSON.
        #[arg(long)]
        json: bool,
    },
    /// Take a toolkit away, with all of its versions.
    Remove {
        /// Its slug.
        slug: String,
        /// The whole server's, not a project's.
        #[arg(long)]
        for_server: bool,
    },
    /// Install the public APIs of pinned packages for the whole server.
    Sync(SyncArgs),
}

/// What is imported, and as what.
#[derive(Debug, Args)]
struct What {
    /// A file, or a URL that the server fetches.
    source: String,
    /// Slug of the toolkit; made of the description's title otherwise.
    #[arg(long)]
    slug: Option<String>,
    /// Display name; the description's title otherwise.
    #[arg(long)]
    name: Option<String>,
    /// Root of all requests, instead of what the description says.
    #[arg(long)]
    base_url: Option<String>,
    /// A further host that requests may go to, and that documents which the description refers to are
    /// fetched from; or, with a `/` in it, a folder of such documents. Can be repeated.
    #[arg(long)]
    allow: Vec<String>,
    /// For the whole server, with the organization's key.
    #[arg(long)]
    for_server: bool,
    /// Print the server's whole answer as JSON.
    #[arg(long)]
    json: bool,
}

impl Toolkits {
    /// Does what was asked for.
    ///
    /// # Errors
    /// In words for whoever typed the command.
    pub async fn run(self, config: &Config) -> anyhow::Result<()> {
        let whose = |for_server| if for_server { Whose::Server } else { Whose::Project };
        let connect = |for_server| self.target.connect(config, whose(for_server));
        match self.command {
            Command::Import { what, dry_run } => {
                import(&connect(what.for_server)?, &what, dry_run).await
            }
            Command::Diff { what } => import(&connect(what.for_server)?, &what, true).await,
            Command::List { for_server, json } => list(&connect(for_server)?, json).await,
            Command::Remove { slug, for_server } => {
                let path = format!("/api/v3.1/custom/toolkits/{}", encoded(&slug));
                connect(for_server)?.ask(Method::DELETE, &path).await?;
                println!("{slug} is gone. Accounts and auth configs of it stay.");
                Ok(())
            }
            Command::Sync(args) => sync::run(&connect(true)?, config, args).await,
        }
    }
}

fn encoded(text: &str) -> String {
    url::form_urlencoded::byte_serialize(text.as_bytes()).collect()
}

/// The body of an import. A description that is JSON goes as it is, any other as text.
pub(super) fn body(
    document: Option<&[u8]>,
    mut rest: Map<String, Value>,
) -> anyhow::Result<Vec<u8>> {
    let Some(document) = document else { return Ok(serde_json::to_vec(&rest)?) };
    let raw = std::str::from_utf8(document).ok().filter(|text| text.trim_start().starts_with('{'));
    let raw = raw.and_then(|text| serde_json::from_str::<&RawValue>(text).ok());
    let Some(raw) = raw else {
        rest.insert("document".into(), String::from_utf8_lossy(document).into());
        return Ok(serde_json::to_vec(&rest)?);
    };
    let mut text = serde_json::to_vec(&rest)?;
    text.pop();
    if !rest.is_empty() {
        text.push(b',');
    }
    text.extend_from_slice(b"\"document\":");
    text.extend_from_slice(raw.get().as_bytes());
    text.push(b'}');
    Ok(text)
}

/// Sends an import, and shows how far it is.
pub(super) async fn send(
    server: &Server,
    body: Vec<u8>,
    bar: &ProgressBar,
) -> Result<Value, Refused> {
    server
        .follow(IMPORT, body, |line| {
            let Some(stage) = line["stage"].as_str() else { return };
            let (done, of) = (line["done"].as_u64().unwrap_or(0), line["of"].as_u64().unwrap_or(0));
            if of > 0 {
                bar.set_length(of);
                bar.set_position(done);
            }
            bar.set_message(stage.to_owned());
        })
        .await
}

async fn import(server: &Server, what: &What, dry_run: bool) -> anyhow::Result<()> {
    let is_url = ["http://", "https://"].iter().any(|start| what.source.starts_with(start));
    let mut rest = Map::new();
    let is_folder = |text: &&String| text.contains('/') || matches!(text.as_str(), "." | "..");
    let (folders, hosts): (Vec<&String>, Vec<&String>) = what.allow.iter().partition(is_folder);
    let document = if is_url {
        rest.insert("url".into(), what.source.clone().into());
        None
    } else {
        let path = Path::new(&what.source);
        let name = path.file_name().map(|name| name.to_string_lossy());
        rest.insert("file".into(), name.unwrap_or_default().into());
        let text = std::fs::read(path).with_context(|| what.source.clone())?;
        let folders: Vec<PathBuf> = folders.into_iter().map(PathBuf::from).collect();
        let beside = beside::read(path, &text, &folders)?;
        beside.refused.iter().for_each(|refused| eprintln!("Not sent along: {refused}"));
        if !beside.documents.is_empty() {
            rest.insert("documents".into(), beside.documents.into());
        }
        Some(text)
    };
    let texts = [("slug", &what.slug), ("name", &what.name), ("base_url", &what.base_url)];
    for (key, text) in texts {
        if let Some(text) = text {
            rest.insert(key.into(), text.clone().into());
        }
    }
    rest.insert("allow".into(), json!(hosts));
    rest.insert("dry_run".into(), dry_run.into());
    let bar = ProgressBar::new_spinner();
    if let Ok(style) = ProgressStyle::with_template("{spinner} {msg} {pos}/{len} operations") {
        bar.set_style(style);
    }
    let answer = send(server, body(document.as_deref(), rest)?, &bar).await;
    bar.finish_and_clear();
    let answer = answer?;
    if what.json {
        println!("{answer:#}");
    } else {
        print(&answer, dry_run);
    }
    Ok(())
}

fn print(answer: &Value, dry_run: bool) {
    let text = |key: &str| answer[key].as_str().unwrap_or_default();
    let (slug, version) = (text("slug"), text("version"));
    let state = match (dry_run, answer["is_new"].as_bool()) {
        (true, _) => "would be",
        (_, Some(true)) => "is now",
        _ => "is unchanged at",
    };
    println!("{slug} {state} version {version}, with {} tools.", answer["tools"]);
    let changes = &answer["changes"];
    let kinds = [
        ("Added", "added"),
        ("Removed", "removed"),
        ("Changed", "changed"),
        ("Tools with another name, and the old one still", "renamed"),
    ];
    for (what, kind) in kinds {
        let count = changes["counts"][kind].as_u64().unwrap_or(0);
        lines(what, count, &changes[kind], |tool| match tool {
            Value::String(slug) => slug.clone(),
            tool if kind == "renamed" => {
                let text = |key: &str| tool[key].as_str().unwrap_or_default();
                format!("{} is {}", text("from"), text("to"))
            }
            tool => {
                let params = ["added_params", "removed_params", "changed_params"];
                let parts = ["+", "-", "~"].iter().zip(params).flat_map(|(sign, key)| {
                    let names = tool[key].as_array().into_iter().flatten();
                    names.filter_map(Value::as_str).map(move |name| format!("{sign}{name}"))
                });
                let parts: Vec<String> = parts.collect();
                format!("{} {}", tool["slug"].as_str().unwrap_or_default(), parts.join(" "))
            }
        });
    }
    let report = &answer["report"];
    let place = |one: &Value| {
        let text = |key: &str| one[key].as_str().unwrap_or_default();
        format!("{} {}: {}", text("at"), text("what"), text("why"))
    };
    let count = |key: &str| report[key].as_array().map_or(0, Vec::len) as u64;
    lines("Left out", count("left_out"), &report["left_out"], place);
    lines("Repaired", count("repaired"), &report["repaired"], place);
    lines("Renamed", count("renamed"), &report["renamed"], |one| {
        let text = |key: &str| one[key].as_str().unwrap_or_default();
        format!("{} {} is {}: {}", text("at"), text("from"), text("to"), text("why"))
    });
    lines("Notes", count("notes"), &report["notes"], |note| {
        note.as_str().unwrap_or_default().to_owned()
    });
}

fn lines(what: &str, count: u64, list: &Value, line: impl Fn(&Value) -> String) {
    if count == 0 {
        return;
    }
    println!("\n{what} ({count}):");
    let shown = list.as_array().into_iter().flatten().take(MOST_LINES);
    let shown = shown.map(|one| println!("  {}", line(one))).count() as u64;
    if count > shown {
        println!("  and {} more; --json shows them", count - shown);
    }
}

async fn list(server: &Server, as_json: bool) -> anyhow::Result<()> {
    let answer = server.ask(Method::GET, INSTALLED).await?;
    if as_json {
        println!("{answer:#}");
        return Ok(());
    }
    let items = answer["items"].as_array().map(Vec::as_slice).unwrap_or_default();
    for item in items {
        let text = |key: &str| item[key].as_str().unwrap_or_default();
        let completes =
            if item["completes"] == true { ", further tools of the built-in one" } else { "" };
        println!(
            "{} {} ({} tools{completes}) {}",
            text("slug"),
            text("version"),
            item["tools_count"],
            text("source")
        );
    }
    println!("{} toolkits are installed.", items.len());
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn json_goes_as_it_is_and_anything_else_as_text() {
        let rest = || Map::from_iter([("file".to_owned(), json!("a"))]);
        let sent = |text: &str, rest| -> Value {
            serde_json::from_slice(&body(Some(text.as_bytes()), rest).unwrap()).unwrap()
        };
        assert_eq!(sent(r#" {"a": 1}"#, rest()), json!({"file": "a", "document": {"a": 1}}));
        assert_eq!(sent("{}", Map::new()), json!({"document": {}}));
        assert_eq!(sent("a: 1", rest()), json!({"file": "a", "document": "a: 1"}));
        // Broken JSON is the server's to explain.
        assert_eq!(sent("{nope", rest()), json!({"file": "a", "document": "{nope"}));
    }
}
