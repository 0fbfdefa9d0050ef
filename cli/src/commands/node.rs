//! `weft node`: one node, shown or set.

use clap::builder::NonEmptyStringValueParser;
use serde_json::{Value, json};

use super::nodes::{engines, gpus, room, state, why_closed};
use crate::client::segment;
use crate::context::Context;
use crate::document::{self, Node, Task, short};
use crate::error::Failure;
use crate::output::{Style, plain_line, table, units};
use crate::values::{self, OrDefault};

/// How many of a node's tasks people are shown.
const TASKS: usize = 16;

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Its name, or the beginning of its id
    #[arg(value_name = "NODE", value_parser = NonEmptyStringValueParser::new())]
    node: String,
    #[command(subcommand)]
    what: Option<What>,
}

#[derive(Debug, clap::Subcommand)]
enum What {
    /// Set something of it for the whole studio; `default` brings back what its weft.toml says
    Set(Set),
}

#[derive(Debug, clap::Args)]
#[group(required = true, multiple = true)]
struct Set {
    /// What an hour of it costs
    #[arg(long, value_name = "N", allow_negative_numbers = true, value_parser = values::number_or_default)]
    price: Option<OrDefault<f64>>,
    /// How many cores renders may use
    #[arg(long, value_name = "N", allow_negative_numbers = true, value_parser = values::or_default::<u32>)]
    cores: Option<OrDefault<u32>>,
    /// What `weft submit --tag` asks for, with commas between; `""` for none
    #[arg(long, value_name = "T,...", value_parser = values::or_default::<String>)]
    tags: Option<OrDefault<String>>,
    /// When it takes new work, by its own clock, like 19-08
    #[arg(long, value_name = "19-08", value_parser = values::or_default::<String>)]
    hours: Option<OrDefault<String>>,
    /// What it does while somebody uses it: work all the same, take nothing new, or hand back what it
    /// renders as well
    #[arg(long, value_name = "ignore|finish|requeue", value_parser = values::or_default::<String>)]
    on_return: Option<OrDefault<String>>,
}

impl Set {
    fn request(&self) -> Value {
        let mut request = serde_json::Map::new();
        let mut put = |field: &str, value: Option<Value>| {
            if let Some(value) = value {
                request.insert(field.to_owned(), value);
            }
        };
        put("price_per_hour", self.price.as_ref().map(|price| json!(price.0)));
        put("cores", self.cores.as_ref().map(|cores| json!(cores.0)));
        put("hours", self.hours.as_ref().map(|hours| json!(hours.0)));
        put("on_return", self.on_return.as_ref().map(|what| json!(what.0)));
        let listed = |tags: &String| -> Vec<String> {
            let tags = tags.split(',').map(str::trim).filter(|tag| !tag.is_empty());
            tags.map(str::to_owned).collect()
        };
        put("tags", self.tags.as_ref().map(|tags| json!(tags.0.as_ref().map(listed))));
        Value::Object(request)
    }
}

pub(crate) async fn run(args: &Args, context: &Context) -> Result<(), Failure> {
    if let Some(What::Set(set)) = &args.what {
        let path = format!("nodes/{}/settings", segment(&args.node));
        let document = context.client().await?.post(&path, Some(set.request())).await?;
        return context.answer(&document, |_| super::drain::words(&document, "is set"));
    }
    let path = format!("nodes/{}", segment(&args.node));
    let document = context.client().await?.get(&path).await?;
    let node: Node = document::read(&document)?;
    context.answer(&document, |style| words(&node, style))
}

fn words(node: &Node, style: Style) -> String {
    let hardware = &node.hardware;
    let traffic = match (node.bytes_received, node.bytes_sent) {
        (0, 0) => String::new(),
        (received, sent) => {
            format!("{} received, {} sent", units::bytes(received), units::bytes(sent))
        }
    };
    let facts = table::facts(
        style,
        &[
            ("name", node.name.clone()),
            ("node", node.node.clone()),
            ("state", state(node)),
            ("takes no work", why_closed(node).join("\n               ")),
            ("hours", node.hours.clone().unwrap_or_default()),
            ("in use", on_return(node).to_owned()),
            ("role", node.role.clone().unwrap_or_default()),
            ("running", node.running.to_string()),
            ("free", room(node).unwrap_or_default()),
            ("engines", engines(node)),
            ("os", format!("{} {}", hardware.os, hardware.arch).trim().to_owned()),
            ("cpu", format!("{} × {}", hardware.cpu_cores, hardware.cpu_model)),
            ("memory", format!("{:.1} GiB", hardware.ram)),
            ("gpus", gpus(hardware)),
            ("tags", node.tags.join(", ")),
            (
                "price",
                node.price_per_hour
                    .filter(|price| *price > 0.0)
                    .map_or(String::new(), |price| format!("{price} an hour")),
            ),
            ("traffic", traffic),
            ("reached at", node.addresses.join(" ")),
            ("release", node.release.clone().unwrap_or_default()),
        ],
    );
    std::iter::once(facts).chain(tasks(node)).collect::<Vec<_>>().join("\n")
}

