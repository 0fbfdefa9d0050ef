//! What surfaces are made of, and how they scatter light.

use super::math::{Vec3, sin_cos_turns, vec3};
use super::pattern::Pattern;

/// A material: what it is made of, and the pattern of its colours.
#[derive(Clone, Debug)]
pub(super) struct Material {
    pub(super) kind: Kind,
    pub(super) pattern: Pattern,
    /// The colour where there is no pattern, and what a texture is multiplied by; linear RGB.
    pub(super) colour: Vec3,
}

/// What a material is made of.
#[derive(Clone, Copy, Debug)]
pub(super) enum Kind {
    /// Scatters evenly.
    Matte,
    /// Matte under a clear, smooth coat with this index of refraction.
    Plastic { ior: f32 },
    /// Reflects in its colour; rough ones blur. `brushed`, 0 to 1, stretches the blur across the
    /// strokes, which run around the y axis.
    Metal { roughness: f32, brushed: f32 },
    /// Clear, tinted by its colour.
    Glass { ior: f32 },
}

/// How much light an uncoated surface between two clear media reflects: Fresnel's equations for
/// unpolarised light. `cos` is of the angle to the normal on the ray's side, `eta` the index of
/// refraction there over the one beyond.
pub(super) fn fresnel(cos: f32, eta: f32) -> f32 {
    let cos = cos.clamp(0.0, 1.0);
    let sin2 = eta * eta * (1.0 - cos * cos);
    if sin2 >= 1.0 {
        return 1.0;
    }
    let beyond = (1.0 - sin2).sqrt();
    let parallel = (cos - eta * beyond) / (cos + eta * beyond);
    let across = (eta * cos - beyond) / (eta * cos + beyond);
    (parallel * parallel + across * across) * 0.5
}

/// The direction in which light goes on beyond a surface (Snell's law), or `None` where all of it is
/// reflected. `n` is the normal on the ray's side; `eta` as for [`fresnel`].
pub(super) fn refract(direction: Vec3, n: Vec3, eta: f32) -> Option<Vec3> {
    let cos = -direction.dot(n);
    let sin2 = eta * eta * (1.0 - cos * cos);
    (sin2 < 1.0).then(|| (direction * eta + n * (eta * cos - (1.0 - sin2).sqrt())).unit())
}

/// A metal's reflectance at this angle: its colour straight on, white when grazing (Schlick).
pub(super) fn metal_reflectance(colour: Vec3, cos: f32) -> Vec3 {
    let m = (1.0 - cos).clamp(0.0, 1.0);
    let m2 = m * m;
    colour + (Vec3::ONE - colour) * (m2 * m2 * m)
}

/// A direction chosen by a surface.
#[derive(Clone, Copy, Debug)]
pub(super) struct Scatter {
    pub(super) direction: Vec3,
    /// Scattered radiance times cosine over density.
    pub(super) weight: Vec3,
    /// The density of the choice, per solid angle.
    pub(super) density: f32,
}

/// What scatters light at one point, in every direction: cosine-weighted or a microfacet lobe.
#[derive(Clone, Copy, Debug)]
pub(super) enum Lobe {
    Diffuse { colour: Vec3, normal: Vec3 },
    Glossy { colour: Vec3, frame: [Vec3; 3], alpha: (f32, f32) },
}

impl Lobe {
    /// A rough metal. `alpha` is roughness squared, after Disney's convention.
    pub(super) fn metal(colour: Vec3, normal: Vec3, roughness: f32, brushed: f32) -> Lobe {
        let around = Vec3::UP.cross(normal);
        let (a, b) = if around.length() > 1e-3 {
            let a = around.unit();
            (a, normal.cross(a))
        } else {
            normal.frame()
        };
        let alpha = (roughness * roughness).max(1e-3);
        // The lobe is narrow along the strokes and wide across them.
        let stretch = (1.0 - 0.9 * brushed).sqrt();
        Lobe::Glossy {
            colour,
            frame: [a, b, normal],
            alpha: ((alpha * stretch).max(1e-3), (alpha / stretch).min(1.0)),
        }
    }

