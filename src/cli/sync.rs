//! `patchbay toolkits sync`: the public APIs of pinned packages, one after the other.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use anyhow::Context;
use axum::http::Method;
use clap::Args;
use futures_util::{StreamExt, stream};
use indicatif::{ProgressBar, ProgressStyle};
use serde::Serialize;
use serde_json::{Map, Value, json};
use tokio::sync::mpsc;

use super::toolkits::{INSTALLED, body, send};
use crate::config::Config;
use crate::net::server::{Refused, Server};
use crate::sync::npm::{self, Archive, Next};
use crate::sync::plan::{Choice, Package, Plan, Spec};

/// Imports at the same time; the server does as many.
const AT_ONCE: usize = 2;
/// Where nobody looks at a terminal, a line comes after so many.
const LINE_EVERY: usize = 50;

/// What is taken, and from where.
#[derive(Debug, Args)]
pub struct SyncArgs {
    /// Stop after so many toolkits.
    #[arg(long)]
    limit: Option<usize>,
    /// Only these toolkits, by slug; can be repeated, or separated by commas.
    #[arg(long, value_delimiter = ',')]
    only: Vec<String>,
    /// A list of packages of your own instead of the built-in one; written as config/sync.yaml is.
    #[arg(long)]
    plan: Option<PathBuf>,
    /// Import again what is installed already of the same package.
    #[arg(long)]
    again: bool,
    /// Only say what would be taken.
    #[arg(long)]
    list: bool,
    /// The npm registry, or a mirror of it.
    #[arg(long, env = "NPM_CONFIG_REGISTRY", default_value = npm::REGISTRY)]
    registry: String,
    /// Folder where fetched packages stay; without it, one in the data folder.
    #[arg(long)]
    cache: Option<PathBuf>,
    /// File for the whole report, as JSON.
    #[arg(long)]
    report: Option<PathBuf>,
}

/// What became of everything.
#[derive(Debug, Default, Serialize)]
struct Outcome {
    /// Installed by this run.
    installed: Vec<Taken>,
    /// Installed before of the same package.
    there: Vec<String>,
    /// Left out on purpose, by file, with the reason.
    left_out: BTreeMap<String, String>,
    /// Refused by the importer, by file, with the reason.
    failed: BTreeMap<String, String>,
    /// Whether it ended before everything was looked at.
    limited: bool,
}

#[derive(Debug, Serialize)]
struct Taken {
    slug: String,
    version: String,
    source: String,
    tools: u64,
    operations: u64,
    /// Operations that are no tools, with the reason.
    left_out: Value,
}

/// A description on its way.
struct Job {
    spec: Spec,
    source: String,
    contents: Vec<u8>,
}

/// Installs what the plan has.
///
/// # Errors
/// A registry or a server that does not answer. What a single description lacks is part of the report.
pub async fn run(server: &Server, config: &Config, args: SyncArgs) -> anyhow::Result<()> {
    let plan = match &args.plan {
        Some(path) => {
            let name = path.display().to_string();
            let text = std::fs::read_to_string(path).with_context(|| name.clone())?;
            Plan::of(&name, &text)
        }
        None => Plan::built_in(),
    };
    let plan = plan.map_err(anyhow::Error::msg)?;
    let cache = args.cache.clone().unwrap_or_else(|| config.data_dir.join("packages"));
    let known = if args.again { BTreeSet::new() } else { installed(server).await? };
    let only: BTreeSet<&str> = args.only.iter().map(String::as_str).collect();
    let mut outcome = Outcome::default();
    for package in &plan.packages {
        if !only.is_empty() && package.folder.is_none() {
            let wanted = package.specs.iter().any(|spec| only.contains(spec.slug.as_str()));
            if !wanted {
                continue;
            }
        }
        let archive = fetch(package, &args.registry, &cache).await?;
        let jobs = chosen(package, &archive, &only, &known, &mut outcome)?;
        let left = args.limit.map(|limit| limit.saturating_sub(outcome.installed.len()));
        let taken = left.unwrap_or(usize::MAX).min(jobs.len());
        outcome.limited |= taken < jobs.len();
        if args.list {
            jobs[..taken].iter().for_each(|spec| println!("{} {}", spec.slug, spec.file));
            continue;
        }
        import(server, package, archive, jobs[..taken].to_vec(), &mut outcome).await?;
    }
    if let Some(path) = &args.report {
        std::fs::write(path, serde_json::to_vec_pretty(&outcome)?)
            .with_context(|| path.display().to_string())?;
    }
    if !args.list {
        print(&outcome, args.report.is_some());
    }
    Ok(())
}