/// What it works on, a line each: all that it has of the first few.
fn tasks(node: &Node) -> Vec<String> {
    let task = |task: &Task| {
        let of = plain_line(task.name.as_deref().unwrap_or(short(&task.job)));
        let how_far = match task.phase.as_str() {
            "rendering" => format!("{:.0} %", task.progress * 100.0),
            phase => phase.to_owned(),
        };
        let claim = task.claim.as_ref().map_or(String::new(), |claim| {
            let cards: Vec<String> = claim.gpus.iter().map(ToString::to_string).collect();
            let cards =
                if cards.is_empty() { cards } else { vec![format!("GPU {}", cards.join(" "))] };
            let parts = [
                vec![units::count(claim.cores as usize, "core"), format!("{:.1} GiB", claim.ram)],
                cards,
            ];
            format!(", with {}", parts.concat().join(", "))
        });
        format!("frame {} of {of} ({how_far}{claim})", task.frame)
    };
    let mut lines: Vec<String> = node.tasks.iter().take(TASKS).map(task).collect();
    let more = node.tasks.len().saturating_sub(TASKS);
    lines.extend((more > 0).then(|| format!("and {more} more")));
    lines
}

/// What a node does while somebody uses it, where that is anything.
fn on_return(node: &Node) -> &'static str {
    match node.on_return.as_deref() {
        Some("finish") => "finishes what it renders, and takes nothing new",
        Some("requeue") => "hands back what it renders, and takes nothing new",
        _ => "",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::args;
    use clap::Parser as _;
    use serde_json::json;

    fn request(rest: &[&str]) -> Result<Value, String> {
        let line = ["weft", "node", "ws1", "set"].into_iter().chain(rest.iter().copied());
        let args = args::Args::try_parse_from(line).map_err(|error| error.to_string())?;
        let args::Command::Node(args) = args.command else { panic!("it is a node") };
        let Some(super::What::Set(set)) = args.what else { panic!("something is set") };
        Ok(set.request())
    }

    #[test]
    fn a_node_shows_what_each_of_its_tasks_has_of_it() {
        let node: Node = document::read(&json!({
            "node": "0123456789abcdef", "name": "ws1", "alive": true, "running": 3,
            "hardware": { "cpu_model": "cpu-model", "cpu_cores": 16, "ram": 64.0, "gpus": [{ "model": "RTX", "memory": 24.0 }] },
            "free": { "cores": 11, "ram": 40.0, "gpus": [] },
            "tasks": [
                { "job": "ab", "name": "shot", "frame": 7, "phase": "rendering", "progress": 0.414,
                  "claim": { "cores": 4, "ram": 16.0, "gpus": [0] } },
                { "job": "ab", "frame": 8, "phase": "preparing",
                  "claim": { "cores": 1, "ram": 8.0, "gpus": [] } },
                { "job": "ab", "name": "whole", "frame": 9, "phase": "finishing", "claim": null },
            ],
        }))
        .unwrap();
        insta::assert_snapshot!(words(&node, Style::default()), @r"
        name     ws1
        node     0123456789abcdef
        state    alive
        running  3
        free     11 of 16 cores, 40.0 of 64.0 GiB, 0 of 1 GPUs
        cpu      16 × cpu-model
        memory   64.0 GiB
        gpus     RTX (24 GiB)
        frame 7 of shot (41 %, with 4 cores, 16.0 GiB, GPU 0)
        frame 8 of ab (preparing, with 1 core, 8.0 GiB)
        frame 9 of whole (finishing)
        ");
    }

    #[test]
    fn what_is_left_out_stays_and_default_is_null() {
        let all =
            ["--price", "1.5", "--cores", "default", "--tags", "lab, night", "--hours", "19-08"];
        let expected = json!({
            "price_per_hour": 1.5, "cores": null, "tags": ["lab", "night"], "hours": "19-08",
        });
        assert_eq!(request(&all).unwrap(), expected);
        let returns = json!({ "on_return": "requeue" });
        assert_eq!(request(&["--on-return", "requeue"]).unwrap(), returns);
        assert_eq!(request(&["--tags", ""]).unwrap(), json!({ "tags": [] }));
        for wrong in [&[][..], &["--cores", "many"], &["--price", "NaN"]] {
            assert!(request(wrong).is_err(), "{wrong:?}");
        }
    }
}
