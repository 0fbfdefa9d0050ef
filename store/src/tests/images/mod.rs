//! Crash images: whatever a loss of power leaves, wherever it comes in a random course of adding,
//! fetching, pinning, collecting and scrubbing, the store opens, nothing that was acknowledged is
//! missing, and nothing reads wrong. Then it goes on, and the power fails again.
//!
//! Ten thousand images instead of some hundred:
//! `WEFT_CRASH_IMAGES=10000 cargo test --release -p weft-store crash_images -- --nocapture`.
//! `WEFT_CRASH_SEED` begins with another seed.

mod checkpoints;
mod known;
mod pieces;
mod steps;

use std::sync::{Arc, Mutex};
use std::time::Instant;

use super::dice::{Dice, times};
use super::fake_disk::{FakeDisk, Survives};
use crate::locked;
use known::Known;
use steps::World;

/// How many images are made unless `WEFT_CRASH_IMAGES` says otherwise.
const IMAGES: usize = 300;
/// How many steps a course has, of which the images are taken.
const STEPS: usize = 60;
/// How many steps are made on some of the images.
const STEPS_AFTER: usize = 8;
/// How many crashes follow upon each other at most.
const CRASHES: usize = 3;

/// A disk as the power left it, with what was acknowledged by then.
struct Image {
    disk: FakeDisk,
    known: Known,
    what: String,
}

#[derive(Default)]
struct Figures {
    images: usize,
    changes: usize,
    courses: usize,
    /// Images by how many crashes came before them.
    deep: [usize; CRASHES],
    whole: usize,
    partial: usize,
}

#[test]
fn crash_images_open_with_all_that_was_acknowledged() {
    let wanted = times("WEFT_CRASH_IMAGES", IMAGES);
    let first = times("WEFT_CRASH_SEED", 1) as u64;
    let started = Instant::now();
    let mut figures = Figures::default();
    for seed in first.. {
        let mut dice = Dice::new(seed);
        let disk = FakeDisk::default();
        disk.set_whole(dice.chance(128));
        let what = format!("WEFT_CRASH_SEED={seed}");
        run(disk, Known::default(), STEPS, &what, 0, wanted, &mut dice, &mut figures);
        figures.courses += 1;
        if figures.images >= wanted {
            break;
        }
    }
    let Figures { images, changes, courses, deep, whole, partial } = figures;
    println!(
        "{images} crash images of {courses} courses with {changes} changes and syncs, from seed \
         {first} on: all opened, {whole} whole blobs read right, {partial} partial ones within a \
         checkpoint; first, second, third crash: {deep:?}; {:.1} s",
        started.elapsed().as_secs_f64()
    );
}

/// Works on a disk, and looks at what crashes on the way leave of it.
#[allow(clippy::too_many_arguments, reason = "they are one recursion's state")]
fn run(
    disk: FakeDisk,
    known: Known,
    steps: usize,
    what: &str,
    crashes: usize,
    wanted: usize,
    dice: &mut Dice,
    figures: &mut Figures,
) {
    let known = Arc::new(Mutex::new(known));
    let images = Arc::new(Mutex::new(Vec::new()));
    // Of a course's changes some; of those after a crash, which are few, more.
    let likely = [3, 6, 4][crashes.min(2)];
    let (mut cut, watched, taken) =
        (Dice::new(dice.next()), Arc::clone(&known), Arc::clone(&images));
    let so_far = what.to_owned();
    disk.watch(move |disk, changes| {
        if cut.chance(likely) {
            let survives = Survives::any(&mut cut);
            let what = format!("{so_far}, crash before change {changes} ({survives:?})");
            let (disk, known) = (disk.after_crash(survives, &mut cut), locked(&watched).clone());
            locked(&taken).push(Image { disk, known, what });
        }
    });
    let mut world = World::open(disk.clone(), known, Dice::new(dice.next()), what.to_owned());
    for _ in 0..steps {
        world.step();
        for Image { disk, known, what } in std::mem::take(&mut *locked(&images)) {
            if figures.images >= wanted {
                return;
            }
            figures.images += 1;
            figures.deep[crashes] += 1;
            let mut found = World::open(disk, Arc::new(Mutex::new(known)), dice.clone(), what);
            let (whole, partial) = found.check();
            figures.whole += whole;
            figures.partial += partial;
            if crashes + 1 < CRASHES && dice.below(4) == 0 {
                let (disk, known, what) = found.close();
                run(disk, known, STEPS_AFTER, &what, crashes + 1, wanted, dice, figures);
            }
        }
    }
    figures.changes += disk.changes();
    world.check();
}
