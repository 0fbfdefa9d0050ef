//! Runs the simulator over many seeds, or one again.

use std::ops::RangeInclusive;
use std::process::ExitCode;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use weft_tests::sim::{Outcome, Planted, Setup, run};

const USAGE: &str = "simulate [--seeds N] [--first N] [--nodes A-B] [--hours H] [--threads N]
         [--planted NAME] [--real-signatures] [--seed N [--print]]

--seed N runs one seed again, and tells the last of what happened; --print tells all of it.";

struct Arguments {
    setup: Setup,
    first: u64,
    seeds: u64,
    one: bool,
    threads: usize,
}

fn main() -> ExitCode {
    let arguments = match parse(std::env::args().skip(1)) {
        Ok(arguments) => arguments,
        Err(why) => {
            eprintln!("{why}\n\n{USAGE}");
            return ExitCode::from(2);
        }
    };
    match arguments.one {
        true => one(&arguments.setup),
        false => many(&arguments),
    }
}

fn parse(mut words: impl Iterator<Item = String>) -> Result<Arguments, String> {
    let mut setup = Setup::new(1);
    let threads = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    let mut arguments =
        Arguments { setup: setup.clone(), first: 1, seeds: 100, one: false, threads };
    while let Some(word) = words.next() {
        let mut value = || words.next().ok_or_else(|| format!("{word} needs a value"));
        match word.as_str() {
            "--seeds" => arguments.seeds = number(&value()?)?,
            "--first" => arguments.first = number(&value()?)?,
            "--threads" => arguments.threads = number(&value()?)?,
            "--nodes" => setup.nodes = range(&value()?)?,
            "--hours" => {
                let hours: f64 = value()?.parse().map_err(|_| "--hours needs a number")?;
                setup.span = Duration::try_from_secs_f64(hours * 3600.0)
                    .map_err(|error| format!("--hours: {error}"))?;
            }
            "--seed" => (setup.seed, arguments.one) = (number(&value()?)?, true),
            "--print" => setup.print = true,
            "--real-signatures" => setup.real_signatures = true,
            "--planted" => {
                let name = value()?;
                let known = Planted::ALL.iter().find(|planted| planted.name() == name);
                let names: Vec<&str> = Planted::ALL.iter().map(|p| p.name()).collect();
                let none = || format!("'{name}' is none of {}", names.join(", "));
                setup.planted = Some(*known.ok_or_else(none)?);
            }
            _ => return Err(format!("'{word}' is not known")),
        }
    }
    setup.lines = arguments.one;
    arguments.setup = setup;
    Ok(arguments)
}

fn number<T: std::str::FromStr>(text: &str) -> Result<T, String> {
    text.parse().map_err(|_| format!("'{text}' is no number"))
}

fn range(text: &str) -> Result<RangeInclusive<usize>, String> {
    let (least, most) = text.split_once('-').unwrap_or((text, text));
    let range: RangeInclusive<usize> = number(least)?..=number(most)?;
    match range.is_empty() || *range.start() == 0 {
        true => Err(format!("'{text}' is no range of nodes")),
        false => Ok(range),
    }
}

fn one(setup: &Setup) -> ExitCode {
    let outcome = run(setup);
    if !setup.print && outcome.broken.is_some() {
        for line in &outcome.lines {
            println!("{line}");
        }
    }
    tell(setup.seed, &outcome);
    println!("{:#?}", outcome.figures);
    ExitCode::from(u8::from(outcome.broken.is_some()))
}

fn tell(seed: u64, outcome: &Outcome) {
    let hash: String = outcome.trace[..8].iter().map(|byte| format!("{byte:02x}")).collect();
    match &outcome.broken {
        Some(broken) => println!("seed {seed}: BROKEN: {broken}"),
        None => println!("seed {seed}: holds, trace {hash}"),
    }
}

fn many(arguments: &Arguments) -> ExitCode {
    let next = AtomicU64::new(0);
    let sums = Mutex::new((0_u64, 0_u64, 0_u64, 0_u64, 0_u64));
    let began = Instant::now();
    std::thread::scope(|scope| {
        for _ in 0..arguments.threads.max(1) {
            scope.spawn(|| {
                loop {
                    let at = next.fetch_add(1, Ordering::Relaxed);
                    if at >= arguments.seeds {
                        return;
                    }
                    let seed = arguments.first + at;
                    let outcome = run(&Setup { seed, ..arguments.setup.clone() });
                    if outcome.broken.is_some() {
                        tell(seed, &outcome);
                    }
                    if let Ok(mut sums) = sums.lock() {
                        sums.0 += u64::from(outcome.broken.is_some());
                        sums.1 += outcome.figures.lasted;
                        sums.2 += outcome.figures.events;
                        sums.3 += outcome.figures.started;
                        sums.4 += outcome.figures.faults;
                    }
                }
            });
        }
    });
    let (broken, lasted, events, started, faults) = sums.into_inner().unwrap_or_default();
    let (took, hours) = (began.elapsed().as_secs_f64(), lasted as f64 / 3.6e9);
    println!(
        "{} seeds, {broken} broken; {hours:.1} simulated hours, {events} events, {faults} faults, \
         {started} frames started in {took:.1} s: {:.2} simulated hours a second",
        arguments.seeds,
        hours / took
    );
    ExitCode::from(u8::from(broken > 0))
}
