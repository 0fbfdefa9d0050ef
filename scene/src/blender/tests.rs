//! Tests of the whole reader, on real and on made-up files.

mod made_by_blender;
mod real_scenes;
