//! What the guard asks of the system: starting a process with all that it will start, and ending all of it.

#[cfg(unix)]
pub(super) use unix::{ask_to_end, daemon, end_all, peak_memory, pipes, settle, signal, spawn};
#[cfg(windows)]
pub(super) use windows::{ask_to_end, daemon, end_all, peak_memory, pipes, settle, signal, spawn};

#[cfg(unix)]
mod unix {
    use std::os::fd::AsFd;
    use std::os::unix::process::ExitStatusExt;
    #[cfg(target_os = "linux")]
    use std::{fs::File, sync::LazyLock};

    use rustix::process::{Pid, Signal};
    use tokio::net::unix::pipe::{Receiver, Sender};
    use tokio::process::{Child, ChildStderr, ChildStdout};

    use super::super::Order;

    /// Renders yield to whatever the machine's user does, and to the daemon's own threads.
    const NICENESS: i32 = 10;

    /// How much sooner than others the kernel ends an engine when memory runs out, in thousandths.
    #[cfg(target_os = "linux")]
    const SOONER: i32 = 500;

    /// The pipes from and to the daemon.
    pub(in super::super) fn daemon() -> std::io::Result<(Receiver, Sender)> {
        let from = Receiver::from_owned_fd(std::io::stdin().as_fd().try_clone_to_owned()?)?;
        let to = Sender::from_owned_fd(std::io::stdout().as_fd().try_clone_to_owned()?)?;
        Ok((from, to))
    }

    /// Makes this process one that engines can be started by: once.
    pub(in super::super) fn settle() {
        // Away from the daemon's terminal, into which an engine could type.
        let _ = rustix::process::setsid();
        let _ = rustix::process::nice(NICENESS);
        #[cfg(target_os = "linux")]
        let _ = rustix::process::set_child_subreaper(Some(rustix::process::getpid()));
    }

    /// Starts the engine as the leader of a group of its own. Only the leader is waited for: what
    /// it leaves behind in its group is ended, not waited for.
    pub(in super::super) fn spawn(order: &Order) -> std::io::Result<Child> {
        #[cfg(target_os = "linux")]
        be_ended_sooner_by(SOONER);
        #[cfg(target_os = "linux")]
        let child = match &order.fence {
            Some(fence) => super::super::fence::within(fence, || start(order)),
            None => start(order),
        };
        #[cfg(not(target_os = "linux"))]
        let child = start(order);
        #[cfg(target_os = "linux")]
        be_ended_sooner_by(0);
        child
    }

    /// How much sooner than others the kernel ends this process, and what it starts from now on, when memory runs out.
    #[cfg(target_os = "linux")]
    fn be_ended_sooner_by(thousandths: i32) {
        use std::os::unix::fs::FileExt;
        static SCORE: LazyLock<std::io::Result<File>> =
            LazyLock::new(|| File::options().write(true).open("/proc/self/oom_score_adj"));
        if let Ok(score) = &*SCORE {
            let _ = score.write_all_at(thousandths.to_string().as_bytes(), 0);
        }
    }

    fn start(order: &Order) -> std::io::Result<Child> {
        tokio::process::Command::new(&order.program)
            .args(&order.arguments)
            .env_clear()
            .envs(order.environment.iter().map(|(name, value)| (name, value)))
            .current_dir(&order.folder)
            .stdin(std::process::Stdio::null())
            .stdout(std::process::Stdio::piped())
            .stderr(std::process::Stdio::piped())
            .process_group(0)
            .spawn()
    }

    /// What the engine prints.
    pub(in super::super) fn pipes(child: &mut Child) -> (Option<ChildStdout>, Option<ChildStderr>) {
        (child.stdout.take(), child.stderr.take())
    }

    fn group(id: Option<u32>) -> Option<Pid> {
        Pid::from_raw(i32::try_from(id?).ok()?)
    }

    /// Asks the engine to end. Where it runs `inside` bubblewrap, whatever is below bubblewrap's own two
    /// processes is asked: those would end it at once, without a word.
    pub(in super::super) fn ask_to_end(id: Option<u32>, inside: bool) {
        #[cfg(target_os = "linux")]
        if let Some(wrap) = group(id).filter(|_| inside) {
            use super::super::limits::{children, descendants};
            for first in children(wrap.as_raw_nonzero().get()) {
                for pid in descendants(first).into_iter().filter_map(Pid::from_raw) {
                    let _ = rustix::process::kill_process(pid, Signal::TERM);
                }
            }
            return;
        }
        let _ = inside;
        if let Some(group) = group(id) {
            let _ = rustix::process::kill_process_group(group, Signal::TERM);
        }
    }

