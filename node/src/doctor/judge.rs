//! Facts in, findings out.

#[cfg(test)]
mod tests;

use serde::{Deserialize, Serialize};
use weft_protocol::certificate::{CLOCK_TOLERANCE_MS, Role};
use weft_protocol::hardware::{GIB, gib};

use super::{Daemon, Facts, Member, Up};
use crate::sandbox::Sandbox;

/// How far clocks may be apart, in milliseconds: what orders jobs, and hours, go by them.
const SKEW: i64 = 30_000;
/// How little of a certificate's life may be left, in milliseconds: members' are renewed at half of theirs.
const SOON: u64 = 30 * 24 * 3600 * 1000;
/// How little of the disk may be left, in bytes.
const LEAST: u64 = GIB;

/// How bad something is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Level {
    /// All is well.
    Ok,
    /// Worth knowing, and nothing is wrong.
    Note,
    /// Something is wrong.
    Problem,
}

/// One thing that was looked at.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Finding {
    /// What was looked at, in a word.
    pub check: String,
    /// How bad it is.
    pub level: Level,
    /// What was found.
    pub what: String,
    /// How to mend it.
    pub mend: Option<String>,
}

fn ok(check: &str, what: impl Into<String>) -> Finding {
    Finding { check: check.into(), level: Level::Ok, what: what.into(), mend: None }
}

fn note(check: &str, what: impl Into<String>, mend: impl Into<String>) -> Finding {
    let mend = Some(mend.into()).filter(|mend| !mend.is_empty());
    Finding { check: check.into(), level: Level::Note, what: what.into(), mend }
}

fn problem(check: &str, what: impl Into<String>, mend: impl Into<String>) -> Finding {
    Finding { level: Level::Problem, ..note(check, what, mend) }
}

/// Judges a machine: everything that was looked at, in the order in which things build on each other.
#[must_use]
pub fn judge(facts: &Facts) -> Vec<Finding> {
    let mut findings = vec![studio(facts), config(facts)];
    findings.extend(certificate(facts));
    findings.extend([daemon(facts), store(facts), disk(facts)]);
    findings.extend(ports(facts));
    findings.extend(mdns(facts));
    if let Daemon::Up(up) = &facts.daemon {
        findings.extend([leader(up), peers(up)]);
        findings.extend(up.refused_by.iter().map(|(who, why)| refused(who, why)));
        findings.extend(clock(up));
        findings.extend(work(up));
    }
    findings.extend(engines(facts));
    findings.push(sandbox(&facts.sandbox));
    findings
}

/// What renders run in, and what would make it better.
fn sandbox(sandbox: &Sandbox) -> Finding {
    let (check, words) = ("sandbox", sandbox.words());
    if sandbox.is_whole() {
        return ok(check, words);
    }
    let lacks = sandbox.lacks.join(" ");
    let mend = if lacks.contains("no program bwrap") {
        "install bubblewrap (`apt install bubblewrap`, `dnf install bubblewrap`), and start `weft up` again"
    } else if lacks.contains("namespace") || lacks.contains("uid map") || lacks.contains("loopback")
    {
        "let users make namespaces: an AppArmor profile for bwrap, or `sysctl -w \
         kernel.apparmor_restrict_unprivileged_userns=0` (Ubuntu), `sysctl -w kernel.unprivileged_userns_clone=1` \
         (Debian before 11); in a container, start it so that it may"
    } else if lacks.contains("bubblewrap:") {
        "run `bwrap --unshare-all --ro-bind / / true` as the daemon's user: what it says must be mended"
    } else {
        "run the daemon as a user of its own who has nothing but WEFT_HOME"
    };
    match sandbox.refusal() {
        Some(why) => problem(check, why, mend),
        None => note(check, format!("{words}: renders may reach what the daemon's user can"), mend),
    }
}

fn studio(facts: &Facts) -> Finding {
    match &facts.member {
        Member::Of { studio, role, .. } => {
            ok("studio", format!("{} is {} in '{studio}'", facts.home, a(role.name())))
        }
        Member::None => problem(
            "studio",
            format!("{} belongs to no studio", facts.home),
            "found one with `weft init --studio NAME`, or join one with `weft join CODE`; is WEFT_HOME the \
             folder that is meant?",
        ),
        Member::Damaged(why) => problem(
            "studio",
            why,
            "move the folder away, and join anew with an invite; other nodes have the jobs",
        ),
    }
}

fn a(word: &str) -> String {
    let article = if word.starts_with(['a', 'e', 'i', 'o', 'u']) { "an" } else { "a" };
    format!("{article} {word}")
}

fn config(facts: &Facts) -> Finding {
    match &facts.config {
        None => ok("config", "weft.toml can be read, or there is none"),
        Some(why) => problem("config", why, "correct that line, and start `weft up` again"),
    }
}

