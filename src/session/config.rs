//! What a session's configuration must be: toolkits and tools that exist, accounts and auth
//! configs of the session's own project and user. What passes is in canonical spelling, so that
//! nothing later compares names in two spellings.

use std::collections::{BTreeMap, BTreeSet};

use super::custom;
use crate::app::App;
use crate::catalog::Catalog;
use crate::connect::callback_url;
use crate::db;
use crate::domain::connection::Project;
use crate::domain::id::{AccountId, AuthConfigId};
use crate::domain::session::{Choice, Preload, SessionConfig, TagFilter, ToolRule};
use crate::domain::sharing::AccountType;
use crate::error::{Error, Result};

/// Behaviour tags that filters may name.
pub const TAGS: [&str; 6] = [
    "readOnlyHint",
    "createHint",
    "updateHint",
    "destructiveHint",
    "idempotentHint",
    "openWorldHint",
];

/// Most names in one list.
const MAX_NAMES: usize = 2000;

/// Collects what is wrong, so that a caller learns it all at once.
struct Check<'a> {
    catalog: &'a Catalog,
    problems: Vec<String>,
}

impl Check<'_> {
    fn wrong(&mut self, path: &str, problem: &str) {
        if self.problems.len() < 50 {
            self.problems.push(format!("{path}: {problem}"));
        }
    }

    fn toolkit(&mut self, path: &str, slug: &str) -> Option<String> {
        let found = self.catalog.toolkit(slug.trim());
        if found.is_none() {
            let slug: String = slug.chars().take(100).collect();
            self.wrong(path, &format!("unknown toolkit {slug:?}"));
        }
        found.map(|toolkit| toolkit.file.slug.clone())
    }

    fn tool(&mut self, path: &str, toolkit: Option<&str>, slug: &str) -> Option<String> {
        let slug = slug.trim();
        let found = self.catalog.tool(slug).or_else(|| self.catalog.tool(&slug.to_uppercase()));
        match found {
            Some((own, tool)) if toolkit.is_none_or(|t| t == own.file.slug) => {
                Some(tool.def.slug.clone())
            }
            _ => {
                let slug: String = slug.chars().take(100).collect();
                let of = toolkit.map(|t| format!(" of {t}")).unwrap_or_default();
                self.wrong(path, &format!("unknown tool {slug:?}{of}"));
                None
            }
        }
    }

    fn names(&mut self, path: &str, names: &BTreeSet<String>) -> bool {
        let few = names.len() <= MAX_NAMES;
        if !few {
            self.wrong(path, &format!("at most {MAX_NAMES} names"));
        }
        few
    }

    fn toolkits(&mut self, choice: Choice) -> Choice {
        let mut each = |path: &str, names: BTreeSet<String>| -> BTreeSet<String> {
            if !self.names(path, &names) {
                return BTreeSet::new();
            }
            names.iter().filter_map(|slug| self.toolkit(path, slug)).collect()
        };
        match choice {
            Choice::Enable(names) => Choice::Enable(each("toolkits.enable", names)),
            Choice::Disable(names) => Choice::Disable(each("toolkits.disable", names)),
        }
    }

    fn tags(&mut self, path: &str, filter: &TagFilter) {
        let sets = [("enable", &filter.enable), ("disable", &filter.disable)];
        for (name, set) in sets {
            for tag in set.iter().flatten() {
                if !TAGS.contains(&tag.as_str()) {
                    let tag: String = tag.chars().take(50).collect();
                    let known = TAGS.join(", ");
                    self.wrong(
                        &format!("{path}.{name}"),
                        &format!("unknown tag {tag:?}; one of {known}"),
                    );
                }
            }
        }
    }

    fn rule(&mut self, toolkit: &str, rule: ToolRule) -> ToolRule {
        let path = format!("tools.{toolkit}");
        let mut each = |path: String, names: BTreeSet<String>| -> BTreeSet<String> {
            if !self.names(&path, &names) {
                return BTreeSet::new();
            }
            names.iter().filter_map(|slug| self.tool(&path, Some(toolkit), slug)).collect()
        };
        match rule {
            ToolRule::Enable(names) => ToolRule::Enable(each(format!("{path}.enable"), names)),
            ToolRule::Disable(names) => ToolRule::Disable(each(format!("{path}.disable"), names)),
            ToolRule::Tags(filter) => {
                self.tags(&format!("{path}.tags"), &filter);
                ToolRule::Tags(filter)
            }
        }
    }
}

