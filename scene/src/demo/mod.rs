//! The built-in path tracer, the `demo` engine: it needs nothing installed.
//!
//! A scene is a text ([`builtin_scene`] is the commented example); [`render`] makes a picture of one of
//! its frames. Pixels depend on the scene and the frame alone: never on the number of threads, and, since
//! only arithmetic that IEEE 754 defines exactly is used (no fused operations, no C library), not on
//! the machine either, so that frames of different nodes can be compared byte for byte.

mod analyse;
mod camera;
mod check;
mod denoise;
mod geometry;
mod image;
mod light;
mod material;
mod math;
mod pattern;
mod render;
mod sampler;
mod scene;
mod surface;
mod text;
mod trace;
mod world;

pub use analyse::analyse;
pub use image::{Image, MAX_SIDE};
pub use pattern::Textures;
pub use render::{MAX_THREADS, RenderError, render};
pub use scene::{MAX_LIGHTS, MAX_OBJECTS, MAX_SAMPLES, MAX_TEXT, Scene, SceneError};

/// The text of the scene that `weft demo` renders, and the reference of the format.
pub fn builtin_scene() -> &'static str {
    include_str!("../../demo/builtin.weft")
}

#[cfg(test)]
mod tests;
