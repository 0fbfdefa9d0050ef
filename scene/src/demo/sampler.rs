//! Random numbers without state: every number is a hash of seed, frame, pixel, sample and dimension.

/// One sample's source of numbers in 0..1.
///
/// The first [`STRATIFIED`] pairs are Owen-scrambled Sobol points, which spread evenly over the samples
/// of a pixel (hash-based scrambling after Burley 2020, JCGT 9.4); later ones are plain hashes.
#[derive(Clone, Copy)]
pub(super) struct Sampler {
    pixel: u32,
    /// The sample's number with its bits reversed.
    reversed: u32,
    /// Covers the numbers of all samples. Bits above it would only move all points alike.
    mask: u32,
    dimension: u32,
}

/// How many pairs are stratified: the lens, the pixel and the first two or three bounces.
const STRATIFIED: u32 = 48;

/// The largest `f32` below 1: what a fraction of 32 bits may round up to.
const ALMOST_ONE: f32 = 1.0 - f32::EPSILON / 2.0;

impl Sampler {
    /// The sources of a pixel (x, y) in `frame` of a scene with this seed, for `samples` samples.
    pub(super) fn of_pixel(seed: u32, frame: i64, x: u32, y: u32, samples: u32) -> Sampler {
        let frame = hash(frame as u32 ^ hash((frame >> 32) as u32 ^ hash(seed)));
        let mask = samples.checked_next_power_of_two().map_or(u32::MAX, |n| n - 1);
        Sampler { pixel: hash(x ^ hash(y ^ frame)), reversed: 0, mask, dimension: 0 }
    }

    /// The source of this pixel's sample `index`.
    pub(super) fn of_sample(self, index: u32) -> Sampler {
        Sampler { reversed: index.reverse_bits(), dimension: 0, ..self }
    }

    /// Goes on at this dimension, so that branches of a path stay stratified apart from each other.
    pub(super) fn jump(&mut self, dimension: u32) {
        self.dimension = dimension;
    }

    /// The next pair, each in 0..1.
    #[inline]
    pub(super) fn pair(&mut self) -> (f32, f32) {
        let (key, i) = self.step();
        let Some(i) = i else {
            return (fraction(key), fraction(hash(key ^ 0x68bc_21eb)));
        };
        let y = scramble(sobol_reversed(i), hash(key ^ 0x967a_889b)).reverse_bits();
        (first(i, key), fraction(y))
    }

    /// The next single number, in 0..1.
    #[inline]
    pub(super) fn one(&mut self) -> f32 {
        let (key, i) = self.step();
        i.map_or_else(|| fraction(key), |i| first(i, key))
    }

    /// The next dimension's key, and the sample's place in its order, if it is a stratified one.
    fn step(&mut self) -> (u32, Option<u32>) {
        let key = hash(self.pixel ^ self.dimension.wrapping_mul(0x9e37_79b9));
        self.dimension += 1;
        if self.dimension > STRATIFIED {
            return (hash(key ^ hash(self.reversed)), None);
        }
        (key, Some(scramble(self.reversed, key).reverse_bits() & self.mask))
    }
}

/// Sobol's first dimension, the reversed bits, scrambled.
fn first(i: u32, key: u32) -> f32 {
    fraction(scramble(i, hash(key ^ 0x02e5_be93)).reverse_bits())
}

fn fraction(bits: u32) -> f32 {
    (bits as f32 * (1.0 / 4_294_967_296.0)).min(ALMOST_ONE)
}

/// A 32-bit mixing function (Wellons' `lowbias32`).
pub(super) fn hash(mut x: u32) -> u32 {
    x = (x ^ (x >> 16)).wrapping_mul(0x7feb_352d);
    x = (x ^ (x >> 15)).wrapping_mul(0x846c_a68b);
    x ^ (x >> 16)
}

/// Owen scrambling, by Laine and Karras' hash: each bit is flipped or not as the bits below it and the
/// key say. It takes and gives bits in reverse, the most significant one lowest.
fn scramble(mut x: u32, key: u32) -> u32 {
    x = x.wrapping_add(key);
    x ^= x.wrapping_mul(0x6c50_b47c);
    x ^= x.wrapping_mul(0xb82f_1e52);
    x ^= x.wrapping_mul(0xc7af_e638);
    x ^ x.wrapping_mul(0x8d22_f6e6)
}

/// Sobol's second dimension, in reversed bits; its direction numbers are the rows of Pascal's triangle
/// modulo 2.
fn sobol_reversed(mut index: u32) -> u32 {
    let (mut direction, mut out) = (1_u32, 0);
    while index != 0 {
        if index & 1 != 0 {
            out ^= direction;
        }
        index >>= 1;
        direction ^= direction << 1;
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sixteen_samples_fill_every_stratum() {
        for pixel in 0..20 {
            let (mut square, mut rows, mut columns) = ([0; 16], [0; 16], [0; 16]);
            for index in 0..16 {
                let mut s = Sampler::of_pixel(7, 3, pixel, 1, 16).of_sample(index);
                s.jump(4);
                let (x, y) = s.pair();
                square[(x * 4.0) as usize * 4 + (y * 4.0) as usize] += 1;
                columns[(x * 16.0) as usize] += 1;
                rows[(y * 16.0) as usize] += 1;
            }
            assert_eq!((square, rows, columns), ([1; 16], [1; 16], [1; 16]));
        }
    }

    #[test]
    fn numbers_depend_on_everything_and_stay_below_one() {
        let first =
            |seed, frame, x, y, i| Sampler::of_pixel(seed, frame, x, y, 4).of_sample(i).pair();
        let base = first(1, 1, 1, 1, 1);
        for other in [
            first(2, 1, 1, 1, 1),
            first(1, 2, 1, 1, 1),
            first(1, 1, 2, 1, 1),
            first(1, 1, 1, 2, 1),
            first(1, 1, 1, 1, 2),
            first(1, 1 + (1 << 32), 1, 1, 1),
        ] {
            assert_ne!(base, other);
        }
        assert!(fraction(u32::MAX) < 1.0);
    }
}
