//! `weft store`: what the store holds, and why.

use serde_json::Value;

use crate::context::Context;
use crate::document::short;
use crate::error::Failure;
use crate::output::{Style, table, units};

/// How many of the reasons for which a blob is kept are shown; `--json` has all.
const SHOWN: usize = 3;

pub(crate) async fn run(context: &Context) -> Result<(), Failure> {
    let document = context.client().await?.get("store").await?;
    context.answer(&document, |style| words(&document, style))
}

fn words(document: &Value, style: Style) -> String {
    let number = |key: &str| document[key].as_u64();
    let count = |key: &str| number(key).map_or(String::new(), |count| count.to_string());
    let size = |key: &str| number(key).map_or(String::new(), units::bytes);
    let facts = table::facts(
        style,
        &[
            ("files", count("blobs")),
            ("bytes", size("bytes")),
            ("catalog", size("catalog_bytes")),
            ("on their way", count("partial")),
        ],
    );
    let references = document["references"].as_array().map_or(&[][..], Vec::as_slice);
    if references.is_empty() {
        return facts;
    }
    let mut table = table::Table::new(&["id", "kept for", "path"]).paint("id", Style::faint);
    for reference in references {
        let text = |key: &str| reference[key].as_str().unwrap_or_default().to_owned();
        table.row([short(&text("id")).to_owned(), reasons(&reference["by"]), text("path")]);
    }
    format!("{facts}\n\n{}", table.words(style, ""))
}

/// What a blob is kept for: the ids of jobs short, and no more than some of them.
fn reasons(by: &Value) -> String {
    let all: Vec<&str> = by.as_array().into_iter().flatten().filter_map(Value::as_str).collect();
    let shown = all.iter().take(SHOWN).map(|reason| match reason.split_once('/') {
        Some((kind, id)) => format!("{kind} {}", short(id)),
        None => (*reason).to_owned(),
    });
    let mut words = shown.collect::<Vec<_>>().join(", ");
    if all.len() > SHOWN {
        words.push_str(&format!(" and {} more", all.len() - SHOWN));
    }
    words
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_store_tells_why_it_keeps_what_it_has() {
        let document = json!({
            "blobs": 2, "bytes": 4_404_019, "partial": 0,
            "references": [{ "id": "0123456789abcdef", "count": 2, "by": ["user", "job/fedcba9876543210", "job/1", "job/2", "job/3"] }],
        });
        insta::assert_snapshot!(words(&document, Style::default()), @r"
        files         2
        bytes         4.2 MiB
        on their way  0

        id          kept for                                path
        0123456789  user, job fedcba9876, job 1 and 2 more
        ");
    }
}
