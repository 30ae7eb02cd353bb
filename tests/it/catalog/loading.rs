use super::built_in;

#[test]
fn built_in_definitions_load() {
    let catalog = built_in();
    assert!(catalog.toolkits().len() >= 17);
    let tools: usize = catalog.toolkits().iter().map(|t| t.tools.len()).sum();
    assert!(tools > 700, "{tools}");
}
