//! Rebuilds when a migration, a page or a toolkit is added.
fn main() {
    for folder in ["migrations", "templates", "toolkits"] {
        println!("cargo:rerun-if-changed={folder}");
    }
}
