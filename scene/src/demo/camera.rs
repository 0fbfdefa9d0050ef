//! The camera: where it stands at each frame, and the rays it sends.

use super::math::{Vec3, sin_cos_turns, vec3};

/// A ray with a unit direction.
#[derive(Clone, Copy, Debug)]
pub(super) struct Ray {
    pub(super) origin: Vec3,
    pub(super) direction: Vec3,
}

/// How the camera moves, and its lens.
#[derive(Clone, Debug)]
pub(super) struct Camera {
    pub(super) path: Path,
    /// The vertical angle of view in degrees.
    pub(super) fov: f32,
    /// The lens's radius in scene units; 0 is a pinhole, with everything sharp.
    pub(super) aperture: f32,
    /// The distance that is sharp; the target's, if none is given.
    pub(super) focus: Option<f32>,
}

/// The camera's way through the frames.
#[derive(Clone, Debug)]
pub(super) enum Path {
    /// Around a target. The frame range is one loop: the frame after the last is the first again
    /// (or `turn` degrees on).
    Orbit { target: Vec3, distance: f32, azimuth: f32, elevation: f32, swing: [f32; 2], turn: f32 },
    /// Through key frames, in order of their frames, on a smooth curve; still before and after.
    Keys(Vec<Key>),
}

/// A place on a path of key frames.
#[derive(Clone, Copy, Debug)]
pub(super) struct Key {
    pub(super) frame: i64,
    pub(super) position: Vec3,
    pub(super) target: Vec3,
}

impl Path {
    /// Where the camera stands, and what it looks at.
    fn at(&self, frame: i64, start: i64, end: i64) -> (Vec3, Vec3) {
        match self {
            Path::Orbit { target, distance, azimuth, elevation, swing, turn } => {
                let frames = end.saturating_sub(start).saturating_add(1) as f32;
                let u = frame.saturating_sub(start) as f32 / frames;
                let (s, c) = sin_cos_turns(u);
                let (sa, ca) = sin_cos_turns((azimuth + turn * u + swing[0] * s) / 360.0);
                let (se, ce) = sin_cos_turns((elevation + swing[1] * c) / 360.0);
                (*target + vec3(sa * ce, se, ca * ce) * *distance, *target)
            }
            Path::Keys(keys) => {
                let next = keys.partition_point(|k| k.frame <= frame);
                match (next.checked_sub(1).and_then(|i| keys.get(i)), keys.get(next)) {
                    (Some(a), Some(b)) => {
                        let before = next.checked_sub(2).and_then(|i| keys.get(i)).unwrap_or(a);
                        let after = keys.get(next + 1).unwrap_or(b);
                        let u = (frame - a.frame) as f32 / (b.frame - a.frame) as f32;
                        let part = |f: fn(&Key) -> Vec3| {
                            let slope = |p: &Key, q: &Key| {
                                let span = (q.frame - p.frame).max(1) as f32;
                                (f(q) - f(p)) * ((b.frame - a.frame) as f32 / span)
                            };
                            hermite(f(a), slope(before, b), f(b), slope(a, after), u)
                        };
                        (part(|k| k.position), part(|k| k.target))
                    }
                    (Some(k), None) | (None, Some(k)) => (k.position, k.target),
                    (None, None) => (vec3(0.0, 1.0, 5.0), Vec3::ZERO),
                }
            }
        }
    }
}

/// The cubic from `p` with slope `m` to `q` with slope `n`.
fn hermite(p: Vec3, m: Vec3, q: Vec3, n: Vec3, u: f32) -> Vec3 {
    let (u2, u3) = (u * u, u * u * u);
    p * (2.0 * u3 - 3.0 * u2 + 1.0)
        + m * (u3 - 2.0 * u2 + u)
        + q * (3.0 * u2 - 2.0 * u3)
        + n * (u3 - u2)
}

/// A camera at one frame, for a picture of one size.
#[derive(Clone, Copy, Debug)]
pub(super) struct View {
    origin: Vec3,
    forward: Vec3,
    right: Vec3,
    down: Vec3,
    /// Half the picture's width and height at distance 1.
    half: (f32, f32),
    size: (f32, f32),
    aperture: f32,
    focus: f32,
}

