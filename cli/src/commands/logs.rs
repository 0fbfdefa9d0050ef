//! `weft logs`: what the renderer said about a frame.

use clap::builder::NonEmptyStringValueParser;
use serde_json::json;
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, BufReader};

use crate::client::segment;
use crate::context::Context;
use crate::error::Failure;
use crate::{signals, values};

/// The longest line that becomes one document, in bytes; longer ones become several.
const MAX_LINE: u64 = 1 << 20;

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The job's id, a unique beginning of it, its name, or `last`
    #[arg(value_name = "ID", value_parser = NonEmptyStringValueParser::new())]
    job: String,
    /// The frame
    #[arg(allow_negative_numbers = true, value_parser = values::frame)]
    frame: i64,
    /// Go on while it renders
    #[arg(short, long)]
    follow: bool,
}

pub(crate) async fn run(args: &Args, context: &Context) -> Result<(), Failure> {
    let path = format!("jobs/{}/logs/{}?follow={}", segment(&args.job), args.frame, args.follow);
    let client = context.client().await?;
    let mut log = client.bytes(&path).await?;
    let broke_off = |error: std::io::Error| {
        Failure::from_parts(Failure::UNREACHABLE, format!("the log broke off: {error}."))
    };
    if context.json() && !args.follow {
        let mut bytes = Vec::new();
        log.read_to_end(&mut bytes).await.map_err(broke_off)?;
        let text = String::from_utf8_lossy(&bytes);
        return context.document(&json!({ "job": args.job, "frame": args.frame, "log": text }));
    }
    let mut log = BufReader::new(log);
    let copy = async {
        let mut buffer = Vec::new();
        loop {
            buffer.clear();
            let limited = &mut (&mut log).take(MAX_LINE);
            if limited.read_until(b'\n', &mut buffer).await.map_err(broke_off)? == 0 {
                return Ok(());
            }
            if context.json() {
                let text = String::from_utf8_lossy(&buffer);
                let line = text.trim_end_matches(['\n', '\r']);
                context.document(&json!({ "frame": args.frame, "line": line }))?;
            } else {
                context.bytes(&buffer)?;
            }
        }
    };
    tokio::select! {
        copied = copy => copied,
        () = signals::interrupted() => Err(Failure::told(Failure::DETACHED)),
    }
}
