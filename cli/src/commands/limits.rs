//! `weft limits` and `weft limit`: how many tasks of an engine run at once.

use serde_json::{Value, json};

use super::control;
use crate::client::segment;
use crate::context::Context;
use crate::document::{self, Limit};
use crate::error::Failure;
use crate::output::{Style, table::Table};
use crate::values;

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The engine
    #[arg(value_name = "ENGINE")]
    engine: String,
    /// How many of its tasks run at once in the studio; `none` for as many as there is room for
    #[arg(value_name = "N|none", allow_negative_numbers = true, value_parser = values::or_none)]
    limit: values::OrDefault<u32>,
}

pub(crate) async fn list(context: &Context) -> Result<(), Failure> {
    let document = context.client().await?.get("limits").await?;
    let limits: Vec<Limit> = document::read(&document)?;
    context.answer(&document, |style| words(&limits, style))
}

pub(crate) async fn set(args: &Args, context: &Context) -> Result<(), Failure> {
    let path = format!("limits/{}", segment(&args.engine));
    let request = json!({ "limit": args.limit.0 });
    let document = context.client().await?.post(&path, Some(request)).await?;
    context.answer(&document, |_| changed(&document))
}

fn changed(document: &Value) -> String {
    let engine = document["engine"].as_str().unwrap_or_default();
    let copies = control::copies(document);
    match document["limit"].as_u64() {
        None => format!("as many tasks of {engine} run as there is room for{copies}"),
        Some(1) => format!("at most one task of {engine} runs at once{copies}"),
        Some(limit) => format!("at most {limit} tasks of {engine} run at once{copies}"),
    }
}

fn words(limits: &[Limit], style: Style) -> String {
    let mut table = Table::new(&["engine", ">limit", ">running"]);
    for limit in limits {
        table.row([limit.engine.clone(), limit.limit.to_string(), limit.running.to_string()]);
    }
    table.words(style, "no limits: as many tasks of each engine run as there is room for")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limits_are_listed_and_said() {
        let document = json!([{ "engine": "maya", "limit": 5, "running": 3 }]);
        let limits: Vec<Limit> = document::read(&document).unwrap();
        insta::assert_snapshot!(words(&limits, Style::default()), @r"
        engine  limit  running
        maya        5        3
        ");
        let said =
            |limit: Value| changed(&json!({ "engine": "maya", "limit": limit, "copies": 2 }));
        assert_eq!(said(json!(1)), "at most one task of maya runs at once, on 2 nodes");
        assert!(said(Value::Null).starts_with("as many tasks of maya run"));
    }
}
