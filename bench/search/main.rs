//! How good and how fast the search over tools is, without and with a model:
//! `cargo bench --bench search -- [--words] [--list=BEGIN] [queries.jsonl]`.
//!
//! The file has a query a line, `{"query": "…", "expected": ["SLUG", …]}`; without one it is
//! `queries.jsonl` beside this. A query counts as answered when one of its tools is found; `names.tsv` says
//! what our catalogue calls them where it has another name, and aliases count as their tools. A query none of
//! whose tools the catalogue has counts as not answered. `--words` leaves the model out; `--list=BEGIN` lists the
//! tools whose slugs begin so, for `names.tsv`.

mod corpus;

use std::collections::HashMap;
use std::io::Write as _;
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use corpus::{Any, Item};
use patchbay::catalog::Catalogs;
use patchbay::config::{LocalModel, Providers};
use patchbay::search::embed::{MiniLm, Packed, Shelf, open, text};
use patchbay::search::{Index, Rows};

const WEIGHTS: &str = "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db";

struct Asked {
    query: String,
    /// Numbers of the tools that would do.
    expected: Vec<u32>,
}

fn main() -> Any<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let file = arguments.iter().find(|argument| !argument.starts_with('-'));
    let words_only = arguments.iter().any(|argument| argument == "--words");
    let catalog = Catalogs::load(None, &Providers::default())?.server();
    let begin = Instant::now();
    let items = corpus::items(&catalog)?;
    println!("{} tools read in {:?}", items.len(), begin.elapsed());
    if let Some(begin) = arguments.iter().find_map(|argument| argument.strip_prefix("--list=")) {
        let listed = items.iter().filter(|item| item.slug.starts_with(begin));
        listed.for_each(|item| println!("{}", item.slug));
        return Ok(());
    }
    let index = made(&items);
    let queries = match file {
        Some(file) => std::fs::read_to_string(file)?,
        None => include_str!("queries.jsonl").to_owned(),
    };
    let asked = read(&queries, &items)?;
    let missing: Vec<_> = asked.iter().filter(|asked| asked.expected.is_empty()).collect();
    println!("{} queries; the catalogue has nothing for {}", asked.len(), missing.len());
    missing.iter().for_each(|asked| println!("  {}", asked.query));
    let by_words = |query: &str, limit| {
        let hits = index.find(&index.query(query), &[], limit, |_| true);
        hits.into_iter().map(|hit| hit.doc).collect::<Vec<u32>>()
    };
    quality("words", &asked, |query| by_words(query, 10));
    time("words", &asked, |query| by_words(query, 10).len());
    if !words_only {
        meaning(&items, &index, &asked)?;
    }
    let more: Vec<Item> = (0..)
        .flat_map(|n| items.iter().map(move |i| (n, i)))
        .take(20_000)
        .map(|(round, item)| item.copy(round))
        .collect();
    let index = made(&more);
    time("20,000 tools", &asked, |q| index.find(&index.query(q), &[], 10, |_| true).len());
    Ok(())
}

fn made(items: &[Item]) -> Index {
    let begin = Instant::now();
    let index = Index::new(items.iter().map(Item::doc));
    let megabytes = index.bytes() as f64 / 1e6;
    println!("{} tools: index made in {:?}, {megabytes:.1} MB", index.len(), begin.elapsed());
    index
}

/// The same with the model.
fn meaning(items: &[Item], index: &Index, asked: &[Asked]) -> Any<()> {
    let files = LocalModel { weights: corpus::model()?, sha256: WEIGHTS.to_owned() };
    let begin = Instant::now();
    let model = open(&files)?;
    println!("model opened in {:?}", begin.elapsed());
    let shelf = Shelf::default();
    let rows = vectors(&model, items, &shelf)?;
    println!("vectors: {:.1} MB", shelf.bytes() as f64 / 1e6);
    quality("meaning alone", asked, |query| {
        let near = shelf.near(&model.vectors(&[query]).pop().unwrap_or_default(), &rows);
        let mut best: Vec<u32> = (0..).take(near.len()).collect();
        best.sort_by(|a, b| near[*b as usize].total_cmp(&near[*a as usize]));
        best.truncate(10);
        best
    });
    let find = |query: &str| {
        let vector = model.vectors(&[query]).pop().unwrap_or_default();
        let near = shelf.near(&vector, &rows);
        let hits = index.find(&index.query(query), &near, 10, |_| true);
        hits.into_iter().map(|hit| hit.doc).collect::<Vec<u32>>()
    };
    quality("words and meaning", asked, find);
    time("words and meaning", asked, |query| find(query).len());
    Ok(())
}

