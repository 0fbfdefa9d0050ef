//! `weft profiles`: common needs by name, with their prices.

use clap::builder::NonEmptyStringValueParser;
use serde_json::{Value, json};

use super::control;
use crate::client::segment;
use crate::context::Context;
use crate::document::{self, Profile};
use crate::error::Failure;
use crate::output::{Style, table::Table};
use crate::values;

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(subcommand)]
    what: Option<What>,
}

#[derive(Debug, clap::Subcommand)]
enum What {
    /// Set a profile for the whole studio; what is left out stays as it is
    Set(Set),
    /// Remove a profile
    Rm {
        /// The profile
        #[arg(value_name = "NAME", value_parser = NonEmptyStringValueParser::new())]
        name: String,
    },
}

#[derive(Debug, clap::Args)]
struct Set {
    /// The profile, which may be a new one
    #[arg(value_name = "NAME", value_parser = NonEmptyStringValueParser::new())]
    name: String,
    #[command(flatten)]
    values: Values,
}

#[derive(Debug, clap::Args)]
#[group(required = true, multiple = true)]
struct Values {
    /// Memory, in GiB
    #[arg(long, value_name = "GIB", allow_negative_numbers = true, value_parser = values::gib_or_none)]
    ram: Option<f64>,
    /// Cores
    #[arg(long, value_name = "N", allow_negative_numbers = true)]
    cores: Option<u32>,
    /// Graphics cards
    #[arg(long, value_name = "N", allow_negative_numbers = true)]
    gpus: Option<u32>,
    /// A part of those cards' model; `""` for any
    #[arg(long, value_name = "TEXT")]
    gpu_model: Option<String>,
    /// What an hour of a machine costs that meets it, where nothing else is set for the machine
    #[arg(long, value_name = "N", allow_negative_numbers = true, value_parser = values::number)]
    price: Option<f64>,
}

pub(crate) async fn run(args: &Args, context: &Context) -> Result<(), Failure> {
    let client = context.client().await?;
    let path = |name: &str| format!("profiles/{}", segment(name));
    match &args.what {
        None => {
            let document = client.get("profiles").await?;
            let profiles: Vec<Profile> = document::read(&document)?;
            context.answer(&document, |style| words(&profiles, style))
        }
        Some(What::Set(Set { name, values })) => {
            let document = client.post(&path(name), Some(values.request())).await?;
            context.answer(&document, |_| changed(&document, "is set"))
        }
        Some(What::Rm { name }) => {
            let document = client.delete(&path(name)).await?;
            context.answer(&document, |_| changed(&document, "is removed"))
        }
    }
}

impl Values {
    fn request(&self) -> Value {
        let Self { ram, cores, gpus, gpu_model, price } = self;
        json!({
            "ram": ram, "cores": cores, "gpus": gpus, "gpu_model": gpu_model, "price_per_hour": price,
        })
    }
}

fn changed(document: &Value, what: &str) -> String {
    let name = document["name"].as_str().unwrap_or_default();
    format!("the profile {name} {what}{}", control::copies(document))
}

fn words(profiles: &[Profile], style: Style) -> String {
    let headings = ["name", ">GiB", ">cores", ">gpus", "model", ">price", ">nodes"];
    let mut table = Table::new(&headings);
    let mut sorted: Vec<&Profile> = profiles.iter().collect();
    sorted.sort_by(|a, b| a.price_per_hour.total_cmp(&b.price_per_hour));
    for profile in sorted {
        table.row([
            profile.name.clone(),
            profile.ram.to_string(),
            profile.cores.to_string(),
            profile.gpus.to_string(),
            profile.gpu_model.clone(),
            profile.price_per_hour.to_string(),
            profile.nodes.to_string(),
        ]);
    }
    table.words(style, "no profiles")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn profiles_are_listed_by_their_price() {
        let document = json!([
            { "name": "basic", "ram": 16.0, "cores": 8, "gpus": 0, "gpu_model": "", "price_per_hour": 0.5, "nodes": 3 },
            { "name": "high_performance", "ram": 64.0, "cores": 24, "gpus": 2, "gpu_model": "RTX 4090",
              "price_per_hour": 2.5, "nodes": 1 },
            { "name": "standard", "ram": 32.0, "cores": 16, "gpus": 0, "gpu_model": "", "price_per_hour": 1.0, "nodes": 2 },
        ]);
        let profiles: Vec<Profile> = document::read(&document).unwrap();
        insta::assert_snapshot!(words(&profiles, Style::default()), @r"
        name              GiB  cores  gpus  model     price  nodes
        basic              16      8     0              0.5      3
        standard           32     16     0                1      2
        high_performance   64     24     2  RTX 4090    2.5      1
        ");
    }
}
