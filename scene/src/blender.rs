//! Reading Blender's scene files.
