//! Paths of light: from the camera into the scene, and to the lights.
//!
//! What the camera sees in glass, in mirrors and in clear coats is followed along both ways, reflected
//! and refracted, until a surface that scatters; there one random path goes on, and every point of it
//! is lit by a sampled light (next event estimation; weighed against what the path itself meets by
//! multiple importance sampling, Veach 1997).
//!
//! Glass lets light through to what is behind it as if it were thin and bright in the middle, instead
//! of by real caustics, which few paths find and which would stay noisy. Light that a scattering
//! surface would get by way of glass or mirrors is left out in turn.

use super::Scene;
use super::camera::{Ray, View};
use super::geometry::{OFFSET, Shape};
use super::material::{Kind, Lobe, fresnel, metal_reflectance};
use super::math::Vec3;
use super::pattern::Textures;
use super::sampler::Sampler;
use super::surface::{Met, Substance, Surface};
use super::world::World;

/// How many clear surfaces a ray may pass in a row before it is given up.
const CLEAR: usize = 10;
/// Branches of the camera's path that may wait; more are dropped.
const BRANCHES: usize = 4;
/// Branches that carry less than this are dropped.
const FAINT: f32 = 0.012;
/// The most that one indirect path may add: rarer and brighter ones are specks, not light.
const SPECK: f32 = 3.0;

/// What one path from the camera brought.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Sample {
    /// Sky and lights seen directly or in clear surfaces: free of noise.
    pub(super) direct: Vec3,
    /// Light from surfaces that scatter.
    pub(super) lit: Vec3,
    /// These surfaces' colours.
    pub(super) albedo: Vec3,
    /// Their normals and places, each times `weight`.
    pub(super) normal: Vec3,
    pub(super) point: Vec3,
    /// How much of the picture they make up, 0 to about 1.
    pub(super) weight: f32,
}

/// What follows paths through one frame of a scene.
pub(super) struct Tracer<'a> {
    pub(super) scene: &'a Scene,
    pub(super) world: &'a World,
    pub(super) textures: &'a Textures,
    pub(super) view: View,
}

#[derive(Clone, Copy)]
struct Branch {
    ray: Ray,
    carries: Vec3,
    passed: usize,
}

