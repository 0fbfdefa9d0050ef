//! `weft pause`, `resume`, `approve`, `cancel` and `rm`: what is done to a job as a whole.

use clap::builder::NonEmptyStringValueParser;
use serde_json::{Value, json};

use crate::client::segment;
use crate::context::Context;
use crate::document::short;
use crate::error::Failure;
use crate::output::units;

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The job's id, a unique beginning of it, its name, or `last`
    #[arg(value_name = "ID", value_parser = NonEmptyStringValueParser::new())]
    job: String,
}

/// What is to be done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Control {
    Pause,
    Resume,
    Approve,
    Cancel,
    Remove,
}

pub(crate) async fn run(control: Control, args: &Args, context: &Context) -> Result<(), Failure> {
    let client = context.client().await?;
    let job = format!("jobs/{}", segment(&args.job));
    let document = match control {
        Control::Pause => client.post(&format!("{job}/pause"), None).await?,
        Control::Resume => client.post(&format!("{job}/resume"), None).await?,
        Control::Approve => client.post(&format!("{job}/approve"), None).await?,
        Control::Cancel => client.post(&format!("{job}/cancel"), None).await?,
        Control::Remove => client.delete(&job).await?,
    };
    let what = match control {
        Control::Pause => "paused; frames that run finish",
        Control::Resume => "goes on",
        Control::Approve => "approved",
        Control::Cancel => "cancelled; what is done is kept",
        Control::Remove => "removed",
    };
    answer(context, &document, what)
}

/// Posts a control with a body.
pub(crate) async fn post(
    context: &Context,
    job: &str,
    what: &str,
    body: Value,
    done: &str,
) -> Result<(), Failure> {
    let client = context.client().await?;
    let document = client.post(&format!("jobs/{}/{what}", segment(job)), Some(body)).await?;
    answer(context, &document, done)
}

fn answer(context: &Context, document: &Value, what: &str) -> Result<(), Failure> {
    context.answer(document, |_| words(document, what))
}

fn words(document: &Value, what: &str) -> String {
    let job = short(document["job"].as_str().unwrap_or_default());
    let status = document["status"].as_str().unwrap_or_default();
    let owed = document["owed_to"].as_array().into_iter().flatten();
    let owed: Vec<&str> = owed.filter_map(Value::as_str).collect();
    let not_written = match owed.as_slice() {
        [] => String::new(),
        owed => format!("\n{} had not written all its files, and won't any more", owed.join(", ")),
    };
    format!("{job}: {what} (status {status}{}){not_written}", copies(document))
}

/// On how many nodes it is, for people.
pub(crate) fn copies(document: &Value) -> String {
    match document["copies"].as_u64().and_then(|copies| usize::try_from(copies).ok()) {
        Some(1) => ", on 1 node so far: a second takes it as soon as one can".to_owned(),
        Some(copies) if copies > 0 => format!(", on {}", units::count(copies, "node")),
        _ => String::new(),
    }
}

/// The body of a control that names frames or none.
pub(crate) fn frames(spec: Option<String>) -> Value {
    json!({ "frames": spec })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_acknowledgement_says_on_how_many_nodes_it_stands() {
        let document = json!({ "job": "0123456789abcdef", "status": "paused", "copies": 2 });
        assert_eq!(words(&document, "paused"), "0123456789: paused (status paused, on 2 nodes)");
        let document = json!({ "job": "0123456789abcdef", "status": "paused", "copies": 1 });
        assert_eq!(
            words(&document, "paused"),
            "0123456789: paused (status paused, on 1 node so far: a second takes it as soon as one can)"
        );
        let document = json!({
            "job": "0123456789abcdef", "status": "removed", "copies": 2, "owed_to": ["anna", "otto"],
        });
        assert_eq!(
            words(&document, "removed"),
            "0123456789: removed (status removed, on 2 nodes)\nanna, otto had not written all its files, and won't any more"
        );
    }
}
