//! Shapes, and where a ray meets one of them.

use super::camera::Ray;
use super::math::{Rotation, Vec3, vec3};

/// How far a new ray starts from the surface it leaves, so that it doesn't meet it again.
pub(super) const OFFSET: f32 = 1e-3;

/// An object: a shape, in its place, of a material.
#[derive(Clone, Debug)]
pub(super) struct Object {
    pub(super) shape: Shape,
    pub(super) at: Vec3,
    pub(super) rotation: Rotation,
    /// Index into the scene's materials.
    pub(super) material: usize,
}

/// A shape around the origin; all but spheres and floors are found by marching along their distance
/// function.
#[derive(Clone, Copy, Debug)]
pub(super) enum Shape {
    Sphere {
        radius: f32,
    },
    /// A level plane without end, which melts into the sky between two distances from its centre.
    Floor {
        fade: [f32; 2],
    },
    /// Half its size along each axis, and the radius of its edges.
    Box {
        half: Vec3,
        round: f32,
    },
    /// A ring about the y axis: its radius, and its tube's.
    Torus {
        radius: f32,
        tube: f32,
    },
    /// About the y axis.
    Cylinder {
        radius: f32,
        half: f32,
        round: f32,
    },
}

impl Shape {
    /// The radius of a sphere around the origin that holds the shape; none for a floor.
    pub(super) fn bound(&self) -> Option<f32> {
        match *self {
            Shape::Sphere { radius } => Some(radius),
            Shape::Floor { .. } => None,
            Shape::Box { half, .. } => Some(half.length()),
            Shape::Torus { radius, tube } => Some(radius + tube),
            Shape::Cylinder { radius, half, .. } => Some((radius * radius + half * half).sqrt()),
        }
    }

    /// Half the sides of a box along the object's axes that holds the shape, a little widened.
    fn half_sides(&self) -> Vec3 {
        let tight = match *self {
            Shape::Sphere { radius } => Vec3::ONE * radius,
            Shape::Floor { .. } => Vec3::ONE * f32::INFINITY,
            Shape::Box { half, .. } => half,
            Shape::Torus { radius, tube } => vec3(radius + tube, tube, radius + tube),
            Shape::Cylinder { radius, half, .. } => vec3(radius, half, radius),
        };
        tight + Vec3::ONE * 1e-4
    }

    /// The distance from `p`, in the object's space, to the surface; negative inside.
    fn distance(&self, p: Vec3) -> f32 {
        match *self {
            Shape::Sphere { radius } => p.length() - radius,
            Shape::Floor { .. } => p.y,
            Shape::Box { half, round } => {
                let q = p.abs() - half + Vec3::ONE * round;
                q.at_least(0.0).length() + q.max_part().min(0.0) - round
            }
            Shape::Torus { radius, tube } => {
                let around = (p.x * p.x + p.z * p.z).sqrt() - radius;
                (around * around + p.y * p.y).sqrt() - tube
            }
            Shape::Cylinder { radius, half, round } => {
                let x = (p.x * p.x + p.z * p.z).sqrt() - radius + round;
                let y = p.y.abs() - half + round;
                let (ox, oy) = (x.max(0.0), y.max(0.0));
                (ox * ox + oy * oy).sqrt() + x.max(y).min(0.0) - round
            }
        }
    }

    /// The outward unit normal at `p`, in the object's space.
    pub(super) fn normal(&self, p: Vec3) -> Vec3 {
        match *self {
            Shape::Sphere { .. } => p.unit(),
            Shape::Floor { .. } => Vec3::UP,
            _ => {
                // The gradient from the corners of a tetrahedron.
                const E: f32 = 5e-4;
                let corners = [
                    vec3(1.0, -1.0, -1.0),
                    vec3(-1.0, -1.0, 1.0),
                    vec3(-1.0, 1.0, -1.0),
                    vec3(1.0, 1.0, 1.0),
                ];
                let sum =
                    corners.iter().fold(Vec3::ZERO, |sum, &c| sum + c * self.distance(p + c * E));
                sum.unit()
            }
        }
    }
}

/// Sphere tracing: steps of the distance to the surface, from outside or from inside.
pub(super) fn march(object: &Object, ray: Ray, from: f32, to: f32) -> Option<f32> {
    /// Enough for the gentle shapes here; a ray that still hasn't arrived grazes, and misses.
    const STEPS: usize = 72;
    /// Below [`OFFSET`], so that rays that start at a surface get away from it.
    const NEAR: f32 = 2e-4;
    let origin = object.rotation.to_object(ray.origin - object.at);
    let direction = object.rotation.to_object(ray.direction);
    let (mut from, mut to) = (from, to);
    let half = object.shape.half_sides();
    for (o, d, h) in [
        (origin.x, direction.x, half.x),
        (origin.y, direction.y, half.y),
        (origin.z, direction.z, half.z),
    ] {
        // Along a face this divides by 0; the infinities that follow are the right limits.
        let inverse = 1.0 / d;
        let (a, b) = ((-h - o) * inverse, (h - o) * inverse);
        from = from.max(a.min(b));
        to = to.min(a.max(b));
    }
    if from > to {
        return None;
    }
    let mut t = from;
    let mut distance = object.shape.distance(origin + direction * t);
    let side = if distance < 0.0 { -1.0 } else { 1.0 };
    for _ in 0..STEPS {
        distance *= side;
        if distance < NEAR {
            return (t > 0.0).then_some(t);
        }
        t += distance;
        if t > to {
            return None;
        }
        distance = object.shape.distance(origin + direction * t);
    }
    None
}
