//! Finding tools by what somebody wants to do.
//!
//! | module | knows |
//! |---|---|
//! | `text` | words and their stems |
//! | `lexicon` | which words mean about the same |
//! | `count` | which terms a tool has, and in which fields |
//! | `index` | which tools have a term, and how much that says (BM25F) |
//! | `act` | whether something is read, made, changed or removed |
//! | `query` | what a query asks for |
//! | `embed` | what tools and queries mean, as vectors |
//! | `parts` | what a wish about several apps wants of each |
//! | `plan` | how the tools of a toolkit go together |
//! | `words` | toolkits, which are too few for an index |
//!
//! [`Search`] puts them over the catalogue. Whoever asks for tools asks it; how it ranks is its
//! own affair.

mod act;
mod count;
pub mod embed;
pub mod index;
mod lexicon;
mod parts;
pub mod plan;
mod query;
mod text;
pub mod words;

use std::fmt;
use std::sync::{Arc, OnceLock};

use arc_swap::ArcSwapOption;
use quick_cache::sync::Cache as Lru;

use crate::catalog::{Catalog, Catalogs, Entry, Layer, Toolkit};
use crate::domain::id::ProjectId;
pub use count::Doc;
pub use embed::{Embeddings, Rows};
pub use index::{Hit, Index, Limit, Near};
pub use parts::Part;
pub use query::Query;

/// Projects with toolkits of their own whose index is kept.
const KEPT: usize = 500;
/// Most tools of a project's own that are weighed against those of the server.
const OWN: usize = 60;

/// The catalogue, searchable. What the server has is indexed once for all projects; the toolkits of
/// a project's own have an index beside it.
pub struct Search {
    catalogs: Arc<Catalogs>,
    /// Of what the server has. Behind the catalogue for as long as it takes to make the next one.
    built: ArcSwapOption<Built>,
    own: Lru<ProjectId, Arc<Own>>,
    embeddings: Option<Arc<Embeddings>>,
}

struct Own {
    layer: Arc<Layer>,
    built: OnceLock<Arc<Built>>,
}

struct Built {
    index: Index,
    /// The tool of each number.
    tools: Vec<(Arc<Toolkit>, Arc<Entry>)>,
    /// Where there is a model.
    meaning: Option<Meaning>,
    /// What it was made of, where that is the server's catalogue.
    of: Option<Arc<Catalog>>,
}

/// What the tools of an index mean.
struct Meaning {
    embeddings: Arc<Embeddings>,
    rows: Rows,
}

impl Built {
    fn new(toolkits: &[Arc<Toolkit>], embeddings: Option<&Arc<Embeddings>>) -> Self {
        let all = toolkits.iter().flat_map(|toolkit| {
            toolkit.tools.iter().map(move |tool| (toolkit.clone(), tool.clone()))
        });
        let tools: Vec<(Arc<Toolkit>, Arc<Entry>)> = all.collect();
        let (mut keys, mut wishes) = (Vec::new(), Vec::new());
        let index = Index::of(|add| {
            for (toolkit, tool) in &tools {
                let texts = tool.texts();
                let doc = doc(toolkit, tool, &texts);
                if let Some(embeddings) = embeddings {
                    let (key, text) = embeddings.wish(&doc);
                    keys.push(key);
                    wishes.push((key, text));
                }
                add(&doc);
            }
        });
        let meaning = embeddings.map(|embeddings| {
            embeddings.want(wishes);
            Meaning { rows: Rows::new(keys), embeddings: embeddings.clone() }
        });
        Self { index, tools, meaning, of: None }
    }

    /// How near the tools are to a query by what they mean; empty when nobody knows.
    fn near(&self, query: &Query) -> Vec<f32> {
        match (&self.meaning, &query.vector) {
            (Some(of), Some(vector)) => of.embeddings.shelf().near(vector, &of.rows),
            _ => Vec::new(),
        }
    }
}

impl fmt::Debug for Search {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let built = self.built.load().is_some();
        f.debug_struct("Search").field("built", &built).finish_non_exhaustive()
    }
}

