//! A tool for each field of `Query` and `Mutation`, and one for whatever else.

use serde_json::{Map, Value, json};
use url::Url;

use super::argument;
use super::schema::{Field, Input, Schema};
use super::select::Selector;
use crate::import::slug::{self, Slugs};
use crate::import::{Definition, Failure, Options, Progress, Report, text};

/// Tools that are made of one schema.
const MOST_TOOLS: usize = 5_000;

/// Makes the definition.
pub(super) fn make(
    schema: &Schema,
    format: &str,
    options: &Options,
    progress: Progress<'_>,
) -> Result<(Definition, Report), Failure> {
    let endpoint = endpoint(options)?;
    let toolkit_slug = match &options.slug {
        Some(slug) => slug.clone(),
        None => slug::toolkit(options.name.as_deref().unwrap_or_else(|| label(&endpoint))),
    };
    let name = options.name.clone().unwrap_or_else(|| slug::title(&toolkit_slug));
    let mut maker = Maker {
        schema,
        selector: Selector::new(schema),
        slugs: Slugs::new(&toolkit_slug),
        budget: argument::MOST_IN_ALL,
        path: path_of(&endpoint),
        query: endpoint
            .query_pairs()
            .map(|(k, v)| (k.into_owned(), v.into_owned().into()))
            .collect(),
        report: Report::of(format.to_owned()),
        tools: Vec::new(),
    };
    // Reserved before a field can have it.
    let any = maker.slugs.take("RUN_QUERY_OR_MUTATION", &[], "").0;
    let roots = [(&schema.query, Root::Query), (&schema.mutation, Root::Mutation)];
    let fields: Vec<(&str, Root, &Field)> = roots
        .into_iter()
        .filter_map(|(name, root)| Some((name.as_deref()?, root)))
        .flat_map(|(name, root)| {
            let fields = schema.types.get(name).map(|ty| ty.fields.as_slice()).unwrap_or_default();
            fields.iter().map(move |field| (name, root, field))
        })
        .collect();
    if fields.is_empty() {
        return Err(Failure::of_all(
            "The schema has neither a query nor a mutation: nothing can be called",
        ));
    }
    let all = fields.len();
    for (done, (ty, root, field)) in fields.into_iter().enumerate() {
        progress(done, all);
        maker.report.operations += 1;
        let at = format!("{ty}.{}", field.name);
        if maker.tools.len() >= MOST_TOOLS {
            let why = format!("at most {MOST_TOOLS} tools are made of one schema");
            maker.report.left_out(&at, field.name.clone(), why);
        } else {
            maker.tool(&at, root, field);
        }
    }
    progress(all, all);
    maker.subscriptions();
    let tool = maker.any(&any, &name);
    maker.tools.push(tool);
    maker.report.tools = maker.tools.len();
    let about = schema.description.clone().unwrap_or_default();
    let about = text::clean(&format!("The GraphQL API of {name}. {about}"), text::TOOL);
    let toolkit = json!({
        "spec": 1,
        "slug": toolkit_slug,
        "name": text::clean(&name, text::NAME),
        "description": about,
        "versions": [options.version],
        "categories": ["developer-tools"],
        "base_url": endpoint.origin().ascii_serialization(),
        "hosts": hosts(&endpoint, options),
        "headers": {"Accept": "application/json"},
        "response": {"fail_if": "/errors", "error": ["/errors/0/message", "/message"]},
        "auth": [
            {"scheme": "BEARER_TOKEN"},
            {"scheme": "API_KEY", "inject": {"headers": {"Authorization": "{{ cred.api_key }}"}}},
            {"scheme": "NO_AUTH"},
        ],
    });
    maker.report.notes.push(
        "A GraphQL schema does not say how to authenticate: a bearer token, a key in the \
         Authorization header, and nothing at all are offered"
            .to_owned(),
    );
    Ok((Definition { toolkit, tools: maker.tools }, maker.report))
}

fn endpoint(options: &Options) -> Result<Url, Failure> {
    let given = options.base_url.as_ref().or(options.source_url.as_ref()).ok_or_else(|| {
        Failure::of_all(
            "A GraphQL schema does not say where its server is: give the URL of the endpoint as \
             base_url",
        )
    })?;
    let url = Url::parse(given).ok().filter(|url| {
        matches!(url.scheme(), "https" | "http")
            && url.has_host()
            && url.username().is_empty()
            && url.password().is_none()
    });
    url.ok_or_else(|| {
        Failure::of_all("The endpoint of the GraphQL server must be an http or https URL")
    })
}

/// What tells hosts apart, for a name: `api.linear.app` is `linear`.
fn label(url: &Url) -> &str {
    let host = url.host_str().unwrap_or("graphql");
    let parts: Vec<&str> = host.split('.').collect();
    match parts.as_slice() {
        [.., name, _] if name.parse::<u8>().is_err() => name,
        _ => "graphql",
    }
}

fn hosts(endpoint: &Url, options: &Options) -> Vec<String> {
    let own = endpoint.host_str().map(str::to_owned);
    let mut hosts: Vec<String> = own.into_iter().chain(options.allow.iter().cloned()).collect();
    hosts.dedup();
    hosts
}

/// The path as a definition has it: braces would be placeholders.
fn path_of(endpoint: &Url) -> String {
    endpoint.path().replace('{', "%7B").replace('}', "%7D")
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Root {
    Query,
    Mutation,
}

struct Maker<'a> {
    schema: &'a Schema,
    selector: Selector<'a>,
    slugs: Slugs,
    budget: usize,
    path: String,
    query: Map<String, Value>,
    report: Report,
    tools: Vec<Value>,
}