/// Where the installed toolkits came from.
async fn installed(server: &Server) -> anyhow::Result<BTreeSet<String>> {
    let answer = server.ask(Method::GET, INSTALLED).await?;
    let items = answer["items"].as_array().map(Vec::as_slice).unwrap_or_default();
    Ok(items.iter().filter_map(|item| item["source"].as_str()).map(str::to_owned).collect())
}

fn source(package: &Package, file: &str) -> String {
    format!("npm:{}@{}/{file}", package.name, package.version)
}

async fn fetch(
    package: &Package,
    registry: &str,
    cache: &std::path::Path,
) -> anyhow::Result<Archive> {
    let bar = ProgressBar::new(0);
    if let Ok(style) = ProgressStyle::with_template("{msg} {bar:30} {bytes}/{total_bytes}") {
        bar.set_style(style);
    }
    bar.set_message(format!("{} {}", package.name, package.version));
    let archive = Archive::fetch(package, registry, cache, |done, of| {
        bar.set_length(of.unwrap_or(done));
        bar.set_position(done);
    });
    let archive = archive.await.with_context(|| format!("{} {}", package.name, package.version));
    bar.finish_and_clear();
    archive
}

/// The descriptions of a package that are to be imported, in the order of their slugs.
fn chosen(
    package: &Package,
    archive: &Archive,
    only: &BTreeSet<&str>,
    known: &BTreeSet<String>,
    outcome: &mut Outcome,
) -> anyhow::Result<Vec<Spec>> {
    let mut specs = Vec::new();
    let mut names = BTreeMap::new();
    let wanted = |path: &str| {
        match package.choice(path) {
            Choice::Other => {}
            Choice::Leave(why) => {
                outcome.left_out.insert(source(package, path), why);
            }
            Choice::Take(spec) if !only.is_empty() && !only.contains(spec.slug.as_str()) => {}
            Choice::Take(spec) => specs.push(spec),
        }
        false
    };
    archive.files(wanted, |_, _| Ok(Next::Go))?;
    specs.sort_by(|a, b| a.slug.cmp(&b.slug).then_with(|| a.file.cmp(&b.file)));
    specs.retain(|spec| {
        let source = source(package, &spec.file);
        if let Some(other) = names.insert(spec.slug.clone(), spec.file.clone()) {
            let why = format!("the toolkit `{}` is made of {other}", spec.slug);
            outcome.left_out.insert(source, why);
            names.insert(spec.slug.clone(), other);
            return false;
        }
        let is_there = known.contains(&source);
        if is_there {
            outcome.there.push(spec.slug.clone());
        }
        !is_there
    });
    Ok(specs)
}

