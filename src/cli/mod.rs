//! The command line.

mod beside;
mod server;
mod sync;
mod toolkits;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, Subcommand};

use crate::catalog::Catalog;
use crate::config::{self, Config, Providers};
use crate::import::{self, Options};
use crate::{boot, telemetry};

/// Exit code for wrong settings; everything else that fails gives 1.
const WRONG_SETTINGS: u8 = 2;

/// Self-hosted tool, connection and credential server for AI agents.
///
/// Settings are read from PATCHBAY_* variables; config/default.toml explains each.
#[derive(Debug, Parser)]
#[command(name = "patchbay", version)]
struct Cli {
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Start the server (the default).
    Serve,
    /// Ask the server on this machine whether it is ready.
    Health,
    /// Print the OpenAPI document of the server's API.
    Openapi,
    /// Check toolkit definitions.
    #[command(subcommand)]
    Catalog(CatalogCommand),
    /// Check the settings.
    #[command(subcommand)]
    Config(ConfigCommand),
    /// Install toolkits into a running server.
    Toolkits(toolkits::Toolkits),
    /// The model that finds tools by meaning.
    #[command(subcommand)]
    Search(SearchCommand),
    /// Show and exchange the encryption keys.
    #[command(subcommand)]
    Keys(KeysCommand),
}

#[derive(Debug, Subcommand)]
enum KeysCommand {
    /// Show every key and how many rows it still seals.
    Status {
        /// Print JSON, always of all keys.
        #[arg(long)]
        json: bool,
        /// List every data key; otherwise the first 20, and their total.
        #[arg(long)]
        all: bool,
    },
    /// Seal everything anew while servers serve: with the first master key of the settings if
    /// another is in use, and with a new data key per project. Goes on where it was stopped.
    Rotate {
        /// Only the master key.
        #[arg(long, conflicts_with = "data")]
        master: bool,
        /// Only the data keys.
        #[arg(long)]
        data: bool,
        /// Put a new master key into the key file first.
        #[arg(long, conflicts_with = "data")]
        new_master: bool,
        /// Seconds that running servers may take to read a new master key.
        #[arg(long, default_value_t = 45)]
        wait: u64,
    },
    /// The same as `rotate --master`.
    Rewrap {
        /// Put a new master key into the key file first.
        #[arg(long)]
        new_master: bool,
        /// Seconds that running servers may take to read it.
        #[arg(long, default_value_t = 45)]
        wait: u64,
    },
}

#[derive(Debug, Subcommand)]
enum CatalogCommand {
    /// Load the built-in definitions and those of DIR, and name every problem.
    Check {
        /// Folder with one folder per toolkit; without it, the folder of the settings.
        dir: Option<PathBuf>,
    },
    /// Make a toolkit's folder of a description in a file (OpenAPI, Swagger, Google discovery,
    /// GraphQL), to be kept, corrected and loaded with PATCHBAY_TOOLKITS_DIR.
    Convert {
        /// The description.
        file: PathBuf,
        /// Folder that the toolkit's folder is made in.
        #[arg(long)]
        out: PathBuf,
        /// Slug of the toolkit; made of the description's title when absent.
        #[arg(long)]
        slug: Option<String>,
        /// Display name; the description's title when absent.
        #[arg(long)]
        name: Option<String>,
        /// Root of all requests, instead of what the description says.
        #[arg(long)]
        base_url: Option<String>,
        /// A host besides the description's own that requests may go to; several are allowed.
        #[arg(long)]
        allow: Vec<String>,
        /// Print the report as JSON.
        #[arg(long)]
        json: bool,
    },
}

#[derive(Debug, Subcommand)]
enum SearchCommand {
    /// Download all-MiniLM-L6-v2 (91 MB), check it, and say how to use it.
    FetchModel {
        /// Where to put it; without it, a folder in the data directory.
        dir: Option<PathBuf>,
        /// A mirror that has the files under the same names.
        #[arg(long, default_value = boot::model::URL)]
        from: String,
    },
}

#[derive(Debug, Subcommand)]
enum ConfigCommand {
    /// Read all settings and name every wrong one.
    Check,
}

