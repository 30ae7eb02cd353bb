//! Which descriptions are taken of which package.

use std::collections::BTreeMap;

use serde::Deserialize;

use crate::catalog;
use crate::import::slug;

/// `config/sync.yaml`, as it was when this program was built.
const SYNC: &str = include_str!("../../config/sync.yaml");

/// All packages.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Plan {
    /// In the order in which they are worked off.
    pub packages: Vec<Package>,
}

/// A package, and what is taken of it.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Package {
    /// Its name at the npm registry.
    pub name: String,
    /// The one version that is taken.
    pub version: String,
    /// The registry's own digest of it: `sha512-` and Base64.
    pub integrity: String,
    /// Single descriptions.
    #[serde(default)]
    pub specs: Vec<Spec>,
    /// A folder of the package, every `.json` of which is a description.
    #[serde(default)]
    pub folder: Option<String>,
    /// Toolkits of descriptions in the folder, by path without the ending: what the rule does not give.
    #[serde(default)]
    pub slugs: BTreeMap<String, String>,
    /// What slugs of a provider's descriptions begin with, where it is not its host name.
    #[serde(default)]
    pub providers: BTreeMap<String, String>,
    /// What is not taken of the folder, by path or its beginning, and why.
    #[serde(default)]
    pub left_out: BTreeMap<String, String>,
}

/// A description.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Spec {
    /// File of the package.
    pub file: String,
    /// The toolkit that is made of it.
    pub slug: String,
    /// Other names of tools, and the operations (`GET /things`) that they mean.
    #[serde(default)]
    pub aliases: BTreeMap<String, String>,
}

/// `toolkits/<slug>/import.yaml`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Completed {
    package: PinnedFile,
    #[serde(default)]
    aliases: BTreeMap<String, String>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct PinnedFile {
    name: String,
    version: String,
    integrity: String,
    file: String,
}

/// What becomes of a file of a package.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Choice {
    /// It is imported.
    Take(Spec),
    /// It is not, for this reason.
    Leave(String),
    /// It is no description.
    Other,
}

impl Plan {
    /// A plan of the operator's own.
    ///
    /// # Errors
    /// What is wrong with it, and the name of its file.
    pub fn of(file: &str, text: &str) -> Result<Self, String> {
        let plan: Self = yaml(file, text)?;
        for package in &plan.packages {
            package.check().map_err(|why| format!("{file}: {}: {why}", package.name))?;
        }
        Ok(plan)
    }

    /// The plan that is built in.
    ///
    /// # Errors
    /// A file that cannot be read; a test sees to it that there is none.
    pub fn built_in() -> Result<Self, String> {
        let mut plan: Self = yaml("config/sync.yaml", SYNC)?;
        // What completes a toolkit written by hand is wanted most.
        for (slug, text) in catalog::completions().into_iter().rev() {
            let completed: Completed = yaml(&format!("toolkits/{slug}/import.yaml"), &text)?;
            let PinnedFile { name, version, integrity, file } = completed.package;
            let spec = Spec { file, slug, aliases: completed.aliases };
            let package = Package {
                name,
                version,
                integrity,
                specs: vec![spec],
                folder: None,
                slugs: BTreeMap::new(),
                providers: BTreeMap::new(),
                left_out: BTreeMap::new(),
            };
            plan.packages.insert(0, package);
        }
        Ok(plan)
    }
}

fn yaml<T: serde::de::DeserializeOwned>(name: &str, text: &str) -> Result<T, String> {
    let options = serde_saphyr::options! { with_snippet: false };
    serde_saphyr::from_str_with_options(text, options).map_err(|e| format!("{name}: {e}"))
}

impl Package {
    /// Name and version become parts of addresses and of names of files.
    fn check(&self) -> Result<(), String> {
        let is_word = |word: &str| {
            let plain = |c: char| c.is_ascii_alphanumeric() || "-._~+".contains(c);
            !word.is_empty() && !word.starts_with('.') && word.chars().all(plain)
        };
        let bare = match self.name.strip_prefix('@').and_then(|name| name.split_once('/')) {
            Some((scope, name)) if is_word(scope) => name,
            _ => self.name.as_str(),
        };
        if !is_word(bare) {
            return Err("name: is none of an npm package".to_owned());
        }
        if !is_word(&self.version) {
            return Err("version: one is needed, as `1.2.3`".to_owned());
        }
        if !self.integrity.starts_with("sha512-") {
            return Err("integrity: the registry's `sha512-…` of that version is needed".to_owned());
        }
        let mut given = self.specs.iter().map(|spec| &spec.slug).chain(self.slugs.values());
        if let Some(wrong) = given.find(|given| slug::toolkit(given) != ***given) {
            return Err(format!("`{wrong}` is no slug of a toolkit"));
        }
        if self.folder.is_none() && self.specs.is_empty() {
            return Err("specs: or a folder is needed".to_owned());
        }
        Ok(())
    }

