//! The weft command line: it turns arguments into requests to a node, and answers into words.
//!
//! One file a command under `commands`; `args` lists them; `client` is the one place that speaks to
//! nodes, `error` the one that decides exit statuses, `output` the one that prints.

mod args;
mod client;
mod commands;
mod context;
mod document;
mod download;
mod error;
mod follow;
mod output;
mod paths;
mod signals;
mod values;

use std::process::ExitCode;

use clap::Parser as _;

use context::Context;

fn main() -> ExitCode {
    // The supervisor of a renderer's process has a command line of its own.
    let mut argv = std::env::args_os().skip(1);
    if argv.next().is_some_and(|first| first == "guard") {
        return weft_node::guard::run(&argv.collect::<Vec<_>>());
    }
    let args = args::Args::parse();
    let context = Context::new(args.json, args.peer);
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            let failure = error::Failure::failed(format!("no threads can be started: {error}"));
            return failure.report(&context);
        }
    };
    match runtime.block_on(commands::run(args.command, &context)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => failure.report(&context),
    }
}
