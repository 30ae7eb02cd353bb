//! GitHub, completed by its own description. That comes from a package, whose path the test command
//! gives; without it there is nothing to be tested here.

use std::collections::BTreeSet;

use patchbay::catalog::{Catalog, Catalogs, compile};
use patchbay::config::Providers;
use patchbay::import::{self, Options, merge};
use patchbay::sync::Plan;

#[test]
fn githubs_every_known_name_is_a_tool() {
    let Some(path) = std::env::var_os("GITHUB_OPENAPI") else { return };
    let document = std::fs::read(path).unwrap();
    let options = Options {
        slug: Some("github".into()),
        version: "20261121_00".into(),
        ..Options::default()
    };
    let (mut imported, mut report) = import::import(&document, &options, &|_, _| ()).unwrap();
    let plan = Plan::built_in().unwrap();
    let spec = plan.packages.iter().flat_map(|p| &p.specs).find(|s| s.slug == "github").unwrap();
    merge::named(&mut imported, &spec.aliases, &mut report);

    let providers = Providers::default();
    let catalogs = Catalogs::over(Catalog::load(None, &providers).unwrap());
    let base = catalogs.built_in("github").unwrap();
    merge::rooted(&mut imported, &base.file.base_url, &base.connection_names());
    let (toolkit, tools) = (&imported.toolkit, &imported.tools);
    let made = compile(toolkit, tools, Some(&*base), &providers, catalogs.opened()).unwrap();
    assert_eq!(made.bad, []);
    let mut names = BTreeSet::new();
    for tool in &made.toolkit.tools {
        for name in std::iter::once(&tool.def.slug).chain(&tool.def.aliases) {
            assert!(names.insert(name.as_str()), "{name} names two tools");
        }
    }
    let known = include_str!("github_names.txt");
    let missing: BTreeSet<&str> = known.lines().filter(|name| !names.contains(name)).collect();
    println!(
        "{} operations, {} tools of them, {} with those by hand; {} known names",
        report.operations,
        tools.len(),
        made.toolkit.tools.len(),
        known.lines().count()
    );
    assert!(missing.is_empty(), "{} names lead nowhere: {missing:?}", missing.len());
}
