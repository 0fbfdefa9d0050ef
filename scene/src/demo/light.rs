//! Lights: balls and softboxes, how they are hit and how they are sampled; and the sky.

use super::camera::Ray;
use super::geometry::OFFSET;
use super::math::{Vec3, sin_cos_turns, smoothstep};

/// A light. Objects don't see each other's shadows in it: lights themselves block nothing.
#[derive(Clone, Debug)]
pub(super) struct Light {
    pub(super) shape: LightShape,
    /// Radiance, linear RGB.
    pub(super) emission: Vec3,
}

/// What shines.
#[derive(Clone, Copy, Debug)]
pub(super) enum LightShape {
    Ball {
        at: Vec3,
        radius: f32,
    },
    /// A rectangle that shines to one side, a little less at its rim. `u` and `v` are half its sides,
    /// at right angles.
    Softbox {
        at: Vec3,
        u: Vec3,
        v: Vec3,
        normal: Vec3,
    },
}

/// A direction towards a light.
#[derive(Clone, Copy, Debug)]
pub(super) struct LightSample {
    pub(super) direction: Vec3,
    pub(super) distance: f32,
    pub(super) emission: Vec3,
    /// Per solid angle.
    pub(super) density: f32,
}

/// What a softbox's rim shines, relative to its middle, at (a, b) in -1..1.
fn rim(a: f32, b: f32) -> f32 {
    let edge = a.abs().max(b.abs());
    1.0 - 0.55 * smoothstep(0.5, 1.0, edge)
}

impl Light {
    /// Where a ray meets the light before `limit`: distance, radiance, and the density with which
    /// [`sample`](Light::sample) would have chosen this direction.
    pub(super) fn hit(&self, ray: Ray, limit: f32) -> Option<(f32, Vec3, f32)> {
        match self.shape {
            LightShape::Ball { at, radius } => {
                let to = at - ray.origin;
                let along = to.dot(ray.direction);
                let off = to - ray.direction * along;
                let rest = radius * radius - off.dot(off);
                let t = along - rest.max(0.0).sqrt();
                (rest > 0.0 && t > OFFSET && t < limit)
                    .then(|| (t, self.emission, ball_density(to, radius)))
            }
            LightShape::Softbox { at, u, v, normal } => {
                let cos = -ray.direction.dot(normal);
                if cos <= 1e-6 {
                    return None;
                }
                let t = (ray.origin - at).dot(normal) / cos;
                if t <= OFFSET || t >= limit {
                    return None;
                }
                let p = ray.origin + ray.direction * t - at;
                let (a, b) = (p.dot(u) / u.dot(u), p.dot(v) / v.dot(v));
                (a.abs() <= 1.0 && b.abs() <= 1.0).then(|| {
                    let area = 4.0 * u.length() * v.length();
                    (t, self.emission * rim(a, b), t * t / (cos * area))
                })
            }
        }
    }

    /// Chooses a point of the light that may be seen from `from`.
    pub(super) fn sample(&self, from: Vec3, (s, t): (f32, f32)) -> Option<LightSample> {
        match self.shape {
            LightShape::Ball { at, radius } => {
                let to = at - from;
                let distance = to.length();
                if distance <= radius {
                    return None;
                }
                let axis = to * (1.0 / distance);
                let sin2_max = (radius / distance) * (radius / distance);
                let spread = 1.0 - (1.0 - sin2_max).max(0.0).sqrt();
                let cos = 1.0 - s * spread;
                let sin = (1.0 - cos * cos).max(0.0).sqrt();
                let (sp, cp) = sin_cos_turns(t);
                let (a, b) = axis.frame();
                let direction = (axis * cos + a * (sin * cp) + b * (sin * sp)).unit();
                let off2 = distance * distance * sin * sin;
                let reach = distance * cos - (radius * radius - off2).max(0.0).sqrt();
                Some(LightSample {
                    direction,
                    distance: reach,
                    emission: self.emission,
                    density: ball_density(to, radius),
                })
            }
            LightShape::Softbox { at, u, v, normal } => {
                let (a, b) = (2.0 * s - 1.0, 2.0 * t - 1.0);
                let to = at + u * a + v * b - from;
                let distance = to.length();
                let direction = to * (1.0 / distance.max(1e-6));
                let cos = -direction.dot(normal);
                let area = 4.0 * u.length() * v.length();
                (cos > 1e-4).then(|| LightSample {
                    direction,
                    distance,
                    emission: self.emission * rim(a, b),
                    density: distance * distance / (cos * area),
                })
            }
        }
    }