async fn import(
    server: &Server,
    package: &Package,
    archive: Archive,
    specs: Vec<Spec>,
    outcome: &mut Outcome,
) -> anyhow::Result<()> {
    if specs.is_empty() {
        return Ok(());
    }
    let bar = ProgressBar::new(specs.len() as u64);
    if let Ok(style) =
        ProgressStyle::with_template("{bar:30} {pos}/{len} toolkits, {eta} left  {msg}")
    {
        bar.set_style(style);
    }
    // Descriptions are read off the package while others are imported, a few ahead at most.
    let (give, take) = mpsc::channel(AT_ONCE);
    let files = package.clone();
    let reader = tokio::task::spawn_blocking(move || read(&files, &archive, specs, &give));
    let jobs = stream::unfold(take, |mut take| async { take.recv().await.map(|job| (job, take)) });
    let mut results = std::pin::pin!(
        jobs.map(|job: Job| async {
            let done = one(server, &job).await;
            (job.spec, job.source, done)
        })
        .buffer_unordered(AT_ONCE)
    );
    let mut count = 0;
    while let Some((spec, source, done)) = results.next().await {
        bar.set_message(spec.slug.clone());
        bar.inc(1);
        count += 1;
        if bar.is_hidden() && count % LINE_EVERY == 0 {
            println!("{count} of {} toolkits", bar.length().unwrap_or_default());
        }
        match done {
            Ok(answer) => outcome.installed.push(Taken {
                slug: spec.slug,
                version: answer["version"].as_str().unwrap_or_default().to_owned(),
                source,
                tools: answer["tools"].as_u64().unwrap_or_default(),
                operations: answer["report"]["operations"].as_u64().unwrap_or_default(),
                left_out: answer["report"]["left_out"].clone(),
            }),
            // What the description lacks is said at the end; a server that is away, or a wrong key, ends it.
            Err(Refused { status: Some(400 | 413 | 422), message }) => {
                outcome.failed.insert(source, message);
            }
            Err(refused) => {
                bar.finish_and_clear();
                return Err(anyhow::Error::new(refused)
                    .context("stopped; the same command goes on where this one ended"));
            }
        }
    }
    bar.finish_and_clear();
    reader.await?
}

/// Reads the files that are wanted off the package.
fn read(
    package: &Package,
    archive: &Archive,
    specs: Vec<Spec>,
    give: &mpsc::Sender<Job>,
) -> anyhow::Result<()> {
    let mut specs: BTreeMap<String, Spec> =
        specs.into_iter().map(|spec| (spec.file.clone(), spec)).collect();
    let wanted: BTreeSet<String> = specs.keys().cloned().collect();
    archive.files(
        |path| wanted.contains(path),
        |path, contents| {
            let Some(spec) = specs.remove(path) else { return Ok(Next::Go) };
            let source = source(package, path);
            let is_heard = give.blocking_send(Job { spec, source, contents }).is_ok();
            Ok(if is_heard && !specs.is_empty() { Next::Go } else { Next::Stop })
        },
    )
}

async fn one(server: &Server, job: &Job) -> Result<Value, Refused> {
    let mut rest = Map::new();
    rest.insert("slug".into(), job.spec.slug.clone().into());
    rest.insert("file".into(), job.source.clone().into());
    if !job.spec.aliases.is_empty() {
        rest.insert("aliases".into(), json!(job.spec.aliases));
    }
    let body = body(Some(&job.contents), rest)
        .map_err(|e| Refused { status: None, message: e.to_string() })?;
    send(server, body, &ProgressBar::hidden()).await
}

fn print(outcome: &Outcome, has_report: bool) {
    let tools: u64 = outcome.installed.iter().map(|taken| taken.tools).sum();
    let operations: u64 = outcome.installed.iter().map(|taken| taken.operations).sum();
    println!(
        "{} toolkits with {tools} tools installed, of {operations} operations; {} were there already.",
        outcome.installed.len(),
        outcome.there.len()
    );
    let mut reasons: BTreeMap<&str, usize> = BTreeMap::new();
    for why in outcome.left_out.values() {
        *reasons.entry(why).or_default() += 1;
    }
    for (why, count) in reasons {
        println!("Left out, {count}: {why}");
    }
    if !outcome.failed.is_empty() {
        println!("Not possible, {}:", outcome.failed.len());
        for (file, why) in &outcome.failed {
            println!("  {file}: {}", why.replace('\n', " "));
        }
    }
    if outcome.limited {
        println!("There is more; the same command without --limit goes on.");
    }
    if !has_report {
        println!("--report FILE keeps every reason.");
    }
}
