//! What the operator sees when the server is up: where it is, how to get in, and two calls that
//! work when pasted. A key is shown by the start that made it and never again.

use std::io::Write;
use std::net::SocketAddr;
use std::path::Path;

use super::bootstrap::{KeyPlace, Keys};
use crate::config::Config;

/// Prints to standard output. The last line says "ready" and holds the address, for scripts.
pub fn print(config: &Config, keys: &Keys) {
    let text = text(&config.public_url, keys, config.listen);
    let mut out = std::io::stdout().lock();
    // Nobody reads it when standard output is closed, which is no reason not to serve.
    let _ = out.write_all(text.as_bytes()).and_then(|()| out.flush());
}

fn text(base: &str, keys: &Keys, listen: SocketAddr) -> String {
    let (org, project) = (described(&keys.org), described(&keys.project));
    let (shell, python) = (shell(&keys.project), python(&keys.project));
    format!(
        r#"
Patchbay {version}

  Base URL          {base}
  Organization key  {org}
  Project key       {project}
  API docs          {base}/docs

Try it:

curl -s "{base}/api/v3/toolkits?limit=5" -H "x-api-key: {shell}"

With Python (pip install composio):

from composio import Composio
composio = Composio(api_key={python}, base_url="{base}")
print(composio.tools.execute("HACKERNEWS_GET_USER", {{"username": "pg"}}, user_id="me", dangerously_skip_version_check=True))

Patchbay is ready on http://{listen}
"#,
        version = env!("CARGO_PKG_VERSION"),
    )
}

fn described(place: &KeyPlace) -> String {
    match place {
        KeyPlace::Setting(name) => format!("the one in {name}"),
        KeyPlace::New(key, path) => {
            format!("{} (shown once; stored in {})", key.as_str(), path.display())
        }
        KeyPlace::File(path) => format!("in {}", path.display()),
        KeyPlace::Elsewhere(name) => {
            format!("as the server that made it has stored it; set {name} to add one")
        }
    }
}

fn shell(place: &KeyPlace) -> String {
    match place {
        KeyPlace::Setting(name) => format!("${name}"),
        KeyPlace::New(key, _) => key.to_string(),
        KeyPlace::File(path) => format!("$(cat {})", shell_quoted(path)),
        KeyPlace::Elsewhere(_) => "$PROJECT_KEY".to_owned(),
    }
}

/// Within double quotes and `$(…)`, single quotes work as anywhere.
fn shell_quoted(path: &Path) -> String {
    format!("'{}'", path.display().to_string().replace('\'', r"'\''"))
}

fn python(place: &KeyPlace) -> String {
    match place {
        KeyPlace::Setting(name) => format!(r#"__import__("os").environ["{name}"]"#),
        KeyPlace::New(key, _) => format!("{:?}", key.as_str()),
        KeyPlace::File(path) => {
            format!("open({:?}).read().strip()", path.display().to_string())
        }
        KeyPlace::Elsewhere(_) => r#""PROJECT_KEY""#.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_new_key_is_shown_and_an_old_one_only_named() {
        let listen = SocketAddr::from(([127, 0, 0, 1], 9900));
        let path = Path::new("/data/it's/project.key");
        let org = || KeyPlace::Setting("PATCHBAY_ORG_API_KEY");
        let new = KeyPlace::New("ak_12345678".to_owned().into(), path.to_owned());
        let first = text("http://x", &Keys { org: org(), project: new }, listen);
        assert_eq!(first.matches("ak_12345678").count(), 3, "{first}");
        let old = KeyPlace::File(path.to_owned());
        let later = text("http://x", &Keys { org: org(), project: old }, listen);
        assert!(!later.contains("ak_12345678"));
        assert!(later.contains(r#"$(cat '/data/it'\''s/project.key')"#), "{later}");
        assert!(later.ends_with("ready on http://127.0.0.1:9900\n"), "{later}");
    }
}
