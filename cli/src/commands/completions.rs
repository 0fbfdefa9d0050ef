//! `weft completions`: what a shell needs to complete weft's commands.

use clap::CommandFactory as _;
use clap_complete::Shell;

use crate::context::Context;
use crate::error::Failure;

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The shell
    #[arg(value_enum)]
    shell: Shell,
}

pub(crate) fn run(args: &Args, context: &Context) -> Result<(), Failure> {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut crate::args::Args::command(), "weft", &mut script);
    if context.json() {
        let script = String::from_utf8_lossy(&script);
        return context
            .document(&serde_json::json!({ "shell": args.shell.to_string(), "script": script }));
    }
    context.bytes(&script)
}
