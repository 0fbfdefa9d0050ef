//! What renderers say of their pictures on nodes of their own, beside Maya's render settings.

use super::arguments::pixels;

/// A picture as far as a renderer's own node says.
#[derive(Debug, Default)]
pub(super) struct Picture {
    /// Whether the scene has the renderer's node.
    there: bool,
    pub(super) width: Option<u32>,
    pub(super) height: Option<u32>,
    format: Option<String>,
}

/// The pictures of the renderers that have such a node. V-Ray has all on it, the others only the format: their sizes are
/// Maya's own.
#[derive(Debug, Default)]
pub(super) struct Pictures {
    vray: Picture,
    arnold: Picture,
    redshift: Picture,
}

impl Pictures {
    /// A node of this name is in the scene.
    pub(super) fn node(&mut self, name: &str) {
        if let Some(picture) = self.of_node(name) {
            picture.there = true;
        }
    }

    /// An attribute of a node of this name, by its long or short name.
    pub(super) fn set(&mut self, node: &str, attribute: &str, value: &str) {
        let Some(picture) = self.of_node(node) else { return };
        picture.there = true;
        match attribute {
            "wi" | "width" => picture.width = pixels(value).or(picture.width),
            "he" | "height" => picture.height = pixels(value).or(picture.height),
            "imgfs" | "imageFormatStr" | "ai_translator" | "aiTranslator" | "imageFormat" => {
                picture.format = Some(value.to_owned()).filter(|format| !format.is_empty());
            }
            _ => {}
        }
    }

    fn of_node(&mut self, name: &str) -> Option<&mut Picture> {
        match name.trim_start_matches(':') {
            "vraySettings" => Some(&mut self.vray),
            "defaultArnoldDriver" => Some(&mut self.arnold),
            "redshiftOptions" => Some(&mut self.redshift),
            _ => None,
        }
    }

    /// What the renderer's node says, if the renderer has one and the scene has it.
    pub(super) fn of(&self, renderer: &str) -> Option<&Picture> {
        let picture = match renderer {
            "vray" => &self.vray,
            "arnold" => &self.arnold,
            "redshift" => &self.redshift,
            _ => return None,
        };
        picture.there.then_some(picture)
    }

    /// The format of the renderer's pictures, by the usual ending of their files.
    pub(super) fn format_of(&self, renderer: &str) -> Option<String> {
        let format = self.of(renderer)?.format.as_deref();
        let name = match (renderer, format) {
            // A node that was never asked for another format doesn't say which it has.
            ("vray", None) => "png",
            // "exr (multichannel)" and "exr (deep)" are files of one kind.
            ("vray", Some(format)) => format.split(' ').next()?,
            ("redshift", None | Some("1")) => "exr",
            ("redshift", Some("0")) => "iff",
            ("redshift", Some("2")) => "png",
            ("redshift", Some("3")) => "tga",
            ("redshift", Some("4")) => "jpg",
            ("redshift", Some("5")) => "tif",
            ("arnold", Some("jpeg")) => "jpg",
            ("arnold", Some("tiff")) => "tif",
            ("arnold", Some("deepexr")) => "exr",
            ("arnold", Some(format)) => format,
            _ => return None,
        };
        Some(name.to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn formats_are_named_by_their_endings() {
        for (renderer, node, attribute, value, format) in [
            ("vray", "vraySettings", "imgfs", "exr (multichannel)", Some("exr")),
            ("vray", ":vraySettings", "imageFormatStr", "tif", Some("tif")),
            ("vray", "vraySettings", "imgfs", "", Some("png")),
            ("vray", "redshiftOptions", "imageFormat", "2", None),
            ("arnold", "defaultArnoldDriver", "ai_translator", "jpeg", Some("jpg")),
            ("arnold", "defaultArnoldDriver", "ai_translator", "exr", Some("exr")),
            ("arnold", "defaultArnoldDriver", "other", "exr", None),
            ("redshift", "redshiftOptions", "imageFormat", "2", Some("png")),
            ("redshift", "redshiftOptions", "imageFormat", "9", None),
            ("redshift", "redshiftOptions", "version", "6", Some("exr")),
            ("mayaSoftware", "vraySettings", "imgfs", "exr", None),
        ] {
            let mut pictures = Pictures::default();
            pictures.set(node, attribute, value);
            assert_eq!(pictures.format_of(renderer).as_deref(), format, "{renderer} {value}");
        }
    }
}