/// Vectors of the tools; those that an earlier run has made are read from a file.
fn vectors(model: &MiniLm, items: &[Item], shelf: &Shelf) -> Any<Rows> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/bench/search/vectors");
    let key = |text: &str| {
        let hash = ring::digest::digest(&ring::digest::SHA256, text.as_bytes());
        <[u8; 16]>::try_from(&hash.as_ref()[..16])
    };
    let kept = std::fs::read(&path).unwrap_or_default();
    for line in kept.chunks_exact(16 + 4 + 384) {
        let key: [u8; 16] = line[..16].try_into()?;
        shelf.put(Packed::from_bytes(&line[16..]).map(|packed| (key, packed)));
    }
    let texts: Vec<String> = items.iter().map(|item| text(&item.doc())).collect();
    let keys = texts.iter().map(|text| key(text)).collect::<Result<Vec<_>, _>>()?;
    let file = std::fs::OpenOptions::new().append(true).create(true).open(&path)?;
    let missing: Vec<_> = keys.iter().zip(&texts).filter(|(key, _)| !shelf.has(key)).collect();
    let (begin, made, next) = (Instant::now(), AtomicUsize::new(0), AtomicUsize::new(0));
    let batches: Vec<_> = missing.chunks(16).collect();
    let work = || -> Result<(), String> {
        while let Some(batch) = batches.get(next.fetch_add(1, Ordering::Relaxed)) {
            let texts: Vec<&str> = batch.iter().map(|(_, text)| text.as_str()).collect();
            for ((key, _), vector) in batch.iter().zip(model.vectors(&texts)) {
                let packed = Packed::new(&vector).ok_or("a text without a vector")?;
                let line = [&key[..], &packed.bytes()].concat();
                (&file).write_all(&line).map_err(|e| e.to_string())?;
                shelf.put([(**key, packed)]);
            }
            let count = made.fetch_add(batch.len(), Ordering::Relaxed) + batch.len();
            if count % 1600 == 0 {
                println!("{count} of {} vectors in {:?}", missing.len(), begin.elapsed());
            }
        }
        Ok(())
    };
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    std::thread::scope(|scope| {
        let threads: Vec<_> = (0..threads).map(|_| scope.spawn(work)).collect();
        let done = threads.into_iter().map(|t| t.join().unwrap_or(Err("it fell".to_owned())));
        done.collect::<Result<(), String>>()
    })?;
    if !missing.is_empty() {
        println!("{} vectors made in {:?}, {threads} threads", missing.len(), begin.elapsed());
    }
    Ok(Rows::new(keys))
}

fn read(text: &str, items: &[Item]) -> Any<Vec<Asked>> {
    let mut known: HashMap<&str, u32> = HashMap::new();
    for (number, item) in (0..).zip(items) {
        known.insert(&item.slug, number);
    }
    for (number, item) in (0..).zip(items) {
        for alias in &item.aliases {
            known.entry(alias).or_insert(number);
        }
    }
    let mut names: HashMap<&str, Vec<&str>> = HashMap::new();
    let lines = include_str!("names.tsv").lines().filter(|line| !line.starts_with('#'));
    for (there, here) in lines.filter_map(|line| line.split_once('\t')) {
        names.entry(there).or_default().push(here);
    }
    let mut asked = Vec::new();
    for line in text.lines().filter(|line| !line.trim().is_empty()) {
        let line: serde_json::Value = serde_json::from_str(line)?;
        let query = line["query"].as_str().ok_or("a line without query")?.to_owned();
        let slugs = line["expected"].as_array().into_iter().flatten().filter_map(|s| s.as_str());
        let slugs = slugs.flat_map(|s| names.get(s).into_iter().flatten().copied().chain([s]));
        let expected = slugs.filter_map(|slug| known.get(slug).copied()).collect();
        asked.push(Asked { query, expected });
    }
    Ok(asked)
}

fn quality(what: &str, asked: &[Asked], find: impl Fn(&str) -> Vec<u32>) {
    let (mut at, mut ndcg) = ([0; 3], 0.0);
    for Asked { query, expected } in asked {
        let place = find(query).iter().position(|doc| expected.contains(doc));
        let Some(place) = place else { continue };
        for (count, most) in at.iter_mut().zip([1, 5, 10]) {
            *count += usize::from(place < most);
        }
        ndcg += 1.0 / ((place + 2) as f64).log2();
    }
    let share = |count: usize| count as f64 / asked.len() as f64;
    println!(
        "{what}: Recall@1 {:.3}, @5 {:.3}, @10 {:.3}, nDCG@10 {:.3} (of the first that fits)",
        share(at[0]),
        share(at[1]),
        share(at[2]),
        ndcg / asked.len() as f64,
    );
}

fn time(what: &str, asked: &[Asked], find: impl Fn(&str) -> usize) {
    let mut times: Vec<Duration> = Vec::new();
    for _ in 0..1000 / asked.len().max(1) + 1 {
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
