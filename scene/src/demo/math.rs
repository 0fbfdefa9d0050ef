//! Vectors, and the few transcendental functions the tracer needs.
//!
//! `sin`, `pow` and their kin come from each platform's C library and differ in the last bit from one
//! to the next; one such bit can flip a branch and change a pixel. So only `+ - * / sqrt floor`, which
//! IEEE 754 defines exactly (Rust never fuses them), are used, and the rest is built on them here.

use std::ops::{Add, AddAssign, Mul, MulAssign, Neg, Sub};

/// Three numbers: a point, a direction or a linear RGB colour.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Vec3 {
    pub(super) x: f32,
    pub(super) y: f32,
    pub(super) z: f32,
}

/// `Vec3` from its three components.
pub(super) const fn vec3(x: f32, y: f32, z: f32) -> Vec3 {
    Vec3 { x, y, z }
}

impl Vec3 {
    pub(super) const ZERO: Vec3 = vec3(0.0, 0.0, 0.0);
    pub(super) const ONE: Vec3 = vec3(1.0, 1.0, 1.0);
    pub(super) const UP: Vec3 = vec3(0.0, 1.0, 0.0);

    pub(super) fn dot(self, o: Vec3) -> f32 {
        self.x * o.x + self.y * o.y + self.z * o.z
    }

    pub(super) fn cross(self, o: Vec3) -> Vec3 {
        vec3(self.y * o.z - self.z * o.y, self.z * o.x - self.x * o.z, self.x * o.y - self.y * o.x)
    }

    pub(super) fn length(self) -> f32 {
        self.dot(self).sqrt()
    }

    /// The unit vector of this direction; up, where there is none.
    pub(super) fn unit(self) -> Vec3 {
        let length = self.length();
        if length > 1e-20 { self * (1.0 / length) } else { Vec3::UP }
    }

    pub(super) fn abs(self) -> Vec3 {
        vec3(self.x.abs(), self.y.abs(), self.z.abs())
    }

    /// The componentwise maximum with one number.
    pub(super) fn at_least(self, low: f32) -> Vec3 {
        vec3(self.x.max(low), self.y.max(low), self.z.max(low))
    }

    pub(super) fn max_part(self) -> f32 {
        self.x.max(self.y).max(self.z)
    }

    /// Luminance with the Rec. 709 weights, which are sRGB's.
    pub(super) fn luminance(self) -> f32 {
        0.2126 * self.x + 0.7152 * self.y + 0.0722 * self.z
    }

    pub(super) fn mix(self, o: Vec3, t: f32) -> Vec3 {
        self * (1.0 - t) + o * t
    }

    /// This direction mirrored at a surface with normal `n`.
    pub(super) fn reflect(self, n: Vec3) -> Vec3 {
        self - n * (2.0 * self.dot(n))
    }

    pub(super) fn is_finite(self) -> bool {
        self.x.is_finite() && self.y.is_finite() && self.z.is_finite()
    }

    /// Two unit vectors that complete this one to a right-handed frame (Duff et al. 2017, JCGT 6.1).
    pub(super) fn frame(self) -> (Vec3, Vec3) {
        let sign = if self.z < 0.0 { -1.0 } else { 1.0 };
        let a = -1.0 / (sign + self.z);
        let b = self.x * self.y * a;
        (
            vec3(1.0 + sign * self.x * self.x * a, sign * b, -sign * self.x),
            vec3(b, sign + self.y * self.y * a, -self.y),
        )
    }
}

impl Add for Vec3 {
    type Output = Vec3;
    fn add(self, o: Vec3) -> Vec3 {
        vec3(self.x + o.x, self.y + o.y, self.z + o.z)
    }
}

impl Sub for Vec3 {
    type Output = Vec3;
    fn sub(self, o: Vec3) -> Vec3 {
        vec3(self.x - o.x, self.y - o.y, self.z - o.z)
    }
}

impl Mul for Vec3 {
    type Output = Vec3;
    fn mul(self, o: Vec3) -> Vec3 {
        vec3(self.x * o.x, self.y * o.y, self.z * o.z)
    }
}

impl Mul<f32> for Vec3 {
    type Output = Vec3;
    fn mul(self, k: f32) -> Vec3 {
        vec3(self.x * k, self.y * k, self.z * k)
    }
}

impl Neg for Vec3 {
    type Output = Vec3;
    fn neg(self) -> Vec3 {
        vec3(-self.x, -self.y, -self.z)
    }
}

impl AddAssign for Vec3 {
    fn add_assign(&mut self, o: Vec3) {
        *self = *self + o;
    }
}

impl MulAssign<f32> for Vec3 {
    fn mul_assign(&mut self, k: f32) {
        *self = *self * k;
    }
}

impl MulAssign for Vec3 {
    fn mul_assign(&mut self, o: Vec3) {
        *self = *self * o;
    }
}

/// A rotation, as the images of the three axes.
#[derive(Clone, Copy, Debug)]
pub(super) struct Rotation {
    x: Vec3,
    y: Vec3,
    z: Vec3,
}

impl Rotation {
    /// Turns about x, then y, then z, in degrees.
    pub(super) fn from_degrees(d: Vec3) -> Rotation {
        let turn = |p: Vec3| {
            let (s, c) = sin_cos_turns(d.x / 360.0);
            let p = vec3(p.x, c * p.y - s * p.z, s * p.y + c * p.z);
            let (s, c) = sin_cos_turns(d.y / 360.0);
            let p = vec3(c * p.x + s * p.z, p.y, c * p.z - s * p.x);
            let (s, c) = sin_cos_turns(d.z / 360.0);
            vec3(c * p.x - s * p.y, s * p.x + c * p.y, p.z)
        };
        Rotation {
            x: turn(vec3(1.0, 0.0, 0.0)),
            y: turn(vec3(0.0, 1.0, 0.0)),
            z: turn(vec3(0.0, 0.0, 1.0)),
        }
    }

