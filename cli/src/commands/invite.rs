//! `weft invite`: a code that lets a machine in.

use std::time::Duration;

use serde_json::json;

use crate::context::Context;
use crate::error::Failure;
use crate::output::units;
use crate::values;

#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum Role {
    /// Renders; its user may submit
    Worker,
    /// Submits, and doesn't render
    Artist,
    /// A worker that also invites and revokes
    Admin,
}

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// What the machine may do
    #[arg(long, value_enum, default_value = "worker")]
    role: Role,
    /// How long the code works: 90s, 10m, 1h30m, 2d
    #[arg(long, value_name = "DURATION", default_value = "1h", value_parser = values::duration)]
    ttl: Duration,
    /// How many machines may use it
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=1000))]
    uses: u32,
    /// The studio's recovery key, for an invite that makes an admin
    #[arg(long, value_name = "KEY")]
    recovery_key: Option<String>,
}

pub(crate) async fn run(args: &Args, context: &Context) -> Result<(), Failure> {
    let role = match args.role {
        Role::Worker => "worker",
        Role::Artist => "artist",
        Role::Admin => "admin",
    };
    let mut body = json!({ "role": role, "ttl_seconds": args.ttl.as_secs(), "uses": args.uses });
    if let Some(key) = &args.recovery_key {
        body["recovery_key"] = key.as_str().into();
    }
    let document = context.client().await?.post("invites", Some(body)).await?;
    if context.json() {
        return context.document(&document);
    }
    let Some(code) = document["code"].as_str() else {
        return Err(Failure::failed("the node's answer has no code in it."));
    };
    // Alone on the standard output: `weft join $(weft invite)` must work.
    context.print(code)?;
    context.note(&format!(
        "Works for {}, {}. On the other machine: weft join CODE",
        units::count(args.uses as usize, role),
        units::duration(args.ttl.as_secs_f64()),
    ));
    Ok(())
}
