//! `weft members`: who belongs to the studio.

use serde::Deserialize;

use crate::context::Context;
use crate::document::{self, short};
use crate::error::Failure;
use crate::output::{Style, table::Table, units};

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Member {
    node: String,
    name: Option<String>,
    role: Option<String>,
    expires: Option<u64>,
    revoked: bool,
    reason: Option<String>,
}

pub(crate) async fn run(context: &Context) -> Result<(), Failure> {
    let document = context.client().await?.get("members").await?;
    let members: Vec<Member> = document::read(&document)?;
    context.answer(&document, |style| words(&members, style))
}

fn words(members: &[Member], style: Style) -> String {
    let mut table =
        Table::new(&["name", "node", "role", "certificate until"]).paint("node", Style::faint);
    for member in members {
        let until = match (&member.reason, member.expires) {
            _ if !member.revoked => member.expires.map_or(String::new(), units::date),
            (Some(reason), _) if !reason.is_empty() => format!("revoked: {reason}"),
            _ => "revoked".to_owned(),
        };
        table.row([
            member.name.clone().unwrap_or_default(),
            short(&member.node).to_owned(),
            member.role.clone().unwrap_or_default(),
            until,
        ]);
    }
    table.words(style, "no members")
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn members_and_those_who_were_are_listed() {
        let document = json!([
            { "node": "0123456789abcdef", "name": "ws1", "role": "admin", "expires": 4_107_542_400u64,
              "revoked": false },
            { "node": "fedcba9876543210", "revoked": true, "reason": "sold" },
        ]);
        let members: Vec<Member> = document::read(&document).unwrap();
        insta::assert_snapshot!(words(&members, Style::default()), @r"
        name  node        role   certificate until
        ws1   0123456789  admin  2100-03-01 00:00 UTC
              fedcba9876         revoked: sold
        ");
    }
}
