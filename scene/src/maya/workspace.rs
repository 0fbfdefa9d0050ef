//! The folders of a project for each kind of file, as its `workspace.mel` names them.

use std::collections::HashMap;
use std::io::Read;
use std::path::Path;
use std::sync::LazyLock;

use regex::Regex;

use crate::plain_file;

/// The most of the file that is read, in bytes. Maya's own have some kilobytes.
const MAX_BYTES: u64 = 256 * 1024;

/// The file rules of a project, by their names in lower case: Maya has spelled them in either.
#[derive(Debug, Default)]
pub(super) struct Workspace(HashMap<String, String>);

impl Workspace {
    /// The rules of the project in this folder; none where no file says any. What isn't a rule with plain strings is
    /// passed over: the file is a script.
    pub(super) fn of(project: &Path) -> Self {
        let mut text = Vec::new();
        let file = plain_file::open(&project.join("workspace.mel"));
        let read = file.and_then(|file| file.take(MAX_BYTES).read_to_end(&mut text));
        read.map(|_| Self::read(&String::from_utf8_lossy(&text))).unwrap_or_default()
    }

    fn read(text: &str) -> Self {
        static RULE: LazyLock<Option<Regex>> = LazyLock::new(|| {
            // The latter two are what Maya had before 2011 for places of renders and of scenes.
            let flags = "fr|fileRule|rt|renderType|ot|objectType";
            let string = r#"(?:[^"\\\n]|\\.)*"#;
            let pattern = format!(
                r#"(?m)(?:^|;)[ \t]*workspace[ \t]+-(?:{flags})[ \t]+"(?<rule>{string})"[ \t]+"(?<folder>{string})""#
            );
            Regex::new(&pattern).ok()
        });
        let found = RULE.iter().flat_map(|rule| rule.captures_iter(text));
        let rules = found.filter_map(|found| {
            let folder = found["folder"].replace("\\\\", "/").replace('\\', "/");
            let folder = folder.trim_end_matches('/');
            // Those are the project's own folder, where files are looked for anyhow.
            let is_other = !matches!(folder, "" | ".");
            is_other.then(|| (found["rule"].to_lowercase(), folder.to_owned()))
        });
        Self(rules.collect())
    }

    /// The folder of a rule, relative to the project's mostly, and with slashes.
    pub(super) fn folder(&self, rule: &str) -> Option<&str> {
        self.0.get(&rule.to_lowercase()).map(String::as_str)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rules_are_read_and_the_rest_is_passed_over() {
        let rules = Workspace::read(
            "//Maya 2024 Project Definition\n\nworkspace -fr \"sourceImages\" \"tex map\";\n\
             \tworkspace -fr \"Alembic\" \"caches/abc/\"; workspace -fileRule \"scene\" \"P:\\\\work\\\\scenes\";\r\n\
             //workspace -fr \"movie\" \"films\";\nworkspace -v \"audio\" \"x\";\n\
             workspace -fr \"mayaAscii\" \"\";\nworkspace -fr \"images\" ($prj + \"out\");\n\
             workspace -fr \"diskCache\" \"cut off",
        );
        for (rule, folder) in [
            ("sourceimages", Some("tex map")),
            ("alembic", Some("caches/abc")),
            ("scene", Some("P:/work/scenes")),
            ("movie", None),
            ("audio", None),
            ("mayaAscii", None),
            ("images", None),
            ("diskCache", None),
        ] {
            assert_eq!(rules.folder(rule), folder, "{rule}");
        }
    }

    #[test]
    fn a_file_of_any_size_or_none_does_no_harm() {
        let folder = tempfile::tempdir().unwrap();
        let rule = "workspace -fr \"sourceImages\" \"tex\";\n";
        assert_eq!(Workspace::of(folder.path()).folder("sourceImages"), None);
        let bytes = [b"\xff\x00\n", rule.as_bytes(), &vec![b'x'; MAX_BYTES as usize]].concat();
        let bytes = [&bytes[..], b"\n", rule.replace("sourceImages", "scene").as_bytes()].concat();
        std::fs::write(folder.path().join("workspace.mel"), bytes).unwrap();
        let rules = Workspace::of(folder.path());
        assert_eq!((rules.folder("sourceImages"), rules.folder("scene")), (Some("tex"), None));
    }
}
