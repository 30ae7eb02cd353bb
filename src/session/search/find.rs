//! Which tools a use case is about: of the catalogue, and of the caller's own.

use std::sync::Arc;

use futures_util::future::join_all;
use serde_json::Value;

use super::allows;
use super::answer::{SchemaRef, SchemaRefArgs, ToolSchema};
use crate::catalog::Entry;
use crate::domain::session::Session;
use crate::search::plan::{self, Plan};
use crate::search::{Doc, Found, Hit, Part, Searcher};
use crate::session::custom::{Custom, CustomTool};

/// How many tools are looked at.
const CANDIDATES: usize = 30;
/// Most main tools of a use case.
const MAX_PRIMARY: usize = 5;
/// Most further tools of a use case.
const MAX_OTHERS: usize = 5;
/// The part of the best score that a main tool has, and a further one.
const NEAR: (f32, f32) = (0.62, 0.4);
/// The same where the toolkit is named: its name alone makes much of the score.
const NEAR_WITHIN_TOOLKIT: (f32, f32) = (0.87, 0.7);
/// The part of the query that a tool has at least.
const COVER: f32 = 0.1;
/// What it counts that the person can use a tool at once.
const READY: f32 = 1.1;
/// The part of the best score of its clause that a toolkit has whose tools are meant, not only its
/// name.
const MEANT: f32 = 0.6;

/// A tool that was found.
#[derive(Debug, Clone)]
pub(super) enum Item<'a> {
    /// Of the catalogue.
    App(Found<'a>),
    /// Of the caller's own, with how well it matches.
    Own(&'a CustomTool, Hit),
}

impl<'a> Item<'a> {
    /// Its slug.
    pub fn slug(&self) -> &'a str {
        match self {
            Self::App(found) => found.tool.slug(),
            Self::Own(tool, _) => &tool.slug,
        }
    }

    /// Slug of its toolkit.
    pub fn toolkit(&self) -> &'a str {
        match self {
            Self::App(found) => found.toolkit.slug(),
            Self::Own(tool, _) => tool.toolkit(),
        }
    }

    /// Toolkit whose accounts it needs.
    pub fn connects(&self) -> Option<&'a str> {
        match self {
            Self::App(found) => Some(found.toolkit.slug()),
            Self::Own(tool, _) => match &tool.home {
                crate::session::custom::Home::Extends(slug) => Some(slug),
                _ => None,
            },
        }
    }

    /// What it is called.
    pub fn name(&self) -> &'a str {
        match self {
            Self::App(found) => &found.tool.def.name,
            Self::Own(tool, _) => &tool.name,
        }
    }

    /// JSON Schema of its arguments; none when it cannot be shown.
    pub fn input_schema(&self) -> Option<Value> {
        match self {
            Self::App(found) => found.tool.open().ok().map(|tool| tool.input_schema.clone()),
            Self::Own(tool, _) => Some(tool.input_schema.clone()),
        }
    }

    /// Names of the arguments that it needs.
    pub fn required(&self) -> impl Iterator<Item = &'a str> {
        let (own, other) = match self {
            Self::App(found) => (Some(&found.tool.def.params.0), None),
            Self::Own(tool, _) => (None, tool.input_schema["required"].as_array()),
        };
        let own = own.into_iter().flatten().filter(|(_, p)| p.required && !p.hidden);
        let other = other.into_iter().flatten().filter_map(Value::as_str);
        own.map(|(name, _)| name.as_str()).chain(other)
    }

    fn hit(&self) -> (f32, f32) {
        match self {
            Self::App(found) => (found.score, found.cover),
            Self::Own(_, hit) => (hit.score, hit.cover),
        }
    }

    /// With its schema, or with where to get it.
    pub fn schema(&self, full: Option<Value>) -> ToolSchema {
        let description = match self {
            Self::App(found) => found.tool.def.description.trim(),
            Self::Own(tool, _) => &tool.description,
        };
        let mut shown = by_name(self.slug(), self.toolkit(), description);
        if full.is_some() {
            shown.has_full_schema = true;
            shown.input_schema = full;
            shown.schema_ref = None;
        }
        shown
    }
}

/// A tool without its schema.
pub(super) fn by_name(slug: &str, toolkit: &str, description: &str) -> ToolSchema {
    ToolSchema {
        tool_slug: slug.to_owned(),
        toolkit: toolkit.to_owned(),
        description: description.to_owned(),
        has_full_schema: false,
        input_schema: None,
        schema_ref: Some(SchemaRef {
            tool: "COMPOSIO_GET_TOOL_SCHEMAS",
            args: SchemaRefArgs { tool_slugs: vec![slug.to_owned()] },
            message: "Get the schema before you execute this tool",
        }),
    }
}

/// Tools that match.
#[derive(Debug)]
pub(super) struct Candidates<'a> {
    /// One for each thing to do: several where a use case names several toolkits.
    groups: Vec<Group<'a>>,
}

impl<'a> Candidates<'a> {
    /// The tools.
    pub fn items(&self) -> impl Iterator<Item = &Item<'a>> {
        self.groups.iter().flat_map(|group| &group.items)
    }
}

