//! `weft join`: become a member of a studio.

use serde_json::json;
use weft_node::path_text;

use crate::context::Context;
use crate::error::Failure;

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The code that `weft invite` printed on a member's machine
    code: String,
    /// This node's name; the machine's otherwise
    #[arg(long)]
    name: Option<String>,
}

pub(crate) async fn run(args: &Args, context: &Context) -> Result<(), Failure> {
    let joined =
        weft_node::setup::join(context.home(), args.code.trim(), args.name.as_deref()).await?;
    let document = json!({
        "studio": joined.studio_name,
        "node": joined.node.to_string(),
        "name": joined.name,
        "role": joined.role.name(),
        "home": path_text::told(context.home().path()),
    });
    context.answer(&document, |_| {
        format!(
            "This machine is '{}' in the studio '{}' now, as {}. Run its node with `weft up`.",
            joined.name,
            joined.studio_name,
            joined.role.name()
        )
    })
}
