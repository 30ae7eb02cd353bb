//! What serde cannot see: names, placeholders, scopes, what templates ask for.

use std::collections::{BTreeSet, HashSet};

use super::check_params::{self, pattern_error, schemas};
use super::fields::{config_fields, connect_fields};
use super::model::{AuthScheme, Location, ParamList, Tool as Def, ToolkitFile};
use super::path::PathTemplate;
use super::plan;
use super::source::SourceFile;
use super::template::is_global;
use super::{Tool, Toolkit, check_dcr, check_oauth2};
use crate::domain::scheme::AuthSchemeKind;

pub(super) const MAX_SLUG: usize = 64;
/// Names of other catalogues, which no model calls, may be longer.
const MAX_ALIAS: usize = 200;
/// Fields of a credential that the schemes imply.
const IMPLIED: [&str; 7] = [
    "access_token",
    "refresh_token",
    "token",
    "api_key",
    "generic_api_key",
    "username",
    "password",
];

/// Checks a trigger type, but for what compiling it shows.
pub(super) fn trigger(
    toolkit: &ToolkitFile,
    def: &super::model::Trigger,
    say: &mut dyn FnMut(String),
) {
    slugs(toolkit, &def.slug, &def.aliases, say);
    if def.name.trim().is_empty() || def.description.trim().is_empty() {
        say("name and description must not be empty".into());
    }
    check_params::no_files(&def.config, say);
    schemas(&def.payload, "payload", &mut |problem| say(problem));
    if def.payload.0.is_empty() {
        say("payload: at least one field is needed".into());
    }
}

fn slugs(toolkit: &ToolkitFile, slug: &str, aliases: &[String], say: &mut dyn FnMut(String)) {
    let names = aliases.iter().map(|alias| (alias.as_str(), MAX_ALIAS));
    for (slug, most) in std::iter::once((slug, MAX_SLUG)).chain(names) {
        let upper = |c: char| c.is_ascii_uppercase() || c.is_ascii_digit() || c == '_';
        if slug.is_empty() || slug.len() > most || !slug.chars().all(upper) {
            say(format!("`{slug}` must be made of A-Z, 0-9 and _, at most {most} characters"));
        }
    }
    let prefix = format!("{}_", toolkit.slug.to_uppercase());
    if !slug.starts_with(&prefix) {
        say(format!("the slug must start with {prefix}"));
    }
}

/// `file:line:column` of a tool, by its slug. It reads the whole file: only for what is told.
pub(super) fn at(file: &SourceFile, slug: &str) -> String {
    for (i, line) in file.text.lines().enumerate() {
        let Some(column) = line.find("slug:") else { continue };
        let value = line[column + 5..].trim().trim_matches(['"', '\'']);
        if value == slug {
            return format!("{}:{}:{}", file.label, i + 1, column + 1);
        }
    }
    format!("{}:1:1", file.label)
}

/// Names that `conn` may have.
pub(super) fn connection_names(file: &ToolkitFile) -> BTreeSet<String> {
    let mut names = BTreeSet::new();
    for scheme in &file.auth {
        let fields = scheme.connect_fields.iter().chain(&scheme.config_fields);
        names.extend(fields.filter(|field| !field.secret).map(|field| field.name.clone()));
        names.extend(captured(scheme));
    }
    names
}

/// What the answers of the provider add to a connection.
fn captured(scheme: &AuthScheme) -> impl Iterator<Item = String> {
    let oauth2 = scheme.oauth2.iter().flat_map(|o| o.captured());
    let oauth1 = scheme.oauth1.iter().flat_map(|o| o.capture.keys());
    let login = scheme.login.iter().flat_map(|l| l.token.capture.keys());
    oauth2.chain(oauth1).chain(login).cloned()
}

fn credential_names(scheme: &AuthScheme) -> BTreeSet<String> {
    let fields = connect_fields(scheme).into_iter().chain(config_fields(scheme));
    let mut names: BTreeSet<String> = fields.map(|field| field.name).collect();
    names.extend(IMPLIED.map(str::to_owned));
    names.extend(scheme.oauth2.iter().map(|_| "client_id".to_owned()));
    names.extend(captured(scheme));
    names.extend(scheme.login.iter().filter_map(|l| l.token.name.clone()));
    names
}