fn certificate(facts: &Facts) -> Option<Finding> {
    let Member::Of { role, issued, expires, .. } = facts.member else { return None };
    let (now, check) = (facts.now.0, "certificate");
    let days = |ms: u64| ms / (24 * 3600 * 1000);
    let renew = match role {
        Role::Admin => "`weft recover` with the studio's recovery key renews an admin's",
        _ => "it renews itself as soon as an admin's node is connected: start one",
    };
    Some(if issued.0 > now.saturating_add(CLOCK_TOLERANCE_MS) {
        let ahead = days(issued.0 - now);
        let what = format!("it was signed {ahead} days from now, by this machine's clock");
        problem(check, what, "set this machine's clock (`timedatectl`)")
    } else if now > expires.0.saturating_add(CLOCK_TOLERANCE_MS) {
        let what =
            format!("it ended {} days ago, and nobody lets this node in", days(now - expires.0));
        problem(
            check,
            what,
            "move the home away, and join anew with an invite; or set the clock, if that is wrong",
        )
    } else if now > expires.0 {
        let left = days(expires.0.saturating_add(CLOCK_TOLERANCE_MS) - now);
        let what = format!("it has ended; others still let this node in for {left} days");
        problem(check, what, renew)
    } else if expires.0 - now < SOON {
        let what = format!("it ends in {} days, and was not renewed", days(expires.0 - now));
        problem(check, what, renew)
    } else {
        ok(check, format!("it is good for {} days", days(expires.0 - now)))
    })
}

fn daemon(facts: &Facts) -> Finding {
    match &facts.daemon {
        Daemon::Up(_) => ok("daemon", "it is up"),
        Daemon::Down => problem(
            "daemon",
            format!("no node is running on {}", facts.home),
            "start it with `weft up`, or with the service that does",
        ),
        Daemon::Silent(why) => problem(
            "daemon",
            format!("it is there, and does not answer: {why}"),
            "look at its log; then end it and start it again",
        ),
    }
}

fn store(facts: &Facts) -> Finding {
    match (&facts.store, &facts.daemon) {
        (Ok(false), Daemon::Up(_)) => problem(
            "store",
            "the daemon is up, and has not locked this home's store",
            "does it run on this WEFT_HOME? Was the folder moved or replaced while it ran? Start it again",
        ),
        (Ok(_), Daemon::Up(_)) => ok("store", "it is the daemon's"),
        (Ok(false), _) => ok("store", "nobody has it open"),
        (Ok(true), _) => problem(
            "store",
            "another process has it locked, and no daemon answers",
            "is a `weft submit --peer` under way, or a daemon that hangs or runs as another user? \
             `fuser store/lock` in the home names it",
        ),
        (Err(why), _) => problem(
            "store",
            format!("it can't be looked at: {why}"),
            "the home must belong to the user who runs the daemon",
        ),
    }
}

fn disk(facts: &Facts) -> Finding {
    let (check, high) = ("disk", facts.marks.high);
    let Some((total, free)) = facts.disk.filter(|(total, _)| *total > 0) else {
        return note(check, "how full it is can't be asked", "");
    };
    let used = (u128::from(total - free.min(total)) * 100).div_ceil(u128::from(total));
    let full = format!("{used} % of {} GiB are in use, {} GiB are left", gib(total), gib(free));
    let room = "make room: `weft store` says what is kept and why, `weft rm JOB` lets go of old results, \
                `weft gc` deletes what nobody refers to";
    if free < LEAST {
        problem(check, full, room)
    } else if used > u128::from(high) {
        let what = format!("{full}: more than the high watermark, {high} %; unused files go");
        problem(check, what, format!("{room}; or raise high_watermark in weft.toml"))
    } else {
        ok(check, full)
    }
}

fn ports(facts: &Facts) -> Vec<Finding> {
    if let Daemon::Up(up) = &facts.daemon {
        let reached = |address: &&String| {
            !address.starts_with("/ip4/127.") && !address.starts_with("/ip6/::1/")
        };
        return vec![if up.listening.is_empty() {
            let what = "the daemon listens nowhere";
            problem(
                "ports",
                what,
                "look at its log, and start it again; `--listen IP:PORT` chooses",
            )
        } else if up.listening.iter().filter(reached).count() == 0 {
            let what = "the daemon listens on this machine's loopback only";
            note("ports", what, "let it listen on an address of the network: `--listen IP:PORT`")
        } else {
            ok("ports", format!("reached at {}", up.listening.join(" ")))
        }];
    }
    if facts.ports.is_empty() {
        return vec![ok("ports", "none is asked for: 7920 where that is free, else any")];
    }
    let port = |(address, why): (&String, &Option<String>)| match why {
        None => ok("ports", format!("{address} is free")),
        Some(why) => problem(
            "ports",
            format!("{address} can't be listened on: {why}"),
            "end who has it, or name another address in weft.toml",
        ),
    };
    facts.ports.iter().map(port).collect()
}

