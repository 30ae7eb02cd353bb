//! Triggers that ask the provider.

use serde_json::{Map, Value};

use super::super::model::PollRule;
use super::super::template::{Expr, Names, Text, Tree};
use super::{Roots, Tool, Trigger, scope};

/// See the module.
#[derive(Debug)]
pub struct Poll {
    /// As the file has it.
    pub def: PollRule,
    /// Asks what there is; the result is what [`Fetched::of`] reads.
    pub fetch: Tool,
    /// Asks about one new item; the result holds the answers by step.
    pub each: Option<Tool>,
    pub(super) id: Text,
    pub(super) at: Option<Text>,
    pub(super) when: Option<Expr>,
    pub(super) data: Tree,
}

/// What a poll found.
#[derive(Debug, Default)]
pub struct Fetched {
    /// Items, as the provider orders them.
    pub items: Vec<Value>,
    /// The token for the next poll.
    pub next: Option<Value>,
    /// The token of the next page.
    pub more: Option<Value>,
}

impl Fetched {
    /// Reads the result of [`Poll::fetch`].
    ///
    /// # Errors
    /// When `items` is neither a list nor null.
    pub fn of(mut result: Map<String, Value>) -> Result<Self, String> {
        let there = |value: &Value| !value.is_null() && value.as_str() != Some("");
        let items = match result.remove("items") {
            Some(Value::Array(items)) => items,
            None | Some(Value::Null) => Vec::new(),
            Some(_) => return Err("the answer holds no list where the items should be".into()),
        };
        Ok(Self {
            items,
            next: result.remove("next").filter(there),
            more: result.remove("more").filter(there),
        })
    }
}

impl Poll {
    /// What tells an item from others; none when it has nothing.
    ///
    /// # Errors
    /// A template that cannot be rendered.
    pub fn id(
        &self,
        trigger: &Trigger,
        args: &Map<String, Value>,
        item: &Value,
    ) -> Result<Option<String>, String> {
        let scope = scope(args, with_item(Roots::new(), item));
        let id = self.id.text(&Names::of_tool(&trigger.def.config, &scope))?;
        Ok(id.filter(|id| !id.is_empty()))
    }

    /// When an item was made or changed, as the provider wrote it; null when the definition has no
    /// `at`, or when it takes the answers of `each`, which `answers` are.
    ///
    /// # Errors
    /// A template that cannot be rendered.
    pub fn at(
        &self,
        trigger: &Trigger,
        args: &Map<String, Value>,
        item: &Value,
        answers: Roots,
    ) -> Result<Value, String> {
        let Some(at) = &self.at else { return Ok(Value::Null) };
        let scope = scope(args, with_item(answers, item));
        at.value(&Names::of_tool(&trigger.def.config, &scope))
    }

    /// The data of an item's event; none when it is none. `answers` are those of `each`; without
    /// them, what they would say is null, and `when` is not asked.
    ///
    /// # Errors
    /// A template that cannot be rendered.
    pub fn data(
        &self,
        trigger: &Trigger,
        args: &Map<String, Value>,
        item: &Value,
        answers: Option<Roots>,
    ) -> Result<Option<Value>, String> {
        let known = answers.is_some();
        let scope = scope(args, with_item(answers.unwrap_or_default(), item));
        let names = Names::of_tool(&trigger.def.config, &scope);
        if let Some(when) = &self.when
            && known
            && !when.is_true(&names)?
        {
            return Ok(None);
        }
        self.data.render(&names, false).map(Some)
    }
}

fn with_item(mut roots: Roots, item: &Value) -> Roots {
    roots.insert("item".to_owned(), item.clone());
    roots
}
