//! A frame, from scene to picture, on several threads.

use std::sync::Mutex;
use std::sync::mpsc;

use super::camera::View;
use super::denoise::{Grain, Pixel, denoise};
use super::image::{Image, tone_map};
use super::math::Vec3;
use super::pattern::Textures;
use super::sampler::Sampler;
use super::scene::Scene;
use super::trace::Tracer;
use super::world::World;

/// The most threads that are started, whatever is asked for.
pub const MAX_THREADS: usize = 256;
/// Surfaces are taken to reflect at least this much of each colour when their colour is divided out.
const DARKEST: f32 = 0.02;

/// Why a frame can't be rendered, or a picture not be written.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RenderError {
    /// A picture that the scene names can't be read.
    #[error("the texture {path} can't be read: {reason}")]
    Texture {
        /// As the scene spells it.
        path: String,
        /// What the system or the decoder says.
        reason: String,
    },
    /// The textures given aren't this scene's.
    #[error("the scene names {expected} textures, but {given} were loaded")]
    Textures {
        /// How many the scene names.
        expected: usize,
        /// How many were given.
        given: usize,
    },
    /// The picture can't be encoded.
    #[error("the picture can't be encoded: {reason}")]
    Encode {
        /// What the encoder says.
        reason: String,
    },
    /// The picture can't be written.
    #[error("{path} can't be written: {reason}")]
    Write {
        /// The file.
        path: String,
        /// What the system says.
        reason: String,
    },
}

/// Renders one frame.
///
/// `threads` is brought into 1 to [`MAX_THREADS`]; it changes how long the frame takes, and no pixel.
/// `progress` is called on this thread with the rows done and their number, after each. Frames outside
/// the scene's range render too: the camera goes on (an orbit) or stands still (keys).
/// Memory: about 130 bytes a pixel.
///
/// # Errors
/// [`RenderError::Textures`] if `textures` wasn't loaded for this scene.
pub fn render(
    scene: &Scene,
    textures: &Textures,
    frame: i64,
    threads: usize,
    progress: &mut dyn FnMut(usize, usize),
) -> Result<Image, RenderError> {
    let (expected, given) = (scene.textures.len(), textures.len());
    if expected != given {
        return Err(RenderError::Textures { expected, given });
    }
    let (width, height) = (scene.width as usize, scene.height as usize);
    let size = (scene.width, scene.height);
    let view = View::new(&scene.camera, frame, (scene.start_frame, scene.end_frame), size);
    let world = World::new(scene.objects.clone());
    let tracer = Tracer { scene, world: &world, textures, view };
    let mut pixels = vec![Pixel::default(); width * height];
    let mut report = |done| progress(done, height);
    over_rows(&mut pixels, width, threads, &mut report, |y, row| {
        for (x, pixel) in row.iter_mut().enumerate() {
            *pixel = trace_pixel(&tracer, frame, x as u32, y as u32);
        }
    });
    let grains = if scene.denoise {
        denoise(&pixels, width, threads)
    } else {
        pixels.iter().map(|p| p.grain).collect()
    };
    let mut rgb = Vec::with_capacity(width * height * 3);
    for (i, (pixel, grain)) in pixels.iter().zip(&grains).enumerate() {
        let light = pixel.direct + grain.light * pixel.albedo.at_least(DARKEST);
        // From the middle (0) to a corner (1), squared.
        let dx = ((i % width) as f32 + 0.5) / width as f32 * 2.0 - 1.0;
        let dy = ((i / width) as f32 + 0.5) / height as f32 * 2.0 - 1.0;
        let corner = (dx * dx + dy * dy) * 0.5;
        let exposure = scene.exposure * (1.0 - scene.vignette * corner);
        rgb.extend(tone_map(light * exposure));
    }
    Ok(Image { width: scene.width, height: scene.height, rgb })
}

fn trace_pixel(tracer: &Tracer<'_>, frame: i64, x: u32, y: u32) -> Pixel {
    let n = tracer.scene.samples;
    let source = Sampler::of_pixel(tracer.scene.seed, frame, x, y, n);
    let (mut pixel, mut lit) = (Pixel::default(), Vec3::ZERO);
    let (mut sum, mut squares) = (0.0, 0.0);
    let (mut first, mut spread, mut apart) = (Vec3::ZERO, 0.0, 0.0);
    for index in 0..n {
        let s = tracer.sample(x, y, source.of_sample(index));
        pixel.direct += s.direct;
        pixel.albedo += s.albedo;
        pixel.normal += s.normal;
        if s.weight > 0.0 {
            let point = s.point * (1.0 / s.weight);
            if pixel.weight <= 0.0 {
                first = point;
            }
            // Differences from the first one keep their precision far from the origin.
            pixel.point += (point - first) * s.weight;
            spread += (point - first).dot(point - first) * s.weight;
        }
        pixel.weight += s.weight;
        lit += s.lit;
        let luminance = s.lit.luminance();
        sum += luminance;
        squares += luminance * luminance;
    }
    let each = 1.0 / n as f32;
    pixel.direct *= each;
    pixel.albedo *= each;
    if pixel.weight > 0.0 {
        let part = 1.0 / pixel.weight;
        let from_first = pixel.point * part;
        pixel.point = first + from_first;
        pixel.agreement = pixel.normal.length() * part;
        pixel.normal = pixel.normal.unit();
        apart = (spread * part - from_first.dot(from_first)).max(0.0).sqrt();
    }
    pixel.weight *= each;
    pixel.reach = (tracer.view.pixel_at(pixel.point) * 2.0).max(apart);
    let albedo = pixel.albedo.at_least(DARKEST);
    let part = |lit: f32, albedo: f32| lit * each / albedo;
    let light =
        Vec3 { x: part(lit.x, albedo.x), y: part(lit.y, albedo.y), z: part(lit.z, albedo.z) };
    // The variance of the mean.
    let variance = (squares * each - sum * each * sum * each).max(0.0) * each;
    let scale = albedo.luminance();
    pixel.grain = Grain { light, variance: variance / (scale * scale) };
    pixel
}

/// Runs `work` over the rows of a picture on several threads, each row once, and reports from this
/// thread how many are done.
pub(super) fn over_rows<T: Send>(
    rows: &mut [T],
    width: usize,
    threads: usize,
    report: &mut dyn FnMut(usize),
    work: impl Fn(usize, &mut [T]) + Sync,
) {
    let count = rows.len() / width.max(1);
    let threads = threads.clamp(1, MAX_THREADS).min(count.max(1));
    let mut numbered = rows.chunks_mut(width.max(1)).enumerate();
    if threads == 1 {
        for (y, row) in numbered {
            work(y, row);
            report(y + 1);
        }
        return;
    }
    let queue = Mutex::new(&mut numbered);
    let (finished, done) = mpsc::channel();
    std::thread::scope(|scope| {
        for _ in 0..threads {
            let (queue, work, finished) = (&queue, &work, finished.clone());
            scope.spawn(move || {
                loop {
                    // A poisoned lock means that another thread panicked; the scope passes it on.
                    let Ok(next) = queue.lock().map(|mut rows| rows.next()) else {
                        return;
                    };
                    let Some((y, row)) = next else { return };
                    work(y, row);
                    // Only fails if nobody listens any more, which is no reason to stop.
                    let _ = finished.send(());
                }
            });
        }
        drop(finished);
        for (i, ()) in done.iter().enumerate() {
            report(i + 1);
        }
    });
}