/// Tools that do one thing.
#[derive(Debug)]
struct Group<'a> {
    items: Vec<Item<'a>>,
    /// The parts of the best score that main and further tools have.
    near: (f32, f32),
    /// Number of the clause that it is about.
    clause: usize,
}

impl Group<'_> {
    fn best(&self) -> f32 {
        self.items.iter().map(|item| item.hit().0).fold(0.0, f32::max)
    }
}

/// The tools that match.
pub(super) async fn candidates<'a>(
    searcher: &'a Searcher,
    session: &Session,
    custom: &'a Custom,
    use_case: &str,
) -> Candidates<'a> {
    let mut parts = searcher.parts(use_case);
    join_all(parts.iter_mut().map(|part| searcher.understand(&mut part.query))).await;
    let mut groups: Vec<Group<'a>> =
        parts.iter().map(|part| group(searcher, session, custom, part)).collect();
    // A toolkit that is only mentioned (tell Slack about the GitHub outage) matches by its name alone.
    let best = |clause: usize| {
        let same = groups.iter().filter(|group| group.clause == clause);
        same.map(Group::best).fold(0.0, f32::max)
    };
    let least: Vec<f32> = groups.iter().map(|group| best(group.clause) * MEANT).collect();
    let mut least = least.into_iter();
    groups.retain(|group| least.next().is_none_or(|least| group.best() >= least));
    groups.retain(|group| !group.items.is_empty());
    Candidates { groups }
}

fn group<'a>(
    searcher: &'a Searcher,
    session: &Session,
    custom: &'a Custom,
    part: &Part,
) -> Group<'a> {
    let Part { query, toolkit: only, clause } = part;
    let within = |slug: &str| only.as_deref().is_none_or(|only| only == slug);
    let found = searcher.find(query, CANDIDATES, |toolkit, tool| {
        within(toolkit.slug()) && allows(session, toolkit, tool)
    });
    let mut items: Vec<Item<'a>> = found.into_iter().map(Item::App).collect();
    items.extend(custom.tools.iter().filter_map(|tool| {
        let home = custom.toolkits.iter().find(|toolkit| toolkit.slug == tool.toolkit());
        let known = searcher.catalog().toolkit(tool.toolkit());
        let doc = Doc {
            slug: tool.slug.strip_prefix(crate::session::custom::PREFIX).unwrap_or(&tool.slug),
            name: &tool.name,
            description: &tool.description,
            toolkit: tool.toolkit(),
            toolkit_name: home.map_or_else(
                || known.map_or("", |toolkit| toolkit.file.name.as_str()),
                |toolkit| toolkit.name.as_str(),
            ),
            toolkit_text: home.map_or("", |toolkit| toolkit.description.as_str()),
            params: params(&tool.input_schema),
            important: true,
            ..Doc::default()
        };
        Some(Item::Own(tool, searcher.score(query, &doc)?))
    }));
    items.retain(|item| item.hit().1 >= COVER);
    let near = if query.names_toolkit() { NEAR_WITHIN_TOOLKIT } else { NEAR };
    Group { items, near, clause: *clause }
}

fn params(schema: &Value) -> Vec<(&str, &str)> {
    let properties = schema["properties"].as_object();
    let all = properties.into_iter().flatten();
    all.map(|(name, inner)| (name.as_str(), inner["description"].as_str().unwrap_or_default()))
        .collect()
}

/// The tools of a use case, and what belongs to the best ones.
#[derive(Debug, Default)]
pub(super) struct Pick<'a> {
    /// Those that do it, best first; where there are several things to do, the best of each first.
    pub primary: Vec<Item<'a>>,
    /// Those that match less well.
    pub others: Vec<Item<'a>>,
    /// The things to do, in their order; one at least when there are tools.
    pub legs: Vec<Leg<'a>>,
    /// Whether the match is a weak one.
    pub weak: bool,
}

/// One thing to do.
#[derive(Debug)]
pub(super) struct Leg<'a> {
    /// The tool that does it best.
    pub best: Item<'a>,
    /// Others that do it.
    pub instead: Vec<Item<'a>>,
    /// What belongs to the best one.
    pub plan: Plan<'a>,
    /// What goes wrong with its toolkit.
    pub pitfalls: &'a [String],
}

impl<'a> Leg<'a> {
    fn new(session: &Session, tools: &[Item<'a>]) -> Option<Self> {
        let (best, instead) = tools.split_first()?;
        let mut leg = Self {
            best: best.clone(),
            instead: instead.to_vec(),
            plan: Plan::default(),
            pitfalls: &[],
        };
        if let Item::App(found) = best {
            let (toolkit, tool) = (found.toolkit, found.tool);
            leg.plan = plan::plan(toolkit, tool, |other| allows(session, toolkit, other));
            leg.pitfalls = &toolkit.file.pitfalls;
        }
        Some(leg)
    }

    fn planned(&self) -> impl Iterator<Item = &'a Arc<Entry>> {
        let before = self.plan.before.iter().map(|related| related.tool);
        before.chain(self.plan.instead.iter().copied()).chain(self.plan.after.iter().copied())
    }
}