    /// About how much light reaches a surface that nothing shades: what lights are chosen by. Never 0,
    /// since a light whose middle is behind the surface may still show its edge.
    pub(super) fn estimate(&self, point: Vec3, normal: Vec3) -> f32 {
        let (at, size2, facing) = match self.shape {
            LightShape::Ball { at, radius } => (at, radius * radius * std::f32::consts::PI, 1.0),
            LightShape::Softbox { at, u, v, normal } => {
                let away = (point - at).unit().dot(normal);
                (at, 4.0 * u.length() * v.length(), away.max(0.0))
            }
        };
        let to = at - point;
        let d2 = to.dot(to).max(1e-6);
        let cos = to.dot(normal) / d2.sqrt();
        self.emission.luminance() * size2 / (d2 + size2) * (facing + 0.02) * (cos + 0.3).max(0.03)
    }
}

fn ball_density(to: Vec3, radius: f32) -> f32 {
    let sin2 = (radius * radius / to.dot(to)).min(1.0);
    let spread = (1.0 - (1.0 - sin2).max(0.0).sqrt()).max(1e-9);
    1.0 / (std::f32::consts::TAU * spread)
}

/// The light from everywhere else: a gradient from the ground over the horizon to the zenith.
#[derive(Clone, Debug)]
pub(super) struct Sky {
    pub(super) zenith: Vec3,
    pub(super) horizon: Vec3,
    pub(super) ground: Vec3,
    /// The sine of the height at which the horizon's colour has half gone.
    pub(super) haze: f32,
}

impl Sky {
    /// The radiance from this direction.
    pub(super) fn radiance(&self, direction: Vec3) -> Vec3 {
        let y = direction.y.abs();
        let t = y * (1.0 + self.haze) / (y + self.haze);
        self.horizon.mix(if direction.y > 0.0 { self.zenith } else { self.ground }, t)
    }
}

#[cfg(test)]
mod tests {
    use super::super::math::vec3;
    use super::super::sampler::Sampler;
    use super::*;

    fn lights() -> [Light; 2] {
        [
            LightShape::Ball { at: vec3(0.0, 3.0, 1.0), radius: 0.8 },
            LightShape::Softbox {
                at: vec3(0.0, 3.0, 0.0),
                u: vec3(1.0, 0.0, 0.0),
                v: vec3(0.0, 0.0, 0.5),
                normal: vec3(0.0, -1.0, 0.0),
            },
        ]
        .map(|shape| Light { shape, emission: Vec3::ONE })
    }

    #[test]
    fn samples_hit_the_light_they_chose() {
        let from = vec3(0.4, 0.1, -0.3);
        for light in lights() {
            for i in 0..64 {
                let pair = Sampler::of_pixel(3, 1, 0, 0, 64).of_sample(i).pair();
                let s = light.sample(from, pair).unwrap();
                let ray = Ray { origin: from, direction: s.direction };
                // The very rim may be missed by rounding.
                if let Some((t, emission, density)) = light.hit(ray, f32::INFINITY) {
                    assert!((t - s.distance).abs() < 2e-2, "{t} {}", s.distance);
                    assert!((density / s.density - 1.0).abs() < 1e-2);
                    assert!((emission.x - s.emission.x).abs() < 1e-2);
                } else {
                    assert!(pair.0 > 0.98 || pair.1 > 0.98 || pair.0 < 0.02 || pair.1 < 0.02);
                }
            }
        }
    }

    #[test]
    fn densities_sum_to_one() {
        let from = vec3(0.4, 0.1, -0.3);
        for light in lights() {
            let (mut sum, n) = (0.0, 60_000);
            for i in 0..n {
                let (u, v) = Sampler::of_pixel(5, 1, 0, 0, n).of_sample(i).pair();
                let (s, c) = sin_cos_turns(v);
                let z = 2.0 * u - 1.0;
                let r = (1.0 - z * z).max(0.0).sqrt();
                let ray = Ray { origin: from, direction: vec3(r * c, z, r * s) };
                if let Some((_, _, density)) = light.hit(ray, f32::INFINITY) {
                    sum += density * 4.0 * std::f32::consts::PI / n as f32;
                }
            }
            assert!((sum - 1.0).abs() < 0.06, "{sum}");
        }
    }

    #[test]
    fn a_softbox_is_dark_behind() {
        let [_, softbox] = lights();
        let above = vec3(0.0, 5.0, 0.0);
        assert!(softbox.sample(above, (0.5, 0.5)).is_none());
        let ray = Ray { origin: above, direction: vec3(0.0, -1.0, 0.0) };
        assert!(softbox.hit(ray, 99.0).is_none());
    }
}
