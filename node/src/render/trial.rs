//! Trying what an engine can do on this machine: a tiny render of its definition's, as any other run.

use std::path::Path;
use std::time::Duration;

use tokio::sync::watch;
use weft_scene::engine::{Ability, Definition, Invocation, command};

use super::frames::Frames;
use super::{LiveLog, Renderer, output, process, remove};

/// How long a trial may take: with software in place of a graphics card Blender 4.5 took 32 s of a core for one
/// frame of EEVEE, and three minutes on a machine that did other things as well.
const LIMIT: Duration = Duration::from_secs(600);

impl Renderer {
    /// Whether nothing is being rendered.
    pub(crate) fn is_idle(&self) -> bool {
        self.runs().is_empty()
    }

    /// Has an engine render what shows one of its abilities.
    ///
    /// # Errors
    /// Why it did not, for people.
    pub(crate) async fn try_ability(
        &self,
        definition: &Definition,
        ability: &Ability,
        program: &Path,
    ) -> Result<(), String> {
        let folder = self.inner.home.jobs().join("trial");
        let tried = self.try_in(&folder, &definition.trial(ability), program).await;
        let _ = tokio::task::spawn_blocking(move || remove::all(&folder)).await;
        tried
    }

    async fn try_in(
        &self,
        folder: &Path,
        definition: &Definition,
        program: &Path,
    ) -> Result<(), String> {
        let (work, inputs) = (folder.join("work"), folder.join("inputs"));
        for made in [&work, &inputs] {
            std::fs::create_dir_all(made)
                .map_err(|error| format!("{}: {error}", made.display()))?;
        }
        let invocation = Invocation {
            weft: self.inner.weft.display().to_string(),
            frames: vec![1],
            start: 1,
            end: 1,
            work: work.display().to_string(),
            inputs: inputs.display().to_string(),
            threads: 1,
            name: "trial".into(),
            ..Invocation::default()
        };
        let command = command(definition, &invocation).map_err(|error| error.to_string())?;
        let expected: Vec<_> =
            command.expected_outputs.iter().map(|output| work.join(&output.path)).collect();
        let log = LiveLog::new(folder.join("log.txt"));
        let (kill, stop) = (watch::channel(false), watch::channel(false));
        let run = process::Run {
            weft: &self.inner.weft,
            program,
            command: &command,
            definition,
            work: &work,
            inputs: &inputs,
            shared: &[],
            folder,
            sandbox: &self.inner.sandbox,
            guards: &self.inner.guards,
            limits: process::Limits::default(),
            cards: None,
            before: 0,
            timeout: Some(LIMIT),
            stop: stop.1,
        };
        let mut frames = Frames::new(&[], &[], &work, definition.tells_saved());
        let ran = process::run(run, &log, kill.1, |_| (), &mut frames, &mut |_, _, _| ()).await;
        log.close();
        let ran = ran.ok_or("it was ended")?;
        output::judge(definition, &ran, &log).map_err(|(_, why)| why)?;
        output::present(&work, &expected, &log).map(drop).map_err(|(_, why)| why)
    }
}