    /// Ends what is left of the group, and on Linux every other descendant; says whether none is left.
    pub(in super::super) fn end_all(id: Option<u32>) -> bool {
        if let Some(group) = group(id) {
            let _ = rustix::process::kill_process_group(group, Signal::KILL);
        }
        #[cfg(target_os = "linux")]
        return end_descendants();
        #[cfg(not(target_os = "linux"))]
        true
    }

    /// Whoever detached itself was inherited by this subreaper: it is a child now, and so is what
    /// its end leaves behind.
    #[cfg(target_os = "linux")]
    fn end_descendants() -> bool {
        use rustix::process::{WaitId, WaitIdOptions};
        // The whole list takes a dozen calls, and quick programs leave nobody behind.
        let look = WaitIdOptions::EXITED | WaitIdOptions::NOHANG | WaitIdOptions::NOWAIT;
        if let Err(rustix::io::Errno::CHILD) = rustix::process::waitid(WaitId::All, look) {
            return true;
        }
        let me = rustix::process::getpid().as_raw_nonzero().get();
        for _ in 0..64 {
            let pids = super::super::limits::children(me);
            if pids.is_empty() {
                return true;
            }
            for pid in pids.into_iter().filter_map(Pid::from_raw) {
                let _ = rustix::process::kill_process(pid, Signal::KILL);
                let _ = rustix::process::waitpid(Some(pid), rustix::process::WaitOptions::empty());
            }
        }
        false
    }

    #[cfg(target_os = "linux")]
    pub(in super::super) fn peak_memory() -> u64 {
        // The kernel sums up what waited-for children used; the unit is KiB on Linux.
        const KIB: u64 = 1024;
        children_max_rss_kib().saturating_mul(KIB)
    }

    #[cfg(target_os = "linux")]
    fn children_max_rss_kib() -> u64 {
        let usage = nix::sys::resource::getrusage(nix::sys::resource::UsageWho::RUSAGE_CHILDREN);
        usage.map_or(0, |usage| u64::try_from(usage.max_rss()).unwrap_or(0))
    }

    #[cfg(not(target_os = "linux"))]
    pub(in super::super) const fn peak_memory() -> u64 {
        0
    }

    pub(in super::super) fn signal(status: &std::process::ExitStatus) -> Option<i32> {
        status.signal()
    }
}

#[cfg(windows)]
mod windows {
    use process_wrap::tokio::{ChildWrapper, CommandWrap, JobObject};
    use tokio::process::{ChildStderr, ChildStdout};

    use super::super::Order;

    /// What comes from the daemon and goes to it, through threads.
    pub(in super::super) fn daemon() -> std::io::Result<(tokio::io::Stdin, tokio::io::Stdout)> {
        Ok((tokio::io::stdin(), tokio::io::stdout()))
    }

    pub(in super::super) const fn settle() {}

    pub(in super::super) fn spawn(order: &Order) -> std::io::Result<Box<dyn ChildWrapper>> {
        CommandWrap::with_new(&order.program, |command| {
            command
                .args(&order.arguments)
                .env_clear()
                .envs(order.environment.iter().map(|(name, value)| (name, value)))
                .current_dir(&order.folder)
                .stdin(std::process::Stdio::null())
                .stdout(std::process::Stdio::piped())
                .stderr(std::process::Stdio::piped());
        })
        .wrap(JobObject)
        .spawn()
    }

    /// What the engine prints.
    pub(in super::super) fn pipes(
        child: &mut Box<dyn ChildWrapper>,
    ) -> (Option<ChildStdout>, Option<ChildStderr>) {
        (child.stdout().take(), child.stderr().take())
    }

    /// Windows has no gentle way that every program understands.
    pub(in super::super) const fn ask_to_end(_: Option<u32>, _: bool) {}

    /// The job object ends everything in it when its last handle closes. Whether it has is not known: the
    /// guard is not used again.
    pub(in super::super) const fn end_all(_: Option<u32>) -> bool {
        false
    }

    pub(in super::super) const fn peak_memory() -> u64 {
        0
    }

    pub(in super::super) const fn signal(_: &std::process::ExitStatus) -> Option<i32> {
        None
    }
}
