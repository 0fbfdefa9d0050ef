//! Colours that vary over a surface: checkers, a weave, textures.

use std::path::Path;

use super::RenderError;
use super::image::decode_png;
use super::math::{Vec3, smoothstep, vec3};
use super::world::Chart;

/// How a colour varies over a surface.
#[derive(Clone, Debug)]
pub(super) enum Pattern {
    Plain,
    /// Squares of this size, of the colours in turn.
    Checker {
        colours: Vec<Vec3>,
        size: f32,
    },
    /// Plain weave: threads this far apart, alternately over and under each other. The first colour
    /// is the warp's; the weft's threads take the others in turn.
    Weave {
        colours: Vec<Vec3>,
        size: f32,
    },
    /// The picture at this index of the scene's textures, repeated at this size.
    Texture {
        index: usize,
        size: f32,
    },
}

/// The colour at a point of a surface, and its normal there.
pub(super) struct Look {
    pub(super) colour: Vec3,
    pub(super) normal: Vec3,
}

impl Pattern {
    /// Evaluates the pattern. `colour` is the material's own, `normal` the smooth surface's.
    pub(super) fn look(
        &self,
        colour: Vec3,
        normal: Vec3,
        chart: &Chart,
        textures: &Textures,
    ) -> Look {
        match self {
            Pattern::Plain => Look { colour, normal },
            Pattern::Checker { colours, size } => {
                let cell = (chart.u / size).floor() + (chart.v / size).floor();
                Look { colour: colour * pick(colours, cell), normal }
            }
            Pattern::Texture { index, size } => {
                let texel = textures.at(*index, chart.u / size, chart.v / size);
                Look { colour: colour * texel, normal }
            }
            Pattern::Weave { colours, size } => {
                let (u, v) = (chart.u / size, chart.v / size);
                let (i, j) = (u.floor(), v.floor());
                // Across and along the thread on top, each from -1 to 1.
                let (cu, cv) = (2.0 * (u - i) - 1.0, 2.0 * (v - j) - 1.0);
                let warp_on_top = (i + j).rem_euclid(2.0) < 0.5;
                let (across, along, thread) = if warp_on_top {
                    (cu, cv, pick(colours, 0.0))
                } else {
                    let wefts = colours.get(1..).unwrap_or_default();
                    (cv, cu, pick(wefts, j))
                };
                // A round thread that dives under its neighbours; the gaps lie in shade.
                let shade = (1.0 - smoothstep(0.66, 1.0, across.abs()) * 0.85)
                    * (1.0 - smoothstep(0.6, 1.15, along.abs()) * 0.35);
                let (tilt_across, tilt_along) = (across * 0.8, along * along * along * 0.5);
                let (tu, tv) =
                    if warp_on_top { (tilt_across, tilt_along) } else { (tilt_along, tilt_across) };
                Look {
                    colour: colour * thread * shade,
                    normal: (normal + chart.along_u * tu + chart.along_v * tv).unit(),
                }
            }
        }
    }
}

fn pick(colours: &[Vec3], index: f32) -> Vec3 {
    match colours.len() {
        0 => Vec3::ONE,
        n => colours[(index.rem_euclid(n as f32) as usize).min(n - 1)],
    }
}

/// The pictures a scene uses, decoded.
#[derive(Clone, Debug, Default)]
pub struct Textures {
    all: Vec<Texture>,
}

#[derive(Clone, Debug)]
struct Texture {
    width: usize,
    height: usize,
    /// sRGB, three bytes a pixel.
    rgb: Vec<u8>,
}

impl Textures {
    /// Reads the pictures that `scene` names, relative to the folder `base` (the scene file's).
    ///
    /// # Errors
    /// [`RenderError::Texture`] with the path as the scene spells it, if a picture is missing, isn't
    /// a PNG, or has sides above 8192 pixels.
    pub fn load(scene: &super::Scene, base: &Path) -> Result<Textures, RenderError> {
        let all = scene.textures.iter().map(|t| {
            let (width, height, rgb) = decode_png(&base.join(&t.path))
                .map_err(|reason| RenderError::Texture { path: t.path.clone(), reason })?;
            Ok(Texture { width, height, rgb })
        });
        Ok(Textures { all: all.collect::<Result<_, _>>()? })
    }

    /// How many pictures there are.
    pub(super) fn len(&self) -> usize {
        self.all.len()
    }

    /// The linear colour at (u, v), in units of the picture's width, bilinear and repeated.
    fn at(&self, index: usize, u: f32, v: f32) -> Vec3 {
        let Some(t) = self.all.get(index) else {
            return Vec3::ONE;
        };
        let x = (u - u.floor()) * t.width as f32 - 0.5;
        let y = (1.0 - (v - v.floor())) * t.height as f32 - 0.5;
        let (x0, y0) = (x.floor(), y.floor());
        let texel = |dx: f32, dy: f32| {
            let column = (x0 + dx).rem_euclid(t.width as f32) as usize % t.width;
            let row = (y0 + dy).rem_euclid(t.height as f32) as usize % t.height;
            let i = (row * t.width + column) * 3;
            let part = |k: usize| super::image::srgb_to_linear(t.rgb[i + k]);
            vec3(part(0), part(1), part(2))
        };
        let top = texel(0.0, 0.0).mix(texel(1.0, 0.0), x - x0);
        let bottom = texel(0.0, 1.0).mix(texel(1.0, 1.0), x - x0);
        top.mix(bottom, y - y0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const RED: Vec3 = vec3(1.0, 0.0, 0.0);
    const BLUE: Vec3 = vec3(0.0, 0.0, 1.0);

    fn look(pattern: &Pattern, u: f32, v: f32) -> Look {
        let along_u = vec3(1.0, 0.0, 0.0);
        let chart = Chart { u, v, along_u, along_v: vec3(0.0, 0.0, 1.0) };
        pattern.look(Vec3::ONE, Vec3::UP, &chart, &Textures::default())
    }

    #[test]
    fn checkers_alternate_across_zero() {
        let checker = Pattern::Checker { colours: vec![RED, BLUE], size: 2.0 };
        assert_eq!(look(&checker, 1.0, 1.0).colour, RED);
        assert_eq!(look(&checker, -1.0, 1.0).colour, BLUE);
        assert_eq!(look(&checker, -1.0, -1.0).colour, RED);
    }

    #[test]
    fn weave_goes_over_and_under() {
        let weave = Pattern::Weave { colours: vec![RED, BLUE, vec3(0.0, 1.0, 0.0)], size: 1.0 };
        assert_eq!(look(&weave, 0.5, 0.5).colour, RED);
        assert_eq!(look(&weave, 1.5, 0.5).colour, BLUE);
        assert_eq!(look(&weave, 0.5, 1.5).colour, vec3(0.0, 1.0, 0.0));
        // Flat on top of a thread, leaning outwards at its side.
        assert_eq!(look(&weave, 0.5, 0.5).normal, Vec3::UP);
        assert!(look(&weave, 0.8, 0.5).normal.x > 0.2);
    }

    #[test]
    fn textures_repeat_and_blend() {
        let mut rgb = vec![0; 12];
        rgb[..3].copy_from_slice(&[255, 255, 255]);
        let textures = Textures { all: vec![Texture { width: 2, height: 2, rgb }] };
        let white = textures.at(0, 0.25, 0.75);
        assert!((white - Vec3::ONE).length() < 1e-3);
        assert!((textures.at(0, -3.75, 5.75) - white).length() < 1e-3);
        assert!((textures.at(0, 0.5, 0.75).x - 0.5).abs() < 1e-3);
    }
}
