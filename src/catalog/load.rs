//! Files to catalogue. Every problem of every file is told at once.

use std::path::Path;
use std::sync::{Arc, OnceLock};

use serde::de::DeserializeOwned;

use super::entry::{Entry, Opened, Shell};
use super::hosts::{Base, Hosts};
use super::inject::Injection;
use super::layer::Layer;
use super::login::{self, Login};
use super::model::{self, ToolkitFile, ToolsFile, TriggersFile};
use super::probe::Probes;
use super::schema::{self, Reader};
use super::source::{self, Source, SourceFile};
use super::template::{Text, Tree};
use super::trigger::{self, Trigger};
use super::{Catalog, CatalogErrors, Tool, Toolkit, args, check, check_relations, derive, plan};
use crate::config::Providers;
use crate::config::providers::Provider;
use crate::domain::scheme::AuthSchemeKind;

/// Loads everything. The built-in definitions cannot change any more and a test checks them, so a server
/// does so only when it is asked to: `all`.
pub(super) fn load(
    extra: Option<&Path>,
    providers: &Providers,
    all: bool,
) -> Result<Catalog, CatalogErrors> {
    let mut problems = Vec::new();
    let mut sources = source::collect(extra, &mut problems);
    if all {
        sources.values_mut().for_each(|source| source.is_checked = false);
    }
    of_sources(&sources, providers, problems)
}

/// Loads the toolkits of one folder, without the built-in ones.
pub(super) fn load_folder(dir: &Path, providers: &Providers) -> Result<Catalog, CatalogErrors> {
    let mut problems = Vec::new();
    let sources = source::folder(dir, &mut problems);
    of_sources(&sources, providers, problems)
}

fn of_sources(
    sources: &std::collections::BTreeMap<String, Source>,
    providers: &Providers,
    mut problems: Vec<String>,
) -> Result<Catalog, CatalogErrors> {
    let mut toolkits = Vec::new();
    for (result, mut found) in all(sources, providers, &Arc::default()) {
        problems.append(&mut found);
        toolkits.extend(result);
    }
    let is_checked = |slug: &str| sources.get(slug).is_some_and(|source| source.is_checked);
    derive::all(&mut toolkits, providers, &is_checked, &mut problems);
    let toolkits = toolkits.into_iter().map(Arc::new).collect();
    let layer = Layer::new(toolkits, &mut problems);
    let catalog = Catalog::of(vec![Arc::new(layer)]);
    for slug in providers.slugs() {
        if problems.is_empty() && catalog.toolkit(slug).is_none() {
            problems.push(format!("providers file: there is no toolkit `{slug}`"));
        }
    }
    if problems.is_empty() { Ok(catalog) } else { Err(CatalogErrors(problems)) }
}

/// Loads toolkits on a few threads: the start of the server waits for this.
fn all(
    sources: &std::collections::BTreeMap<String, Source>,
    providers: &Providers,
    opened: &Arc<Opened>,
) -> Vec<(Option<Toolkit>, Vec<String>)> {
    let next = std::sync::atomic::AtomicUsize::new(0);
    let list: Vec<(&String, &Source)> = sources.iter().collect();
    let work = || {
        let mut done = Vec::new();
        loop {
            let i = next.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
            let Some((folder, source)) = list.get(i) else { return done };
            let mut problems = Vec::new();
            let toolkit = toolkit(folder, source, (providers, opened), &mut problems);
            done.push((i, (toolkit, problems)));
        }
    };
    let threads = std::thread::available_parallelism().map_or(1, |n| n.get().min(8));
    let mut done: Vec<_> = std::thread::scope(|scope| {
        let others: Vec<_> = (1..threads).map(|_| scope.spawn(work)).collect();
        let mut done = work();
        for other in others {
            done.extend(other.join().unwrap_or_default());
        }
        done
    });
    done.sort_by_key(|(i, _)| *i);
    done.into_iter().map(|(_, result)| result).collect()
}

/// Reads YAML. A problem comes out as `file:line:column: what`.
fn parse<T: DeserializeOwned>(file: &SourceFile, problems: &mut Vec<String>) -> Option<T> {
    let options = serde_saphyr::options! { with_snippet: false };
    match serde_saphyr::from_str_with_options(&file.text, options) {
        Ok(value) => Some(value),
        Err(e) => {
            let place = match e.location() {
                Some(at) => format!("{}:{}:{}", file.label, at.line(), at.column()),
                None => format!("{}:1:1", file.label),
            };
            let text = e.without_snippet().to_string();
            let text = text.lines().next().unwrap_or_default();
            problems.push(format!("{place}: {text}"));
            None
        }
    }
}

