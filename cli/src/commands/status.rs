//! `weft status`: this node at a glance.

use serde_json::Value;

use crate::context::Context;
use crate::document::short;
use crate::error::Failure;
use crate::output::{Style, table, units};

pub(crate) async fn run(context: &Context) -> Result<(), Failure> {
    let document = context.client().await?.get("status").await?;
    context.answer(&document, |style| words(&document, style))
}

fn words(document: &Value, style: Style) -> String {
    let text = |key: &str| document[key].as_str().unwrap_or_default().to_owned();
    let number = |key: &str| document[key].as_u64();
    let leader = match (document["leader"].as_str(), document["leader_name"].as_str()) {
        (Some(id), _) if Some(id) == document["node"].as_str() => "this node".to_owned(),
        (Some(id), Some(name)) => format!("{name} ({})", short(id)),
        (Some(id), None) => short(id).to_owned(),
        (None, _) => "nobody yet".to_owned(),
    };
    let term = number("term").map_or(String::new(), |term| format!(", term {term}"));
    let since = number("leader_since").map(units::date);
    let since = since.map_or(String::new(), |since| format!(", since {since}"));
    let role = match text("role") {
        role if role.is_empty() => String::new(),
        role => format!(", {role}"),
    };
    let refusals = document["refused_by"].as_array().into_iter().flatten();
    let refusals: Vec<String> = refusals
        .map(|refusal| {
            let name = refusal["name"].as_str().or(refusal["node"].as_str()).unwrap_or_default();
            format!("{name}: {}", refusal["reason"].as_str().unwrap_or_default())
        })
        .collect();
    let addresses = document["addresses"].as_array().into_iter().flatten();
    let addresses: Vec<&str> = addresses.filter_map(Value::as_str).collect();
    table::facts(
        style,
        &[
            ("node", format!("{} ({}){role}", text("name"), short(&text("node")))),
            ("studio", text("studio")),
            ("leader", leader + &term + &since),
            ("peers", number("peers").map_or(String::new(), |peers| peers.to_string())),
            ("refused by", refusals.join("; ")),
            ("jobs", number("jobs").map_or(String::new(), |jobs| format!("{jobs} not over"))),
            ("reached at", addresses.join(" ")),
            ("up for", document["uptime_seconds"].as_f64().map_or(String::new(), units::duration)),
            ("home", text("home")),
            ("release", text("release")),
        ],
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_status_fits_on_a_glance() {
        let document = json!({
            "node": "aabbccddeeff00112233", "name": "render-a", "studio": "Moving Pictures",
            "leader": "0011223344556677889900", "leader_name": "render-b", "term": 7, "peers": 2,
            "leader_since": 1_709_210_100,
            "role": "admin", "jobs": 1, "addresses": ["/ip4/10.0.0.5/tcp/7920"],
            "uptime_seconds": 7800, "home": "/var/lib/weft",
        });
        insta::assert_snapshot!(words(&document, Style::default()), @r"
        node        render-a (aabbccddee), admin
        studio      Moving Pictures
        leader      render-b (0011223344), term 7, since 2024-02-29 12:35 UTC
        peers       2
        jobs        1 not over
        reached at  /ip4/10.0.0.5/tcp/7920
        up for      2 h 10 min
        home        /var/lib/weft
        ");
        let alone = json!({ "node": "aa", "name": "a", "leader": null, "term": 0, "peers": 0 });
        insta::assert_snapshot!(words(&alone, Style::default()), @r"
        node    a (aa)
        leader  nobody yet, term 0
        peers   0
        ");
    }
}
