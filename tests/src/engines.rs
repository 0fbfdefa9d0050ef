//! Engines that do what a test needs a renderer to do, and note what they do.

use std::path::Path;

/// The ending of the scenes that the script engine takes.
pub const SCRIPT_ENDING: &str = "sh";

/// Tables for `weft.toml`. Both engines note in the file `$MARKS/events` when they start on a frame
/// and when they have ended.
///
/// - `script`: its scenes are shell scripts, run once a frame. They find `$FRAME`, `$OUTPUT` (the
///   file to write), `$NODE` (which node this is) and `$MARKS` (a folder outside of the farm's
///   nodes).
/// - `marked`: the built-in path tracer, noted. It must be asked for by name.
pub(crate) fn tables(node: &str, marks: &Path) -> String {
    let marks = marks.display();
    let noted = |command: &str| {
        format!(
            r#"echo "start $FRAME $NODE" >>"$MARKS/events"; {command}; status=$?
    echo "end $FRAME $NODE $status" >>"$MARKS/events"; exit $status"#
        )
    };
    let environment = format!(
        "{{ FRAME = \"{{frame}}\", OUTPUT = \"{{output}}\", NODE = '{node}', MARKS = '{marks}' }}"
    );
    format!(
        r#"
[engine.script]
title = "A shell script"
executables = ["sh"]
extensions = ["{SCRIPT_ENDING}"]
args = ["-c", '''{script}''', "{{scene}}"]
formats = {{ TXT = "txt" }}
default_format = "TXT"
outputs = ["{{name}}_{{frame:04}}.{{ext}}"]
environment = {environment}

[engine.script.log]
progress = ['^progress (?<done>[0-9]+)/(?<total>[0-9]+)']

[engine.marked]
base = "demo"
title = "The built-in path tracer, noted"
executables = ["sh"]
version_args = []
args = ["-c", '''{tracer}''', "{{weft}}", "{{scene}}", "{{threads}}"]
environment = {environment}
"#,
        script = noted(r#"sh "$0""#),
        tracer = noted(
            r#""$0" demo-render --scene "$1" --frame "$FRAME" --output "$OUTPUT" --threads "$2""#
        ),
    )
}