/// The configuration in canonical spelling. Parts that are as in `before` are not looked at again:
/// an account that was deleted since must not stand in the way of every later change.
///
/// # Errors
/// 400 with everything that is wrong.
pub async fn checked(
    app: &App,
    project: &Project,
    user_id: &str,
    mut config: SessionConfig,
    before: &SessionConfig,
) -> Result<SessionConfig> {
    let catalog = app.catalog(&project.id);
    let mut check = Check { catalog: &catalog, problems: Vec::new() };
    if config.toolkits != before.toolkits {
        config.toolkits = config.toolkits.map(|choice| check.toolkits(choice));
    }
    if let Some(filter) = &config.tags {
        check.tags("tags", filter);
    }
    let mut tools = BTreeMap::new();
    for (slug, rule) in config.tools {
        if before.tools.get(&slug) == Some(&rule) {
            tools.insert(slug, rule);
            continue;
        }
        if let Some(slug) = check.toolkit("tools", &slug) {
            let rule = check.rule(&slug, rule);
            tools.insert(slug, rule);
        }
    }
    config.tools = tools;
    if let Preload::Tools(names) = &mut config.preload {
        if names.len() > MAX_NAMES {
            check.wrong("preload.tools", &format!("at most {MAX_NAMES} names"));
            names.clear();
        }
        let mut kept = Vec::new();
        let known = match &before.preload {
            Preload::Tools(known) => known.as_slice(),
            Preload::All => &[],
        };
        for slug in names.iter() {
            if known.contains(slug) {
                kept.push(slug.clone());
            } else if custom::is_local(slug) {
                check.wrong("preload.tools", "tools of your own have a `preload` of their own");
            } else if let Some(slug) = check.tool("preload.tools", None, slug)
                && !kept.contains(&slug)
            {
                kept.push(slug);
            }
        }
        *names = kept;
    }
    let positive = matches!(config.toolkits, Some(Choice::Enable(_)))
        || config.tags.as_ref().is_some_and(|tags| tags.enable.is_some())
        || config.tools.values().any(|rule| !matches!(rule, ToolRule::Disable(_)));
    if config.preload == Preload::All && !positive {
        check.wrong(
            "preload.tools",
            "\"all\" needs a positive filter: toolkits.enable, tools.*.enable or tags.enable",
        );
    }
    let given = std::mem::take(&mut config.auth_configs);
    config.auth_configs =
        auth_configs(app, &mut check, project, given, &before.auth_configs).await?;
    let given = std::mem::take(&mut config.connected_accounts);
    let known = &before.connected_accounts;
    config.connected_accounts =
        connected_accounts(app, &mut check, project, user_id, given, known).await?;
    let several = config.multi_account.as_ref().and_then(|multi| multi.enable) != Some(false);
    for (toolkit, ids) in config.connected_accounts.iter().filter(|_| !several) {
        if ids.len() > 1 {
            let path = format!("connected_accounts.{toolkit}");
            check.wrong(&path, "one account only while multi_account.enable is false");
        }
    }
    let urls = [
        ("manage_connections.callback_url", &config.manage_connections.callback_url),
        ("experimental.link_url_overwrite", &config.link_url_overwrite),
    ];
    for (path, url) in urls {
        if let Some(url) = url
            && let Err(error) = callback_url::check(path, url)
        {
            check.problems.extend(error.errors);
        }
    }
    if let Some(zone) = &config.user_timezone
        && config.user_timezone != before.user_timezone
        && !(looks_like_a_zone(zone) && db::session::knows_time_zone(&app.db, zone).await?)
    {
        check.wrong(
            "experimental.assistive_prompt_config.user_timezone",
            "not an IANA time zone such as Europe/Berlin",
        );
    }
    if config
        .multi_account
        .as_ref()
        .and_then(|m| m.max_accounts_per_toolkit)
        .is_some_and(|n| !(2..=10).contains(&n))
    {
        check.wrong("multi_account.max_accounts_per_toolkit", "must be 2 to 10");
    }
    if check.problems.is_empty() {
        return Ok(config);
    }
    Err(Error::invalid("Invalid session configuration", check.problems).fix(
        "Correct what `errors` lists; GET /api/v3/toolkits and GET /api/v3/tools have the names",
    ))
}

