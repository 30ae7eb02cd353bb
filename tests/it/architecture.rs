//! The rules of docs/ARCHITECTURE.md, held against the source text.

use std::path::{Path, PathBuf};

/// Layer of every module; a module may import only from lower layers.
const LAYERS: &[(&str, u8)] = &[
    ("domain", 0),
    ("error", 0),
    ("config", 0),
    ("telemetry", 0),
    ("db", 1),
    ("vault", 1),
    ("net", 1),
    ("catalog", 1),
    ("import", 1),
    ("cache", 2),
    ("storage", 2),
    ("logbook", 2),
    ("outbox", 2),
    ("limits", 2),
    ("search", 2),
    ("mcp_client", 2),
    ("app", 3),
    ("caller", 4),
    ("credentials", 4),
    ("execute", 4),
    ("connect", 4),
    ("session", 4),
    ("trigger", 4),
    ("webhook", 4),
    ("realtime", 4),
    ("mcp_server", 4),
    ("mcp_oauth", 4),
    ("api", 5),
    ("web", 5),
    ("ingress", 5),
    ("mcp", 5),
    ("socket", 5),
    ("worker", 5),
    ("boot", 6),
    ("cli", 6),
];

/// Imports within a layer that are meant, with the reason.
const ALLOWED: &[(&str, &str, &str)] = &[
    ("vault", "db", "seals and opens whole rows, keeps its keys there"),
    ("execute", "credentials", "refreshes a token that is about to end"),
    ("connect", "credentials", "begins and completes an authorization"),
    ("api", "web", "mounts the pages"),
    ("api", "mcp", "mounts the MCP endpoints"),
    ("api", "ingress", "mounts the URLs that providers call"),
    ("api", "socket", "mounts the sockets"),
    ("session", "connect", "links and accounts of an agent's user"),
    ("session", "credentials", "says which operator's client is missing"),
    ("session", "execute", "executes the tools of a session"),
    ("trigger", "execute", "asks the provider with an account's credentials"),
    ("trigger", "connect", "says whose account a trigger is made for"),
    ("trigger", "credentials", "the client secret that some providers sign with"),
    ("mcp_server", "connect", "accounts of a server's user, and links to connect them"),
    ("mcp_server", "execute", "executes the tools of a server"),
    ("mcp_server", "session", "its own tools are described like meta tools"),
    ("cli", "boot", "serves"),
    ("config", "domain", "plain types"),
    ("telemetry", "config", "how and which lines"),
    ("config", "vault", "checks that the encryption key parses"),
    ("error", "domain", "plain types"),
];

fn sources(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            sources(&path, found);
        } else if path.extension().is_some_and(|e| e == "rs") {
            found.push(path);
        }
    }
}

/// Path below `src/`, and text without line comments and unit tests.
fn files() -> Vec<(String, String)> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut paths = Vec::new();
    sources(&root, &mut paths);
    paths.sort();
    paths
        .into_iter()
        .map(|path| {
            let text = std::fs::read_to_string(&path).unwrap();
            let code = text.split("#[cfg(test)]\nmod tests").next().unwrap();
            let code: Vec<&str> =
                code.lines().filter(|l| !l.trim_start().starts_with("//")).collect();
            let name = path.strip_prefix(&root).unwrap().to_str().unwrap().to_owned();
            (name, code.join("\n"))
        })
        .collect()
}

fn module_of(file: &str) -> &str {
    file.split('/').next().unwrap().trim_end_matches(".rs")
}

fn layer(module: &str) -> Option<u8> {
    LAYERS.iter().find(|(name, _)| *name == module).map(|(_, layer)| *layer)
}

#[test]
fn imports_go_one_way() {
    let mut wrong = Vec::new();
    for (file, code) in files() {
        let from = module_of(&file);
        if matches!(from, "lib" | "main") {
            continue;
        }
        let Some(own) = layer(from) else {
            wrong.push(format!("{file}: module `{from}` has no layer"));
            continue;
        };
        for part in code.split("crate::").skip(1) {
            let to: String =
                part.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect();
            let Some(theirs) = layer(&to) else { continue };
            let meant = ALLOWED.iter().any(|(a, b, _)| *a == from && *b == to);
            if to != from && theirs >= own && !meant {
                wrong.push(format!("{file}: `{from}` must not import `{to}`"));
            }
        }
    }
    wrong.dedup();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn each_kind_of_work_has_one_place() {
    let rules: &[(&str, &[&str])] = &[
        ("sqlx::query", &["db/"]),
        ("QueryBuilder", &["db/"]),
        ("reqwest::", &["net/"]),
        ("std::env::", &["config/", "boot/", "cli.rs", "main.rs"]),
        ("Utc::now", &["domain/time.rs"]),
        ("ErrorBody {", &["error/wire.rs"]),
    ];
    let mut wrong = Vec::new();
    for (file, code) in files() {
        for (token, places) in rules {
            if code.contains(token) && !places.iter().any(|p| file.starts_with(p)) {
                wrong.push(format!("{file}: `{token}` belongs in {places:?}"));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn files_stay_readable() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut paths = Vec::new();
    sources(&root.join("src"), &mut paths);
    sources(&root.join("tests"), &mut paths);
    let long: Vec<String> = paths
        .iter()
        .map(|p| (p, std::fs::read_to_string(p).unwrap().lines().count()))
        .filter(|(_, lines)| *lines > 600)
        .map(|(p, lines)| format!("{}: {lines} lines", p.display()))
        .collect();
    assert!(long.is_empty(), "{}", long.join("\n"));
}
