//! Tests of the whole reader, on real and on made-up files.

mod real_scenes;