    /// What becomes of a file, by its path in the package.
    pub fn choice(&self, path: &str) -> Choice {
        if let Some(spec) = self.specs.iter().find(|spec| spec.file == path) {
            return Choice::Take(spec.clone());
        }
        let below = self.folder.as_deref().and_then(|folder| path.strip_prefix(folder));
        let Some(below) = below.and_then(|path| path.strip_prefix('/')) else {
            return Choice::Other;
        };
        let Some(id) = below.strip_suffix(".json") else { return Choice::Other };
        let of_id = |beginning: &str| {
            id == beginning
                || id.strip_prefix(beginning).is_some_and(|rest| rest.starts_with(['/', ':']))
                || beginning.strip_prefix('*').is_some_and(|end| provider(id).ends_with(end))
        };
        if let Some((_, why)) = self.left_out.iter().find(|(beginning, _)| of_id(beginning)) {
            return Choice::Leave(why.clone());
        }
        let slug = self.slugs.get(id).cloned().unwrap_or_else(|| self.slug_of(id));
        Choice::Take(Spec { file: path.to_owned(), slug, aliases: BTreeMap::new() })
    }

    /// `twilio.com/verify` as `twilio_verify`: the provider without the common end of its host name, then
    /// the service.
    fn slug_of(&self, id: &str) -> String {
        let (provider, service) = id.split_once('/').unwrap_or((id, ""));
        let name = match self.providers.get(provider) {
            Some(name) => name.clone(),
            None => {
                let mut parts: Vec<&str> = provider.split('.').collect();
                while parts.len() > 1 && parts.last().is_some_and(|last| COMMON.contains(last)) {
                    parts.pop();
                }
                parts.join("_")
            }
        };
        slug::toolkit(&format!("{name} {service}"))
    }
}

fn provider(id: &str) -> &str {
    id.split('/').next().unwrap_or_default()
}

/// Last parts of host names that say nothing of the service.
const COMMON: [&str; 24] = [
    "com", "io", "net", "org", "ai", "co", "dev", "app", "uk", "eu", "me", "tv", "de", "fr", "nl",
    "us", "info", "cloud", "tech", "ca", "au", "nz", "gov", "api",
];

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    fn directory() -> Package {
        let plan = Plan::built_in().unwrap();
        plan.packages.into_iter().find(|package| package.folder.is_some()).unwrap()
    }

    #[test]
    fn the_plan_is_pinned() {
        let plan = Plan::built_in().unwrap();
        assert!(!plan.packages.is_empty());
        for package in &plan.packages {
            assert!(package.integrity.starts_with("sha512-"), "{}", package.name);
            assert!(package.folder.is_some() || !package.specs.is_empty(), "{}", package.name);
        }
        let github = &plan.packages[0].specs[0];
        assert_eq!(github.slug, "github");
        assert_eq!(github.aliases.len(), 148);
    }

    #[test]
    fn a_plan_of_one_s_own_is_checked() {
        let plan = |package: &str| Plan::of("my.yaml", &format!("packages:\n  - {{{package}}}"));
        let good = "name: '@a/b.c', version: 1.2.3-x, integrity: sha512-x, folder: api";
        assert_eq!(plan(good).unwrap().packages[0].name, "@a/b.c");
        assert!(Plan::built_in().unwrap().packages.iter().all(|p| p.check().is_ok()));
        for (from, to) in [
            ("@a/b.c", "../a"),
            ("@a/b.c", "a/b"),
            ("@a/b.c", "@../b"),
            ("@a/b.c", "@a/.."),
            ("1.2.3-x", "../1"),
            ("sha512-x", "sha1-x"),
            ("folder: api", "specs: []"),
            ("folder: api", "specs: [{file: a, slug: A-B}]"),
            ("folder: api", "slugs: {a: ''}, folder: api"),
            ("folder", "folders"),
        ] {
            let error = plan(&good.replace(from, to)).unwrap_err();
            assert!(error.starts_with("my.yaml: "), "{error}");
        }
    }

    #[test]
    fn a_file_of_a_folder_has_a_slug_or_a_reason() {
        let package = directory();
        let take = |path: &str| match package.choice(path) {
            Choice::Take(spec) => spec.slug,
            other => panic!("{path}: {other:?}"),
        };
        assert_eq!(take("api/twilio.com/verify.json"), "twilio_verify");
        assert_eq!(take("api/spotify.com.json"), "spotify");
        assert_eq!(take("api/googleapis.com/classroom.json"), "google_classroom");
        assert_eq!(take("api/digitalocean.com.json"), "digital_ocean");
        assert_eq!(take("api/atlassian.com/jira.json"), "jira");
        assert!(matches!(package.choice("api/amazonaws.com/s3.json"), Choice::Leave(_)));
        assert!(matches!(package.choice("api/vtex.local/Orders.json"), Choice::Leave(_)));
        assert_eq!(package.choice("package.json"), Choice::Other);
        assert_eq!(package.choice("api/_index.js"), Choice::Other);
    }

    #[test]
    fn slugs_of_the_map_are_valid_and_differ() {
        let package = directory();
        let slugs: HashSet<&String> = package.slugs.values().collect();
        assert_eq!(slugs.len(), package.slugs.len());
        assert!(slugs.iter().all(|s| slug::toolkit(s) == ***s), "{slugs:?}");
    }
}
