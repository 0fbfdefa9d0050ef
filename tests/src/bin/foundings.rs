//! Founds farms of three nodes one after another, and says how long they took to agree: what goes
//! wrong once in a hundred times shows here.

use std::process::ExitCode;
use std::time::Instant;

use weft_tests::Farm;

const USAGE: &str = "foundings [COUNT]: a hundred farms where none is given";

fn main() -> ExitCode {
    let words: Result<Vec<usize>, _> = std::env::args().skip(1).map(|word| word.parse()).collect();
    let count = match words.as_deref() {
        Ok([]) => 100,
        Ok([count]) if *count > 0 => *count,
        _ => {
            eprintln!("{USAGE}");
            return ExitCode::from(2);
        }
    };
    let mut seconds: Vec<f64> = (1..=count)
        .map(|number| {
            let clock = Instant::now();
            let farm = Farm::found(3);
            let took = clock.elapsed().as_secs_f64();
            drop(farm);
            eprintln!("{number} of {count}: {took:.1} s");
            took
        })
        .collect();
    seconds.sort_by(f64::total_cmp);
    let [median, most] = [seconds[count / 2], seconds[count - 1]];
    println!(
        "{count} farms of three nodes: each agreed; {median:.1} s median, {most:.1} s at most"
    );
    ExitCode::SUCCESS
}