/// Checks `toolkit.yaml`.
pub(super) fn toolkit(
    folder: &str,
    source: &SourceFile,
    file: &ToolkitFile,
    problems: &mut Vec<String>,
) {
    let mut say = |problem: String| {
        let key = problem.split([' ', ':', '`']).next().unwrap_or_default();
        let line = source.text.lines().position(|l| l.starts_with(&format!("{key}:"))).unwrap_or(0);
        problems.push(format!("{}:{}:1: {problem}", source.label, line + 1));
    };
    if file.spec != 1 {
        say(format!("spec {} is unknown; only 1 exists", file.spec));
    }
    if file.slug != folder {
        say(format!("slug `{}` must be the folder's name, `{folder}`", file.slug));
    }
    let lower = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_';
    if file.slug.is_empty() || file.slug.len() > MAX_SLUG || !file.slug.chars().all(lower) {
        say(format!("slug `{}` must be made of a-z, 0-9 and _", file.slug));
    }
    if file.versions.is_empty() {
        say("versions: at least one is needed".into());
    }
    for version in &file.versions {
        let good = version.len() == 11
            && version
                .bytes()
                .enumerate()
                .all(|(i, b)| if i == 8 { b == b'_' } else { b.is_ascii_digit() });
        if !good {
            say(format!("versions: `{version}` is not YYYYMMDD_NN"));
        }
    }
    if !file.versions.is_sorted_by(|a, b| a > b) {
        say("versions: must be newest first, each once".into());
    }
    if file.auth.is_empty() {
        say("auth: at least one scheme is needed (NO_AUTH for none)".into());
    }
    let mut seen = HashSet::new();
    for scheme in &file.auth {
        let name = scheme.scheme.as_str();
        if !seen.insert(scheme.scheme) {
            say(format!("auth: {name} is there twice"));
        }
        if (scheme.scheme == AuthSchemeKind::Oauth2) != scheme.oauth2.is_some() {
            say(format!("auth: {name}: `oauth2` goes with scheme OAUTH2 and only with it"));
        }
        if (scheme.scheme == AuthSchemeKind::Oauth1) != scheme.oauth1.is_some() {
            say(format!("auth: {name}: `oauth1` goes with scheme OAUTH1 and only with it"));
        }
        if scheme.scheme == AuthSchemeKind::Saml {
            say("auth: SAML is not supported by this server".into());
        }
        if scheme.login.is_some() && !scheme.scheme.logs_in() {
            say(format!("auth: {name}: `login` goes with a scheme that logs in"));
        }
        let mut fields = HashSet::new();
        for field in scheme.connect_fields.iter().chain(&scheme.config_fields) {
            if !std::iter::once(&field.name).chain(&field.aliases).all(|n| fields.insert(n.clone()))
            {
                say(format!("auth: {name}: two fields are called `{}`", field.name));
            }
            if let Some(pattern) = &field.pattern
                && let Err(e) = pattern_error(pattern)
            {
                say(format!("auth: {name}: field `{}`: {e}", field.name));
            }
            if field.host && field.secret {
                say(format!("auth: {name}: field `{}`: a host is no secret", field.name));
            }
        }
        // A person who names the server would be sent the developer's secret.
        if scheme.connect_fields.iter().any(|f| f.host)
            && scheme.config_fields.iter().any(|f| f.secret)
        {
            say(format!(
                "auth: {name}: a `host` among connect_fields with a secret among config_fields"
            ));
        }
        if let Some(oauth2) = &scheme.oauth2 {
            check_oauth2::oauth2(file, scheme, oauth2, &mut say);
        }
        if let Some(dcr) = &scheme.dcr {
            if scheme.scheme != AuthSchemeKind::DcrOauth {
                say(format!("auth: {name}: `dcr` goes with scheme DCR_OAUTH"));
            }
            check_dcr::dcr(file, scheme, dcr, &mut say);
        }
    }
    if file.sources.is_empty() && file.auth.iter().any(|scheme| scheme.oauth2.is_some()) {
        say("sources: OAUTH2 needs the pages of documentation that its facts come from".into());
    }
    for url in &file.sources {
        if url::Url::parse(url).ok().is_none_or(|u| u.scheme() != "https" || !u.has_host()) {
            say(format!("sources: `{url}` is not an https URL"));
        }
    }
    for oauth1 in file.auth.iter().filter_map(|scheme| scheme.oauth1.as_ref()) {
        for endpoint in [&oauth1.request, &oauth1.authorize, &oauth1.access] {
            let url = &endpoint.url;
            if !url.starts_with("https://") && !url.starts_with("http://") {
                say(format!("auth: OAUTH1: `{url}` is not a URL"));
            }
        }
    }
    for host in &file.hosts {
        let plain = |c: char| c.is_ascii_alphanumeric() || c == '.' || c == '-';
        let name = host.strip_prefix("*.").unwrap_or(host);
        if name.is_empty() || !name.chars().all(plain) || (name != host && !name.contains('.')) {
            say(format!("hosts: `{host}` is not a host name or *.host.name"));
        }
    }
}

