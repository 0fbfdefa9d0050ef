//! All objects of a scene: what a ray meets first, and what its surface looks like there.

use super::camera::Ray;
use super::geometry::{OFFSET, Object, Shape, march};
use super::math::{Vec3, atan_unit, smoothstep, vec3};

/// Where a ray met an object.
#[derive(Clone, Copy, Debug)]
pub(super) struct Hit {
    /// Index into [`World::objects`].
    pub(super) object: usize,
    pub(super) distance: f32,
    pub(super) point: Vec3,
    /// The outward unit normal, whichever side the ray came from.
    pub(super) normal: Vec3,
}

/// Coordinates on a surface for patterns and textures, and the unit directions in which they grow.
#[derive(Clone, Copy, Debug)]
pub(super) struct Chart {
    pub(super) u: f32,
    pub(super) v: f32,
    pub(super) along_u: Vec3,
    pub(super) along_v: Vec3,
}

/// Four bounding spheres side by side, so that the compiler tests them with one instruction each.
#[derive(Clone, Debug)]
struct Four {
    x: [f32; 4],
    y: [f32; 4],
    z: [f32; 4],
    /// Squared radii; negative for an empty place, which nothing meets.
    r2: [f32; 4],
    object: [usize; 4],
}

/// All objects, ready to be asked.
#[derive(Clone, Debug)]
pub(super) struct World {
    pub(super) objects: Vec<Object>,
    bounded: Vec<Four>,
    floors: Vec<usize>,
}

impl World {
    pub(super) fn new(objects: Vec<Object>) -> World {
        let mut floors = Vec::new();
        let mut spheres = Vec::new();
        for (i, object) in objects.iter().enumerate() {
            match object.shape.bound() {
                Some(radius) => spheres.push((i, object.at, radius)),
                None => floors.push(i),
            }
        }
        let bounded = spheres
            .chunks(4)
            .map(|chunk| {
                let mut four =
                    Four { x: [0.0; 4], y: [0.0; 4], z: [0.0; 4], r2: [-1.0; 4], object: [0; 4] };
                for (lane, &(object, at, radius)) in chunk.iter().enumerate() {
                    (four.x[lane], four.y[lane], four.z[lane]) = (at.x, at.y, at.z);
                    four.r2[lane] = radius * radius;
                    four.object[lane] = object;
                }
                four
            })
            .collect();
        World { objects, bounded, floors }
    }

    /// The first object on the ray before `limit`.
    pub(super) fn nearest(&self, ray: Ray, limit: f32) -> Option<Hit> {
        let mut best: Option<(f32, usize)> = None;
        self.visit(ray, limit, |t, object| {
            best = Some((t, object));
            Some(t)
        });
        let (distance, object) = best?;
        let point = ray.origin + ray.direction * distance;
        Some(Hit { object, distance, point, normal: self.normal(object, point) })
    }

    /// The outward normal of an object at a point of its surface.
    pub(super) fn normal(&self, object: usize, point: Vec3) -> Vec3 {
        let o = &self.objects[object];
        match o.shape {
            Shape::Sphere { .. } => (point - o.at).unit(),
            Shape::Floor { .. } => Vec3::UP,
            _ => o.rotation.to_world(o.shape.normal(o.rotation.to_object(point - o.at))),
        }
    }