    pub(super) fn normal(&self) -> Vec3 {
        match *self {
            Lobe::Diffuse { normal, .. } => normal,
            Lobe::Glossy { frame, .. } => frame[2],
        }
    }

    pub(super) fn colour(&self) -> Vec3 {
        match *self {
            Lobe::Diffuse { colour, .. } | Lobe::Glossy { colour, .. } => colour,
        }
    }

    /// Scattered radiance times cosine from `light` to `eye`, and the density with which [`scatter`]
    /// would choose `light`.
    ///
    /// [`scatter`]: Lobe::scatter
    pub(super) fn evaluate(&self, eye: Vec3, light: Vec3) -> (Vec3, f32) {
        const INV_PI: f32 = std::f32::consts::FRAC_1_PI;
        match *self {
            Lobe::Diffuse { colour, normal } => {
                let density = light.dot(normal).max(0.0) * INV_PI;
                (colour * density, density)
            }
            Lobe::Glossy { colour, frame, alpha } => {
                let (e, l) = (into(frame, eye), into(frame, light));
                if e.z <= 0.0 || l.z <= 0.0 {
                    return (Vec3::ZERO, 0.0);
                }
                let h = (e + l).unit();
                let (hx, hy) = (h.x / alpha.0, h.y / alpha.1);
                let q = hx * hx + hy * hy + h.z * h.z;
                let d = INV_PI / (alpha.0 * alpha.1 * q * q);
                let (le, ll) = (lambda(e, alpha), lambda(l, alpha));
                let f = metal_reflectance(colour, e.dot(h));
                (f * (d / ((1.0 + le + ll) * 4.0 * e.z)), d / ((1.0 + le) * 4.0 * e.z))
            }
        }
    }

    /// Chooses a direction for light that goes on to `eye`; `None` where it would go inside.
    pub(super) fn scatter(&self, eye: Vec3, (u, v): (f32, f32)) -> Option<Scatter> {
        match *self {
            Lobe::Diffuse { colour, normal } => {
                let (s, c) = sin_cos_turns(v);
                let (r, z) = (u.sqrt(), (1.0 - u).max(0.0).sqrt());
                let (a, b) = normal.frame();
                let direction = a * (r * c) + b * (r * s) + normal * z;
                let density = (z * std::f32::consts::FRAC_1_PI).max(1e-6);
                Some(Scatter { direction: direction.unit(), weight: colour, density })
            }
            Lobe::Glossy { colour, frame, alpha } => {
                // Facets that the eye sees, by their area (Heitz 2018, JCGT 7.4).
                let e = into(frame, eye);
                if e.z <= 0.0 {
                    return None;
                }
                let w = vec3(e.x * alpha.0, e.y * alpha.1, e.z).unit();
                let flat = w.x * w.x + w.y * w.y;
                let t1 = if flat > 1e-12 {
                    vec3(-w.y, w.x, 0.0) * (1.0 / flat.sqrt())
                } else {
                    vec3(1.0, 0.0, 0.0)
                };
                let t2 = w.cross(t1);
                let (s, c) = sin_cos_turns(v);
                let r = u.sqrt();
                let p1 = r * c;
                let k = 0.5 * (1.0 + w.z);
                let p2 = (1.0 - k) * (1.0 - p1 * p1).max(0.0).sqrt() + k * r * s;
                let p3 = (1.0 - p1 * p1 - p2 * p2).max(0.0).sqrt();
                let n = t1 * p1 + t2 * p2 + w * p3;
                let h = vec3(n.x * alpha.0, n.y * alpha.1, n.z.max(1e-6)).unit();
                let l = (-e).reflect(h);
                if l.z <= 1e-4 {
                    return None;
                }
                let direction = (frame[0] * l.x + frame[1] * l.y + frame[2] * l.z).unit();
                let density = self.evaluate(eye, direction).1;
                let (le, ll) = (lambda(e, alpha), lambda(l, alpha));
                let weight = metal_reflectance(colour, e.dot(h)) * ((1.0 + le) / (1.0 + le + ll));
                Some(Scatter { direction, weight, density })
            }
        }
    }
}

