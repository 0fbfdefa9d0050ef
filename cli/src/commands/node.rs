//! `weft node`: one node.

use super::nodes::{engines, gpus, state};
use crate::client::segment;
use crate::context::Context;
use crate::document::{self, Node};
use crate::error::Failure;
use crate::output::{Style, table, units};

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Its name, or the beginning of its id
    #[arg(value_name = "NODE")]
    node: String,
}

pub(crate) async fn run(args: &Args, context: &Context) -> Result<(), Failure> {
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
    table::facts(
        style,
        &[
            ("name", node.name.clone()),
            ("node", node.node.clone()),
            ("state", state(node)),
            ("role", node.role.clone().unwrap_or_default()),
            ("running", node.running.to_string()),
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
    )
}
