//! A scene, checked and ready to render.

use super::camera::Camera;
use super::check;
use super::geometry::Object;
use super::image::MAX_SIDE;
use super::light::{Light, Sky};
use super::material::Material;

/// The most samples a pixel may have.
pub const MAX_SAMPLES: u32 = 65_536;
/// The most objects a scene may have.
pub const MAX_OBJECTS: usize = 10_000;
/// The most lights a scene may have; each is considered at every bounce.
pub const MAX_LIGHTS: usize = 16;
/// The longest scene text, in bytes.
pub const MAX_TEXT: usize = 16 << 20;

/// A scene of the built-in path tracer, as its text says it.
///
/// Two scenes that read the same render the same picture, wherever and on however many threads.
#[derive(Clone, Debug)]
pub struct Scene {
    /// What people call it; may be empty.
    pub title: String,
    /// The first frame of the animation.
    pub start_frame: i64,
    /// The last frame of the animation, included.
    pub end_frame: i64,
    /// Frames a second, for playing.
    pub fps: f64,
    /// In pixels, 1 to [`MAX_SIDE`].
    pub width: u32,
    /// In pixels, 1 to [`MAX_SIDE`].
    pub height: u32,
    /// Paths a pixel, 1 to [`MAX_SAMPLES`]. Powers of two are spread best.
    pub samples: u32,
    pub(super) seed: u32,
    pub(super) bounces: u32,
    pub(super) exposure: f32,
    pub(super) vignette: f32,
    pub(super) denoise: bool,
    pub(super) camera: Camera,
    pub(super) sky: Sky,
    pub(super) materials: Vec<Material>,
    pub(super) objects: Vec<Object>,
    pub(super) lights: Vec<Light>,
    /// Each path once, in order of their materials' names.
    pub(super) textures: Vec<TextureUse>,
}

/// A picture that a scene needs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct TextureUse {
    /// As the scene spells it.
    pub(super) path: String,
    /// The first material that names it.
    pub(super) material: String,
}

/// Why a scene can't be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SceneError {
    /// The text isn't TOML, or says something a scene doesn't have. The message shows the line.
    #[error("the scene can't be read: {0}")]
    Syntax(String),
    /// A value makes no sense.
    #[error("line {line} of the scene: {reason}")]
    Invalid {
        /// Counted from 1.
        line: usize,
        /// What is wrong with it.
        reason: String,
    },
    /// The text is longer than [`MAX_TEXT`].
    #[error("the scene is {0} bytes long; at most {MAX_TEXT} are read")]
    TooLong(usize),
    /// [`Scene::with_overrides`] was asked for a size or a number of samples that is out of range.
    #[error("{what} must be 1 to {max}, not {value}")]
    Override {
        /// What was to be overridden.
        what: &'static str,
        /// What was asked for.
        value: u32,
        /// The largest that goes.
        max: u32,
    },
}

impl Scene {
    /// Reads the text of a `.weft` scene. The format is described by the example that
    /// [`builtin_scene`](super::builtin_scene) returns.
    ///
    /// # Errors
    /// [`SceneError`], with the line, if the text isn't a scene or goes beyond a limit.
    pub fn parse(text: &str) -> Result<Scene, SceneError> {
        if text.len() > MAX_TEXT {
            return Err(SceneError::TooLong(text.len()));
        }
        check::parse(text)
    }

    /// The paths of the pictures it needs, as the scene spells them, each once.
    pub fn assets(&self) -> Vec<String> {
        self.textures.iter().map(|t| t.path.clone()).collect()
    }

    /// The same scene at another size, or with other samples a pixel.
    ///
    /// # Errors
    /// [`SceneError::Override`] if a number is 0 or above its limit.
    pub fn with_overrides(
        mut self,
        width: Option<u32>,
        height: Option<u32>,
        samples: Option<u32>,
    ) -> Result<Scene, SceneError> {
        let set = |what, slot: &mut u32, value: Option<u32>, max| match value {
            Some(value) if value == 0 || value > max => {
                Err(SceneError::Override { what, value, max })
            }
            Some(value) => {
                *slot = value;
                Ok(())
            }
            None => Ok(()),
        };
        set("the width", &mut self.width, width, MAX_SIDE)?;
        set("the height", &mut self.height, height, MAX_SIDE)?;
        set("the number of samples", &mut self.samples, samples, MAX_SAMPLES)?;
        Ok(self)
    }
}
