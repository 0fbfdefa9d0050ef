//! `weft scrub`: read every stored byte again, and heal what the disk has spoilt.

use serde_json::{Value, json};

use crate::context::Context;
use crate::document::{listed, short};
use crate::error::Failure;
use crate::output::progress::{Progress, Unit};
use crate::output::{Style, table::Table, units};

pub(crate) async fn run(context: &Context) -> Result<(), Failure> {
    let mut progress = Progress::new(Unit::Bytes);
    let document = context
        .client()
        .await?
        .post_with_progress("store/scrub", json!({}), &mut |at| {
            let number = |key: &str| at[key].as_u64().unwrap_or(0);
            progress.set(number("bytes"), number("bytes_total"));
        })
        .await?;
    drop(progress);
    let lost = unhealed(&document);
    context.answer(&document, |style| words(&document, style))?;
    match lost {
        0 => Ok(()),
        _ => Err(Failure::failed(
            "what could not be healed is not given to anybody. Run `weft scrub` again once a node that \
             has it is up, or add or submit the files again.",
        )),
    }
}

fn unhealed(document: &Value) -> usize {
    let damaged = document["damaged"].as_array().into_iter().flatten();
    let records = document["damaged_records"].as_array().into_iter().flatten();
    damaged.chain(records).filter(|found| found["healed"] != true).count()
}

fn words(document: &Value, style: Style) -> String {
    let number = |key: &str| document[key].as_u64().unwrap_or(0);
    let read = format!("{} in {} files read", units::bytes(number("bytes")), number("blobs"));
    let damaged = document["damaged"].as_array().map_or(&[][..], Vec::as_slice);
    let records = document["damaged_records"].as_array().map_or(0, Vec::len);
    if damaged.is_empty() && records == 0 {
        return format!("{read}: every byte is right");
    }
    let mut table = Table::new(&["id", ">size", "now", "needed by"]).paint("id", Style::faint);
    for blob in damaged {
        let text = |key: &str| blob[key].as_str().unwrap_or_default();
        let size = blob["size"].as_u64().map_or(String::new(), units::bytes);
        let now = match blob["healed"] == true {
            true => "healed from another node".to_owned(),
            false => format!("lost here: {}", text("why")),
        };
        table.row([short(text("id")).to_owned(), size, now, listed(&blob["needed_by"])]);
    }
    let mut sum = format!("{read}: the disk has spoilt {} of them", damaged.len());
    if records > 0 {
        let all = document["damaged_records"].as_array().into_iter().flatten();
        let lost = all.filter(|record| record["healed"] != true).count();
        sum += &format!(", and {} of the catalog", units::count(records, "record"));
        sum += &match lost {
            0 => ", which was made anew".to_owned(),
            lost => format!(", of which {lost} can't be made anew"),
        };
        let all = document["damaged_records"].as_array().into_iter().flatten();
        if all.clone().any(|record| record["at_opening"] == true) {
            sum += ". What was found when the daemon started is told this once";
        }
    }
    format!("{}\n\n{sum}", table.words(style, ""))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_found_is_told() {
        let clean = json!({ "blobs": 3, "bytes": 4096, "damaged": [], "damaged_records": [] });
        insta::assert_snapshot!(words(&clean, Style::default()), @"4.0 KiB in 3 files read: every byte is right");
        let spoilt = json!({
            "blobs": 3, "bytes": 4096, "damaged_records": [],
            "damaged": [
                { "id": "0123456789abcdef", "size": 2048, "healed": true, "needed_by": ["user"] },
                { "id": "fedcba9876543210", "size": 1024, "healed": false, "needed_by": ["job/1"],
                  "why": "no node that can be reached has it" },
            ],
        });
        insta::assert_snapshot!(words(&spoilt, Style::default()), @r"
        id             size  now                                            needed by
        0123456789  2.0 KiB  healed from another node                       user
        fedcba9876  1.0 KiB  lost here: no node that can be reached has it  job/1

        4.0 KiB in 3 files read: the disk has spoilt 2 of them
        ");
        assert_eq!((unhealed(&clean), unhealed(&spoilt)), (0, 1));
        let catalog = json!({
            "blobs": 3, "bytes": 4096, "damaged": [],
            "damaged_records": [{ "table": "facts", "healed": true }, { "table": "meta", "healed": false }],
        });
        let words = words(&catalog, Style::default());
        assert!(
            words.ends_with(
                "0 of them, and 2 records of the catalog, of which 1 can't be made anew"
            )
        );
        assert_eq!(unhealed(&catalog), 1);
        let opened = json!({
            "blobs": 3, "bytes": 4096, "damaged": [],
            "damaged_records": [{ "table": "pins", "healed": true, "at_opening": true }],
        });
        let words = super::words(&opened, Style::default());
        let told = "1 record of the catalog, which was made anew. What was found when the daemon \
                    started is told this once";
        assert!(words.ends_with(told), "{words}");
        assert_eq!(unhealed(&opened), 0);
    }
}
