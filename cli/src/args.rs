//! What can be written behind `weft`.

use clap::{Parser, Subcommand};

use crate::commands;

/// The whole command line.
#[derive(Debug, Parser)]
#[command(
    name = "weft",
    version,
    about = "A render farm with no server: every machine runs the same program",
    arg_required_else_help = true,
    disable_help_subcommand = true,
    max_term_width = 100,
    after_help = "\
A job is named by its id, any unique beginning of it, its name, or `last`.
Exit status: 0 done; 1 it failed; 2 the call was wrong; 3 no node could be reached; 4 refused; 5 the \
studio can't do it; 130 detached by Ctrl-C, while the job goes on.
WEFT_HOME names the node's folder, by which its daemon is found; NO_COLOR turns colours off."
)]
pub(crate) struct Args {
    /// Print JSON for scripts: one document, or one a line for commands that go on
    #[arg(long, global = true, help_heading = "Everywhere")]
    pub(crate) json: bool,
    /// Ask this node, and not the one on this machine
    #[arg(long, global = true, value_name = "ADDR|NAME", help_heading = "Everywhere")]
    pub(crate) peer: Option<String>,
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Show it all here: local nodes form a studio and render the built-in scene
    Demo(commands::demo::Args),

    /// Found a studio on this machine; prints its recovery key, once
    Init(commands::init::Args),
    /// Print a code that lets a machine join the studio
    Invite(commands::invite::Args),
    /// Join this machine to a studio
    Join(commands::join::Args),
    /// Make this member an admin by the studio's recovery key
    Recover(commands::recover::Args),
    /// Run this machine's node, until it is told to end
    Up(commands::up::Args),
    /// This node, its studio and the leader, at a glance
    Status,
    /// What is wrong on this machine, and how to mend it
    Doctor,

    /// Submit a scene to be rendered
    Submit(Box<commands::submit::Args>),
    /// Run a command of one's own for frames, on nodes that let members do that
    Run(Box<commands::run::Args>),
    /// List jobs
    Jobs(commands::jobs::Args),
    /// Show one job
    Job(commands::job::Args),
    /// Follow a job until it is over
    Watch(commands::watch::Args),
    /// Show what the renderer said about a frame
    Logs(commands::logs::Args),
    /// Pause a job: frames that run finish, no new ones start
    Pause(commands::control::Args),
    /// Let a paused job go on
    Resume(commands::control::Args),
    /// Let a job go on that waits for its test frames' approval
    Approve(commands::control::Args),
    /// End a job; what is done is kept
    Cancel(commands::control::Args),
    /// Remove a job and its results from the studio
    Rm(commands::control::Args),
    /// Say how long a job is kept once it is over
    Keep(commands::retention::KeepArgs),
    /// Render again what failed, or the frames named
    Retry(commands::retry::Args),
    /// Change a job's priority
    Priority(commands::priority::Args),
    /// Add frames to a job
    Extend(commands::extend::Args),
    /// List a job's finished files, or fetch them
    Outputs(commands::outputs::Args),

    /// List the studio's nodes
    Nodes,
    /// Show one node, or set something of it
    Node(commands::node::Args),
    /// Give a node no new tasks; those that run finish
    Drain(commands::drain::Args),
    /// Give a drained node tasks again
    Undrain(commands::drain::Args),
    /// Forgive a node the failures for which it gets no tasks
    Unbench(commands::drain::Args),
    /// List the studio's profiles of hardware and their prices, or change them
    Profiles(commands::profiles::Args),
    /// List how many tasks of an engine may run at once
    Limits,
    /// Let only so many tasks of an engine run at once in the studio
    Limit(commands::limits::Args),
    /// How long the studio keeps jobs that are over
    Retention(commands::retention::Args),
    /// What this node's machine is
    Hardware,
    /// Which renderers this node has, and why not the others
    Engines,

    /// What a scene holds, needs and lacks
    #[command(visible_alias = "analyze")]
    Analyse(commands::analyse::Args),
    /// Print files' MD5, xxHash64 and BLAKE3
    Hash(commands::hash::Args),
    /// Compare a file with the hashes it should have
    Verify(commands::verify::Args),
    /// Put files or folders into the studio's store
    Add(commands::add::Args),
    /// Fetch a file from the store
    Get(commands::get::Args),
    /// Ask which hashes the store has
    Has(commands::has::Args),
    /// What the store holds, and why
    Store,
    /// Keep a blob on this node until it is unpinned
    Pin(commands::pin::Args),
    /// Keep a blob no longer for your sake
    Unpin(commands::pin::Args),
    /// Delete what nobody refers to
    Gc(commands::gc::Args),
    /// Read every stored byte again, and heal from other nodes what the disk has spoilt
    Scrub,

    /// List the studio's members
    Members,
    /// Take a member's rights away, for good
    Revoke(commands::revoke::Args),
    /// Print a shell's completions
    Completions(commands::completions::Args),

    /// Render one frame of a built-in scene; nodes run this
    #[command(hide = true)]
    DemoRender(commands::demo_render::Args),
}

#[cfg(test)]
mod tests {
    use super::Args;
    use clap::CommandFactory as _;

    #[test]
    fn the_command_line_is_consistent() {
        Args::command().debug_assert();
    }
}