    /// Calls `found` with distance and object of every meeting nearer than the limit, in no order of
    /// distance; what it returns is the new limit, and `None` ends the search.
    pub(super) fn visit(
        &self,
        ray: Ray,
        mut limit: f32,
        mut found: impl FnMut(f32, usize) -> Option<f32>,
    ) {
        let (o, d) = (ray.origin, ray.direction);
        for &floor in &self.floors {
            let t = (self.objects[floor].at.y - o.y) / d.y;
            if t > OFFSET && t < limit {
                match found(t, floor) {
                    Some(nearer) => limit = nearer,
                    None => return,
                }
            }
        }
        for four in &self.bounded {
            let (mut along, mut rest) = ([0.0_f32; 4], [0.0_f32; 4]);
            for i in 0..4 {
                let (x, y, z) = (four.x[i] - o.x, four.y[i] - o.y, four.z[i] - o.z);
                let b = x * d.x + y * d.y + z * d.z;
                // From the point nearest the centre, which keeps its precision far away.
                let (x, y, z) = (x - b * d.x, y - b * d.y, z - b * d.z);
                along[i] = b;
                rest[i] = four.r2[i] - (x * x + y * y + z * z);
            }
            for i in 0..4 {
                if rest[i] <= 0.0 {
                    continue;
                }
                let half = rest[i].sqrt();
                let (near, far) = (along[i] - half, along[i] + half);
                if far <= OFFSET || near >= limit {
                    continue;
                }
                let index = four.object[i];
                let object = &self.objects[index];
                let t = match object.shape {
                    Shape::Sphere { .. } if near > OFFSET => Some(near),
                    Shape::Sphere { .. } => Some(far),
                    _ => march(object, ray, near.max(0.0), far.min(limit)),
                };
                if let Some(t) = t.filter(|&t| t < limit) {
                    match found(t, index) {
                        Some(nearer) => limit = nearer,
                        None => return,
                    }
                }
            }
        }
    }

    /// Coordinates at a point of an object's surface.
    pub(super) fn chart(&self, hit: &Hit) -> Chart {
        let object = &self.objects[hit.object];
        let p = object.rotation.to_object(hit.point - object.at);
        let (x, z) = (vec3(1.0, 0.0, 0.0), vec3(0.0, 0.0, 1.0));
        let (u, v, along_u, along_v) = match object.shape {
            Shape::Floor { .. } => (p.x, p.z, x, z),
            Shape::Sphere { radius } => {
                // A cube blown up to a sphere, by equal angles: no poles, and even cells.
                let (a, axis_a, b, axis_b, major) = major_axis(p, p);
                let scale = radius * 4.0 / std::f32::consts::PI;
                let angle = |part: f32| atan_unit((part / major).clamp(-1.0, 1.0)) * scale;
                (angle(a), angle(b), axis_a, axis_b)
            }
            Shape::Box { half, .. } => {
                let relative =
                    vec3(p.x / half.x.max(1e-6), p.y / half.y.max(1e-6), p.z / half.z.max(1e-6));
                let (a, axis_a, b, axis_b, _) = major_axis(p, relative);
                (a, b, axis_a, axis_b)
            }
            Shape::Torus { .. } | Shape::Cylinder { .. } => (p.x, p.z, x, z),
        };
        let in_surface = |axis: Vec3| {
            let axis = object.rotation.to_world(axis);
            (axis - hit.normal * axis.dot(hit.normal)).unit()
        };
        Chart { u, v, along_u: in_surface(along_u), along_v: in_surface(along_v) }
    }

    /// How much of a floor at this point has melted into the sky: 0 to 1.
    pub(super) fn fade(&self, hit: &Hit) -> f32 {
        let object = &self.objects[hit.object];
        match object.shape {
            Shape::Floor { fade } => smoothstep(fade[0], fade[1], (hit.point - object.at).length()),
            _ => 0.0,
        }
    }
}

/// The two coordinates of `p` beside the axis on which `by` is largest, with their axes, and that
/// largest size.
fn major_axis(p: Vec3, by: Vec3) -> (f32, Vec3, f32, Vec3, f32) {
    let (x, y, z) = (vec3(1.0, 0.0, 0.0), Vec3::UP, vec3(0.0, 0.0, 1.0));
    let size = by.abs();
    if size.y >= size.x && size.y >= size.z {
        (p.x, x, p.z, z, size.y)
    } else if size.x >= size.z {
        (p.z, z, p.y, y, size.x)
    } else {
        (p.x, x, p.y, y, size.z)
    }
}

#[cfg(test)]
mod tests {
    use super::super::math::Rotation;
    use super::*;