fn mdns(facts: &Facts) -> Option<Finding> {
    let alone = match &facts.daemon {
        Daemon::Up(up) => up.peers == 0 && up.others > 0,
        Daemon::Down | Daemon::Silent(_) => !facts.names_peers,
    };
    let mend = "name an address of another node in weft.toml: peers = [\"IP:7920\"]";
    Some(match &facts.mdns {
        Ok(()) => ok("mdns", "questions can be sent; whether others hear them, peers tell"),
        Err(why) if alone => problem("mdns", format!("nobody can be asked: {why}"), mend),
        Err(why) => note("mdns", format!("nobody can be asked: {why}"), mend),
    })
}

fn leader(up: &Up) -> Finding {
    match &up.leader {
        Some(leader) => ok("leader", format!("{leader} leads")),
        None => problem(
            "leader",
            "nobody leads: nothing is handed out",
            "that takes seconds after a leader was lost; if it stays, see whom this node is connected to",
        ),
    }
}

fn peers(up: &Up) -> Finding {
    match (up.peers, up.others) {
        (0, 0) => ok("peers", "the studio has no other member"),
        (0, others) => problem(
            "peers",
            format!("none of the {others} other members is connected"),
            "are they on? Does a firewall let the port through? Where mDNS doesn't reach, name an address in \
             weft.toml: peers = [\"IP:7920\"]",
        ),
        (peers, others) => ok("peers", format!("{peers} connected, of {others} other members")),
    }
}

fn refused(who: &str, why: &str) -> Finding {
    let mend = if why.contains("revoked") {
        "a revoked node comes back under a new identity only: move the home away, and join anew"
    } else if why.contains("expired") {
        "the certificate has ended, or a clock is wrong: see there"
    } else if why.contains("another studio") {
        "that node belongs to another studio: take its address out of weft.toml"
    } else {
        "look at that node's log"
    };
    problem("refused", format!("{who} does not let this node in: {why}"), mend)
}

fn clock(up: &Up) -> Vec<Finding> {
    if up.clocks.is_empty() {
        return vec![note("clock", "no peer told the time to compare with", "")];
    }
    let far = |ahead: &i64| ahead.unsigned_abs() > SKEW.unsigned_abs();
    let wrong = up.clocks.iter().filter(|(_, ahead)| far(ahead));
    let words = |(who, ahead): (&String, &i64)| {
        let word = if *ahead > 0 { "ahead" } else { "behind" };
        format!("{who} is {} s {word}", ahead.unsigned_abs() / 1000)
    };
    let told: Vec<String> = wrong.map(words).collect();
    // Who differs from most is the one that is wrong.
    if told.len() * 2 > up.clocks.len() {
        let what = format!("this machine's clock differs from most: {}", told.join(", "));
        vec![problem(
            "clock",
            what,
            "let the machines keep time by NTP (`timedatectl set-ntp true`)",
        )]
    } else if told.is_empty() {
        vec![ok("clock", format!("it agrees with {} peers", up.clocks.len()))]
    } else {
        let mend = "let those machines keep time by NTP (`timedatectl set-ntp true` there)";
        vec![note("clock", format!("it agrees with most; {}", told.join(", ")), mend)]
    }
}

fn work(up: &Up) -> Option<Finding> {
    let closed = up.closed.as_deref()?;
    let mend = match closed {
        "drained" => "`weft undrain NODE`",
        "hours" => "`weft node NODE set --hours default`, or wait",
        "in_use" => "`weft node NODE set --on-return ignore`, or wait",
        "disk" => "make room on the disk of weft's home, or mend it: work comes again by itself",
        _ => "`weft node NODE` says what failed; `weft unbench NODE` forgives it",
    };
    Some(note("work", format!("this node takes no new tasks: {closed}"), mend))
}

fn engines(facts: &Facts) -> Vec<Finding> {
    let engine = |(name, (own, found)): (&String, &(bool, Result<String, String>))| match found {
        Ok(version) => ok("engine", format!("{name} {version}").trim_end().to_owned()),
        Err(why) if *own => problem(
            "engine",
            format!("{name} can't be used: {why}"),
            "correct its table in weft.toml, or install the program; then start `weft up` again",
        ),
        Err(why) if why.contains("[run]") => note("engine", format!("{name}: {why}"), ""),
        Err(why) => note(
            "engine",
            format!("{name} can't be used: {why}"),
            format!("install it, or name its program in weft.toml under [engine.{name}]"),
        ),
    };
    facts.engines.iter().map(engine).collect()
}
