//! What an MCP server must be: toolkits and tools that exist, auth configs of its own project.
//! What passes is in canonical spelling.

use crate::app::App;
use crate::db::mcp_server::Parts;
use crate::domain::id::{AuthConfigId, ProjectId};
use crate::domain::scheme::AuthSchemeKind;
use crate::error::{Error, Result};

/// Most names in one list.
const MAX_NAMES: usize = 2000;
/// Most auth configs of one server.
const MAX_CONFIGS: usize = 100;
/// Most problems that one answer lists.
const MAX_PROBLEMS: usize = 50;

/// What a new server is made of.
#[derive(Debug, Default)]
pub struct New {
    /// Display name.
    pub name: String,
    /// Toolkits.
    pub toolkits: Vec<String>,
    /// Toolkits that need no account.
    pub no_auth_toolkits: Vec<String>,
    /// Auth configs; their toolkits belong to the server too.
    pub auth_config_ids: Vec<String>,
    /// Tools, whose toolkits belong to the server too; empty: all tools of the toolkits.
    pub allowed_tools: Vec<String>,
    /// Whether it offers tools to connect accounts.
    pub managed_auth: bool,
}

/// What keeps a text from being a name.
fn name_problem(name: &str) -> Option<&'static str> {
    let plain = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == ' ';
    if !(4..=30).contains(&name.chars().count()) || !name.chars().all(plain) {
        return Some("must be 4 to 30 letters, digits, spaces and hyphens");
    }
    name.trim().is_empty().then_some("must not be blank")
}

fn shown(text: &str) -> String {
    format!("{:?}", text.chars().take(100).collect::<String>())
}

fn add(list: &mut Vec<String>, item: &str) {
    if !list.iter().any(|known| known == item) {
        list.push(item.to_owned());
    }
}

/// The server in canonical spelling.
///
/// # Errors
/// 400 with everything that is wrong.
pub async fn checked(app: &App, project: &ProjectId, new: New) -> Result<Parts> {
    let mut problems: Vec<String> =
        name_problem(&new.name).map(|p| format!("name: {p}")).into_iter().collect();
    let long = [
        ("toolkits", new.toolkits.len(), MAX_NAMES),
        ("no_auth_apps", new.no_auth_toolkits.len(), MAX_NAMES),
        ("allowed_tools", new.allowed_tools.len(), MAX_NAMES),
        ("auth_config_ids", new.auth_config_ids.len(), MAX_CONFIGS),
    ];
    for (path, count, most) in long {
        if count > most {
            problems.push(format!("{path}: at most {most} names"));
        }
    }
    if !problems.is_empty() {
        return Err(refusal(problems));
    }
    let catalog = app.catalog(project);
    let (mut toolkits, mut tools, mut configs) = (Vec::new(), Vec::new(), Vec::new());
    for slug in &new.toolkits {
        match catalog.toolkit(slug.trim()) {
            Some(toolkit) => add(&mut toolkits, &toolkit.file.slug),
            None => problems.push(format!("toolkits: unknown toolkit {}", shown(slug))),
        }
    }
    for slug in &new.no_auth_toolkits {
        match catalog.toolkit(slug.trim()) {
            Some(toolkit) if toolkit.scheme(AuthSchemeKind::NoAuth).is_some() => {
                add(&mut toolkits, &toolkit.file.slug);
            }
            Some(_) => problems.push(format!("no_auth_apps: {} needs an account", shown(slug))),
            None => problems.push(format!("no_auth_apps: unknown toolkit {}", shown(slug))),
        }
    }
    for id in &new.auth_config_ids {
        let config = app.cache.auth_config(project, &AuthConfigId::from(id.trim())).await?;
        match config {
            Some(config) => {
                add(&mut configs, config.id.as_str());
                add(&mut toolkits, &config.toolkit_slug);
            }
            None => problems.push(format!("auth_config_ids: unknown auth config {}", shown(id))),
        }
    }
    for slug in &new.allowed_tools {
        let slug = slug.trim();
        let found = catalog.tool(slug).or_else(|| catalog.tool(&slug.to_uppercase()));
        match found {
            Some((toolkit, tool)) => {
                add(&mut tools, &tool.def.slug);
                add(&mut toolkits, &toolkit.file.slug);
            }
            None => problems.push(format!("allowed_tools: unknown tool {}", shown(slug))),
        }
    }
    if problems.is_empty() && toolkits.is_empty() {
        problems.push("toolkits: at least one toolkit, auth config or tool is needed".to_owned());
    }
    if !problems.is_empty() {
        return Err(refusal(problems));
    }
    Ok(Parts {
        name: new.name,
        toolkits,
        auth_config_ids: configs,
        allowed_tools: tools,
        managed_auth: new.managed_auth,
    })
}

fn refusal(mut problems: Vec<String>) -> Error {
    problems.truncate(MAX_PROBLEMS);
    let message = format!("Invalid MCP server: {}", problems.join("; "));
    let message: String = message.chars().take(500).collect();
    Error::invalid(message, problems)
}

#[cfg(test)]
mod tests {
    use super::name_problem;

    #[test]
    fn a_name_has_4_to_30_plain_characters() {
        for good in ["abcd", "My server-2", "123456789012345678901234567890"] {
            assert_eq!(name_problem(good), None, "{good}");
        }
        let long = "a".repeat(31);
        for bad in ["", "abc", "    ", "a_b_c", "näme", "a\nbcd", "<b>x</b>", long.as_str()] {
            assert!(name_problem(bad).is_some(), "{bad}");
        }
    }
}
