//! `weft retention` and `weft keep`: how long jobs are kept once they are over.

use clap::builder::NonEmptyStringValueParser;
use serde_json::{Value, json};
use weft_node::keep::{KeepFor, Word};

use super::control;
use crate::context::Context;
use crate::error::Failure;
use crate::output::units;
use crate::values;

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// How long, like 30d; `forever` for as long as nobody removes them. Left out: what is set
    #[arg(value_name = "DURATION|forever", value_parser = values::keep)]
    keep: Option<KeepFor>,
}

#[derive(Debug, clap::Args)]
pub(crate) struct KeepArgs {
    /// The job's id, a unique beginning of it, its name, or `last`
    #[arg(value_name = "ID", value_parser = NonEmptyStringValueParser::new())]
    job: String,
    /// How long once it is over, like 30d; `forever` until somebody removes it; `default` as the studio is set
    #[arg(value_name = "DURATION|forever|default", value_parser = values::keep_or_default)]
    keep: values::OrDefault<KeepFor>,
}

pub(crate) async fn run(args: &Args, context: &Context) -> Result<(), Failure> {
    let client = context.client().await?;
    let document = match &args.keep {
        None => client.get("retention").await?,
        Some(keep) => client.post("retention", Some(json!({ "keep": keep }))).await?,
    };
    context.answer(&document, |_| words(&document))
}

pub(crate) async fn keep(args: &KeepArgs, context: &Context) -> Result<(), Failure> {
    let done = match args.keep.0 {
        None => "is kept as the studio is set".to_owned(),
        Some(KeepFor::Word(Word::Forever)) => "is kept until somebody removes it".to_owned(),
        Some(KeepFor::Seconds(seconds)) => {
            format!("is kept for {} once it is over", units::duration(seconds.into()))
        }
    };
    control::post(context, &args.job, "keep", json!({ "keep": args.keep.0 }), &done).await
}

fn words(document: &Value) -> String {
    let copies = control::copies(document);
    match document["keep_seconds"].as_u64().and_then(|seconds| u32::try_from(seconds).ok()) {
        None => format!("jobs are kept until somebody removes them{copies}"),
        Some(seconds) => {
            let time = units::duration(seconds.into());
            format!("jobs are removed {time} after they are over and delivered{copies}")
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_set_is_said() {
        let said = |keep: Value| words(&json!({ "keep_seconds": keep, "copies": 2 }));
        assert_eq!(said(Value::Null), "jobs are kept until somebody removes them, on 2 nodes");
        assert!(
            said(json!(30 * 86_400)).starts_with("jobs are removed 30 d"),
            "{}",
            said(json!(30 * 86_400))
        );
    }
}