fn toolkit(
    folder: &str,
    source: &Source,
    (providers, opened): (&Providers, &Arc<Opened>),
    problems: &mut Vec<String>,
) -> Option<Toolkit> {
    let Some(main) = &source.toolkit else {
        problems.push(format!("toolkits/{folder}: toolkit.yaml is missing"));
        return None;
    };
    let file = parse::<ToolkitFile>(main, problems);
    let mut tools: Vec<(&SourceFile, model::Tool)> = Vec::new();
    for part in &source.tools {
        let parsed = parse::<ToolsFile>(part, problems);
        tools.extend(parsed.into_iter().flat_map(|p| p.tools).map(|tool| (part, tool)));
    }
    let mut triggers: Vec<(&SourceFile, model::Trigger)> = Vec::new();
    for part in &source.triggers {
        let parsed = parse::<TriggersFile>(part, problems);
        triggers.extend(parsed.into_iter().flat_map(|p| p.triggers).map(|t| (part, t)));
    }
    let mut file = file?;
    let provider = providers.get(&file.slug);
    let before = problems.len();
    for scheme in &mut file.auth {
        if let Err(problem) = login::imply(scheme) {
            problems.push(format!("{}:1:1: auth: {problem}", main.label));
        }
    }
    if !source.is_checked {
        check::toolkit(folder, main, &file, problems);
        for (part, tool) in &tools {
            check::tool(part, &file, tool, problems);
        }
        check_relations::tools(&tools, problems);
        check_relations::texts(&file.pitfalls, &mut |problem| {
            problems.push(format!("{}:1:1: {problem}", main.label));
        });
    }
    overridden(&mut file, provider);
    overridden_oauth1(&mut file, provider);
    let file = Arc::new(file);
    let shell = Shell { file: file.clone(), provider: provider.cloned(), opened: opened.clone() };
    let shell = Arc::new(shell);
    let mut entries = Vec::with_capacity(tools.len());
    let mut has_base = false;
    for (part, def) in tools {
        if source.is_checked {
            entries.push(Arc::new(Entry::kept(def, &shell)));
            continue;
        }
        match tool(def, &file, provider) {
            Ok(tool) => {
                check::templates(part, &file, &tool, problems);
                has_base |= check::has_open_base(&tool);
                entries.push(Arc::new(Entry::kept(tool.def, &shell)));
            }
            Err((slug, found)) => {
                let at = check::at(part, &slug);
                problems.extend(found.into_iter().map(|p| format!("{at}: {slug}: {p}")));
            }
        }
    }
    let probes = probes(main, &file, provider, problems);
    let triggers = compiled_triggers(triggers, &file, provider, problems);
    match parts(file, provider, (entries, triggers), probes) {
        Ok(toolkit) => {
            if !source.is_checked {
                check::toolkit_templates(main, &toolkit, has_base, problems);
            }
            (problems.len() == before).then_some(toolkit)
        }
        Err(found) => {
            problems.extend(found.into_iter().map(|p| format!("{}:1:1: {p}", main.label)));
            None
        }
    }
}

/// Compiles trigger types.
fn compiled_triggers(
    triggers: Vec<(&SourceFile, model::Trigger)>,
    file: &ToolkitFile,
    provider: Option<&Provider>,
    problems: &mut Vec<String>,
) -> Vec<Arc<Trigger>> {
    let mut compiled = Vec::with_capacity(triggers.len());
    for (part, def) in triggers {
        let slug = def.slug.clone();
        let before = problems.len();
        check::trigger(file, &def, &mut |problem| {
            problems.push(format!("{}: {slug}: {problem}", check::at(part, &slug)));
        });
        let make =
            |def: model::Tool, given| tool(def, file, provider).map(|tool| Tool { given, ..tool });
        match trigger::compile(def, file, &make) {
            Ok(trigger) if problems.len() == before => {
                for tool in trigger::calls(&trigger) {
                    check::templates(part, file, tool, problems);
                }
                compiled.push(Arc::new(trigger));
            }
            Ok(_) => {}
            Err(found) => {
                let place = check::at(part, &slug);
                problems.extend(found.into_iter().map(|p| format!("{place}: {slug}: {p}")));
            }
        }
    }
    compiled
}

/// Compiles the calls that check new credentials.
pub(super) fn probes(
    main: &SourceFile,
    file: &ToolkitFile,
    provider: Option<&Provider>,
    problems: &mut Vec<String>,
) -> Vec<(AuthSchemeKind, Probes)> {
    let mut all = Vec::new();
    for scheme in &file.auth {
        match Probes::compile(file, scheme, |def| tool(def, file, provider)) {
            Ok(probes) => {
                for tool in probes.tools() {
                    check::templates(main, file, tool, problems);
                }
                all.push((scheme.scheme, probes));
            }
            Err((name, found)) => {
                let label = &main.label;
                problems.extend(found.into_iter().map(|p| format!("{label}:1:1: {name}: {p}")));
            }
        }
    }
    all
}

