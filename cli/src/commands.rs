//! The commands, one file each.

pub(crate) mod add;
pub(crate) mod analyse;
pub(crate) mod completions;
pub(crate) mod control;
pub(crate) mod demo;
pub(crate) mod demo_render;
pub(crate) mod doctor;
pub(crate) mod drain;
pub(crate) mod engines;
pub(crate) mod extend;
pub(crate) mod gc;
pub(crate) mod get;
pub(crate) mod hardware;
pub(crate) mod has;
pub(crate) mod hash;
pub(crate) mod init;
pub(crate) mod invite;
pub(crate) mod job;
pub(crate) mod jobs;
pub(crate) mod join;
pub(crate) mod limits;
pub(crate) mod logs;
pub(crate) mod members;
pub(crate) mod node;
pub(crate) mod nodes;
pub(crate) mod outputs;
pub(crate) mod pin;
pub(crate) mod priority;
pub(crate) mod profiles;
pub(crate) mod recover;
pub(crate) mod retention;
pub(crate) mod retry;
pub(crate) mod revoke;
pub(crate) mod run;
pub(crate) mod scrub;
pub(crate) mod status;
pub(crate) mod store;
pub(crate) mod submit;
pub(crate) mod unpin;
pub(crate) mod up;
pub(crate) mod verify;
pub(crate) mod watch;

use crate::args::Command;
use crate::context::Context;
use crate::error::Failure;
use control::Control;
use drain::Work;

/// Runs a command.
pub(crate) async fn run(command: Command, context: &Context) -> Result<(), Failure> {
    match command {
        Command::Demo(args) => demo::run(args, context).await,
        Command::Init(args) => init::run(&args, context),
        Command::Invite(args) => invite::run(&args, context).await,
        Command::Join(args) => join::run(&args, context).await,
        Command::Recover(args) => recover::run(args, context),
        Command::Up(args) => up::run(args, context).await,
        Command::Status => status::run(context).await,
        Command::Doctor => doctor::run(context).await,
        Command::Submit(args) => submit::run(*args, context).await,
        Command::Run(args) => run::run(*args, context).await,
        Command::Jobs(args) => jobs::run(&args, context).await,
        Command::Job(args) => job::run(&args, context).await,
        Command::Watch(args) => watch::run(&args, context).await,
        Command::Logs(args) => logs::run(&args, context).await,
        Command::Pause(args) => control::run(Control::Pause, &args, context).await,
        Command::Resume(args) => control::run(Control::Resume, &args, context).await,
        Command::Approve(args) => control::run(Control::Approve, &args, context).await,
        Command::Cancel(args) => control::run(Control::Cancel, &args, context).await,
        Command::Rm(args) => control::run(Control::Remove, &args, context).await,
        Command::Retry(args) => retry::run(args, context).await,
        Command::Priority(args) => priority::run(&args, context).await,
        Command::Extend(args) => extend::run(args, context).await,
        Command::Outputs(args) => outputs::run(args, context).await,
        Command::Nodes => nodes::run(context).await,
        Command::Node(args) => node::run(&args, context).await,
        Command::Drain(args) => drain::run(Work::Drain, &args, context).await,
        Command::Undrain(args) => drain::run(Work::Undrain, &args, context).await,
        Command::Unbench(args) => drain::run(Work::Unbench, &args, context).await,
        Command::Profiles(args) => profiles::run(&args, context).await,
        Command::Retention(args) => retention::run(&args, context).await,
        Command::Keep(args) => retention::keep(&args, context).await,
        Command::Limits => limits::list(context).await,
        Command::Limit(args) => limits::set(&args, context).await,
        Command::Hardware => hardware::run(context).await,
        Command::Engines => engines::run(context).await,
        Command::Analyse(args) => analyse::run(&args, context).await,
        Command::Hash(args) => hash::run(args, context),
        Command::Verify(args) => verify::run(&args, context),
        Command::Add(args) => add::run(args, context).await,
        Command::Get(args) => get::run(args, context).await,
        Command::Has(args) => has::run(args, context).await,
        Command::Store => store::run(context).await,
        Command::Pin(args) => pin::run(&args, context).await,
        Command::Unpin(args) => unpin::run(&args, context).await,
        Command::Gc(args) => gc::run(&args, context).await,
        Command::Scrub => scrub::run(context).await,
        Command::Members => members::run(context).await,
        Command::Revoke(args) => revoke::run(&args, context).await,
        Command::Completions(args) => completions::run(&args, context),
        Command::DemoRender(args) => demo_render::run(&args, context),
    }
}
