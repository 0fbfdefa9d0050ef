//! How fast the store is, beside `cp -r` and a sync of the same files in the same run.
//!
//! `cargo bench -p weft-store --bench ingest`, with names of parts after `--` to run only those:
//! `large`, `small`, `versions`, `checkout`, `cuts`, and `huge`, which runs only when it is named.
//!
//! | variable | what |
//! |---|---|
//! | `WEFT_BENCH_DIR` | the folder to work in; else the system's for temporary files |
//! | `WEFT_BENCH_RUNS` | how often each is measured; 5. Medians are printed |
//! | `WEFT_BENCH_SCALE` | a factor for sizes and numbers of files; 1 |
//!
//! Sources have just been written, so that both read them from memory; what differs is the work.

mod material;
mod measure;
mod parts;

use std::path::PathBuf;

use measure::Settings;

fn main() {
    let known = ["large", "small", "versions", "checkout", "cuts", "huge"];
    let asked: Vec<String> =
        std::env::args().skip(1).filter(|argument| !argument.starts_with('-')).collect();
    if let Some(unknown) = asked.iter().find(|name| !known.contains(&name.as_str())) {
        eprintln!("there is no part '{unknown}'; the parts are {}", known.join(", "));
        std::process::exit(2);
    }
    let runs = |name: &str| {
        if asked.is_empty() { name != "huge" } else { asked.iter().any(|part| part == name) }
    };
    let dir = std::env::var_os("WEFT_BENCH_DIR").map_or_else(std::env::temp_dir, PathBuf::from);
    let dir = tempfile::Builder::new().prefix("weft-bench-").tempdir_in(dir).expect("a folder");
    let settings = Settings::from_env(dir.path());
    println!(
        "{} runs each, medians; scale {}; in {}",
        settings.runs,
        settings.scale,
        dir.path().display()
    );
    for (name, part) in [
        ("large", parts::large as fn(&Settings)),
        ("small", parts::small),
        ("versions", parts::versions),
        ("checkout", parts::checkout),
        ("cuts", parts::cuts),
        ("huge", parts::huge),
    ] {
        if runs(name) {
            println!();
            part(&settings);
        }
    }
}
