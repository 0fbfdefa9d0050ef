//! `weft recover`: become an admin by the recovery key.

use std::io::{self, BufRead as _, IsTerminal as _, Read as _};

use serde_json::json;
use weft_node::path_text;

use crate::context::Context;
use crate::error::Failure;

/// No key is longer; what else comes is no key.
const MAX_KEY: u64 = 1024;

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The key that `weft init` printed; read from the standard input where it is left out, so
    /// that it stays out of the shell's history
    recovery_key: Option<String>,
}

pub(crate) fn run(args: Args, context: &Context) -> Result<(), Failure> {
    let key = match args.recovery_key {
        Some(key) => key,
        None => read_key(context)?,
    };
    weft_node::setup::recover(context.home(), key.trim())?;
    let home = path_text::told(context.home().path());
    context.answer(&json!({ "role": "admin", "home": home }), |_| {
        "This machine is an admin now. If its node runs, start it again: `weft up`.".to_owned()
    })
}

fn read_key(context: &Context) -> Result<String, Failure> {
    if io::stdin().is_terminal() {
        context.note("The studio's recovery key:");
    }
    let mut key = String::new();
    let read = io::stdin().lock().take(MAX_KEY).read_line(&mut key);
    read.map_err(|error| Failure::call(format!("the recovery key can't be read: {error}.")))?;
    Ok(key)
}