/// A tool of the catalogue that was found.
#[derive(Debug, Clone, Copy)]
pub struct Found<'a> {
    /// Its toolkit.
    pub toolkit: &'a Arc<Toolkit>,
    /// The tool.
    pub tool: &'a Arc<Entry>,
    /// How well it matches; comparable within one query.
    pub score: f32,
    /// The part of the query that it has, from 0 to 1.
    pub cover: f32,
}

impl Search {
    /// Over catalogues. The index is made when it is first needed, or by [`Search::warm`].
    pub fn new(catalogs: Arc<Catalogs>) -> Self {
        Self { catalogs, built: ArcSwapOption::empty(), own: Lru::new(KEPT), embeddings: None }
    }

    /// The same, by meaning too.
    pub fn with(self, embeddings: Option<Arc<Embeddings>>) -> Self {
        Self { embeddings, ..self }
    }

    /// Makes the index, so that no request has to wait for it, or makes it anew after a change.
    /// Takes a second for twenty thousand tools.
    pub fn warm(&self) {
        let catalog = self.catalogs.server();
        let built = self.make(catalog.toolkits());
        self.built.store(Some(Arc::new(Built { of: Some(catalog), ..built })));
    }

    fn built(&self) -> Arc<Built> {
        if let Some(built) = self.built.load_full() {
            return built;
        }
        self.warm();
        self.built.load_full().unwrap_or_else(|| Arc::new(self.make(&[])))
    }

    fn make(&self, toolkits: &[Arc<Toolkit>]) -> Built {
        Built::new(toolkits, self.embeddings.as_ref())
    }

    /// What a project can find.
    pub fn of(&self, project: &ProjectId) -> Searcher {
        let catalog = self.catalogs.of(project);
        let layer = self.catalogs.own(project);
        let own = layer.clone().map(|layer| {
            let known = self.own.get(project).filter(|own| Arc::ptr_eq(&own.layer, &layer));
            let own = known.unwrap_or_else(|| {
                let own = Arc::new(Own { layer, built: OnceLock::new() });
                self.own.insert(project.clone(), own.clone());
                own
            });
            own.built.get_or_init(|| Arc::new(self.make(own.layer.toolkits()))).clone()
        });
        self.searcher(own, layer, catalog)
    }

    /// What a project without toolkits of its own can find.
    pub fn server(&self) -> Searcher {
        self.searcher(None, None, self.catalogs.server())
    }

    fn searcher(
        &self,
        own: Option<Arc<Built>>,
        layer: Option<Arc<Layer>>,
        catalog: Arc<Catalog>,
    ) -> Searcher {
        let built = self.built();
        let server = self.catalogs.server();
        let is_current = built.of.as_ref().is_some_and(|of| Arc::ptr_eq(of, &server));
        Searcher { built, own, layer, catalog, is_current }
    }
}

/// What one project can find at one moment.
pub struct Searcher {
    built: Arc<Built>,
    own: Option<Arc<Built>>,
    layer: Option<Arc<Layer>>,
    catalog: Arc<Catalog>,
    /// Whether the index is of what the server has now.
    is_current: bool,
}

impl fmt::Debug for Searcher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Searcher").field("catalog", &self.catalog).finish_non_exhaustive()
    }
}

impl Searcher {
    /// The catalogue that tools are found in.
    pub fn catalog(&self) -> &Arc<Catalog> {
        &self.catalog
    }

    /// Cuts a query.
    pub fn query(&self, text: &str) -> Query {
        self.built.index.query(text)
    }

    /// Cuts a query, and asks the model what it means where there is one.
    pub async fn ask(&self, text: &str) -> Query {
        let mut query = self.query(text);
        self.understand(&mut query).await;
        query
    }

    /// Asks the model what a query means where there is one.
    pub async fn understand(&self, query: &mut Query) {
        if let Some(meaning) = &self.built.meaning {
            query.vector = meaning.embeddings.query(query.text()).await;
        }
    }

    /// Cuts a wish into its parts: one for each toolkit where it names several, otherwise one.
    pub fn parts(&self, text: &str) -> Vec<Part> {
        parts::parts(&self.built.index, text)
    }

