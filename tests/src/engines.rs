//! An engine made of `sh`, which does what a test needs a renderer to do.

use std::path::Path;

/// The ending of the scenes that the script engine takes.
pub const SCRIPT_ENDING: &str = "sh";

/// A table for `weft.toml`: the engine `script`, whose scenes are shell scripts. They are run once a
/// frame, and find `$FRAME`, `$OUTPUT` (the file to write), `$NODE` (which node this is) and `$MARKS`
/// (a folder outside of the farm's nodes). What starts is noted in `$MARKS/FRAME`, a line with the
/// node's name each.
#[must_use]
pub fn script_engine(node: &str, marks: &Path) -> String {
    format!(
        r#"
[engine.script]
title = "A shell script"
executables = ["sh"]
extensions = ["{SCRIPT_ENDING}"]
args = ["-c", 'echo "$NODE" >>"$MARKS/$FRAME"; exec sh "$0"', "{{scene}}"]
formats = {{ TXT = "txt" }}
default_format = "TXT"
outputs = ["{{name}}_{{frame:04}}.{{ext}}"]
environment = {{ FRAME = "{{frame}}", OUTPUT = "{{output}}", NODE = '{node}', MARKS = '{}' }}

[engine.script.log]
progress = ['^progress (?<done>[0-9]+)/(?<total>[0-9]+)']
"#,
        marks.display()
    )
}
