//! What a ray meets, and what it is made of there.

use super::camera::Ray;
use super::geometry::OFFSET;
use super::material::{Kind, Lobe, refract};
use super::math::Vec3;
use super::pattern::Pattern;
use super::trace::Tracer;
use super::world::Hit;

/// Metals smoother than this are mirrors.
const MIRROR: f32 = 0.04;

/// A point of an object, as light meets it.
pub(super) struct Surface {
    pub(super) point: Vec3,
    /// The normal of the shape on the side the ray came from.
    pub(super) normal: Vec3,
    /// Whether the ray came from outside.
    pub(super) outside: bool,
    /// How much of it has melted into the sky.
    pub(super) fade: f32,
    pub(super) substance: Substance,
}

/// What light does there.
pub(super) enum Substance {
    Glass { ior: f32, tint: Vec3 },
    Mirror { colour: Vec3 },
    Coated { ior: f32, lobe: Lobe },
    Bare { lobe: Lobe },
}

/// What a ray meets.
pub(super) enum Met {
    Nothing,
    /// Radiance, and the density with which the light would have been sampled.
    Light {
        index: usize,
        emission: Vec3,
        density: f32,
    },
    Surface(Surface),
}

impl Tracer<'_> {
    /// The first thing on the ray.
    pub(super) fn meet(&self, ray: Ray) -> Met {
        let hit = self.world.nearest(ray, f32::INFINITY);
        let mut limit = hit.map_or(f32::INFINITY, |h| h.distance);
        let mut light = None;
        for (index, l) in self.scene.lights.iter().enumerate() {
            if let Some((t, emission, density)) = l.hit(ray, limit) {
                limit = t;
                light = Some(Met::Light { index, emission, density });
            }
        }
        match (light, hit) {
            (Some(light), _) => light,
            (None, Some(hit)) => Met::Surface(self.surface(ray, &hit)),
            (None, None) => Met::Nothing,
        }
    }

    fn surface(&self, ray: Ray, hit: &Hit) -> Surface {
        let material = &self.scene.materials[self.world.objects[hit.object].material];
        let outside = ray.direction.dot(hit.normal) < 0.0;
        let normal = if outside { hit.normal } else { -hit.normal };
        let look = || {
            let plain = matches!(material.pattern, Pattern::Plain);
            if plain {
                return (material.colour, normal);
            }
            let chart = self.world.chart(hit);
            let look = material.pattern.look(material.colour, normal, &chart, self.textures);
            // A thread seen from its side mustn't face away from the eye.
            let facing = look.normal.dot(ray.direction) < -0.02;
            (look.colour, if facing { look.normal } else { normal })
        };
        let substance = match material.kind {
            Kind::Glass { ior } => Substance::Glass { ior, tint: material.colour },
            Kind::Metal { roughness, .. } if roughness < MIRROR => {
                Substance::Mirror { colour: look().0 }
            }
            Kind::Metal { roughness, brushed } => {
                let (colour, normal) = look();
                Substance::Bare { lobe: Lobe::metal(colour, normal, roughness, brushed) }
            }
            Kind::Plastic { ior } => {
                let (colour, normal) = look();
                Substance::Coated { ior, lobe: Lobe::Diffuse { colour, normal } }
            }
            Kind::Matte => {
                let (colour, normal) = look();
                Substance::Bare { lobe: Lobe::Diffuse { colour, normal } }
            }
        };
        Surface { point: hit.point, normal, outside, fade: self.world.fade(hit), substance }
    }
}

impl Surface {
    /// The ray mirrored here.
    pub(super) fn reflected(&self, ray: Ray) -> Ray {
        Ray {
            origin: self.point + self.normal * OFFSET,
            direction: ray.direction.reflect(self.normal).unit(),
        }
    }

    /// The ray that goes on beyond; none where all is reflected. `eta` as for [`refract`].
    pub(super) fn refracted(&self, ray: Ray, eta: f32) -> Option<Ray> {
        let direction = refract(ray.direction, self.normal, eta)?;
        Some(Ray { origin: self.point - self.normal * OFFSET, direction })
    }
}
