//! `weft store`: what the store holds, and why.

use serde_json::Value;

use crate::context::Context;
use crate::document::{listed, short};
use crate::error::Failure;
use crate::output::{Style, table, units};

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
        table.row([short(&text("id")).to_owned(), listed(&reference["by"]), text("path")]);
    }
    format!("{facts}\n\n{}", table.words(style, ""))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_store_tells_why_it_keeps_what_it_has() {
        let document = json!({
            "blobs": 2, "bytes": 4_404_019, "partial": 0,
            "references": [{ "id": "0123456789abcdef", "count": 2, "by": ["a user", "job fedcba9876"] }],
        });
        insta::assert_snapshot!(words(&document, Style::default()), @r"
        files         2
        bytes         4.2 MiB
        on their way  0

        id          kept for                path
        0123456789  a user, job fedcba9876
        ");
    }
}
