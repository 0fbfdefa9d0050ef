//! `weft init`: found a studio.

use serde_json::json;
use weft_node::path_text;

use crate::context::Context;
use crate::error::Failure;

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The studio's name
    #[arg(long, value_name = "NAME")]
    studio: String,
    /// This node's name; the machine's otherwise
    #[arg(long)]
    name: Option<String>,
}

pub(crate) fn run(args: &Args, context: &Context) -> Result<(), Failure> {
    let init = weft_node::setup::init(context.home(), &args.studio, args.name.as_deref())?;
    let document = json!({
        "studio": args.studio,
        "studio_id": init.studio_id.to_string(),
        "node": init.node.to_string(),
        "recovery_key": init.recovery_key,
        "home": path_text::told(context.home().path()),
    });
    context.answer(&document, |_| {
        format!(
            "The studio '{}' is founded, and this machine is its first admin.\n\n\
             Its recovery key, shown this once and stored nowhere:\n\n    {}\n\n\
             Whoever has it can become an admin when all admins' machines are lost: write it down \
             and lock it away.\n\n\
             Now run the node with `weft up`, and let others in with `weft invite`.",
            args.studio, init.recovery_key
        )
    })
}
