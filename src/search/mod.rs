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
//! | `words` | lists that are too short for an index |
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

use crate::catalog::{Catalog, Tool, Toolkit};
pub use count::Doc;
pub use embed::{Embeddings, Rows};
pub use index::{Hit, Index, Near};
pub use parts::Part;
pub use query::Query;

/// The catalogue, searchable.
pub struct Search {
    catalog: Arc<Catalog>,
    index: OnceLock<Built>,
    embeddings: Option<Arc<Embeddings>>,
}

struct Built {
    index: Index,
    /// Toolkit and tool of each number.
    places: Vec<(u32, u32)>,
    /// Where there is a model.
    rows: Option<Rows>,
}

impl fmt::Debug for Search {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Search").field("built", &self.index.get().is_some()).finish_non_exhaustive()
    }
}

/// A tool of the catalogue that was found.
#[derive(Debug, Clone, Copy)]
pub struct Found<'a> {
    /// Its toolkit.
    pub toolkit: &'a Arc<Toolkit>,
    /// The tool.
    pub tool: &'a Arc<Tool>,
    /// How well it matches; comparable within one query.
    pub score: f32,
    /// The part of the query that it has, from 0 to 1.
    pub cover: f32,
}

impl Search {
    /// Over a catalogue. The index is made when it is first needed, or by [`Search::warm`].
    pub fn new(catalog: Arc<Catalog>) -> Self {
        Self { catalog, index: OnceLock::new(), embeddings: None }
    }

    /// The same, by meaning too.
    pub fn with(self, embeddings: Option<Arc<Embeddings>>) -> Self {
        Self { embeddings, ..self }
    }

    /// Makes the index, so that no request has to wait for it.
    pub fn warm(&self) {
        self.built();
    }

    fn built(&self) -> &Built {
        self.index.get_or_init(|| {
            let all = || self.catalog.toolkits().iter().enumerate();
            let places = all()
                .flat_map(|(t, toolkit)| {
                    (0..toolkit.tools.len()).map(move |i| (t as u32, i as u32))
                })
                .collect();
            let docs = all().flat_map(|(_, toolkit)| toolkit.tools.iter().map(|t| doc(toolkit, t)));
            let rows = self.embeddings.as_ref().map(|e| Rows::new(e.want(docs.clone())));
            Built { index: Index::new(docs), places, rows }
        })
    }

    /// Cuts a query.
    pub fn query(&self, text: &str) -> Query {
        self.built().index.query(text)
    }

    /// Cuts a query, and asks the model what it means where there is one.
    pub async fn ask(&self, text: &str) -> Query {
        let mut query = self.query(text);
        self.understand(&mut query).await;
        query
    }

    /// Asks the model what a query means where there is one.
    pub async fn understand(&self, query: &mut Query) {
        if let Some(embeddings) = &self.embeddings {
            query.vector = embeddings.query(query.text()).await;
        }
    }

    /// How near the tools are to a query by its meaning; empty when nobody knows.
    fn near(&self, built: &Built, query: &Query) -> Vec<f32> {
        match (&self.embeddings, &built.rows, &query.vector) {
            (Some(embeddings), Some(rows), Some(vector)) => embeddings.shelf().near(vector, rows),
            _ => Vec::new(),
        }
    }

    /// Cuts a wish into its parts: one for each toolkit where it names several, otherwise one.
    pub fn parts(&self, text: &str) -> Vec<Part> {
        parts::parts(&self.built().index, text)
    }

    /// The best `limit` of the tools that `allowed` lets through, best first. Others take no
    /// place.
    pub fn find(
        &self,
        query: &Query,
        limit: usize,
        mut allowed: impl FnMut(&Toolkit, &Tool) -> bool,
    ) -> Vec<Found<'_>> {
        let built = self.built();
        let place = |doc: u32| {
            let (toolkit, tool) = built.places.get(doc as usize)?;
            let toolkit = self.catalog.toolkits().get(*toolkit as usize)?;
            Some((toolkit, toolkit.tools.get(*tool as usize)?))
        };
        let near = self.near(built, query);
        let hits = built.index.find(query, &near, limit, |doc| {
            place(doc).is_some_and(|(toolkit, tool)| allowed(toolkit, tool))
        });
        let found = hits.into_iter().filter_map(|hit| {
            let (toolkit, tool) = place(hit.doc)?;
            Some(Found { toolkit, tool, score: hit.score, cover: hit.cover })
        });
        found.collect()
    }

    /// How well something matches that is not in the catalogue, on the scale of what is.
    pub fn score(&self, query: &Query, doc: &Doc<'_>) -> Option<Hit> {
        let near = if query.vector.is_some() { Near::Unknown } else { Near::Unasked };
        self.built().index.score(query, doc, near)
    }
}

fn doc<'a>(toolkit: &'a Toolkit, tool: &'a Tool) -> Doc<'a> {
    let params = tool.def.params.0.iter().filter(|(_, param)| !param.hidden);
    Doc {
        slug: &tool.def.slug,
        aliases: tool.def.aliases.iter().map(String::as_str).collect(),
        name: &tool.def.name,
        description: &tool.def.description,
        toolkit: &toolkit.file.slug,
        toolkit_name: &toolkit.file.name,
        toolkit_text: &toolkit.file.description,
        params: params
            .map(|(name, param)| {
                (name.as_str(), param.schema.description.as_deref().unwrap_or_default())
            })
            .collect(),
        tags: tool.def.tags.iter().map(String::as_str).collect(),
        important: tool.def.tags.iter().any(|tag| tag == "important"),
        deprecated: tool.def.deprecated.is_some(),
    }
}
