//! `weft unpin`: keep a blob no longer for a user's sake.

use serde_json::Value;

use super::pin::Args;
use crate::client::segment;
use crate::context::Context;
use crate::document::{listed, short};
use crate::error::Failure;

pub(crate) async fn run(args: &Args, context: &Context) -> Result<(), Failure> {
    let path = format!("store/pins/{}", segment(&args.blob));
    let document = context.client().await?.delete(&path).await?;
    context.answer(&document, |_| words(&document))
}

fn words(document: &Value) -> String {
    let id = short(document["id"].as_str().unwrap_or_default());
    let others = listed(&document["still_kept_by"]);
    if others.is_empty() {
        format!("{id} goes with the next collection (`weft gc`)")
    } else {
        format!("{id} is unpinned, and stays for {others}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn it_is_told_what_becomes_of_a_blob() {
        let document = json!({ "id": "0123456789abcdef", "still_kept_by": [] });
        assert_eq!(words(&document), "0123456789 goes with the next collection (`weft gc`)");
        let document = json!({ "id": "0123456789abcdef", "still_kept_by": ["job/1", "job/2"] });
        assert_eq!(words(&document), "0123456789 is unpinned, and stays for job/1, job/2");
    }
}
