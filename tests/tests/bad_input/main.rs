//! Bad input gets a clear sentence and the right exit status, and loses nothing: a walk through the
//! table in docs/errors.md, of which every row is tried.

mod blend;
mod cases;
mod files;
mod full_disk;
mod jobs;
mod membership;
mod submitting;
mod table;

use weft_tests::Farm;

use cases::Cases;
use table::Table;

/// Engines that fail in ways that the shipped ones don't.
const ENGINES: &str = r#"
[engine.absent]
executables = ["a-renderer-that-nobody-has"]
args = ["{scene}"]
extensions = ["absent"]
outputs = ["{name}_{frame:04}.png"]

[engine.short]
executables = ["sh"]
args = ["-c", "exit 1", "{scene}"]
extensions = ["short"]
outputs = ["{name}_{frame:04}.png"]
first_frame = 1
last_frame = 9

[engine.sized]
executables = ["sh"]
args = ["-c", "exit 1", "{scene}", "{options}"]
extensions = ["sized"]
outputs = ["{name}_{frame:04}.png"]
regions = "crop"
[[engine.sized.options]]
when = "tile"
args = ["{tile.left}"]

[engine.older]
base = "blender"
executables = ["sh"]
version_args = ["-c", "echo Blender 3.4.1"]
"#;

#[test]
fn every_row_of_the_table_holds() {
    let mut cases = Cases::of(Table::read());
    let mut farm = Farm::configured(2, |number| {
        let side = ["east", "west"][number - 1];
        format!("{ENGINES}\n[node]\ntags = [\"{side}\"]\nsandbox = \"off\"\n")
    });
    submitting::try_all(&farm, &mut cases);
    jobs::try_all(&farm, &mut cases);
    files::try_all(&farm, &mut cases);
    membership::try_all(&mut farm, &mut cases);
    full_disk::try_all(&mut farm, &mut cases);
    cases.finish();
}