    /// From the object's space to the world's.
    pub(super) fn to_world(self, p: Vec3) -> Vec3 {
        self.x * p.x + self.y * p.y + self.z * p.z
    }

    /// From the world's space to the object's.
    pub(super) fn to_object(self, p: Vec3) -> Vec3 {
        vec3(self.x.dot(p), self.y.dot(p), self.z.dot(p))
    }
}

/// Sine and cosine of an angle in turns (1 is a full circle), to about 1e-6.
pub(super) fn sin_cos_turns(t: f32) -> (f32, f32) {
    let t = t - t.floor();
    // Fold into an eighth of a turn either side of a multiple of a quarter.
    let quarter = (t * 4.0 + 0.5).floor();
    let a = (t - quarter * 0.25) * std::f32::consts::TAU;
    let a2 = a * a;
    let s = a * (1.0 - a2 * (1.0 / 6.0 - a2 * (1.0 / 120.0 - a2 * (1.0 / 5040.0))));
    let c = 1.0 - a2 * (0.5 - a2 * (1.0 / 24.0 - a2 * (1.0 / 720.0 - a2 * (1.0 / 40320.0))));
    match quarter as i32 & 3 {
        0 => (s, c),
        1 => (c, -s),
        2 => (-s, -c),
        _ => (-c, s),
    }
}

/// Arc tangent for arguments in -1..=1, in radians, to about 1e-5 (Abramowitz and Stegun 4.4.49).
pub(super) fn atan_unit(x: f32) -> f32 {
    let x2 = x * x;
    x * (0.999_866 + x2 * (-0.330_299_5 + x2 * (0.180_141 + x2 * (-0.085_133 + x2 * 0.020_835_1))))
}

/// `x` to the power `p` for positive, normal `x`; 0 for any other. To about 1e-5 of its value.
pub(super) fn power(x: f32, p: f32) -> f32 {
    if !(f32::MIN_POSITIVE..f32::INFINITY).contains(&x) {
        return 0.0;
    }
    // log2: exponent, plus the series of 2 artanh((m - 1) / (m + 1)) / ln 2 for the mantissa.
    let bits = x.to_bits();
    let exponent = (bits >> 23) as i32 - 127;
    let m = f32::from_bits((bits & 0x007f_ffff) | 0x3f80_0000);
    let r = (m - 1.0) / (m + 1.0);
    let r2 = r * r;
    let series = 1.0 + r2 * (1.0 / 3.0 + r2 * (1.0 / 5.0 + r2 * (1.0 / 7.0 + r2 * (1.0 / 9.0))));
    let log2 = exponent as f32 + r * series * (2.0 / std::f32::consts::LN_2);
    // exp2: whole part into the exponent, the rest (-0.5..0.5) by Taylor's series.
    let y = (log2 * p).clamp(-126.0, 127.0);
    let whole = (y + 0.5).floor();
    let f = (y - whole) * std::f32::consts::LN_2;
    let fraction =
        1.0 + f * (1.0 + f * (0.5 + f * (1.0 / 6.0 + f * (1.0 / 24.0 + f * (1.0 / 120.0)))));
    fraction * f32::from_bits(((whole as i32 + 127).clamp(1, 254) as u32) << 23)
}

/// 0 below `low`, 1 above `high`, and a smooth step between.
pub(super) fn smoothstep(low: f32, high: f32, x: f32) -> f32 {
    let t = ((x - low) / (high - low).max(1e-6)).clamp(0.0, 1.0);
    t * t * (3.0 - 2.0 * t)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn own_functions_match_the_library() {
        for i in -400..400 {
            let t = i as f32 / 97.0;
            let (s, c) = sin_cos_turns(t);
            let exact = f64::from(t) * std::f64::consts::TAU;
            assert!((f64::from(s) - exact.sin()).abs() < 5e-6, "sin {t}");
            assert!((f64::from(c) - exact.cos()).abs() < 5e-6, "cos {t}");
            let x = i as f32 / 400.0;
            assert!((atan_unit(x) - x.atan()).abs() < 2e-5, "atan {x}");
        }
        for (x, p) in [(0.2_f32, 1.0 / 2.4_f32), (0.7, 2.4), (3.0, 5.0), (1e-6, 0.4), (1.0, 9.0)] {
            let exact = x.powf(p);
            assert!((power(x, p) - exact).abs() < 2e-5 * exact, "{x}^{p}");
        }
        assert_eq!(power(f32::NAN, 2.0), 0.0);
        assert_eq!(power(-1.0, 2.0), 0.0);
    }

    #[test]
    fn rotation_undoes_itself() {
        let r = Rotation::from_degrees(vec3(31.0, -47.0, 112.0));
        let p = vec3(0.3, -1.2, 2.0);
        assert!((r.to_object(r.to_world(p)) - p).length() < 1e-5);
        assert!(
            (Rotation::from_degrees(vec3(0.0, 90.0, 0.0)).to_world(vec3(0.0, 0.0, 1.0)).x - 1.0)
                .abs()
                < 1e-5
        );
    }

    #[test]
    fn frames_are_orthonormal() {
        for n in [vec3(0.0, 0.0, -1.0), vec3(0.0, 1.0, 0.0), vec3(0.3, -0.4, 0.7).unit()] {
            let (a, b) = n.frame();
            assert!(a.dot(b).abs() < 1e-5 && a.dot(n).abs() < 1e-5 && b.dot(n).abs() < 1e-5);
            assert!((a.cross(b) - n).length() < 1e-5);
        }
    }
}