impl View {
    /// The view of `camera` at `frame` of the range `start..=end`.
    pub(super) fn new(camera: &Camera, frame: i64, range: (i64, i64), size: (u32, u32)) -> View {
        let (origin, target) = camera.path.at(frame, range.0, range.1);
        let forward = (target - origin).unit();
        let side = forward.cross(Vec3::UP);
        // Straight up or down, any side will do.
        let right = if side.length() > 1e-5 { side.unit() } else { vec3(1.0, 0.0, 0.0) };
        let (s, c) = sin_cos_turns(camera.fov / 720.0);
        let size = (size.0 as f32, size.1 as f32);
        let half = s / c;
        View {
            origin,
            forward,
            right,
            down: forward.cross(right),
            half: (half * size.0 / size.1, half),
            size,
            aperture: camera.aperture,
            focus: camera.focus.unwrap_or((target - origin).length()),
        }
    }

    /// How large a pixel is at the distance of this point.
    pub(super) fn pixel_at(&self, point: Vec3) -> f32 {
        let distance = (point - self.origin).dot(self.forward).abs().max(1e-3);
        2.0 * self.half.1 * distance / self.size.1
    }

    /// The ray through picture position (x, y) in pixels, (0, 0) being the top left corner, and a
    /// point of the lens given by two numbers in 0..1.
    pub(super) fn ray(&self, x: f32, y: f32, lens: (f32, f32)) -> Ray {
        let across = self.right * ((2.0 * x / self.size.0 - 1.0) * self.half.0)
            + self.down * ((2.0 * y / self.size.1 - 1.0) * self.half.1);
        let through = self.forward + across;
        if self.aperture <= 0.0 {
            return Ray { origin: self.origin, direction: through.unit() };
        }
        let (s, c) = sin_cos_turns(lens.1);
        let r = self.aperture * lens.0.sqrt();
        let offset = self.right * (c * r) + self.down * (s * r);
        Ray { origin: self.origin + offset, direction: (through * self.focus - offset).unit() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(frame: i64, x: f32) -> Key {
        Key { frame, position: vec3(x, 1.0, 5.0), target: vec3(0.0, 1.0, 0.0) }
    }

    #[test]
    fn keys_are_met_and_held() {
        let path = Path::Keys(vec![key(1, 0.0), key(5, 2.0), key(20, -1.0)]);
        for (frame, x) in [(-9, 0.0), (1, 0.0), (5, 2.0), (20, -1.0), (99, -1.0)] {
            assert!((path.at(frame, 1, 20).0.x - x).abs() < 1e-5, "frame {frame}");
        }
        let between = path.at(3, 1, 20).0.x;
        assert!(between > 0.5 && between < 1.8, "{between}");
    }

    #[test]
    fn orbit_keeps_its_distance_and_closes() {
        let path = Path::Orbit {
            target: vec3(0.0, 1.0, 0.0),
            distance: 7.0,
            azimuth: 20.0,
            elevation: 12.0,
            swing: [10.0, 3.0],
            turn: 0.0,
        };
        for frame in [i64::MIN, -3, 1, 12, 24, i64::MAX] {
            let (p, t) = path.at(frame, 1, 24);
            assert!(((p - t).length() - 7.0).abs() < 1e-3);
        }
        assert!((path.at(25, 1, 24).0 - path.at(1, 1, 24).0).length() < 1e-4);
    }

    #[test]
    fn the_centre_looks_at_the_target_and_the_focus_is_sharp() {
        let camera =
            Camera { path: Path::Keys(vec![key(1, 3.0)]), fov: 40.0, aperture: 0.2, focus: None };
        let view = View::new(&camera, 1, (1, 1), (64, 36));
        for lens in [(0.0, 0.0), (0.9, 0.3), (0.5, 0.8)] {
            let ray = view.ray(32.0, 18.0, lens);
            let to = vec3(0.0, 1.0, 0.0) - ray.origin;
            assert!((to - ray.direction * to.dot(ray.direction)).length() < 1e-4);
        }
        // Up in the picture is up in the world.
        assert!(
            view.ray(32.0, 0.0, (0.0, 0.0)).direction.y
                > view.ray(32.0, 36.0, (0.0, 0.0)).direction.y
        );
    }
}