impl<'a> Pick<'a> {
    /// Slugs of the tools that belong to the best ones.
    pub fn planned(&self) -> impl Iterator<Item = &'a str> {
        self.legs.iter().flat_map(Leg::planned).map(|tool| tool.slug())
    }

    /// All tools beside the main ones: slug, toolkit, description.
    pub fn related(&self) -> impl Iterator<Item = (&'a str, &'a str, &'a str)> {
        let planned = self.legs.iter().flat_map(|leg| {
            let toolkit = leg.best.toolkit();
            leg.planned().map(move |tool| (tool.slug(), toolkit, tool.def.description.trim()))
        });
        let others = self.others.iter().map(|item| match item {
            Item::App(found) => {
                (found.tool.slug(), found.toolkit.slug(), found.tool.def.description.trim())
            }
            Item::Own(tool, _) => (tool.slug.as_str(), tool.toolkit(), tool.description.as_str()),
        });
        planned.chain(others)
    }
}

/// Parts the candidates into those that do it and others. `ready`: the person can use it at once.
pub(super) fn pick<'a>(
    session: &Session,
    candidates: Candidates<'a>,
    ready: impl Fn(&Item<'a>) -> bool,
) -> Pick<'a> {
    let (most, most_others) = match candidates.groups.len() {
        0 | 1 => (MAX_PRIMARY, MAX_OTHERS),
        2 => (3, 2),
        _ => (2, 1),
    };
    let (mut pick, mut tools, mut legs) = (Pick::default(), Vec::new(), Vec::new());
    for group in candidates.groups {
        let (main, further) = group.near;
        let mut scored: Vec<(f32, Item<'a>)> = group
            .items
            .into_iter()
            .map(|item| (item.hit().0 * if ready(&item) { READY } else { 1.0 }, item))
            .collect();
        scored.sort_by(|a, b| b.0.total_cmp(&a.0));
        let best = scored.first().map_or(0.0, |(score, _)| *score);
        let (mut primary, mut others) = (Vec::new(), 0);
        for (score, item) in scored {
            if score >= best * main && primary.len() < most {
                primary.push(item);
            } else if score >= best * further && others < most_others {
                others += 1;
                pick.others.push(item);
            }
        }
        pick.weak |= primary.first().is_some_and(|item| item.hit().1 < 0.3);
        let known = |leg: &Leg<'_>| legs.iter().any(|l: &Leg<'_>| l.best.slug() == leg.best.slug());
        if let Some(leg) = Leg::new(session, &primary).filter(|leg| !known(leg)) {
            legs.push(leg);
        }
        tools.push(primary);
    }
    let deepest = tools.iter().map(Vec::len).max().unwrap_or(0);
    for place in 0..deepest {
        for item in tools.iter().filter_map(|tools| tools.get(place)) {
            if !pick.primary.iter().any(|known| known.slug() == item.slug()) {
                pick.primary.push(item.clone());
            }
        }
    }
    let main = |item: &Item<'_>| pick.primary.iter().any(|known| known.slug() == item.slug());
    pick.others.retain(|item| !main(item));
    pick.legs = legs;
    pick
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::domain::id::{ProjectId, SessionId};
    use crate::session::custom::Home;

    #[test]
    fn of_tools_that_match_alike_the_one_that_is_ready_goes_first() {
        let at = crate::domain::time::now();
        let session = Session {
            project_id: ProjectId::from("pr_a"),
            id: SessionId::from("trs_a"),
            user_id: "ann".to_owned(),
            config: crate::domain::session::SessionConfig::default(),
            config_version: 1,
            custom_tools: Value::Null,
            created_at: at,
            updated_at: at,
        };
        let tool = |slug: &str| CustomTool {
            slug: slug.to_owned(),
            original_slug: slug.to_owned(),
            name: slug.to_owned(),
            description: slug.to_owned(),
            home: Home::Alone,
            input_schema: json!({"type": "object", "properties": {}}),
            output_schema: None,
            preload: None,
        };
        let (one, other, far) = (tool("LOCAL_ONE"), tool("LOCAL_OTHER"), tool("LOCAL_FAR"));
        let hit = |score: f32| Hit { doc: 0, score, cover: 1.0 };
        let items =
            vec![Item::Own(&one, hit(2.0)), Item::Own(&other, hit(1.9)), Item::Own(&far, hit(0.9))];
        let group = Group { items, near: NEAR, clause: 0 };
        let candidates = Candidates { groups: vec![group] };
        let pick = pick(&session, candidates, |item| item.slug() == "LOCAL_OTHER");
        let slugs =
            |items: &[Item<'_>]| items.iter().map(|i| i.slug().to_owned()).collect::<Vec<_>>();
        assert_eq!(slugs(&pick.primary), ["LOCAL_OTHER", "LOCAL_ONE"]);
        assert_eq!(slugs(&pick.others), ["LOCAL_FAR"]);
    }
}
