//! Tests of the whole reader, on real and on made-up files.

mod builder;
mod hostile;
mod made_by_blender;
mod made_up;
mod pointwise;
mod real_scenes;
mod sequences;
mod simulations;
