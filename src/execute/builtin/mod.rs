//! Functions of the server. They contact nobody.

mod text_to_pdf;

use serde_json::{Map, Value, json};

use super::steps::Outcome;
use crate::app::App;
use crate::domain::connection::Project;
use crate::error::{Error, Result};

/// A file that a function made.
struct MadeFile {
    name: &'static str,
    mimetype: &'static str,
    content: Vec<u8>,
}

type Function = fn(&Map<String, Value>) -> std::result::Result<MadeFile, String>;

/// All functions by the name that definitions use.
const REGISTRY: &[(&str, Function)] = &[("text_to_pdf", text_to_pdf::run)];

/// Runs a function.
///
/// # Errors
/// When the definition names one that does not exist, or the database is away.
pub(super) async fn run(
    app: &App,
    project: &Project,
    name: &str,
    args: &Map<String, Value>,
) -> Result<Outcome> {
    let Some((_, function)) = REGISTRY.iter().find(|(known, _)| *known == name) else {
        return Err(Error::internal(format!("there is no built-in function {name}")));
    };
    let args = args.clone();
    let made = tokio::task::spawn_blocking(move || function(&args)).await;
    let file = match made.map_err(Error::internal)? {
        Ok(file) => file,
        Err(problem) => {
            return Err(Error::invalid("The arguments cannot be used", vec![problem]));
        }
    };
    let stored = app.files.put(&project.id, file.name, file.mimetype, file.content).await?;
    Ok(Ok(Map::from_iter([(
        "file".to_owned(),
        json!({"name": file.name, "mimetype": file.mimetype, "s3url": stored.url}),
    )])))
}
