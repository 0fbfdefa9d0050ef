//! `weft doctor`: what is wrong on a machine, and how to mend it.

use serde_json::{Value, json};
use weft_node::doctor::{Daemon, Facts, Finding, Level, judge};

use crate::context::Context;
use crate::document;
use crate::error::Failure;
use crate::output::Style;

pub(crate) async fn run(context: &Context) -> Result<(), Failure> {
    let document = examine(context).await?;
    let findings: Vec<Finding> = document::read(&document["findings"])?;
    context.answer(&document, |style| words(&findings, style))?;
    match document["well"].as_bool() {
        Some(true) => Ok(()),
        _ => Err(Failure::told(Failure::FAILED)),
    }
}

/// Asks the daemon; where none answers, looks at this machine itself.
async fn examine(context: &Context) -> Result<Value, Failure> {
    let asked = match context.client().await {
        Ok(client) => client.get("doctor").await.map_err(|failure| (true, failure)),
        Err(failure) => Err((false, failure)),
    };
    let (there, failure) = match asked {
        Ok(document) => return Ok(document),
        Err((_, failure)) if context.peer().is_some() => return Err(failure),
        Err(failed) => failed,
    };
    let daemon = if there { Daemon::Silent(failure.message().to_owned()) } else { Daemon::Down };
    let weft = std::env::current_exe().unwrap_or_else(|_| "weft".into());
    let findings = judge(&Facts::gather(context.home(), &weft, daemon, None).await);
    let well = findings.iter().all(|finding| finding.level != Level::Problem);
    Ok(json!({ "node": null, "name": null, "well": well, "findings": findings }))
}

fn words(findings: &[Finding], style: Style) -> String {
    let width = findings.iter().map(|finding| finding.check.len()).max().unwrap_or(0);
    let mut words = String::new();
    for Finding { check, level, what, mend } in findings {
        let (word, painted) = match level {
            Level::Ok => ("ok", style.status("done").replace("done", "ok")),
            Level::Note => ("note", style.status("paused").replace("paused", "note")),
            Level::Problem => ("problem", style.bad("problem")),
        };
        let (space, gap) = (" ".repeat(7 - word.len()), " ".repeat(width - check.len()));
        let what = crate::output::plain_line(what);
        words.push_str(&format!("{painted}{space}  {check}{gap}  {what}\n"));
        if let Some(mend) = mend {
            words.push_str(&format!("{}{}\n", " ".repeat(11 + width), style.faint(mend)));
        }
    }
    let wrong = findings.iter().filter(|finding| finding.level == Level::Problem).count();
    words.push_str(&match wrong {
        0 => "Nothing is wrong.".to_owned(),
        1 => "One thing is wrong.".to_owned(),
        _ => format!("{wrong} things are wrong."),
    });
    words
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_wrong_stands_beside_how_to_mend_it() {
        let document = json!([
            { "check": "studio", "level": "ok", "what": "/home/ada/weft is a worker in 'Pictures'", "mend": null },
            { "check": "daemon", "level": "problem", "what": "no node is running", "mend": "start it with `weft up`" },
            { "check": "sandbox", "level": "note", "what": "none", "mend": null },
        ]);
        let findings: Vec<Finding> = document::read(&document).unwrap();
        insta::assert_snapshot!(words(&findings, Style::default()), @r"
        ok       studio   /home/ada/weft is a worker in 'Pictures'
        problem  daemon   no node is running
                          start it with `weft up`
        note     sandbox  none
        One thing is wrong.
        ");
    }
}
