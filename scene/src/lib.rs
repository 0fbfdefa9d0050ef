//! Readers for scene files, frame ranges, engine definitions and the built-in path tracer.

pub mod analysis;
pub mod blender;
pub mod demo;
pub mod engine;
pub mod frames;
pub mod maya;
mod named_files;
mod sequence;
pub mod text_scene;
