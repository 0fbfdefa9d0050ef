//! `weft analyse`: what a scene holds, needs and lacks. It needs no node.

use std::path::{Path, PathBuf};

use serde_json::{Value, json};
use weft_node::config::Config;
use weft_node::{mayapy, submit};
use weft_scene::analysis::{AnalyseError, Analysis};

use crate::context::Context;
use crate::document::listed;
use crate::error::Failure;
use crate::output::{Style, plain_line, table};
use crate::paths;

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The scene: a .blend, .ma or .weft file, or another kind that an engine has patterns for
    scene: PathBuf,
    /// Which of the file's scenes
    #[arg(long = "scene", value_name = "NAME")]
    scene_name: Option<String>,
    /// The folder of the project, from which relative paths count
    #[arg(long, value_name = "DIR")]
    project: Option<PathBuf>,
    /// Ask Maya itself, where it is installed; `.mb` scenes are read so anyway
    #[arg(long)]
    deep: bool,
}

pub(crate) async fn run(args: &Args, context: &Context) -> Result<(), Failure> {
    if context.peer().is_some() {
        let path = paths::sent(&args.scene)?;
        let project = args.project.as_deref().map(paths::sent).transpose()?;
        let body = json!({
            "path": path, "scene_name": args.scene_name, "project": project, "deep": args.deep,
        });
        let document = context.client().await?.post("analyse", Some(body)).await?;
        return context.answer(&document, |style| words(&document, style));
    }
    let analysis = analyse(args, context)??;
    let document = serde_json::to_value(&analysis)
        .map_err(|error| Failure::failed(format!("the answer can't be written: {error}.")))?;
    context.answer(&document, |style| words(&document, style))
}

fn analyse(args: &Args, context: &Context) -> Result<Result<Analysis, AnalyseError>, Failure> {
    let scene = args.scene.as_path();
    let unread = |what: &str| {
        Failure::call(format!(
            "'{}' is {what}; weft reads .blend, .ma and .weft files, and what an engine in weft.toml has patterns for. \
             Nothing was changed.",
            scene.display()
        ))
    };
    let Some(ending) = ending(scene) else { return Err(unread("a file without an ending")) };
    if (ending == "mb" || ending == "ma" && args.deep) && mayapy::is_here() {
        eprintln!("Maya is asked, which takes a minute or more.");
    }
    // Where drives and shares of other machines are here is said there, and how other scenes name files.
    let config =
        Config::load(&context.home().config()).map_err(|error| Failure::call(error.to_string()))?;
    let engine =
        scene.file_name().and_then(|name| submit::reader(&config.engines, &name.to_string_lossy()));
    let asked = submit::Asked {
        scene_name: args.scene_name.as_deref(),
        project: args.project.as_deref(),
        deep: args.deep,
        arguments: None,
    };
    submit::analyse(scene, asked, engine, &config.engines)
        .ok_or_else(|| unread(&format!("a .{ending} file")))
}

/// The file's ending, in lower case.
fn ending(path: &Path) -> Option<String> {
    Some(path.extension()?.to_string_lossy().to_lowercase())
}

