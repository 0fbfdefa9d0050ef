//! `weft up`: run the node.

use std::io::IsTerminal as _;

use serde_json::json;
use tracing_subscriber::EnvFilter;
use weft_node::{Options, Ready};

use crate::context::Context;
use crate::error::Failure;
use crate::output::Style;
use crate::signals;

/// The environment variable that says how much is logged, as `tracing` filters are written.
const LOG: &str = "WEFT_LOG";
/// What is logged otherwise.
const DEFAULT_LOG: &str = "warn,weft=info,weft_node=info,weft_store=info,weft_protocol=info";

#[derive(Debug, clap::Args)]
#[command(after_help = "WEFT_LOG says how much is logged, as in WEFT_LOG=weft_node=debug.")]
pub(crate) struct Args {
    /// This node's name; that of weft.toml or of its certificate otherwise
    #[arg(long)]
    name: Option<String>,
    /// Where other nodes reach it; every interface and port 7920 otherwise, or a free port
    #[arg(long, value_name = "IP:PORT")]
    listen: Option<String>,
    /// Where to serve the HTTP API to browsers and scripts of this machine; a free port of
    /// loopback otherwise
    #[arg(long, value_name = "IP:PORT")]
    api: Option<String>,
}

pub(crate) async fn run(args: Args, context: &Context) -> Result<(), Failure> {
    let filter = EnvFilter::try_from_env(LOG).unwrap_or_else(|_| EnvFilter::new(DEFAULT_LOG));
    let colours = Style::of_terminal(std::io::stderr().is_terminal()) != Style::default();
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_ansi(colours)
        .init();
    let weft = std::env::current_exe().map_err(|error| {
        Failure::failed(format!("the path of this program can't be found: {error}."))
    })?;
    let Args { name, listen, api } = args;
    let options = Options { name, listen, api, weft };
    let ready = |ready: &Ready| {
        let api = ready.api.map(|api| api.to_string());
        let document = json!({
            "node": ready.node.to_string(), "name": ready.name, "studio": ready.studio, "api": api,
        });
        // A node whose standard output is closed renders all the same.
        _ = context.answer(&document, |_| {
            let api =
                api.as_ref().map_or(String::new(), |api| format!(", its API at http://{api}"));
            format!("'{}' is up in the studio '{}'{api}. Ctrl-C ends it.", ready.name, ready.studio)
        });
    };
    weft_node::run(context.home().clone(), options, ready, signals::asked_to_end()).await?;
    Ok(())
}
