//! The catalogue of a running server: what each project sees, and how that changes.

use std::collections::HashMap;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use arc_swap::ArcSwap;

use super::entry::Opened;
use super::layer::Layer;
use super::{Catalog, CatalogErrors, Toolkit};
use crate::config::Providers;
use crate::domain::id::ProjectId;

/// Every project's catalogue. Reading is a few nanoseconds and waits for nobody; whoever holds a
/// [`Catalog`] keeps it as it was.
#[derive(Debug)]
pub struct Catalogs {
    now: ArcSwap<State>,
    /// Held while a new state is made.
    writing: Mutex<()>,
    opened: Arc<Opened>,
}

#[derive(Debug)]
struct State {
    built_in: Arc<Layer>,
    /// Installed for the whole server.
    server: Arc<Layer>,
    all: Arc<Catalog>,
    projects: HashMap<ProjectId, Project>,
}

#[derive(Debug, Clone)]
struct Project {
    own: Arc<Layer>,
    all: Arc<Catalog>,
}

/// A change: the toolkit that a slug means from now on, or none any more.
#[derive(Debug)]
pub struct Change {
    /// For which project; none: for the whole server.
    pub project: Option<ProjectId>,
    /// Slug of the toolkit.
    pub slug: String,
    /// The toolkit.
    pub toolkit: Option<Arc<Toolkit>>,
}

impl Catalogs {
    /// The built-in toolkits and those of `extra`.
    ///
    /// # Errors
    /// Every problem of every file.
    pub fn load(extra: Option<&Path>, providers: &Providers) -> Result<Self, CatalogErrors> {
        Ok(Self::over(Catalog::load(extra, providers)?))
    }

    /// Over a catalogue of files.
    pub fn over(files: Catalog) -> Self {
        let built_in = files.layers().first().cloned().unwrap_or_default();
        let state = State {
            built_in,
            server: Arc::default(),
            all: Arc::new(files),
            projects: HashMap::new(),
        };
        Self {
            now: ArcSwap::from_pointee(state),
            writing: Mutex::default(),
            opened: Arc::default(),
        }
    }

    /// The tools that were opened last; who compiles toolkits for this catalogue needs it.
    pub fn opened(&self) -> &Arc<Opened> {
        &self.opened
    }

    /// What a project sees now.
    pub fn of(&self, project: &ProjectId) -> Arc<Catalog> {
        let now = self.now.load();
        now.projects.get(project).map_or_else(|| now.all.clone(), |own| own.all.clone())
    }

    /// What a project without toolkits of its own sees now.
    pub fn server(&self) -> Arc<Catalog> {
        self.now.load().all.clone()
    }

    /// The toolkits of a project's own; none when it has none.
    pub fn own(&self, project: &ProjectId) -> Option<Arc<Layer>> {
        self.now.load().projects.get(project).map(|project| project.own.clone())
    }

    /// Makes changes, all at once.
    pub fn change(&self, changes: Vec<Change>) {
        let _writing = self.writing.lock().unwrap_or_else(PoisonError::into_inner);
        let now = self.now.load_full();
        let mut by_place: HashMap<Option<ProjectId>, HashMap<String, Option<Arc<Toolkit>>>> =
            HashMap::new();
        for change in changes {
            by_place.entry(change.project).or_default().insert(change.slug, change.toolkit);
        }
        let server = match by_place.remove(&None) {
            Some(changes) => Arc::new(changed(&now.server, changes)),
            None => now.server.clone(),
        };
        let below = match server.toolkits() {
            [] => vec![now.built_in.clone()],
            _ => vec![server.clone(), now.built_in.clone()],
        };
        let is_same = Arc::ptr_eq(&server, &now.server);
        let all = if is_same { now.all.clone() } else { Arc::new(Catalog::of(below.clone())) };
        let over = |own: Arc<Layer>| {
            let layers = std::iter::once(own.clone()).chain(below.iter().cloned());
            Project { all: Arc::new(Catalog::of(layers.collect())), own }
        };
        let mut projects = now.projects.clone();
        if !is_same {
            projects.values_mut().for_each(|project| *project = over(project.own.clone()));
        }
        for (project, changes) in by_place {
            let Some(project) = project else { continue };
            let before = projects.get(&project).map(|p| p.own.clone()).unwrap_or_default();
            let own = changed(&before, changes);
            if own.toolkits().is_empty() {
                projects.remove(&project);
            } else {
                projects.insert(project, over(Arc::new(own)));
            }
        }
        let built_in = now.built_in.clone();
        self.now.store(Arc::new(State { built_in, server, all, projects }));
    }
}

fn changed(before: &Layer, mut changes: HashMap<String, Option<Arc<Toolkit>>>) -> Layer {
    let mut toolkits: Vec<Arc<Toolkit>> = Vec::with_capacity(before.toolkits().len() + 1);
    for toolkit in before.toolkits() {
        match changes.remove(&toolkit.file.slug) {
            None => toolkits.push(toolkit.clone()),
            Some(replaced) => toolkits.extend(replaced),
        }
    }
    toolkits.extend(changes.into_values().flatten());
    // Two toolkits may have a tool of one name (`A_B` of `a`, and of `a_b`); the first counts.
    Layer::new(toolkits, &mut Vec::new())
}
