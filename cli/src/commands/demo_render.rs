//! `weft demo-render`: one frame of a built-in scene. It is the `demo` engine's command line; what
//! it prints is what the engine's definition looks for.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use weft_scene::demo::{MAX_TEXT, MAX_THREADS, Scene, Textures, render};

use crate::context::Context;
use crate::error::Failure;

/// Between two lines of progress, at least.
const PAUSE: Duration = Duration::from_millis(100);

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The scene file
    #[arg(long)]
    scene: PathBuf,
    /// The frame
    #[arg(long, allow_negative_numbers = true)]
    frame: i64,
    /// The PNG file to write
    #[arg(long)]
    output: PathBuf,
    /// How many threads to use; every core's otherwise
    #[arg(long)]
    threads: Option<usize>,
    /// The picture's width in pixels, in place of the scene's
    #[arg(long)]
    width: Option<u32>,
    /// The picture's height in pixels, in place of the scene's
    #[arg(long)]
    height: Option<u32>,
    /// Paths a pixel, in place of the scene's
    #[arg(long)]
    samples: Option<u32>,
}

pub(crate) fn run(args: &Args, context: &Context) -> Result<(), Failure> {
    let scene = read(&args.scene)?
        .with_overrides(args.width, args.height, args.samples)
        .map_err(|error| Failure::call(error.to_string()))?;
    let failed = |error: weft_scene::demo::RenderError| Failure::failed(error.to_string());
    let folder = args.scene.parent().unwrap_or(Path::new(""));
    let textures = Textures::load(&scene, folder).map_err(failed)?;
    let cores = || std::thread::available_parallelism().map_or(1, usize::from);
    let threads = args.threads.unwrap_or_else(cores).clamp(1, MAX_THREADS);
    let mut told: Option<Instant> = None;
    let image = render(&scene, &textures, args.frame, threads, &mut |done, total| {
        if done == total || told.is_none_or(|told| told.elapsed() >= PAUSE) {
            told = Some(Instant::now());
            // A picture is worth more than a reader of progress who went away.
            _ = context.print(&format!("progress {done}/{total}"));
        }
    });
    let image = image.map_err(failed)?;
    image.write_png(&args.output).map_err(failed)
}

fn read(path: &Path) -> Result<Scene, Failure> {
    let cannot = |why: String| Failure::failed(format!("{} can't be read: {why}", path.display()));
    let size = std::fs::metadata(path).map_err(|error| cannot(error.to_string()))?.len();
    if size > MAX_TEXT as u64 {
        return Err(cannot(format!("it is longer than {MAX_TEXT} bytes")));
    }
    let text = std::fs::read_to_string(path).map_err(|error| cannot(error.to_string()))?;
    Scene::parse(&text).map_err(|error| Failure::failed(error.to_string()))
}