/// Reads the arguments and does what they say.
pub fn run() -> ExitCode {
    match Cli::parse().command.unwrap_or(Command::Serve) {
        Command::Serve => with_settings(serve),
        Command::Health => with_settings(|c| boot::health::check(&c)),
        Command::Openapi => {
            println!("{}", crate::api::openapi().trim_end());
            ExitCode::SUCCESS
        }
        Command::Catalog(CatalogCommand::Check { dir: Some(dir) }) => {
            finish(check_catalog(Some(&dir), &Providers::default()))
        }
        Command::Catalog(CatalogCommand::Check { dir: None }) => {
            with_settings(|c| check_catalog(c.toolkits_dir.as_deref(), &c.providers))
        }
        Command::Toolkits(command) => with_settings(|config| {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
            runtime.block_on(command.run(&config))
        }),
        Command::Catalog(CatalogCommand::Convert {
            file,
            out,
            slug,
            name,
            base_url,
            allow,
            json,
        }) => {
            let version = format!("{}_00", crate::domain::time::now().format("%Y%m%d"));
            let options = Options { slug, name, base_url, source_url: None, version, allow };
            finish(convert(&file, &out, &options, json))
        }
        Command::Search(SearchCommand::FetchModel { dir, from }) => {
            with_settings(|c| fetch_model(c, dir, &from))
        }
        Command::Keys(command) => with_settings(|c| keys(c, &command)),
        Command::Config(ConfigCommand::Check) => with_settings(|_| {
            println!("The settings are fine.");
            Ok(())
        }),
    }
}

fn with_settings(work: impl FnOnce(Config) -> anyhow::Result<()>) -> ExitCode {
    match config::load() {
        Ok(config) => finish(work(config)),
        Err(errors) => {
            eprintln!("error: {errors}");
            ExitCode::from(WRONG_SETTINGS)
        }
    }
}

fn finish(outcome: anyhow::Result<()>) -> ExitCode {
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn serve(config: Config) -> anyhow::Result<()> {
    telemetry::start(&config)?;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let outcome = runtime.block_on(boot::serve(config));
    // What is still blocked after an orderly stop is not waited for.
    runtime.shutdown_background();
    outcome
}

fn keys(config: Config, command: &KeysCommand) -> anyhow::Result<()> {
    use boot::keys::Action;
    let seconds = std::time::Duration::from_secs;
    let action = match *command {
        KeysCommand::Status { json, all } => Action::Status { json, all },
        KeysCommand::Rotate { master, data, new_master, wait } => {
            Action::Rotate { master: !data, data: !master, new_master, wait: seconds(wait) }
        }
        KeysCommand::Rewrap { new_master, wait } => {
            Action::Rotate { master: true, data: false, new_master, wait: seconds(wait) }
        }
    };
    telemetry::start(&config)?;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(boot::keys::run(config, action))
}

fn convert(
    file: &std::path::Path,
    out: &std::path::Path,
    options: &Options,
    json: bool,
) -> anyhow::Result<()> {
    use anyhow::Context;
    let document =
        std::fs::read(file).with_context(|| format!("{} cannot be read", file.display()))?;
    let (definition, report) = import::import(&document, options, &|_, _| {})?;
    let slug = definition.toolkit["slug"].as_str().unwrap_or_default();
    // The slug becomes a folder's name.
    let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_';
    anyhow::ensure!(
        !slug.is_empty() && slug.chars().all(plain),
        "the slug {slug:?} must be made of a-z, 0-9 and _"
    );
    let folder = out.join(slug);
    std::fs::create_dir_all(folder.join("tools"))?;
    // JSON is YAML.
    let toolkit = serde_json::to_string_pretty(&definition.toolkit)?;
    std::fs::write(folder.join("toolkit.yaml"), toolkit)?;
    let tools = serde_json::json!({"tools": definition.tools});
    std::fs::write(folder.join("tools/tools.yaml"), serde_json::to_string_pretty(&tools)?)?;
    if json {
        println!("{}", serde_json::to_string_pretty(&report)?);
        return Ok(());
    }
    println!(
        "{}: {} tools of {} operations ({}), {} renamed, {} repaired, {} left out",
        folder.display(),
        report.tools,
        report.operations,
        report.format,
        report.renamed.len(),
        report.repaired.len(),
        report.left_out.len(),
    );
    for left in &report.left_out {
        println!("left out: {} ({}): {}", left.what, left.at, left.why);
    }
    for note in &report.notes {
        println!("{note}");
    }
    Ok(())
}

fn fetch_model(config: Config, dir: Option<PathBuf>, from: &str) -> anyhow::Result<()> {
    telemetry::start(&config)?;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let dir = dir.unwrap_or_else(|| config.data_dir.join("models").join(boot::model::NAME));
    let weights = runtime.block_on(boot::model::fetch(&dir, from))?;
    println!("PATCHBAY_SEARCH_MODEL={}", weights.display());
    Ok(())
}

fn check_catalog(dir: Option<&std::path::Path>, providers: &Providers) -> anyhow::Result<()> {
    match Catalog::check(dir, providers) {
        Ok(catalog) => {
            let tools: usize = catalog.toolkits().iter().map(|t| t.tools.len()).sum();
            println!("{} toolkits with {tools} tools, no problems.", catalog.toolkits().len());
            Ok(())
        }
        Err(errors) => anyhow::bail!("{} problem(s):\n{}", errors.0.len(), errors.0.join("\n")),
    }
}