/// Puts the operator's OAuth endpoints in place of the definition's.
pub(super) fn overridden(file: &mut ToolkitFile, provider: Option<&Provider>) {
    let Some(provider) = provider else { return };
    if provider.base_url.is_some() {
        // The authorization server is then the replacement's.
        for dcr in file.auth.iter_mut().filter_map(|scheme| scheme.dcr.as_mut()) {
            dcr.resource = None;
            dcr.issuer = None;
            dcr.discovery_url = None;
            dcr.fallback = None;
        }
    }
    for oauth2 in file.auth.iter_mut().filter_map(|scheme| scheme.oauth2.as_mut()) {
        if let Some(url) = &provider.authorize_url {
            oauth2.authorize.url.clone_from(url);
        }
        if let Some(url) = &provider.token_url {
            oauth2.token.url.clone_from(url);
            oauth2.refresh.url = None;
            if let Some(upgrade) = &mut oauth2.upgrade {
                upgrade.url.clone_from(url);
            }
        }
        if let Some(url) = &provider.revoke_url {
            match &mut oauth2.revoke {
                Some(revoke) => revoke.url.clone_from(url),
                None => oauth2.revoke_url = Some(url.clone()),
            }
        }
    }
}

/// The same for OAuth 1.0a: the operator's token endpoint stands for the first leg's and the last
/// leg's, which differ in their last segment.
pub(super) fn overridden_oauth1(file: &mut ToolkitFile, provider: Option<&Provider>) {
    let Some(provider) = provider else { return };
    for oauth1 in file.auth.iter_mut().filter_map(|scheme| scheme.oauth1.as_mut()) {
        if let Some(url) = &provider.authorize_url {
            oauth1.authorize.url.clone_from(url);
        }
        if let Some(url) = &provider.token_url {
            for endpoint in [&mut oauth1.request, &mut oauth1.access] {
                let last = endpoint.url.rsplit('/').next().unwrap_or_default();
                endpoint.url = format!("{}/{last}", url.trim_end_matches('/'));
            }
        }
    }
}

/// Puts a toolkit together.
pub(super) fn parts(
    file: Arc<ToolkitFile>,
    provider: Option<&Provider>,
    (tools, triggers): (Vec<Arc<Entry>>, Vec<Arc<Trigger>>),
    probes: Vec<(AuthSchemeKind, Probes)>,
) -> Result<Toolkit, Vec<String>> {
    let mut problems = Vec::new();
    let mut keep = |problem: String| problems.push(problem);
    let base = Base::compile(&file.base_url, provider).map_err(|e| keep(format!("base_url: {e}")));
    let mut headers = Vec::new();
    for (name, text) in &file.headers {
        match Text::compile(text) {
            Ok(text) => headers.push((name.clone(), text)),
            Err(e) => keep(format!("headers {name}: {e}")),
        }
    }
    let mut injections = Vec::new();
    for scheme in &file.auth {
        match Injection::compile(scheme) {
            Ok(injection) => injections.push((scheme.scheme, injection)),
            Err(e) => keep(format!("auth {}: {e}", scheme.scheme.as_str())),
        }
    }
    let mut logins = Vec::new();
    for scheme in &file.auth {
        let Some(def) = &scheme.login else { continue };
        match Login::compile(def, provider) {
            Ok(login) => logins.push((scheme.scheme, login)),
            Err(e) => keep(format!("auth {}: {e}", scheme.scheme.as_str())),
        }
    }
    match base {
        Ok(base) if problems.is_empty() => {
            let hosts = Hosts::new(&file, provider);
            Ok(Toolkit {
                origin: super::Origin::BuiltIn,
                tools,
                triggers,
                base,
                hosts,
                headers,
                injections,
                logins,
                probes,
                order: OnceLock::new(),
                folded: OnceLock::new(),
                file,
            })
        }
        _ => Err(problems),
    }
}

/// Compiles one tool.
pub(super) fn tool(
    def: model::Tool,
    toolkit: &ToolkitFile,
    provider: Option<&Provider>,
) -> Result<Tool, (String, Vec<String>)> {
    let mut problems = Vec::new();
    let steps = plan::steps(&def, toolkit, provider).unwrap_or_else(|found| {
        problems = found;
        Vec::new()
    });
    let result = def.result.as_ref().map(Tree::compile).transpose().unwrap_or_else(|e| {
        problems.push(format!("result: {e}"));
        None
    });
    if !problems.is_empty() {
        return Err((def.slug, problems));
    }
    let rule = plan::merged(&def.response, &toolkit.response);
    Ok(Tool {
        input_schema: schema::input(&def, Reader::Model),
        output_schema: schema::output(&def, &rule),
        tags: tags(&def.tags, &def.hints, open_world(&def)),
        rule,
        steps,
        result,
        given: &[],
        aliases: args::names(&def.params.0),
        validator: OnceLock::new(),
        def,
    })
}

/// Whether a tool calls somebody.
pub(super) fn open_world(def: &model::Tool) -> bool {
    def.request.is_some() || !def.steps.is_empty() || def.mcp.is_some()
}

/// The tags of a definition and its behaviour hints. `open`: it calls somebody.
pub(super) fn tags(own: &[String], hints: &model::Hints, open: bool) -> Vec<String> {
    let mut tags = own.to_vec();
    for (set, tag) in [
        (hints.read_only, "readOnlyHint"),
        (hints.destructive, "destructiveHint"),
        (hints.idempotent, "idempotentHint"),
        (open, "openWorldHint"),
        (hints.create, "createHint"),
        (hints.update, "updateHint"),
    ] {
        if set {
            tags.push(tag.to_owned());
        }
    }
    tags
}
