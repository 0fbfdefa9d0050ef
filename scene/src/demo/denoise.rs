//! Takes the grain out of a picture of few samples.
//!
//! Only the light that falls on surfaces is smoothed: their colours are divided out before and
//! multiplied in again after, so patterns stay sharp. An à-trous wavelet filter (Dammertz et al. 2010)
//! mixes a pixel with neighbours that lie in the same plane, face the same way, and differ in brightness
//! no more than their own noise explains (the variance guide of SVGF, Schied et al. 2017).

use super::math::{Vec3, smoothstep};
use super::render::over_rows;

/// One pixel before the filter: means over its samples.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Pixel {
    pub(super) direct: Vec3,
    pub(super) albedo: Vec3,
    pub(super) normal: Vec3,
    pub(super) point: Vec3,
    pub(super) grain: Grain,
    /// How far off a neighbour's plane may be, in the scene's units: about what one pixel covers.
    pub(super) reach: f32,
    /// How much the normals inside the pixel agree: 1 is fully. Small patterns seen from far, or bent by
    /// glass, don't, and are told apart less strictly.
    pub(super) agreement: f32,
    /// How much of the pixel is surfaces that scatter.
    pub(super) weight: f32,
}

/// Light on a surface, and the variance of its luminance.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Grain {
    pub(super) light: Vec3,
    pub(super) variance: f32,
}

/// Doublings of the filter's reach: the last one looks 2^(LEVELS - 1) pixels away.
const LEVELS: u32 = 4;
/// How many standard deviations apart two pixels may be.
const TOLERANCE: f32 = 3.0;

/// The light of every pixel, smoothed.
pub(super) fn denoise(pixels: &[Pixel], width: usize, threads: usize) -> Vec<Grain> {
    let mut from: Vec<Grain> = pixels.iter().map(|p| p.grain).collect();
    let mut to = from.clone();
    for level in 0..LEVELS {
        let source = Source { pixels, grains: &from, width, step: 1 << level };
        over_rows(&mut to, width, threads, &mut |_| {}, |y, row| {
            for (x, out) in row.iter_mut().enumerate() {
                *out = source.smooth(x, y);
            }
        });
        std::mem::swap(&mut from, &mut to);
    }
    from
}

struct Source<'a> {
    pixels: &'a [Pixel],
    grains: &'a [Grain],
    width: usize,
    step: usize,
}

impl Source<'_> {
    /// The pixels around (x, y) at this distance, inside the picture, with the weights of a triangle.
    fn around(&self, x: usize, y: usize, step: usize) -> impl Iterator<Item = (usize, f32)> {
        let (width, height) = (self.width, self.pixels.len() / self.width);
        (0..9_usize).filter_map(move |i| {
            let place = |at: usize, k: usize, size: usize| {
                (at + k * step).checked_sub(step).filter(|&p| p < size)
            };
            let (px, py) = (place(x, i % 3, width)?, place(y, i / 3, height)?);
            let weight = [0.25, 0.5, 0.25][i % 3] * [0.25, 0.5, 0.25][i / 3];
            Some((py * width + px, weight))
        })
    }

    fn smooth(&self, x: usize, y: usize) -> Grain {
        let here = y * self.width + x;
        let (pixel, grain) = (&self.pixels[here], self.grains[here]);
        if pixel.weight <= 0.0 {
            return grain;
        }
        // A few samples estimate their own variance badly: ask the neighbours.
        let (mut variance, mut sum) = (0.0, 0.0);
        for (i, weight) in self.around(x, y, 1) {
            variance += self.grains[i].variance * weight;
            sum += weight;
        }
        let tolerance = TOLERANCE * (variance / sum).max(0.0).sqrt() + 1e-4;
        let luminance = grain.light.luminance();
        let strict = smoothstep(0.82, 0.98, pixel.agreement);

        let mut out = Grain { light: grain.light * 0.25, variance: grain.variance * 0.0625 };
        let mut total = 0.25;
        for (i, kernel) in self.around(x, y, self.step) {
            if i == here {
                continue;
            }
            let (other, there) = (&self.pixels[i], self.grains[i]);
            let facing = pixel.normal.dot(other.normal).max(0.0);
            let f2 = facing * facing;
            let f4 = f2 * f2;
            let f16 = f4 * f4 * f4 * f4;
            let faces = f4 + (f16 * f16 - f4) * strict;
            let off = (other.point - pixel.point).dot(pixel.normal).abs()
                / (pixel.reach * self.step as f32);
            let differs = (there.light.luminance() - luminance).abs() / tolerance;
            let weight = kernel
                * faces
                * (1.0 - off).max(0.0)
                * (1.0 - differs * differs * (1.0 / 3.0)).max(0.0)
                * other.weight;
            out.light += there.light * weight;
            out.variance += there.variance * weight * weight;
            total += weight;
        }
        out.light *= 1.0 / total;
        out.variance *= 1.0 / (total * total);
        out
    }
}

#[cfg(test)]
mod tests {
    use super::super::math::vec3;
    use super::super::sampler::hash;
    use super::*;

    /// A noisy wall whose left half faces one way and is dark, and whose right half faces another.
    fn wall() -> Vec<Pixel> {
        (0..32 * 32_u32)
            .map(|i| {
                let right = i % 32 >= 16;
                let noise = (hash(i) >> 8) as f32 / (1 << 24) as f32 - 0.5;
                let level = if right { 2.0 } else { 1.0 };
                Pixel {
                    normal: if right { vec3(1.0, 0.0, 0.0) } else { Vec3::UP },
                    reach: 1.0,
                    weight: 1.0,
                    agreement: 1.0,
                    grain: Grain { light: Vec3::ONE * (level + noise), variance: 1.0 / 12.0 },
                    ..Pixel::default()
                }
            })
            .collect()
    }

    #[test]
    fn noise_goes_and_edges_stay() {
        let pixels = wall();
        let smooth = denoise(&pixels, 32, 1);
        let spread = |grain: &dyn Fn(usize) -> f32| {
            let squares = (0..1024).map(|i| {
                let level = if i % 32 >= 16 { 2.0 } else { 1.0 };
                (grain(i) - level) * (grain(i) - level)
            });
            (squares.sum::<f32>() / 1024.0).sqrt()
        };
        let before = spread(&|i| pixels[i].grain.light.x);
        let after = spread(&|i| smooth[i].light.x);
        assert!(after < before * 0.2, "{before} -> {after}");
        let edge = smooth[16 * 32 + 15].light.x;
        assert!((edge - 1.0).abs() < 0.2, "the dark side stays dark at the edge: {edge}");
    }

    #[test]
    fn threads_make_no_difference() {
        let pixels = wall();
        let lights =
            |threads| denoise(&pixels, 32, threads).iter().map(|g| g.light).collect::<Vec<_>>();
        assert_eq!(lights(1), lights(7));
    }
}