/// Checks one tool.
pub(super) fn tool(
    source: &SourceFile,
    toolkit: &ToolkitFile,
    def: &Def,
    problems: &mut Vec<String>,
) {
    let mut say = |problem: String| {
        problems.push(format!("{}: {}: {problem}", at(source, &def.slug), def.slug));
    };
    slugs(toolkit, &def.slug, &def.aliases, &mut say);
    if def.name.trim().is_empty() || def.description.trim().is_empty() {
        say("name and description must not be empty".into());
    }
    let kinds =
        [def.request.is_some(), !def.steps.is_empty(), def.builtin.is_some(), def.mcp.is_some()];
    if kinds.iter().filter(|there| **there).count() != 1 {
        say("exactly one of `request`, `steps`, `builtin` and `mcp` must be there".into());
    }
    if let Some(mcp) = &def.mcp {
        if mcp.tool.is_empty() || mcp.tool.chars().any(char::is_control) {
            say("mcp: `tool` must be the name of a tool".into());
        }
        for (name, param) in &def.params.0 {
            if param.location.is_some() || param.at.is_some() {
                say(format!("`{name}`: the arguments of an `mcp` tool are sent as they are"));
            }
        }
    }
    if def.result.is_some() && def.steps.is_empty() {
        say("`result` goes with `steps`".into());
    }
    scopes(toolkit, def, &mut say);
    check_params::params(def, &mut say);
    check_params::request(def, &mut say);
    schemas(&def.response.schema, "response", &mut say);
    if let Some(request) = &def.request {
        for name in PathTemplate::placeholders(&request.path) {
            match plan::bound(def, &name) {
                None => say(format!("path: `{{{name}}}` is not an argument")),
                Some((_, param)) if !param.required && param.schema.default.is_none() => {
                    say(format!("`{name}` is in the path: it must be required or have a default"));
                }
                Some(_) => {}
            }
        }
        for (name, param) in &def.params.0 {
            let stray = plan::place(request, name, param) == Location::Path
                && !PathTemplate::placeholders(&request.path)
                    .iter()
                    .any(|p| p == name || param.wire.as_deref() == Some(p));
            if stray {
                say(format!("`{name}` is to go in the path, which has no `{{{name}}}`"));
            }
        }
    }
    let mut ids = HashSet::new();
    for step in &def.steps {
        if ["args", "conn", "item", "cred"].contains(&step.id.as_str()) || !ids.insert(&step.id) {
            say(format!("step id `{}` is taken", step.id));
        }
    }
}

fn scopes(toolkit: &ToolkitFile, def: &Def, say: &mut impl FnMut(String)) {
    let known: HashSet<&String> = toolkit
        .auth
        .iter()
        .filter_map(|scheme| scheme.oauth2.as_ref())
        .flat_map(|oauth2| oauth2.scopes.iter().chain(&oauth2.available_scopes))
        .chain(
            toolkit
                .auth
                .iter()
                .filter_map(|scheme| scheme.login.as_ref())
                .flat_map(|login| login.scopes.iter().chain(&login.available_scopes)),
        )
        .collect();
    for scope in def.scopes.iter().flatten() {
        if !known.contains(scope) {
            say(format!("scope `{scope}` is not among the toolkit's"));
        }
    }
}

/// Checks what the templates of a compiled tool ask for.
pub(super) fn templates(
    source: &SourceFile,
    toolkit: &ToolkitFile,
    tool: &Tool,
    problems: &mut Vec<String>,
) {
    let def = &tool.def;
    let conn = connection_names(toolkit);
    let mut known: Vec<&str> = tool.given.to_vec();
    let mut say = |name: &str| {
        let place = at(source, &def.slug);
        problems.push(format!("{place}: {}: `{name}` is not a name that is there", def.slug));
    };
    for step in &tool.steps {
        for name in step.names() {
            // A step may be asked about before it ran: it is none then, which `when` relies on.
            let item = step.repeats() || tool.given.contains(&"item");
            if !resolves(&name, def, &conn, &known, item) {
                say(&name);
            }
        }
        known.push(&step.id);
    }
    for name in tool.result.iter().flat_map(|tree| tree.names()) {
        if !resolves(&name, def, &conn, &known, false) {
            say(&name);
        }
    }
    if tool.given.is_empty() {
        unused(tool, source, problems);
    }
}

