//! Whether somebody uses this machine: a program of the user's tells, or the desktop.

use std::process::Stdio;
use std::sync::Arc;
use std::time::Duration;

use tokio::process::Command;
use weft_protocol::machine::Input;
use weft_protocol::settings::OnReturn;

use crate::shared::Shared;

/// How often it is looked, where that matters at all.
const LOOK: Duration = Duration::from_secs(2);
/// How long an answer may take.
const ANSWER: Duration = Duration::from_secs(5);

/// Tells the machine what to do while somebody is there, for as long as the daemon runs.
pub(crate) async fn run(node: Arc<Shared>) {
    let mut every = tokio::time::interval(LOOK);
    every.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    let (mut told, mut warned) = (None, false);
    loop {
        every.tick().await;
        let what = node.on_return();
        let in_use = match (what, node.config.node.in_use.as_slice()) {
            (OnReturn::Ignore, _) => Ok(false),
            (_, []) => seat_in_use().await,
            (_, [program, arguments @ ..]) => said_by(program, arguments).await,
        };
        if let Err(why) = &in_use
            && !std::mem::replace(&mut warned, true)
        {
            tracing::warn!(%why, "whether somebody uses this machine is not known: it works all the same");
        }
        warned &= in_use.is_err();
        // Where nobody can tell, it works as it would without.
        let now = in_use.unwrap_or(false).then_some(what);
        if now != told {
            told = now;
            tracing::info!(in_use = now.is_some(), "whether somebody uses this machine");
            if node.inputs.send(Input::InUse(now)).await.is_err() {
                return;
            }
        }
    }
}

/// Runs a program to its end; gives its exit status and what it printed.
async fn ask(program: &str, arguments: &[String]) -> Result<(Option<i32>, String), String> {
    let mut command = Command::new(program);
    command.args(arguments).stdin(Stdio::null()).stderr(Stdio::null()).kill_on_drop(true);
    match tokio::time::timeout(ANSWER, command.output()).await {
        Err(_) => Err(format!("{program} did not answer in {} s", ANSWER.as_secs())),
        Ok(Err(error)) => Err(format!("{program}: {error}")),
        Ok(Ok(output)) => {
            let printed = String::from_utf8_lossy(&output.stdout).into_owned();
            Ok((output.status.code(), printed))
        }
    }
}

/// Asks a program of the user's: it ends with 0 while somebody is there.
async fn said_by(program: &str, arguments: &[String]) -> Result<bool, String> {
    let (code, _) = ask(program, arguments).await?;
    code.map(|code| code == 0).ok_or_else(|| format!("{program} was killed"))
}

/// Asks systemd-logind about whoever sits at the machine.
#[cfg(target_os = "linux")]
async fn seat_in_use() -> Result<bool, String> {
    let show = async |what: &[&str]| -> Result<String, String> {
        let arguments: Vec<String> = what.iter().map(|word| (*word).to_owned()).collect();
        match ask("loginctl", &arguments).await? {
            (Some(0), printed) => Ok(printed),
            _ => Err("loginctl can't tell".to_owned()),
        }
    };
    let seat = show(&["show-seat", "seat0", "--property=ActiveSession"]).await?;
    let session = seat.trim().strip_prefix("ActiveSession=").unwrap_or_default();
    if session.is_empty() {
        return Ok(false);
    }
    let properties = "--property=Class,IdleHint,LockedHint";
    Ok(is_used(&show(&["show-session", session, properties]).await?))
}

/// Without systemd-logind nobody can be asked.
#[cfg(not(target_os = "linux"))]
async fn seat_in_use() -> Result<bool, String> {
    Err("this system can't be asked; `in_use` in weft.toml names a program that can".to_owned())
}

/// Whether a session that has the seat is one in which somebody works: not the one that asks who is
/// there, not idle, not locked.
#[cfg(target_os = "linux")]
fn is_used(session: &str) -> bool {
    let is = |property: &str, value: &str| {
        session
            .lines()
            .filter_map(|line| line.split_once('='))
            .any(|pair| pair == (property, value))
    };
    is("Class", "user") && !is("IdleHint", "yes") && !is("LockedHint", "yes")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[cfg(target_os = "linux")]
    #[test]
    fn a_session_is_used_unless_it_is_idle_locked_or_nobodys() {
        assert!(is_used("Class=user\nIdleHint=no\nLockedHint=no\n"));
        assert!(is_used("Class=user\nIdleHint=no\n"), "a console has no lock");
        assert!(!is_used("Class=user\nIdleHint=yes\nLockedHint=no\n"));
        assert!(!is_used("Class=user\nIdleHint=no\nLockedHint=yes\n"));
        assert!(!is_used("Class=greeter\nIdleHint=no\nLockedHint=no\n"));
    }

    #[cfg(unix)]
    #[tokio::test]
    async fn a_program_says_so_by_its_exit_status() {
        let sh = async |script: &str| said_by("sh", &["-c".to_owned(), script.to_owned()]).await;
        assert_eq!(sh("exit 0").await, Ok(true));
        assert_eq!(sh("exit 1").await, Ok(false));
        assert_eq!(sh("exit 7").await, Ok(false));
        assert!(sh("kill -9 $$").await.is_err());
        assert!(said_by("there-is-no-such-program", &[]).await.is_err());
    }
}
