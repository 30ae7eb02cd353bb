//! How good and how fast the search over tools is: `cargo bench --bench search -- [queries.jsonl]`.
//!
//! The file has a query a line, `{"query": "…", "expected": ["SLUG", …]}`; aliases count as the
//! tools that they name, and queries none of whose tools the catalogue has are left out.

use std::time::{Duration, Instant};

use patchbay::catalog::{Catalog, Catalogs};
use patchbay::config::Providers;
use patchbay::search::{Doc, Index, Search, Searcher};

/// What is asked when no file is given.
const USUAL: [&str; 6] = [
    "create an issue",
    "send an email to my boss with the report attached",
    "what meetings do I have tomorrow in google calendar",
    "post a message to a slack channel",
    "refund a payment",
    "crate isue githb",
];

struct Asked {
    query: String,
    expected: Vec<String>,
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let file = std::env::args().skip(1).find(|argument| !argument.starts_with('-'));
    let catalogs = std::sync::Arc::new(Catalogs::load(None, &Providers::default())?);
    let catalog = catalogs.server();
    let begin = Instant::now();
    let search = Search::new(catalogs).server();
    let tools: usize = catalog.toolkits().iter().map(|toolkit| toolkit.tools.len()).sum();
    println!("{tools} tools, index made in {:?}", begin.elapsed());
    let asked = match file {
        Some(file) => read(&std::fs::read_to_string(file)?, &catalog)?,
        None => USUAL.map(|q| Asked { query: q.to_owned(), expected: Vec::new() }).into(),
    };
    if asked.iter().any(|asked| !asked.expected.is_empty()) {
        quality(&search, &asked);
    }
    time("catalogue", &asked, |text| search.find(&search.query(text), 10, |_, _| true).len());
    let copies = made_of(&catalog, 20_000);
    let begin = Instant::now();
    let index = Index::new(copies.iter().map(Copied::doc));
    let megabytes = index.bytes() as f64 / 1e6;
    println!("{} tools, index made in {:?}, {megabytes:.1} MB", index.len(), begin.elapsed());
    time("20,000", &asked, |text| index.find(&index.query(text), 10, |_| true).len());
    Ok(())
}

fn read(text: &str, catalog: &Catalog) -> Result<Vec<Asked>, Box<dyn std::error::Error>> {
    let mut asked = Vec::new();
    for line in text.lines().filter(|line| !line.trim().is_empty()) {
        let line: serde_json::Value = serde_json::from_str(line)?;
        let query = line["query"].as_str().ok_or("a line without query")?.to_owned();
        let slugs = line["expected"].as_array().into_iter().flatten();
        let known = slugs.filter_map(|slug| catalog.tool(slug.as_str()?));
        let expected: Vec<String> = known.map(|(_, tool)| tool.slug().to_owned()).collect();
        if !expected.is_empty() {
            asked.push(Asked { query, expected });
        }
    }
    Ok(asked)
}

fn quality(search: &Searcher, asked: &[Asked]) {
    let (mut at, mut ndcg) = ([0; 3], 0.0);
    for Asked { query, expected } in asked {
        let found = search.find(&search.query(query), 10, |_, _| true);
        let place = found.iter().position(|f| expected.iter().any(|slug| slug == f.tool.slug()));
        let Some(place) = place else { continue };
        for (count, most) in at.iter_mut().zip([1, 5, 10]) {
            *count += usize::from(place < most);
        }
        ndcg += 1.0 / ((place + 2) as f64).log2();
    }
    let share = |count: usize| count as f64 / asked.len() as f64;
    println!(
        "{} queries: Recall@1 {:.3}, @5 {:.3}, @10 {:.3}, nDCG@10 {:.3} (of the first that fits)",
        asked.len(),
        share(at[0]),
        share(at[1]),
        share(at[2]),
        ndcg / asked.len() as f64,
    );
}

fn time(what: &str, asked: &[Asked], find: impl Fn(&str) -> usize) {
    let mut times: Vec<Duration> = Vec::new();
    for _ in 0..2000 / asked.len().max(1) + 1 {
        for asked in asked {
            let begin = Instant::now();
            std::hint::black_box(find(&asked.query));
            times.push(begin.elapsed());
        }
    }
    times.sort();
    let at = |part: f64| times[((times.len() - 1) as f64 * part) as usize];
    println!("{what}: p50 {:?}, p99 {:?} of {} searches", at(0.5), at(0.99), times.len());
}

/// A tool of the catalogue in a toolkit of another name.
struct Copied<'a> {
    tool: &'a patchbay::catalog::Entry,
    params: Vec<(String, String)>,
    slug: String,
    toolkit: String,
    text: &'a str,
}

impl Copied<'_> {
    fn doc(&self) -> Doc<'_> {
        let def = &self.tool.def;
        Doc {
            slug: &self.slug,
            name: &def.name,
            description: &def.description,
            toolkit: &self.toolkit,
            toolkit_name: &self.toolkit,
            toolkit_text: self.text,
            params: self.params.iter().map(|(n, t)| (n.as_str(), t.as_str())).collect(),
            tags: def.tags.iter().map(String::as_str).collect(),
            ..Doc::default()
        }
    }
}

fn made_of(catalog: &Catalog, count: usize) -> Vec<Copied<'_>> {
    let mut copies = Vec::with_capacity(count);
    for round in 0.. {
        for toolkit in catalog.toolkits() {
            let name = format!("{}{round}", toolkit.slug());
            for tool in &toolkit.tools {
                if copies.len() == count {
                    return copies;
                }
                let own = tool.slug().get(toolkit.slug().len()..).unwrap_or_default();
                let slug = format!("{}{own}", name.to_uppercase());
                let text = toolkit.file.description.as_str();
                let params = tool.texts();
                copies.push(Copied { tool, params, slug, toolkit: name.clone(), text });
            }
        }
    }
    copies
}
