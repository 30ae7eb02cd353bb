//! Every schema of the catalogue is one that OpenAI, Gemini, Anthropic and the released SDKs take.

use patchbay::session::meta::Meta;

use super::built_in;
use super::rules::{self, depth, open_objects, strict, walk};

#[test]
fn schemas_suit_every_reader() {
    let catalog = built_in();
    let mut problems = Vec::new();
    for tool in catalog.toolkits().iter().flat_map(|toolkit| &toolkit.tools) {
        problems.extend(rules::of_tool(&tool.open().unwrap()));
    }
    assert!(problems.is_empty(), "{}", problems.join("\n"));
}

#[test]
fn schemas_of_trigger_types_suit_every_reader_too() {
    let catalog = built_in();
    let mut problems = Vec::new();
    for trigger in catalog.toolkits().iter().flat_map(|toolkit| &toolkit.triggers) {
        for (which, schema) in
            [("config", &trigger.config_schema), ("payload", &trigger.payload_schema)]
        {
            let mut say = |text| problems.push(format!("{} {which}{text}", trigger.slug()));
            walk(schema, "", &mut say);
            open_objects(schema, "", &mut say);
            if !jsonschema::meta::is_valid(schema) {
                say(": no JSON Schema".into());
            }
        }
    }
    assert!(problems.is_empty(), "{}", problems.join("\n"));
}

#[test]
fn schemas_of_the_meta_tools_suit_every_reader_too() {
    let mut problems = Vec::new();
    for meta in Meta::ALL {
        let spec = meta.spec();
        for (which, schema) in [("in", &spec.input), ("out", &spec.output)] {
            walk(schema, "", &mut |text| problems.push(format!("{} {which}{text}", spec.slug)));
            if schema["type"] != "object" || !jsonschema::meta::is_valid(schema) {
                problems.push(format!("{} {which}: no JSON Schema of type object", spec.slug));
            }
        }
        let mut say = |text| problems.push(format!("{} in{text}", spec.slug));
        open_objects(&spec.input, "", &mut say);
        let closed = strict(&spec.input);
        if !jsonschema::meta::is_valid(&closed) || depth(&closed) > 10 {
            problems.push(format!("{}: not convertible to strict", spec.slug));
        }
        let plain = spec.slug.chars().all(|c| c.is_ascii_uppercase() || c == '_');
        if !plain || spec.slug.len() > 64 || spec.description.chars().count() > 1024 {
            problems.push(format!("{}: slug or description", spec.slug));
        }
    }
    assert!(problems.is_empty(), "{}", problems.join("\n"));
}

#[test]
fn names_are_ones_that_models_may_call() {
    let catalog = built_in();
    for tool in catalog.toolkits().iter().flat_map(|toolkit| &toolkit.tools) {
        // An alias may be longer: callers that know it send it, no model is shown it.
        for name in std::iter::once(&tool.def.slug).chain(&tool.def.aliases) {
            let plain = name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_' || c == '-');
            let most = if *name == tool.def.slug { 64 } else { 200 };
            assert!(plain && !name.is_empty() && name.len() <= most, "{name}");
        }
        assert!(tool.def.description.chars().count() <= 1024, "{}", tool.slug());
    }
}

#[test]
fn outputs_have_data_error_and_successful() {
    let catalog = built_in();
    for tool in catalog.toolkits().iter().flat_map(|toolkit| &toolkit.tools) {
        let tool = tool.open().unwrap();
        let properties = &tool.output_schema["properties"];
        assert_eq!(properties["data"]["type"], "object", "{}", tool.slug());
        assert_eq!(properties["error"]["nullable"], true);
        assert_eq!(properties["successful"]["type"], "boolean");
    }
}

#[test]
fn hints_are_tags() {
    let catalog = built_in();
    let (_, create) = catalog.tool("GITHUB_CREATE_AN_ISSUE").unwrap();
    assert!(create.tags.iter().any(|tag| tag == "createHint"));
    assert!(create.tags.iter().any(|tag| tag == "openWorldHint"));
    let (_, read) = catalog.tool("HACKERNEWS_GET_USER").unwrap();
    assert!(read.tags.iter().any(|tag| tag == "readOnlyHint"));
    let (_, pdf) = catalog.tool("TEXT_TO_PDF_CONVERT_TEXT_TO_PDF").unwrap();
    assert!(pdf.tags.iter().all(|tag| tag != "openWorldHint"));
    for toolkit in catalog.toolkits() {
        for tool in &toolkit.tools {
            let hints = &tool.def.hints;
            assert!(!(hints.read_only && (hints.create || hints.destructive)), "{}", tool.slug());
        }
        let any = toolkit.tools.iter().any(|t| t.def.tags.iter().any(|tag| tag == "important"));
        assert!(any || toolkit.tools.is_empty(), "{} has no default set", toolkit.slug());
    }
}