/// An argument that goes nowhere would be shown to models in vain.
fn unused(tool: &Tool, source: &SourceFile, problems: &mut Vec<String>) {
    let def = &tool.def;
    if def.builtin.is_some() || def.mcp.is_some() {
        return;
    }
    let names = tool.steps.iter().flat_map(super::Step::names);
    let names: HashSet<String> =
        names.chain(tool.result.iter().flat_map(|tree| tree.names())).collect();
    if names.contains("args") {
        return;
    }
    // The name of an argument may have dots in it.
    let used: HashSet<&str> = names
        .iter()
        .filter_map(|name| name.strip_prefix("args."))
        .flat_map(|name| [name, name.split('.').next().unwrap_or_default()])
        .collect();
    for (name, param) in &def.params.0 {
        let to = def.request.as_ref().map(|request| plan::place(request, name, param));
        let own_body = def
            .request
            .as_ref()
            .is_some_and(|r| r.json.is_some() || r.raw.is_some() || r.graphql.is_some());
        let lost = match to {
            None | Some(Location::Arg) => true,
            Some(Location::Body) => own_body,
            Some(_) => false,
        };
        if lost && !used.contains(name.as_str()) {
            let place = at(source, &def.slug);
            problems.push(format!("{place}: {}: `{name}` goes nowhere", def.slug));
        }
    }
}

fn resolves(name: &str, def: &Def, conn: &BTreeSet<String>, steps: &[&str], item: bool) -> bool {
    resolves_in(name, &def.params, conn, steps, item)
}

/// Whether a dotted name is there for a template.
pub(super) fn resolves_in(
    name: &str,
    params: &ParamList,
    conn: &BTreeSet<String>,
    steps: &[&str],
    item: bool,
) -> bool {
    let mut parts = name.split('.');
    let root = parts.next().unwrap_or_default();
    let field = parts.next();
    // An argument's own name may have dots in it; only a placeholder of a path can ask for it so.
    let whole = name.strip_prefix("args.").unwrap_or_default();
    let argument = |field: &str| params.0.iter().any(|(known, _)| known == field || known == whole);
    match root {
        "args" => field.is_none_or(argument),
        "conn" => field.is_none_or(|field| conn.contains(field)),
        "item" => item,
        other => steps.contains(&other) || is_global(other),
    }
}

/// Whether a request of the tool has a root of its own that depends on the connection.
pub(super) fn has_open_base(tool: &Tool) -> bool {
    tool.steps.iter().filter_map(|step| step.call.base.as_ref()).any(|base| !base.is_fixed())
}

/// Checks the templates of `toolkit.yaml` and that a templated root is fenced in by `hosts`.
/// `has_open_base`: one of its tools has such a root.
pub(super) fn toolkit_templates(
    source: &SourceFile,
    toolkit: &Toolkit,
    has_open_base: bool,
    problems: &mut Vec<String>,
) {
    let mut say = |problem: String| problems.push(format!("{}:1:1: {problem}", source.label));
    let conn = connection_names(&toolkit.file);
    let header_names = toolkit.headers.iter().flat_map(|(_, text)| text.names());
    for name in toolkit.base.names().into_iter().chain(header_names) {
        let good = name
            .strip_prefix("conn.")
            .is_some_and(|rest| conn.contains(rest.split('.').next().unwrap_or_default()));
        if !good {
            say(format!("`{name}` is not a field of the connection"));
        }
    }
    let mut fields =
        toolkit.file.auth.iter().flat_map(|s| s.connect_fields.iter().chain(&s.config_fields));
    let fenced = !toolkit.file.hosts.is_empty() || fields.any(|field| field.host);
    if (has_open_base || !toolkit.base.is_fixed()) && !fenced {
        say("a base_url with templates needs `hosts`".into());
    }
    for scheme in &toolkit.file.auth {
        let Some(login) = toolkit.login(scheme.scheme) else { continue };
        let kind = scheme.scheme.as_str();
        for problem in login.problems(&credential_names(scheme), &conn) {
            say(format!("auth {kind}: {problem}"));
        }
        if login.has_templated_url() && toolkit.file.hosts.is_empty() {
            say(format!("auth {kind}: a login url with templates needs `hosts`"));
        }
    }
    for (scheme, injection) in
        toolkit.file.auth.iter().filter_map(|s| Some((s, toolkit.injection(s.scheme)?)))
    {
        let cred = credential_names(scheme);
        for name in injection.names() {
            let good = match name.split_once('.') {
                Some(("cred", field)) => cred.contains(field),
                Some(("conn", field)) => conn.contains(field),
                _ => false,
            };
            if !good {
                say(format!(
                    "auth {}: `{name}` is not a name that is there",
                    scheme.scheme.as_str()
                ));
            }
        }
    }
}
