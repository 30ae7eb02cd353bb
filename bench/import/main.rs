//! Imports descriptions of APIs, compiles what comes out as the catalogue does, and sends calls with
//! example arguments to a mock server that checks requests against the description.
//!
//! `bench/import/run` fetches what it needs and starts this. One child process for each description
//! measures time and memory.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::disallowed_methods,
    clippy::disallowed_macros
)]

mod mock;
#[path = "../../tests/it/catalog/rules.rs"]
#[allow(dead_code)]
mod rules;
mod sample;

use std::collections::{BTreeMap, HashSet};
use std::path::{Path, PathBuf};
use std::time::Instant;

use patchbay::catalog::Catalog;
use patchbay::config::Providers;
use patchbay::import::{Definition, Options, Report};
use serde_json::{Value, json};

/// What became of one description.
#[derive(Default)]
struct Row {
    operations: usize,
    imported: usize,
    compiled: usize,
    slugs: bool,
    gate: usize,
    ms: u128,
    peak_mb: u64,
    calls: [mock::Calls; 2],
}

fn main() {
    let args: Vec<String> = std::env::args().skip(1).filter(|arg| arg != "--bench").collect();
    match args.iter().map(String::as_str).collect::<Vec<_>>().as_slice() {
        ["measure", file] => measure(Path::new(file)),
        [folder, prism, out, files @ ..] if !files.is_empty() => {
            all(Path::new(folder), Path::new(prism), Path::new(out), files)
        }
        _ => eprintln!("usage: import <folder of specs> <prism> <folder for failures> <id>..."),
    }
}

fn options() -> Options {
    Options { version: "20260101_00".to_owned(), ..Options::default() }
}

fn import(file: &Path) -> (Definition, Report) {
    let bytes = std::fs::read(file).unwrap();
    patchbay::import::import(&bytes, &options(), &|_, _| {}).unwrap()
}

fn measure(file: &Path) {
    let start = Instant::now();
    let (_, report) = import(file);
    let ms = start.elapsed().as_millis();
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let kb: u64 = peak.and_then(|p| p.split_whitespace().next()?.parse().ok()).unwrap_or(0);
    println!("{}", json!({"ms": ms as u64, "peak_mb": kb / 1024, "operations": report.operations}));
}

/// The catalogue of one definition, without the tools that are wrong, with why.
fn compiled(definition: &Definition) -> (Catalog, Vec<String>) {
    let folder = tempfile::tempdir().unwrap();
    let slug = definition.toolkit["slug"].as_str().unwrap().to_owned();
    let root = folder.path().join(&slug);
    std::fs::create_dir_all(root.join("tools")).unwrap();
    std::fs::write(root.join("toolkit.yaml"), definition.toolkit.to_string()).unwrap();
    let mut bad: HashSet<String> = HashSet::new();
    let mut problems = Vec::new();
    for _ in 0..5 {
        for (i, chunk) in definition.tools.chunks(500).enumerate() {
            let good = |tool: &&Value| !bad.contains(tool["slug"].as_str().unwrap_or_default());
            let tools: Vec<&Value> = chunk.iter().filter(good).collect();
            let text = json!({"tools": tools}).to_string();
            std::fs::write(root.join(format!("tools/{i:03}.yaml")), text).unwrap();
        }
        let error = match Catalog::load(Some(folder.path()), &Providers::default()) {
            Ok(catalog) => return (catalog, problems),
            Err(error) => error,
        };
        let known = bad.len();
        for line in &error.0 {
            let words = line.split([' ', ':', '`']);
            bad.extend(words.filter(|w| w.starts_with(&slug.to_uppercase())).map(str::to_owned));
        }
        if bad.len() == known {
            eprintln!("{slug}: {}", error.0.iter().take(5).cloned().collect::<Vec<_>>().join("\n"));
        }
        problems.extend(error.0);
    }
    (Catalog::default(), problems)
}

fn all(folder: &Path, prism: &Path, out: &Path, ids: &[&str]) {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let mut rows: BTreeMap<usize, (String, Row)> = BTreeMap::new();
    for (i, id) in ids.iter().enumerate() {
        let file: PathBuf = folder.join(format!("{id}.json"));
        let mut row = Row::default();
        let child = std::process::Command::new(std::env::current_exe().unwrap())
            .args(["measure", file.to_str().unwrap()])
            .output()
            .unwrap();
        let measured: Value = serde_json::from_slice(&child.stdout).unwrap_or_default();
        row.ms = measured["ms"].as_u64().unwrap_or(0).into();
        row.peak_mb = measured["peak_mb"].as_u64().unwrap_or(0);
        let (definition, report) = import(&file);
        row.operations = report.operations;
        row.imported = report.tools;
        let slugs: Vec<&str> = definition.tools.iter().filter_map(|t| t["slug"].as_str()).collect();
        let unique: HashSet<&&str> = slugs.iter().collect();
        let valid = |slug: &&str| {
            slug.len() <= 64
                && slug.chars().all(|c| c.is_ascii_uppercase() || c.is_ascii_digit() || c == '_')
        };
        row.slugs = unique.len() == slugs.len() && slugs.iter().all(valid);
        let (catalog, mut problems) = compiled(&definition);
        if let Some(toolkit) = catalog.toolkit(definition.toolkit["slug"].as_str().unwrap()) {
            row.compiled = toolkit.tools.len();
            for tool in &toolkit.tools {
                let tool = tool.open().unwrap();
                let mut found = rules::of_tool(&tool);
                if tool.def.description.chars().count() > 1024 {
                    found.push(format!("{}: description", tool.slug()));
                }
                found.extend(tool.compile_validator().err());
                row.gate += usize::from(found.is_empty());
                problems.extend(found);
            }
            row.calls = runtime.block_on(mock::calls(
                &file,
                prism,
                toolkit,
                &out.join(format!("{i:02}.txt")),
            ));
        }
        std::fs::write(out.join(format!("{i:02}.problems.txt")), problems.join("\n")).unwrap();
        eprintln!("{}", line(id, &row));
        rows.insert(i, ((*id).to_owned(), row));
    }
    println!(
        "| description | operations | imported | compiled | slugs | gate | accepted, required arguments | accepted, all arguments | import | peak memory |"
    );
    println!("|---|---|---|---|---|---|---|---|---|---|");
    let mut sum = Row { slugs: true, ..Row::default() };
    for (id, row) in rows.values() {
        println!("{}", line(id, row));
        sum.operations += row.operations;
        sum.imported += row.imported;
        sum.compiled += row.compiled;
        sum.gate += row.gate;
        sum.slugs &= row.slugs;
        sum.ms += row.ms;
        sum.peak_mb = sum.peak_mb.max(row.peak_mb);
        for (sum, calls) in sum.calls.iter_mut().zip(&row.calls) {
            sum.sent += calls.sent;
            sum.accepted += calls.accepted;
        }
    }
    println!("{}", line("all", &sum));
}

fn line(id: &str, row: &Row) -> String {
    let share = |part: usize, whole: usize| {
        if whole == 0 {
            "-".to_owned()
        } else {
            format!("{:.1} %", part as f64 * 100.0 / whole as f64)
        }
    };
    format!(
        "| {id} | {} | {} | {} | {} | {} | {} | {} | {:.1} s | {} MB |",
        row.operations,
        share(row.imported, row.operations),
        share(row.compiled, row.operations),
        if row.slugs { "ok" } else { "wrong" },
        share(row.gate, row.operations),
        share(row.calls[0].accepted, row.calls[0].sent),
        share(row.calls[1].accepted, row.calls[1].sent),
        row.ms as f64 / 1000.0,
        row.peak_mb
    )
}