fn into(frame: [Vec3; 3], v: Vec3) -> Vec3 {
    vec3(frame[0].dot(v), frame[1].dot(v), frame[2].dot(v))
}

/// Smith's function for GGX facets: how much they hide each other in direction `v`.
fn lambda(v: Vec3, alpha: (f32, f32)) -> f32 {
    let (x, y) = (v.x * alpha.0, v.y * alpha.1);
    let z2 = (v.z * v.z).max(1e-12);
    ((1.0 + (x * x + y * y) / z2).sqrt() - 1.0) * 0.5
}

#[cfg(test)]
mod tests {
    use super::super::sampler::Sampler;
    use super::*;

    #[test]
    fn fresnel_at_known_angles() {
        // Straight on ((n - 1) / (n + 1))^2; all of it when grazing, and beyond the critical angle.
        assert!((fresnel(1.0, 1.0 / 1.5) - 0.04).abs() < 1e-6);
        assert!((fresnel(1.0, 1.5) - 0.04).abs() < 1e-6);
        assert!((fresnel(0.0, 1.0 / 1.5) - 1.0).abs() < 1e-6);
        assert_eq!(fresnel(0.7, 1.5), 1.0);
        // At Brewster's angle one polarisation vanishes: half of ((n^2 - 1) / (n^2 + 1))^2.
        let brewster = 1.0 / (1.0_f32 + 1.5 * 1.5).sqrt();
        let expected = 0.5 * ((1.25_f32 / 3.25) * (1.25 / 3.25));
        assert!((fresnel(brewster, 1.0 / 1.5) - expected).abs() < 1e-5);
    }

    #[test]
    fn refraction_obeys_snell_and_is_reversible() {
        let n = Vec3::UP;
        let sin_in = 0.6_f32;
        let d = vec3(sin_in, -0.8, 0.0);
        let inside = refract(d, n, 1.0 / 1.5).unwrap();
        assert!((inside.x * 1.5 - sin_in).abs() < 1e-5 && inside.y < 0.0);
        let back = refract(-inside, -n, 1.5).unwrap();
        assert!((back + d).length() < 1e-5);
        assert!(refract(vec3(0.8, 0.6, 0.0), -n, 1.5).is_none(), "beyond the critical angle");
    }

    /// The mean weight is the surface's albedo: at most 1 for white, by either way of computing it.
    #[test]
    fn lobes_conserve_energy_and_their_densities_are_right() {
        let normal = vec3(0.2, 0.9, -0.3).unit();
        let (a, b) = normal.frame();
        let eye = (normal * 0.7 + a * 0.5 + b * 0.3).unit();
        for (lobe, least) in [
            (Lobe::Diffuse { colour: Vec3::ONE, normal }, 0.999),
            // Light that rough facets throw at each other is lost in this model.
            (Lobe::metal(Vec3::ONE, normal, 0.6, 0.0), 0.78),
            (Lobe::metal(Vec3::ONE, normal, 0.7, 0.8), 0.5),
        ] {
            let (mut by_choice, mut by_area, n) = (0.0, 0.0, 40_000);
            for i in 0..n {
                let mut s = Sampler::of_pixel(1, 1, 0, 0, n).of_sample(i);
                if let Some(chosen) = lobe.scatter(eye, s.pair()) {
                    by_choice += chosen.weight.x / n as f32;
                    let (value, density) = lobe.evaluate(eye, chosen.direction);
                    assert!((value.x / density - chosen.weight.x).abs() < 2e-2 * chosen.weight.x);
                }
                let (u, v) = s.pair();
                let (sin, cos) = sin_cos_turns(v);
                let r = (1.0 - u * u).max(0.0).sqrt();
                let light = a * (r * cos) + b * (r * sin) + normal * u;
                by_area += lobe.evaluate(eye, light).0.x * std::f32::consts::TAU / n as f32;
            }
            assert!(by_choice > least && by_choice < 1.001, "{lobe:?}: {by_choice}");
            assert!((by_choice - by_area).abs() < 0.03, "{lobe:?}: {by_choice} {by_area}");
        }
    }
}
