//! How Maya is led from the folders that a binary scene names to where their files are now.
//!
//! A `.mb` file can't be rewritten by anybody but Maya. But Maya maps folders while it opens a scene (`dirmap`), once a
//! script that it runs at its start has said which: this makes that script.

use std::collections::BTreeMap;

use super::paths::is_absolute;

/// The script that Maya runs at its start, without its list of folders: see there.
const SCRIPT: &str = include_str!("folder_map.py");

/// Folders as scenes spell them, and where they are in a job's folder.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct FolderMap {
    folders: BTreeMap<String, String>,
    /// Paths that no folder leads to their files.
    pub left: Vec<String>,
}

impl FolderMap {
    /// The map by which each path, as scenes spell it, leads to the place beside it, which counts from the job's folder.
    pub fn new<'a>(paths: impl IntoIterator<Item = (&'a str, &'a str)>) -> Self {
        let mut map = Self::default();
        for (spelled, place) in paths {
            let slashed = spelled.replace('\\', "/");
            let led = folders(&slashed, place).is_some_and(|(there, here)| {
                let known = map.folders.entry(there.to_owned()).or_insert_with(|| here.to_owned());
                known == here
            });
            if !led {
                map.left.push(spelled.to_owned());
            }
        }
        map
    }

    /// The script, to be run as `userSetup.py`; none where no folder is elsewhere.
    #[must_use]
    pub fn script(&self) -> Option<String> {
        if self.folders.is_empty() {
            return None;
        }
        let pairs = serde_json::to_string(&self.folders).ok()?;
        Some(SCRIPT.replace("{}", &pairs))
    }
}

/// The folder that a path names, and where that folder is; none where a folder alone doesn't lead there: Maya maps
/// absolute paths only, and keeps names.
fn folders<'a>(spelled: &'a str, place: &'a str) -> Option<(&'a str, &'a str)> {
    if !is_absolute(spelled) {
        return None;
    }
    let split = |path: &'a str| path.rsplit_once('/').unwrap_or(("", path));
    let ((mut there, name), (mut here, place_name)) = (split(spelled), split(place));
    if name != place_name {
        return None;
    }
    // What stands for tiles in a folder's name stays in both.
    while there.contains(['<', '#', '%']) {
        let ((above, name), (above_here, name_here)) = (split(there), split(here));
        if name != name_here {
            return None;
        }
        (there, here) = (above, above_here);
    }
    (!there.is_empty()).then_some((there, here))
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use super::*;

    #[test]
    fn folders_lead_to_the_files_that_moved() {
        let map = FolderMap::new([
            ("P:\\show\\tex\\a.png", "tex/a.png"),
            ("P:/show/tex/b.png", "tex/b.png"),
            ("//srv/lib/t/<UDIM>/c.exr", "lib/t/<UDIM>/c.exr"),
            ("/Volumes/x/d.abc", "d.abc"),
            // None of these can be said by a folder.
            ("P:/show/tex/C.png", "tex/c.png"),
            ("P:/show/tex/e.png", "other/e.png"),
            ("tex/f.png", "art/tex/f.png"),
            ("/g.png", "g.png"),
            ("P:/u/<UDIM>/h.png", "v/h.png"),
        ]);
        let folders: Vec<_> = map.folders.iter().map(|(a, b)| (a.as_str(), b.as_str())).collect();
        assert_eq!(folders, [("//srv/lib/t", "lib/t"), ("/Volumes/x", ""), ("P:/show/tex", "tex")]);
        let left =
            ["P:/show/tex/C.png", "P:/show/tex/e.png", "tex/f.png", "/g.png", "P:/u/<UDIM>/h.png"];
        assert_eq!(map.left, left);
        assert_eq!(FolderMap::new([("tex/f.png", "f.png")]).script(), None);
    }

    /// Maya as far as the script asks it: no test of Maya, but of what it is told.
    const STAND_IN: &str = r#"
import sys, types
def dirmap(**told):
    if "enable" in told: print("on" if told["enable"] else "off")
    else: print(ascii(" -> ".join(told["mapDirectory"])))
cmds = types.ModuleType("maya.cmds"); cmds.dirmap = dirmap
sys.modules["maya"] = types.ModuleType("maya"); sys.modules["maya"].cmds = cmds; sys.modules["maya.cmds"] = cmds
exec(sys.stdin.read())
"#;

    #[test]
    fn the_script_tells_maya_of_each_folder() {
        if Command::new("python3").arg("--version").output().is_err() {
            println!("skipped: there is no python3 to stand in for Maya's");
            return;
        }
        let paths = [("P:/a \"b\"/wöod\\x.png", "wöod/x.png"), ("/y/z.png", "z.png")];
        let script = FolderMap::new(paths).script().unwrap();
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("userSetup.py");
        std::fs::write(&file, script).unwrap();
        let mut python = Command::new("python3");
        python.args(["-c", STAND_IN]).env("WEFT_INPUTS", "C:\\job\\inputs").env("PYTHONUTF8", "1");
        let output = python.stdin(std::fs::File::open(&file).unwrap()).output().unwrap();
        let said = String::from_utf8_lossy(&output.stdout);
        let lines: Vec<&str> = said.lines().collect();
        let wanted =
            ["'/y -> C:/job/inputs/'", "'P:/a \"b\"/w\\xf6od -> C:/job/inputs/w\\xf6od'", "on"];
        assert_eq!(lines, wanted, "{}", String::from_utf8_lossy(&output.stderr));
    }
}
