//! Scenes for the built-in renderer that take no longer than a test can wait.

use std::path::{Path, PathBuf};

/// A scene of the built-in path tracer, of `side` × `side` pixels with `samples` paths each.
#[must_use]
pub fn demo_scene(side: u32, samples: u32) -> String {
    format!(
        r##"title = "A test"
start_frame = 1
end_frame = 24
fps = 12
width = {side}
height = {side}
samples = {samples}
bounces = 2
seed = 1
denoise = false

[camera]
fov = 30.0

[camera.orbit]
target = [0.0, 0.5, 0.0]
distance = 4.0
azimuth = 8.0
elevation = 20.0
turn = 360.0

[sky]
zenith = "#6fa0d8"
horizon = "#f3dcc0"
ground = "#8a8078"
strength = 1.0

[materials.ground]
kind = "matte"
checker = {{ size = 0.5, colours = ["#d6cabb", "#1f7a82"] }}

[materials.ball]
kind = "plastic"
colour = "#d9432f"

[[objects]]
shape = "floor"
material = "ground"
at = [0.0, 0.0, 0.0]

[[objects]]
shape = "sphere"
material = "ball"
at = [0.3, 0.5, 0.0]
radius = 0.5
"##
    )
}

/// Writes a file, with the folders above it, and gives its path.
///
/// # Panics
/// When it can't be written.
pub fn write_file(path: PathBuf, bytes: impl AsRef<[u8]>) -> PathBuf {
    std::fs::create_dir_all(path.parent().unwrap_or(Path::new("/"))).expect("folders can be made");
    std::fs::write(&path, bytes).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    path
}

#[cfg(test)]
mod tests {
    use super::demo_scene;

    #[test]
    fn the_scene_is_one() {
        let scene = weft_scene::demo::Scene::parse(&demo_scene(16, 1)).unwrap();
        assert_eq!((scene.width, scene.height, scene.samples), (16, 16, 1));
    }
}