/// Whether a text has the form of an IANA name: `Area/City`, or UTC.
fn looks_like_a_zone(name: &str) -> bool {
    let fine = |part: &str| {
        part.starts_with(|c: char| c.is_ascii_alphabetic())
            && part.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-' | b'+'))
    };
    name.len() <= 64
        && (["UTC", "GMT"].contains(&name) || (name.contains('/') && name.split('/').all(fine)))
}

async fn auth_configs(
    app: &App,
    check: &mut Check<'_>,
    project: &Project,
    given: BTreeMap<String, String>,
    before: &BTreeMap<String, String>,
) -> Result<BTreeMap<String, String>> {
    let mut kept = BTreeMap::new();
    for (slug, id) in given.into_iter().take(MAX_NAMES) {
        if before.get(&slug) == Some(&id) {
            kept.insert(slug, id);
            continue;
        }
        let path = format!("auth_configs.{}", slug.chars().take(100).collect::<String>());
        let Some(toolkit) = check.toolkit("auth_configs", &slug) else { continue };
        let config_id = AuthConfigId::from(id.as_str());
        match app.cache.auth_config(&project.id, &config_id).await? {
            None => check.wrong(&path, "no auth config of this id in the project"),
            Some(config) if config.toolkit_slug != toolkit => {
                check.wrong(&path, &format!("the auth config is one of {}", config.toolkit_slug));
            }
            Some(config) if !config.is_enabled => check.wrong(&path, "the auth config is disabled"),
            Some(_) => {
                kept.insert(toolkit, id);
            }
        }
    }
    Ok(kept)
}

async fn connected_accounts(
    app: &App,
    check: &mut Check<'_>,
    project: &Project,
    user_id: &str,
    given: BTreeMap<String, Vec<String>>,
    before: &BTreeMap<String, Vec<String>>,
) -> Result<BTreeMap<String, Vec<String>>> {
    let mut kept: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for (slug, ids) in given.into_iter().take(MAX_NAMES) {
        if before.get(&slug) == Some(&ids) {
            kept.insert(slug, ids);
            continue;
        }
        let path = format!("connected_accounts.{}", slug.chars().take(100).collect::<String>());
        let Some(toolkit) = check.toolkit("connected_accounts", &slug) else { continue };
        if ids.len() > 10 {
            check.wrong(&path, "at most 10 accounts");
            continue;
        }
        for id in ids {
            let account_id = AccountId::from(id.as_str());
            match app.cache.account(&project.id, &account_id).await? {
                None => check.wrong(&path, "no connected account of this id in the project"),
                Some(account) if account.toolkit_slug != toolkit => {
                    check.wrong(&path, &format!("the account is one of {}", account.toolkit_slug));
                }
                Some(account)
                    if account.user_id != user_id
                        && !(account.sharing.account_type == AccountType::Shared
                            && account.sharing.admits(&account.user_id, user_id)) =>
                {
                    check.wrong(&path, "the account belongs to another user");
                }
                Some(account) if account.is_disabled => {
                    check.wrong(&path, "the account is disabled")
                }
                Some(_) => kept.entry(toolkit.clone()).or_default().push(id),
            }
        }
    }
    Ok(kept)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_zone_has_the_form_of_an_iana_name() {
        for zone in ["Europe/Berlin", "America/Argentina/Buenos_Aires", "Etc/GMT+5", "UTC"] {
            assert!(looks_like_a_zone(zone), "{zone}");
        }
        for zone in ["CET", "UTC+3", "<+03>-3", "/Berlin", "Europe/", "Europe/Ber lin", "../etc"] {
            assert!(!looks_like_a_zone(zone), "{zone}");
        }
    }
}