    fn ray(origin: Vec3, towards: Vec3) -> Ray {
        Ray { origin, direction: (towards - origin).unit() }
    }

    fn world(shapes: &[(Shape, Vec3)]) -> World {
        World::new(
            shapes
                .iter()
                .map(|&(shape, at)| Object {
                    shape,
                    at,
                    rotation: Rotation::from_degrees(vec3(0.0, 90.0, 0.0)),
                    material: 0,
                })
                .collect(),
        )
    }

    #[test]
    fn each_shape_is_met_where_it_is() {
        let shapes = [
            (Shape::Sphere { radius: 1.0 }, 4.0),
            (Shape::Box { half: vec3(0.2, 1.0, 2.0), round: 0.1 }, 3.0),
            (Shape::Torus { radius: 2.0, tube: 0.5 }, 2.5),
            (Shape::Cylinder { radius: 1.5, half: 1.0, round: 0.0 }, 3.5),
        ];
        for (shape, expected) in shapes {
            let world = world(&[(shape, Vec3::ZERO)]);
            let hit = world.nearest(ray(vec3(-5.0, 0.0, 0.0), Vec3::ZERO), f32::INFINITY).unwrap();
            assert!((hit.distance - expected).abs() < 1e-3, "{shape:?}: {hit:?}");
            assert!((hit.normal - vec3(-1.0, 0.0, 0.0)).length() < 1e-2, "{shape:?}: {hit:?}");
            assert!(world.nearest(ray(vec3(-5.0, 0.0, 0.0), vec3(-5.0, 9.0, 0.0)), 99.0).is_none());
            assert!(world.nearest(ray(vec3(-5.0, 0.0, 0.0), Vec3::ZERO), expected - 0.1).is_none());
        }
    }

    #[test]
    fn a_ray_from_inside_leaves() {
        for shape in [Shape::Sphere { radius: 1.0 }, Shape::Box { half: Vec3::ONE, round: 0.2 }] {
            let world = world(&[(shape, Vec3::ZERO)]);
            let hit = world.nearest(ray(Vec3::ZERO, vec3(0.0, 1.0, 0.0)), f32::INFINITY).unwrap();
            assert!((hit.distance - 1.0).abs() < 1e-3 && hit.normal.y > 0.99, "{hit:?}");
        }
    }

    #[test]
    fn the_nearest_of_many_wins_in_any_order() {
        let mut shapes: Vec<(Shape, Vec3)> =
            (0..11).map(|i| (Shape::Sphere { radius: 0.4 }, vec3(0.0, 0.0, i as f32))).collect();
        shapes.push((Shape::Floor { fade: [10.0, 20.0] }, vec3(0.0, -1.0, 0.0)));
        for _ in 0..shapes.len() {
            shapes.rotate_left(1);
            let world = world(&shapes);
            let hit = world.nearest(ray(vec3(0.0, 0.0, -3.0), Vec3::ZERO), 99.0).unwrap();
            assert!((hit.distance - 2.6).abs() < 1e-4);
            let down = world.nearest(ray(vec3(3.0, 1.0, 0.0), vec3(3.0, 0.0, 0.0)), 99.0).unwrap();
            assert!((down.distance - 2.0).abs() < 1e-5 && world.fade(&down) == 0.0);
        }
    }

    #[test]
    fn charts_lie_in_the_surface() {
        let world = world(&[(Shape::Sphere { radius: 2.0 }, Vec3::ZERO)]);
        for from in [vec3(5.0, 1.0, 2.0), vec3(-1.0, 6.0, 1.5), vec3(0.5, -0.7, -4.0)] {
            let hit = world.nearest(ray(from, Vec3::ZERO), 99.0).unwrap();
            let chart = world.chart(&hit);
            assert!(chart.along_u.dot(hit.normal).abs() < 1e-4);
            assert!(chart.along_v.dot(hit.normal).abs() < 1e-4);
            assert!(chart.u.abs() <= 2.0 && chart.v.abs() <= 2.0);
        }
    }
}