    /// The best of the tools that `allowed` lets through, best first. Others take no
    /// place.
    pub fn find(
        &self,
        query: &Query,
        limit: impl Into<Limit>,
        mut allowed: impl FnMut(&Toolkit, &Entry) -> bool,
    ) -> Vec<Found<'_>> {
        let limit = limit.into();
        let place = |doc: u32| {
            let (toolkit, tool) = self.built.tools.get(doc as usize)?;
            if self.is_current {
                return (!self.is_own(toolkit)).then_some((toolkit, tool));
            }
            // The index is older than the catalogue: what counts is what there is now.
            let found = self.catalog.tool(tool.slug())?;
            (found.0.slug() == toolkit.slug() && !self.is_own(found.0)).then_some(found)
        };
        let near = self.built.near(query);
        let hits = self.built.index.find(query, &near, limit, |doc| {
            place(doc).is_some_and(|(toolkit, tool)| allowed(toolkit, tool))
        });
        let found = hits.into_iter().filter_map(|hit| {
            let (toolkit, tool) = place(hit.doc)?;
            Some(Found { toolkit, tool, score: hit.score, cover: hit.cover })
        });
        let mut found: Vec<Found<'_>> = found.collect();
        if let Some(own) = &self.own {
            found.extend(self.find_own(own, query, limit.most.min(OWN), &mut allowed));
            found.sort_by(|a, b| b.score.total_cmp(&a.score));
            let least = found.first().map_or(0.0, |best| best.score * limit.part);
            found.retain(|found| found.score >= least);
            found.truncate(limit.most);
        }
        found
    }

    /// Those of the project's own, on the scale of what the server has.
    fn find_own<'a>(
        &'a self,
        own: &'a Built,
        query: &Query,
        limit: usize,
        allowed: &mut dyn FnMut(&Toolkit, &Entry) -> bool,
    ) -> Vec<Found<'a>> {
        let near = own.near(query);
        let hits = own.index.find(&own.index.query(query.text()), &near, limit, |doc| {
            own.tools.get(doc as usize).is_some_and(|(toolkit, tool)| allowed(toolkit, tool))
        });
        let found = hits.into_iter().filter_map(|hit| {
            let (toolkit, tool) = own.tools.get(hit.doc as usize)?;
            let texts = tool.texts();
            let near = match near.get(hit.doc as usize) {
                Some(near) if !near.is_nan() => Near::Known(*near),
                _ => unknown(query),
            };
            let hit = self.built.index.score(query, &doc(toolkit, tool, &texts), near)?;
            Some(Found { toolkit, tool, score: hit.score, cover: hit.cover })
        });
        found.collect()
    }

    fn is_own(&self, toolkit: &Toolkit) -> bool {
        self.layer.as_ref().is_some_and(|layer| layer.toolkit(toolkit.slug()).is_some())
    }

    /// How well something matches that is not in the catalogue, on the scale of what is.
    pub fn score(&self, query: &Query, doc: &Doc<'_>) -> Option<Hit> {
        self.built.index.score(query, doc, unknown(query))
    }
}

/// Of a tool without a vector.
fn unknown(query: &Query) -> Near {
    if query.vector.is_some() { Near::Unknown } else { Near::Unasked }
}

/// Names and descriptions of arguments.
type Texts = Vec<(String, String)>;

fn doc<'a>(toolkit: &'a Toolkit, tool: &'a Entry, texts: &'a Texts) -> Doc<'a> {
    Doc {
        slug: &tool.def.slug,
        aliases: tool.def.aliases.iter().map(String::as_str).collect(),
        name: &tool.def.name,
        description: &tool.def.description,
        toolkit: &toolkit.file.slug,
        toolkit_name: &toolkit.file.name,
        toolkit_text: &toolkit.file.description,
        params: texts.iter().map(|(name, text)| (name.as_str(), text.as_str())).collect(),
        tags: tool.def.tags.iter().map(String::as_str).collect(),
        important: tool.def.tags.iter().any(|tag| tag == "important"),
        deprecated: tool.def.deprecated.is_some(),
        second: !toolkit.file.tools_of.is_empty(),
    }
}
