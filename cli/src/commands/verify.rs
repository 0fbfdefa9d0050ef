//! `weft verify`: is this the file it should be? It needs no node.

use std::path::PathBuf;

use serde_json::json;

use super::hash::{Hashing, document};
use crate::context::Context;
use crate::error::Failure;
use crate::values;

#[derive(Debug, clap::Args)]
#[command(group = clap::ArgGroup::new("expected").required(true).multiple(true))]
pub(crate) struct Args {
    /// The file
    file: PathBuf,
    /// The MD5 it should have
    #[arg(long, value_name = "HEX", value_parser = values::md5, group = "expected")]
    md5: Option<String>,
    /// The xxHash64 (seed 0) it should have, in decimal
    #[arg(long, value_name = "N", value_parser = values::xxh64, group = "expected")]
    xxh64: Option<String>,
    /// The BLAKE3 it should have
    #[arg(long, value_name = "HEX", value_parser = values::blake3, group = "expected")]
    blake3: Option<String>,
}

pub(crate) fn run(args: &Args, context: &Context) -> Result<(), Failure> {
    let hashes = Hashing::of(std::slice::from_ref(&args.file)).hash(&args.file)?;
    let compared = [
        ("MD5", "hash", &args.md5, &hashes.md5),
        ("xxHash64", "xxhash", &args.xxh64, &hashes.xxh64),
        ("BLAKE3", "blake3", &args.blake3, &hashes.blake3),
    ];
    let expected = compared.iter().filter_map(|(name, key, expected, found)| {
        Some((*name, *key, expected.as_deref()?, found.as_str()))
    });
    let differs: Vec<_> =
        expected.clone().filter(|(_, _, expected, found)| expected != found).collect();
    let mut answer = document(&args.file, &hashes);
    answer["matches"] = differs.is_empty().into();
    answer["mismatches"] = differs
        .iter()
        .map(|(_, key, expected, found)| json!({ "hash": key, "expected": expected, "found": found }))
        .collect();
    let file = args.file.display();
    if differs.is_empty() {
        let names: Vec<&str> = expected.map(|(name, ..)| name).collect();
        return context.answer(&answer, |_| format!("{file}: {} as expected", names.join(", ")));
    }
    if context.json() {
        context.document(&answer)?;
    }
    let details = differs
        .iter()
        .map(|(name, _, expected, found)| format!("{name} should be {expected}, and is {found}"));
    let names: Vec<&str> = differs.iter().map(|(name, ..)| *name).collect();
    Err(Failure::failed(format!(
        "'{file}' is another file: its {} differs.",
        names.join(" and its ")
    ))
    .with_details(details.collect()))
}
