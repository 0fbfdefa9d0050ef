//! Tries a million tree manifests from a seed, none of which may leave its folder.

use std::process::ExitCode;
use std::time::Instant;

const USAGE: &str = "hostile_trees [COUNT [SEED]]: a million from seed 1, where none is given";

fn main() -> ExitCode {
    let numbers: Result<Vec<u64>, _> = std::env::args().skip(1).map(|word| word.parse()).collect();
    let (count, seed) = match numbers.as_deref() {
        Ok([]) => (1_000_000, 1),
        Ok([count]) => (*count, 1),
        Ok([count, seed]) => (*count, *seed),
        _ => {
            eprintln!("{USAGE}");
            return ExitCode::from(2);
        }
    };
    let clock = Instant::now();
    let figures = weft_tests::hostile_trees::run(seed, count, 100);
    println!(
        "{} trees from seed {seed} in {:.1} s: {} refused, {} read and sound; {} of these written out ({} files), \
         {} with a link in the way. None left its folder.",
        figures.trees,
        clock.elapsed().as_secs_f64(),
        figures.trees - figures.read,
        figures.read,
        figures.written,
        figures.files,
        figures.links,
    );
    ExitCode::SUCCESS
}