fn words(document: &Value, style: Style) -> String {
    let info = &document["scene_info"];
    let text = |key: &str| match &info[key] {
        Value::String(text) => text.clone(),
        Value::Null => String::new(),
        other => other.to_string(),
    };
    let list = |key: &str| listed(&info[key]);
    let step = match text("by_frame") {
        step if step == "1" => String::new(),
        step => format!(", every {step}"),
    };
    let frames = match info["animation"].as_bool() {
        Some(true) => format!("{} to {}{step}", text("start_frame"), text("end_frame")),
        _ if info["current_frame"].is_null() => format!("{} (a still)", text("start_frame")),
        _ => format!("{} (a still)", text("current_frame")),
    };
    let facts = [
        ("application", format!("{} {}", text("application"), text("application_version"))),
        ("renderer", text("renderer")),
        ("frames", format!("{frames}, {} a second", text("fps"))),
        ("picture", format!("{} × {} {}", text("width"), text("height"), text("image_format"))),
        ("renders", list("render_cameras")),
        ("cameras", list("all_cameras")),
        ("scenes", list("scenes")),
        ("view layers", list("view_layers")),
    ];
    let mut words = match text("application").is_empty() {
        // Patterns tell the files alone.
        true => "Only the files that this scene names are known.".to_owned(),
        false => table::facts(style, &facts),
    };
    let rows = |key: &str| document[key].as_array().cloned().unwrap_or_default();
    let cell = |row: &Value, key: &str| row[key].as_str().unwrap_or_default().to_owned();
    let assets = rows("assets");
    if !assets.is_empty() {
        let mut table = table::Table::new(&["file", "type", "there", "asked for by"]);
        for asset in &assets {
            let there = if asset["exists"] == true { "yes" } else { "no" };
            table.row([
                cell(asset, "path"),
                cell(asset, "type"),
                there.into(),
                cell(asset, "node"),
            ]);
        }
        words.push_str("\n\n");
        words.push_str(&table.words(style, ""));
    }
    let mapped = rows("mapped");
    if !mapped.is_empty() {
        words.push_str("\n\n");
        words.push_str(&mapping(&mapped, style));
    }
    let missing = rows("missing");
    if !missing.is_empty() {
        let mut table = table::Table::new(&["missing", "why", "asked for by", "rendered"]);
        for file in &missing {
            let needed = if file["required"] == false { "no" } else { "yes" };
            table.row([
                cell(file, "path"),
                cell(file, "reason"),
                cell(file, "node"),
                needed.into(),
            ]);
        }
        words.push_str("\n\n");
        words.push_str(&table.words(style, ""));
    }
    for warning in rows("warnings").iter().filter_map(Value::as_str) {
        words.push_str(&format!("\nwarning: {}", plain_line(warning)));
    }
    words
}

/// Which drives and shares of other machines are where.
pub(super) fn mapping(mapped: &[Value], style: Style) -> String {
    let mut table = table::Table::new(&["paths from", "are here", "there", "paths", "found"]);
    for place in mapped {
        let text = |key: &str| place[key].as_str().unwrap_or_default().to_owned();
        let there = if place["exists"] == true { "yes" } else { "no" };
        table.row([
            text("from"),
            text("to"),
            there.into(),
            place["paths"].to_string(),
            place["found"].to_string(),
        ]);
    }
    table.words(style, "")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_scene_is_told_in_a_few_lines() {
        let document = json!({
            "scene_info": {
                "application": "Blender", "application_version": "3.4", "renderer": "CYCLES",
                "start_frame": 1, "end_frame": 10, "by_frame": 2, "animation": true, "fps": 24,
                "width": 320, "height": 180, "image_format": "PNG",
                "all_cameras": ["Camera", "Top"], "render_cameras": ["Camera"],
            },
            "assets": [
                { "path": "//tex.png", "type": "image", "exists": true, "node": "tex" },
                { "path": "//gone.png", "type": "image", "exists": false, "node": "gone" },
            ],
            "missing": [{ "node": "gone", "path": "//gone.png", "reason": "there is no such file" }],
            "mapped": [{ "from": "p:", "to": "/mnt/p", "exists": true, "paths": 3, "found": 2 }],
            "warnings": ["a sound is played"],
        });
        insta::assert_snapshot!(words(&document, Style::default()), @r"
        application  Blender 3.4
        renderer     CYCLES
        frames       1 to 10, every 2, 24 a second
        picture      320 × 180 PNG
        renders      Camera
        cameras      Camera, Top

        file        type   there  asked for by
        //tex.png   image  yes    tex
        //gone.png  image  no     gone

        paths from  are here  there  paths  found
        p:          /mnt/p    yes    3      2

        missing     why                    asked for by  rendered
        //gone.png  there is no such file  gone          yes
        warning: a sound is played
        ");
    }
}