impl Tracer<'_> {
    /// Follows one sample of pixel (x, y).
    pub(super) fn sample(&self, x: u32, y: u32, mut sampler: Sampler) -> Sample {
        let (dx, dy) = sampler.pair();
        let lens = sampler.pair();
        let ray = self.view.ray(x as f32 + dx, y as f32 + dy, lens);
        let mut out = Sample::default();
        let mut branches = [Branch { ray, carries: Vec3::ONE, passed: 0 }; BRANCHES];
        let (mut waiting, mut started) = (1, 0);
        while waiting > 0 {
            waiting -= 1;
            sampler.jump(2 + started * 12);
            started += 1;
            self.branch(branches[waiting], &mut sampler, &mut out, &mut branches, &mut waiting);
        }
        out
    }

    /// Follows one branch of the camera's path through clear surfaces to one that scatters.
    fn branch(
        &self,
        branch: Branch,
        sampler: &mut Sampler,
        out: &mut Sample,
        branches: &mut [Branch; BRANCHES],
        waiting: &mut usize,
    ) {
        let Branch { mut ray, mut carries, passed } = branch;
        let mut push = |ray, carries: Vec3, passed| {
            if carries.max_part() > FAINT
                && let Some(slot) = branches.get_mut(*waiting)
            {
                *slot = Branch { ray, carries, passed: passed + 1 };
                *waiting += 1;
            }
        };
        for passed in passed..CLEAR {
            let surface = match self.meet(ray) {
                Met::Nothing => {
                    out.direct += carries * self.scene.sky.radiance(ray.direction);
                    return;
                }
                Met::Light { emission, .. } => {
                    out.direct += carries * emission;
                    return;
                }
                Met::Surface(surface) => surface,
            };
            if surface.fade > 0.0 {
                out.direct += carries * self.scene.sky.horizon * surface.fade;
                carries *= 1.0 - surface.fade;
                if carries.max_part() < FAINT {
                    return;
                }
            }
            let cos = -ray.direction.dot(surface.normal);
            match surface.substance {
                Substance::Mirror { colour } => {
                    carries *= metal_reflectance(colour, cos);
                    ray = surface.reflected(ray);
                }
                Substance::Glass { ior, tint } => {
                    let eta = if surface.outside { 1.0 / ior } else { ior };
                    let reflects = fresnel(cos, eta);
                    let mirrored = surface.reflected(ray);
                    match surface.refracted(ray, eta) {
                        None => ray = mirrored,
                        Some(through) => {
                            // Both ways, without a lot drawn: a lot is what makes glass grainy.
                            push(mirrored, carries * reflects, passed);
                            carries *= tint * (1.0 - reflects);
                            ray = through;
                        }
                    }
                }
                Substance::Coated { ior, lobe } => {
                    let reflects = fresnel(cos, 1.0 / ior);
                    push(surface.reflected(ray), carries * reflects, passed);
                    self.lit(
                        &surface,
                        lobe,
                        -ray.direction,
                        carries * (1.0 - reflects),
                        sampler,
                        out,
                    );
                    return;
                }
                Substance::Bare { lobe } => {
                    self.lit(&surface, lobe, -ray.direction, carries, sampler, out);
                    return;
                }
            }
        }
    }

    /// Adds a scattering surface that the camera sees.
    fn lit(
        &self,
        surface: &Surface,
        lobe: Lobe,
        eye: Vec3,
        carries: Vec3,
        sampler: &mut Sampler,
        out: &mut Sample,
    ) {
        let light = carries * self.scattered(surface, lobe, eye, sampler);
        if !light.is_finite() {
            return;
        }
        let weight = carries.luminance();
        out.lit += light;
        out.albedo += carries * lobe.colour();
        out.normal += lobe.normal() * weight;
        out.point += surface.point * weight;
        out.weight += weight;
    }

    /// The light that a surface scatters towards `eye`.
    fn scattered(
        &self,
        first: &Surface,
        first_lobe: Lobe,
        first_eye: Vec3,
        sampler: &mut Sampler,
    ) -> Vec3 {
        let mut total = Vec3::ZERO;
        let mut carries = Vec3::ONE;
        let (mut point, mut normal) = (first.point, first.normal);
        let (mut lobe, mut eye) = (first_lobe, first_eye);
        for bounce in 0..self.scene.bounces {
            let lamps = self.lamp_light(point, normal, &lobe, eye, sampler);
            total += limited(carries * lamps, bounce);

            let Some(next) = lobe.scatter(eye, sampler.pair()) else {
                break;
            };
            if next.direction.dot(normal) <= 0.0 {
                break;
            }
            carries *= next.weight;
            if bounce > 0 {
                // Faint paths end by lot; those that go on carry the others' light.
                let goes_on = carries.max_part().clamp(0.05, 0.95);
                if sampler.one() >= goes_on {
                    break;
                }
                carries *= 1.0 / goes_on;
            }
            let mut ray = Ray { origin: point + normal * OFFSET, direction: next.direction };
            let mut clear = false;
            let mut scattering = None;
            for _ in 0..CLEAR {
                let surface = match self.meet(ray) {
                    Met::Nothing => {
                        total += limited(carries * self.scene.sky.radiance(ray.direction), bounce);
                        return total;
                    }
                    Met::Light { index, emission, density } => {
                        if !clear {
                            let sampled = density * self.chance(index, point, lobe.normal());
                            let weight = balance(next.density, sampled);
                            total += limited(carries * emission * weight, bounce);
                        }
                        return total;
                    }
                    Met::Surface(surface) => surface,
                };
                if surface.fade > 0.0 {
                    total += limited(carries * self.scene.sky.horizon * surface.fade, bounce);
                    carries *= 1.0 - surface.fade;
                }
                let cos = -ray.direction.dot(surface.normal);
                match surface.substance {
                    Substance::Mirror { colour } => {
                        carries *= metal_reflectance(colour, cos);
                        ray = surface.reflected(ray);
                    }
                    Substance::Glass { ior, tint } => {
                        let eta = if surface.outside { 1.0 / ior } else { ior };
                        let reflects = fresnel(cos, eta);
                        ray = match surface.refracted(ray, eta) {
                            Some(through) if sampler.one() >= reflects => {
                                carries *= tint;
                                through
                            }
                            _ => surface.reflected(ray),
                        };
                    }
                    Substance::Coated { ior, lobe } => {
                        if sampler.one() >= fresnel(cos, 1.0 / ior) {
                            scattering = Some((surface, lobe));
                            break;
                        }
                        ray = surface.reflected(ray);
                    }
                    Substance::Bare { lobe } => {
                        scattering = Some((surface, lobe));
                        break;
                    }
                }
                clear = true;
            }
            let Some((surface, next_lobe)) = scattering else {
                break;
            };
            (point, normal) = (surface.point, surface.normal);
            (lobe, eye) = (next_lobe, -ray.direction);
        }
        total
    }

    /// The light of one sampled lamp, scattered towards `eye`.
    fn lamp_light(
        &self,
        point: Vec3,
        normal: Vec3,
        lobe: &Lobe,
        eye: Vec3,
        sampler: &mut Sampler,
    ) -> Vec3 {
        let lights = &self.scene.lights;
        let (lot, place) = (sampler.one(), sampler.pair());
        let sum: f32 = lights.iter().map(|l| l.estimate(point, lobe.normal())).sum();
        let mut left = lot * sum;
        for light in lights {
            let share = light.estimate(point, lobe.normal());
            left -= share;
            if left >= 0.0 {
                continue;
            }
            let Some(s) = light.sample(point, place) else {
                break;
            };
            if s.direction.dot(normal) <= 0.0 {
                break;
            }
            let (value, would) = lobe.evaluate(eye, s.direction);
            if value.max_part() <= 0.0 {
                break;
            }
            let ray = Ray { origin: point + normal * OFFSET, direction: s.direction };
            let arrives = self.arrives(ray, s.distance - 2.0 * OFFSET);
            let density = s.density * share / sum;
            return value * arrives * s.emission * (balance(density, would) / density);
        }
        Vec3::ZERO
    }

    /// With which probability [`lamp_light`](Tracer::lamp_light) takes this light.
    fn chance(&self, index: usize, point: Vec3, normal: Vec3) -> f32 {
        let lights = &self.scene.lights;
        let sum: f32 = lights.iter().map(|l| l.estimate(point, normal)).sum();
        lights.get(index).map_or(0.0, |l| l.estimate(point, normal) / sum)
    }

    /// How much light gets along the ray, up to `limit`.
    fn arrives(&self, ray: Ray, limit: f32) -> Vec3 {
        let mut through = Vec3::ONE;
        self.world.visit(ray, limit, |t, index| {
            let object = &self.world.objects[index];
            let material = &self.scene.materials[object.material];
            let Kind::Glass { ior } = material.kind else {
                through = Vec3::ZERO;
                return None;
            };
            let normal = self.world.normal(index, ray.origin + ray.direction * t);
            let cos = ray.direction.dot(normal).abs();
            let passes = 1.0 - fresnel(cos, 1.0 / ior);
            // A ball gathers light behind its middle, and takes it from behind its rim.
            let gathers = match object.shape {
                Shape::Sphere { .. } => 0.12 + 1.75 * cos * cos * cos,
                _ => 1.0,
            };
            through *= material.colour * material.colour * (passes * passes * gathers);
            Some(limit)
        });
        through
    }
}

/// The power heuristic: the weight of a way of sampling with density `a` beside one with `b`.
fn balance(a: f32, b: f32) -> f32 {
    let ratio = b / a.max(1e-20);
    1.0 / (1.0 + ratio * ratio)
}

/// Caps what comes by indirect ways.
fn limited(light: Vec3, bounce: u32) -> Vec3 {
    let most = light.max_part();
    if bounce == 0 || most <= SPECK { light } else { light * (SPECK / most) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_two_ways_of_sampling_share_the_light() {
        for (a, b) in [(1.0, 1.0), (0.3, 20.0), (1e15, 1e3), (0.0, 2.0)] {
            let sum = balance(a, b) + balance(b, a);
            assert!((sum - 1.0).abs() < 1e-5, "{a} {b}: {sum}");
        }
    }

    #[test]
    fn only_indirect_light_is_limited() {
        let bright = Vec3::ONE * 100.0;
        assert_eq!(limited(bright, 0), bright);
        assert!((limited(bright, 1).x - SPECK).abs() < 1e-4);
    }
}
