//! `weft hardware`: what a node's machine is.

use super::nodes::gpus;
use crate::context::Context;
use crate::document::{self, Hardware};
use crate::error::Failure;
use crate::output::table;

pub(crate) async fn run(context: &Context) -> Result<(), Failure> {
    let document = context.client().await?.get("hardware").await?;
    let hardware: Hardware = document::read(&document)?;
    context.answer(&document, |style| {
        let none = || "none that a driver told of".to_owned();
        table::facts(
            style,
            &[
                ("os", format!("{} {}", hardware.os, hardware.arch).trim().to_owned()),
                ("cpu", format!("{} × {}", hardware.cpu_cores, hardware.cpu_model)),
                ("memory", format!("{:.1} GiB", hardware.ram)),
                ("gpus", Some(gpus(&hardware)).filter(|g| !g.is_empty()).unwrap_or_else(none)),
                ("sandbox", hardware.sandbox.clone().unwrap_or_default().words),
            ],
        )
    })
}
