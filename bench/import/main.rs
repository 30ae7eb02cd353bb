//! Imports descriptions of APIs, compiles what comes out as the server does, and sends calls with
//! example arguments to a mock server that checks requests against the description.
//!
//! `bench/import/run` fetches what it needs and starts this. Every description has a process of its own,
//! and its row is kept in a file: a run that ended early goes on where it was.

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

use std::collections::HashSet;
use std::path::Path;
use std::time::{Duration, Instant};

use patchbay::catalog::{Catalog, Catalogs, Toolkit, compile};
use patchbay::config::Providers;
use patchbay::import::{Definition, Options, Report};
use serde::{Deserialize, Serialize};
use serde_json::json;

/// What became of one description.
#[derive(Default, Serialize, Deserialize)]
struct Row {
    operations: usize,
    imported: usize,
    compiled: usize,
    slugs: bool,
    gate: usize,
    ms: u64,
    peak_mb: u64,
    calls: [mock::Calls; 2],
    /// What did not work at all.
    trouble: String,
}

fn main() {
    let args: Vec<String> = std::env::args().skip(1).filter(|arg| arg != "--bench").collect();
    match args.iter().map(String::as_str).collect::<Vec<_>>().as_slice() {
        ["one", file, prism, out] => one(Path::new(file), Path::new(prism), Path::new(out)),
        [folder, prism, out, ids @ ..] if !ids.is_empty() => {
            all(Path::new(folder), Path::new(prism), Path::new(out), ids)
        }
        _ => eprintln!("usage: import <folder of specs> <prism> <folder for failures> <id>..."),
    }
}

fn import(file: &Path) -> Result<(Definition, Report), String> {
    let bytes = std::fs::read(file).map_err(|e| e.to_string())?;
    let options = Options { version: "20260101_00".to_owned(), ..Options::default() };
    patchbay::import::import(&bytes, &options, &|_, _| {}).map_err(|e| e.to_string())
}

/// One description: its row goes to `out` with `json` as its ending, what was wrong beside it.
fn one(file: &Path, prism: &Path, out: &Path) {
    let start = Instant::now();
    let mut row = Row::default();
    match import(file) {
        Ok((definition, report)) => {
            row.ms = start.elapsed().as_millis() as u64;
            row.peak_mb = peak_mb();
            row.operations = report.operations;
            row.imported = report.tools;
            row.slugs = slugs(&definition);
            let mut problems: Vec<String> =
                report.left_out.iter().map(|left| format!("{left:?}")).collect();
            check(&definition, &mut row, &mut problems, (file, prism, out));
            std::fs::write(out.with_extension("problems.txt"), problems.join("\n")).unwrap();
        }
        Err(e) => row.trouble = e,
    }
    std::fs::write(out.with_extension("json"), json!(row).to_string()).unwrap();
}

fn peak_mb() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    peak.and_then(|p| p.split_whitespace().next()?.parse::<u64>().ok()).unwrap_or(0) / 1024
}

/// Whether every slug is one, and there is none twice.
fn slugs(definition: &Definition) -> bool {
    let slugs: Vec<&str> = definition.tools.iter().filter_map(|t| t["slug"].as_str()).collect();
    let unique: HashSet<&&str> = slugs.iter().collect();
    let valid = |slug: &&str| {
        !slug.is_empty()
            && slug.len() <= 64
            && slug.chars().all(|c| c.is_ascii_uppercase() || c.is_ascii_digit() || c == '_')
    };
    unique.len() == slugs.len() && slugs.iter().all(valid)
}

fn check(
    definition: &Definition,
    row: &mut Row,
    problems: &mut Vec<String>,
    (file, prism, out): (&Path, &Path, &Path),
) {
    let catalogs = Catalogs::over(Catalog::default());
    let providers = Providers::default();
    let made = compile(&definition.toolkit, &definition.tools, None, &providers, catalogs.opened());
    let made = match made {
        Ok(made) => made,
        Err(wrong) => {
            row.trouble = wrong.join("; ");
            return;
        }
    };
    let toolkit: Toolkit = made.toolkit;
    problems
        .extend(made.bad.iter().map(|bad| format!("{}: {}", bad.slug, bad.problems.join("; "))));
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
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let log = out.with_extension("txt");
    row.calls = runtime.block_on(mock::calls(file, prism, &toolkit, &log));
}

fn all(folder: &Path, prism: &Path, out: &Path, ids: &[&str]) {
    let minutes = std::env::var("MINUTES").ok().and_then(|m| m.parse::<u64>().ok());
    let end = minutes.map(|minutes| Instant::now() + Duration::from_secs(minutes * 60));
    let mut rows: Vec<(&str, Row)> = Vec::new();
    let mut open = Vec::new();
    for id in ids {
        let own = out.join(id.replace('/', "_"));
        // `with_extension` would take the end of the name for one.
        let own = out.join(format!("{}.x", own.file_name().unwrap().to_str().unwrap()));
        let known = || -> Option<Row> {
            serde_json::from_slice(&std::fs::read(own.with_extension("json")).ok()?).ok()
        };
        let mut row = known();
        if row.is_none() && end.is_none_or(|end| Instant::now() < end) {
            let file = folder.join(format!("{id}.json"));
            let child = std::process::Command::new(std::env::current_exe().unwrap())
                .arg("one")
                .args([&file, prism, &own])
                .status();
            row = known();
            if row.is_none() {
                eprintln!("{id}: {child:?}");
            }
        }
        match row {
            Some(row) => {
                eprintln!("{}", line(id, &row));
                rows.push((id, row));
            }
            None => open.push(*id),
        }
    }
    println!(
        "| description | operations | imported | compiled | slugs | gate | calls | accepted, required arguments | accepted, all arguments | import | peak memory |"
    );
    println!("|---|---|---|---|---|---|---|---|---|---|---|");
    let mut sum = Row { slugs: true, ..Row::default() };
    for (id, row) in &rows {
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
    println!("{}", line("**all**", &sum));
    for (id, row) in rows.iter().filter(|(_, row)| !row.trouble.is_empty()) {
        println!("\n{id}: {}", row.trouble);
    }
    if !open.is_empty() {
        println!("\nNot measured: {}", open.join(", "));
    }
}

fn line(id: &str, row: &Row) -> String {
    let share = |part: usize, whole: usize| {
        if whole == 0 {
            "-".to_owned()
        } else {
            format!("{:.1} %", part as f64 * 100.0 / whole as f64)
        }
    };
    // Of a build without optimization it would say nothing.
    let (time, memory) = if cfg!(debug_assertions) {
        ("-".to_owned(), "-".to_owned())
    } else {
        (format!("{:.1} s", row.ms as f64 / 1000.0), format!("{} MB", row.peak_mb))
    };
    format!(
        "| {id} | {} | {} | {} | {} | {} | {} | {} | {} | {time} | {memory} |",
        row.operations,
        share(row.imported, row.operations),
        share(row.compiled, row.operations),
        if row.slugs { "ok" } else { "wrong" },
        share(row.gate, row.operations),
        row.calls[0].sent + row.calls[1].sent,
        share(row.calls[0].accepted, row.calls[0].sent),
        share(row.calls[1].accepted, row.calls[1].sent),
    )
}
