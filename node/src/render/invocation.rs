//! What a lease says, as a command line is made of it.

use std::path::Path;

use weft_protocol::job::spec::{Step, VIEWS};
use weft_protocol::job::task::span;
use weft_protocol::wire::control::Lease;
use weft_scene::engine::Invocation;

use super::Renderer;
use super::limits::numbers;

impl Renderer {
    /// What fills the placeholders of a command line that renders `frames`.
    pub(super) fn invocation(
        &self,
        lease: &Lease,
        step: &Step,
        rendered: Vec<i64>,
        work: &Path,
    ) -> Invocation {
        let inputs = self.inner.ready.folder(&lease.attempt.job);
        let (start, end) = span(&step.frames).unwrap_or_default();
        let argument = |name: &str| step.arguments.get(name).cloned();
        let given = step
            .arguments
            .iter()
            .filter_map(|(key, value)| Some((key.strip_prefix("arg.")?.to_owned(), value.clone())));
        Invocation {
            weft: self.inner.weft.display().to_string(),
            scene: inputs.join(step.scene.as_str()).display().to_string(),
            frames: rendered,
            start: start.into(),
            end: end.into(),
            work: work.display().to_string(),
            inputs: inputs.display().to_string(),
            threads: lease.cores.max(1),
            gpus: numbers(&lease.gpus),
            name: step.output.clone(),
            format: argument("format"),
            camera: argument("camera"),
            scene_name: argument("scene"),
            view_layer: argument("view_layer"),
            scale: argument("scale").and_then(|scale| scale.parse().ok()),
            views: argument(VIEWS)
                .map_or(Vec::new(), |all| all.split(',').map(str::to_owned).collect()),
            tile: crate::submit::tile(step.tiles, lease.attempt.task.tile),
            allow_scripts: argument("allow_scripts").is_some(),
            arguments: given.collect(),
            command: crate::own_command::decode(&step.arguments),
        }
    }
}
