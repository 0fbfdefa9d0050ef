//! `weft pin`: keep a blob on this node until it is unpinned.

use crate::client::segment;
use crate::context::Context;
use crate::document::short;
use crate::error::Failure;

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Its id, a unique beginning of it, or its MD5
    #[arg(value_name = "ID")]
    pub(super) blob: String,
}

pub(crate) async fn run(args: &Args, context: &Context) -> Result<(), Failure> {
    let path = format!("store/pins/{}", segment(&args.blob));
    let document = context.client().await?.post(&path, None).await?;
    context.answer(&document, |_| {
        format!("{} is kept here until `weft unpin`", short(document["id"].as_str().unwrap_or("")))
    })
}
