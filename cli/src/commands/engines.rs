//! `weft engines`: which renderers a node has, and why it lacks the others.

use serde::Deserialize;

use crate::context::Context;
use crate::document;
use crate::error::Failure;
use crate::output::{Style, table::Table};

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Engine {
    name: String,
    title: Option<String>,
    usable: bool,
    version: Option<String>,
    program: Option<String>,
    others: Vec<String>,
    reason: Option<String>,
}

pub(crate) async fn run(context: &Context) -> Result<(), Failure> {
    let document = context.client().await?.get("engines").await?;
    let engines: Vec<Engine> = document::read(&document)?;
    context.answer(&document, |style| words(&engines, style))
}

fn words(engines: &[Engine], style: Style) -> String {
    let mut table = Table::new(&["name", "what", "version", "program, or why not"]);
    for engine in engines {
        let mut where_or_why = if engine.usable { &engine.program } else { &engine.reason }.clone();
        if let (Some(program), false) = (&mut where_or_why, engine.others.is_empty()) {
            program.push_str(&format!(" (not used: {})", engine.others.join(", ")));
        }
        table.row([
            engine.name.clone(),
            engine.title.clone().unwrap_or_default(),
            if engine.usable { engine.version.clone().unwrap_or_default() } else { "–".into() },
            where_or_why.unwrap_or_default(),
        ]);
    }
    table.words(style, "no engines")
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn engines_that_are_missing_say_why() {
        let document = json!([
            { "name": "blender", "title": "Blender", "usable": true, "version": "3.4.1",
              "program": "/usr/bin/blender", "others": ["/opt/blender-4.5/blender"] },
            { "name": "povray", "title": "POV-Ray", "usable": false,
              "reason": "there is no program povray" },
        ]);
        let engines: Vec<Engine> = document::read(&document).unwrap();
        insta::assert_snapshot!(words(&engines, Style::default()), @r"
        name     what     version  program, or why not
        blender  Blender  3.4.1    /usr/bin/blender (not used: /opt/blender-4.5/blender)
        povray   POV-Ray  –        there is no program povray
        ");
    }
}
