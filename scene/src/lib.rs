//! Readers for scene files, frame ranges, engine definitions and the built-in path tracer.

pub mod analysis;
pub mod blender;
pub mod demo;
mod disk;
pub mod engine;
pub mod frames;
pub mod maya;
mod named_files;
pub mod ocio;
mod path_map;
pub mod plain_file;
mod sequence;
pub mod text_scene;
pub mod version;

pub use disk::Disk;
pub use path_map::{Mapped, PathMap};
