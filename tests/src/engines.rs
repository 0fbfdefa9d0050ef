//! Engines that do what a test needs a renderer to do, and note what they do.

use std::path::Path;

/// The ending of the scenes that the script engine takes.
pub const SCRIPT_ENDING: &str = "sh";

/// Runs the scene for each frame of `$FRAMES`, a frame spec such as `1-3,7`.
const SEVERAL: &str = r#"echo "$FRAMES $NODE" >>"$MARKS/processes"
    for part in $(echo "$FRAMES" | tr ',' ' '); do for FRAME in $(seq "${part%-*}" "${part#*-}"); do
    OUTPUT="$STEM$(printf %04d "$FRAME").txt"; export FRAME OUTPUT
    echo "start $FRAME $NODE" >>"$MARKS/events"; sh "$0"; status=$?
    echo "end $FRAME $NODE $status" >>"$MARKS/events"; [ $status = 0 ] || exit $status
    echo "Saved: $OUTPUT"; done; done"#;

/// Tables for `weft.toml`. Both engines note in the file `$MARKS/events` when they start on a frame
/// and when they have ended.
///
/// - `script`: its scenes are shell scripts, run once a frame. They find `$FRAME`, `$OUTPUT` (the
///   file to write), `$NODE` (which node this is) and `$MARKS` (a folder outside of the farm's
///   nodes).
/// - `runs`: its scenes (`.shs`) are shell scripts as well, of which a process runs several, one a frame;
///   it notes each process in `$MARKS/processes`, and says which files it saved.
/// - `silent`: the same for scenes in `.shq`, except that nobody listens to what it says.
/// - `marked`: the built-in path tracer, noted. It must be asked for by name.
///
/// What they make is never used again: tests count what was started.
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
reuse = false
formats = {{ TXT = "txt" }}
default_format = "TXT"
outputs = ["{{name}}_{{frame:04}}.{{ext}}"]
environment = {environment}
writable = ['{marks}']

[engine.script.log]
progress = ['^progress (?<done>[0-9]+)/(?<total>[0-9]+)']

[engine.runs]
title = "A shell script, several frames a process"
executables = ["sh"]
extensions = ["shs"]
args = ["-c", '''{several}''', "{{scene}}"]
reuse = false
formats = {{ TXT = "txt" }}
default_format = "TXT"
outputs = ["{{name}}_{{frame:04}}.{{ext}}"]
frames_per_run = "list"
environment = {{ FRAMES = "{{frames}}", STEM = "{{work}}/{{name}}_", NODE = '{node}', MARKS = '{marks}' }}
writable = ['{marks}']

[engine.runs.log]
saved = ['^Saved: (?<path>.*)']

[engine.silent]
base = "runs"
executables = ["sh"]
extensions = ["shq"]
log = {{ saved = [] }}

[engine.marked]
base = "demo"
title = "The built-in path tracer, noted"
reuse = false
executables = ["sh"]
version_args = []
args = ["-c", '''{tracer}''', "{{weft}}", "{{scene}}", "{{threads}}"]
environment = {environment}
writable = ['{marks}']
"#,
        several = SEVERAL,
        script = noted(r#"sh "$0""#),
        tracer = noted(
            r#""$0" demo-render --scene "$1" --frame "$FRAME" --output "$OUTPUT" --threads "$2""#
        ),
    )
}
