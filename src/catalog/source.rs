//! Where definitions come from: the ones built into the binary, then a folder of the operator.

use std::collections::BTreeMap;
use std::path::Path;

#[derive(rust_embed::Embed)]
#[folder = "toolkits/"]
struct BuiltIn;

/// One file, with the name that errors use.
pub(super) struct SourceFile {
    /// `toolkits/github/tools/issues.yaml`, or the path on disk.
    pub label: String,
    /// Contents.
    pub text: String,
}

/// The files of one toolkit.
#[derive(Default)]
pub(super) struct Source {
    /// `toolkit.yaml`
    pub toolkit: Option<SourceFile>,
    /// `tools/*.yaml`, by name.
    pub tools: Vec<SourceFile>,
    /// `triggers/*.yaml`, by name.
    pub triggers: Vec<SourceFile>,
    /// Whether it was checked when this program was built.
    pub is_checked: bool,
}

/// All toolkits by folder name; those of `extra` replace built-in ones.
pub(super) fn collect(
    extra: Option<&Path>,
    problems: &mut Vec<String>,
) -> BTreeMap<String, Source> {
    let mut sources = built_in(problems);
    sources.values_mut().for_each(|source| source.is_checked = true);
    if let Some(dir) = extra {
        sources.extend(folder(dir, problems));
    }
    sources
}

/// The `import.yaml` of toolkits that are completed by a package, by slug.
pub(super) fn completions() -> Vec<(String, String)> {
    let mut found: Vec<(String, String)> = BuiltIn::iter()
        .filter_map(|name| {
            let slug = name.strip_suffix("/import.yaml")?.to_owned();
            let text = String::from_utf8(BuiltIn::get(&name)?.data.into_owned()).ok()?;
            Some((slug, text))
        })
        .collect();
    found.sort();
    found
}

fn built_in(problems: &mut Vec<String>) -> BTreeMap<String, Source> {
    let mut names: Vec<String> = BuiltIn::iter().map(|name| name.replace('\\', "/")).collect();
    names.sort();
    let mut sources: BTreeMap<String, Source> = BTreeMap::new();
    for name in names {
        let Some(file) = BuiltIn::get(&name) else { continue };
        let label = format!("toolkits/{name}");
        match std::str::from_utf8(&file.data) {
            Ok(text) => put(&mut sources, &name, label, text.to_owned(), problems),
            Err(e) => problems.push(format!("{label}: not UTF-8: {e}")),
        }
    }
    sources
}

/// The toolkits of a folder.
pub(super) fn folder(dir: &Path, problems: &mut Vec<String>) -> BTreeMap<String, Source> {
    let mut sources = BTreeMap::new();
    for toolkit in entries(dir, problems) {
        let name = file_name(&toolkit);
        if !toolkit.is_dir() || name.starts_with('.') {
            continue;
        }
        let mut files = vec![toolkit.join("toolkit.yaml")];
        for part in ["tools", "triggers"].map(|part| toolkit.join(part)) {
            if part.is_dir() {
                files.extend(
                    entries(&part, problems)
                        .into_iter()
                        .filter(|path| path.extension().is_some_and(|e| e == "yaml" || e == "yml")),
                );
            }
        }
        for path in files {
            let label = path.display().to_string();
            let inner = path.strip_prefix(dir).map(|p| p.display().to_string()).unwrap_or_default();
            match std::fs::read_to_string(&path) {
                Ok(text) => put(&mut sources, &inner.replace('\\', "/"), label, text, problems),
                Err(e) => problems.push(format!("{label}: cannot read: {e}")),
            }
        }
    }
    sources
}

fn put(
    sources: &mut BTreeMap<String, Source>,
    name: &str,
    label: String,
    text: String,
    problems: &mut Vec<String>,
) {
    let parts: Vec<&str> = name.split('/').collect();
    match parts.as_slice() {
        [slug, "toolkit.yaml"] => {
            sources.entry((*slug).to_owned()).or_default().toolkit =
                Some(SourceFile { label, text });
        }
        [slug, "tools", _] => {
            sources.entry((*slug).to_owned()).or_default().tools.push(SourceFile { label, text });
        }
        [slug, "triggers", _] => {
            let source = sources.entry((*slug).to_owned()).or_default();
            source.triggers.push(SourceFile { label, text });
        }
        // What completes a toolkit is the business of `sync`.
        [_, "import.yaml"] => {}
        _ => problems.push(format!(
            "{label}: not a place for a definition; they are <slug>/toolkit.yaml, <slug>/tools/*.yaml and <slug>/triggers/*.yaml"
        )),
    }
}

fn entries(dir: &Path, problems: &mut Vec<String>) -> Vec<std::path::PathBuf> {
    match std::fs::read_dir(dir) {
        Ok(found) => {
            let mut paths: Vec<_> = found.filter_map(|e| e.ok().map(|e| e.path())).collect();
            paths.sort();
            paths
        }
        Err(e) => {
            problems.push(format!("{}: cannot read: {e}", dir.display()));
            Vec::new()
        }
    }
}

fn file_name(path: &Path) -> String {
    path.file_name().map(|n| n.to_string_lossy().into_owned()).unwrap_or_default()
}