impl Maker<'_> {
    fn tool(&mut self, at: &str, root: Root, field: &Field) {
        let word = if root == Root::Query { "query" } else { "mutation" };
        let plain = slug::upper_snake(&slug::words(&field.name));
        if plain.is_empty() {
            self.report.left_out(at, field.name.clone(), "its name has no letter or digit");
            return;
        }
        let (slug, is_plain) = self.slugs.take(&plain, &[word.to_uppercase()], at);
        if !is_plain {
            let why = "the name was taken, or is too long";
            self.report.renamed(at, &plain, &slug, why);
        }
        let (params, cut) = argument::of(self.schema, &field.args, &mut self.budget);
        if cut {
            self.report.repaired(at, "arguments were made shallower than the schema has them");
        }
        let name = slug::title(&slug::words(&field.name));
        let about = match field.description.as_deref().map(|text| text::clean(text, text::TOOL)) {
            Some(text) if !text.is_empty() => text,
            _ => format!("The {word} `{}`.", field.name),
        };
        let mut request = Map::from_iter([
            ("method".to_owned(), "POST".into()),
            ("path".to_owned(), self.path.clone().into()),
            ("graphql".to_owned(), self.operation(word, field)),
        ]);
        if !self.query.is_empty() {
            request.insert("query".to_owned(), self.query.clone().into());
        }
        let mut tool = json!({
            "slug": slug,
            "name": name,
            "description": about,
            "tags": [if root == Root::Query { "queries" } else { "mutations" }],
            "hints": hints(root, &plain),
            "params": params,
            "request": request,
            "response": {"pick": format!("/data/{}", field.name)},
        });
        if let Some(reason) = &field.deprecated {
            let reason = text::clean(reason, text::ARGUMENT);
            tool["deprecated"] =
                if reason.is_empty() { "Deprecated.".into() } else { reason.into() };
        }
        self.tools.push(tool);
    }

    /// The document with its variables.
    fn operation(&self, word: &str, field: &Field) -> Value {
        let each = |write: &dyn Fn(&Input) -> String| -> String {
            let all: Vec<String> = field.args.iter().map(write).collect();
            if all.is_empty() { String::new() } else { format!("({})", all.join(", ")) }
        };
        let declared = each(&|arg| {
            let default = arg.default.as_deref().filter(|d| d.len() <= 200 && !d.contains('\n'));
            // With a default of its own a required variable may be left out.
            let default = match default {
                Some(default) if arg.ty.is_required() => format!(" = {default}"),
                _ => String::new(),
            };
            format!("${}: {}{default}", arg.name, arg.ty)
        });
        let passed = each(&|arg| format!("{name}: ${name}", name = arg.name));
        let set = self.selector.of(&field.ty);
        let name = &field.name;
        let query = format!("{word} {name}{declared} {{ {name}{passed}{set} }}");
        let variables: Map<String, Value> = field
            .args
            .iter()
            .map(|arg| (arg.name.clone(), format!("{{{{ args.{} }}}}", arg.name).into()))
            .collect();
        json!({"query": query, "variables": variables})
    }

    fn subscriptions(&mut self) {
        let Some(name) = &self.schema.subscription else { return };
        let fields = self.schema.types.get(name).map(|ty| ty.fields.as_slice()).unwrap_or_default();
        for field in fields.iter().take(MOST_TOOLS) {
            self.report.operations += 1;
            self.report.left_out(
                &format!("{name}.{}", field.name),
                format!("subscription {}", field.name),
                "a subscription is a stream of events, and a tool gives one answer",
            );
        }
    }

    /// Runs what the caller wrote.
    fn any(&self, slug: &str, name: &str) -> Value {
        let mut request = json!({
            "method": "POST",
            "path": self.path,
            "json": {
                "query": "{{ args.query }}",
                "variables": "{{ args.variables }}",
                "operationName": "{{ args.operation_name }}",
            },
        });
        if !self.query.is_empty() {
            request["query"] = self.query.clone().into();
        }
        json!({
            "slug": slug,
            "name": "Run a query or mutation",
            "description": text::clean(&format!(
                "Runs a GraphQL document of your own against {name}: for fields and combinations that \
                 no other tool has. The answer is what stands under `data`."
            ), text::TOOL),
            "tags": ["important"],
            "hints": {},
            "params": {
                "query": {"type": "string", "required": true,
                    "description": "The GraphQL document, with variables instead of values in its text.",
                    "aliases": ["query_or_mutation"]},
                "variables": {"type": "object", "additional_properties": true,
                    "description": "Values of the document's variables by name."},
                "operation_name": {"type": "string", "aliases": ["operationName"],
                    "description": "Which operation is run, when the document has several."},
            },
            "request": request,
            "response": {"pick": "/data"},
        })
    }
}

fn hints(root: Root, name: &str) -> Value {
    if root == Root::Query {
        return json!({"read_only": true, "idempotent": true});
    }
    let any = |words: &[&str]| name.split('_').any(|word| words.contains(&word));
    if any(&["DELETE", "REMOVE", "REVOKE", "DESTROY", "PURGE", "TRUNCATE"]) {
        json!({"destructive": true})
    } else if any(&["CREATE", "ADD", "INSERT", "NEW"]) {
        json!({"create": true})
    } else if any(&["UPDATE", "SET", "EDIT", "CHANGE", "MOVE", "RENAME", "MODIFY", "UPSERT"]) {
        json!({"update": true})
    } else {
        json!({})
    }
}
