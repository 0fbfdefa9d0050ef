//! Scenes in text formats that have no reader of their own: the files they name, by the patterns in
//! their engine's definition.
//!
//! Such a scene is read line by line; what else it says (frames, cameras, formats) isn't known. Files
//! that are scenes themselves are read in turn. [`rewrite_paths`] writes a copy in which files are named
//! differently.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{BufRead, BufReader, Read, Write};
use std::path::{Path, PathBuf};

use crate::analysis::{AnalyseError, Analysis, Asset, AssetKind, Missing, TextFile};
use crate::disk::Disk;
use crate::engine::{Begun, Definition, FilePatterns, NamedFiles};
use crate::named_files::{Family, Found, Pattern};
use crate::plain_file;

/// The most of a line that is looked at at once, in bytes; a name that stands across its end is not
/// found.
const MAX_LINE: u64 = 64 * 1024;
/// The most scenes that are read because one names another.
const MAX_SCENES: usize = 10_000;
/// The most files that a scene may name.
const MAX_ASSETS: usize = 500_000;
/// How much is looked at to tell text from other files, in bytes.
const HEAD: usize = 1024;

/// The files of a scene that `engine`'s definition has patterns for, of the scenes that it names in
/// turn too; `None` if it has none. The analysis has no settings.
///
/// # Errors
/// `Io` if the scene can't be read, `TooLarge` if it names more files than any scene does. Scenes it names that
/// can't be read are warnings; what isn't text is among [`Analysis::unread`].
pub fn analyse(scene: &Path, engine: &Definition) -> Option<Result<Analysis, AnalyseError>> {
    analyse_beside(scene, engine, &[], &BTreeSet::new())
}

/// Like [`analyse`], for a file that is part of another scene: its paths may count from these folders as well, and of
/// what it names these files, by their canonical paths, are not read once more.
///
/// # Errors
/// As [`analyse`].
pub fn analyse_beside(
    scene: &Path,
    engine: &Definition,
    folders: &[PathBuf],
    known: &BTreeSet<PathBuf>,
) -> Option<Result<Analysis, AnalyseError>> {
    let patterns = engine.files.as_ref()?;
    let scene = std::path::absolute(scene).unwrap_or_else(|_| scene.to_path_buf());
    let mut search = Search {
        patterns,
        engine: &engine.name,
        disk: Disk::mapped(engine.paths.clone()),
        folders: [folder_of(&scene)].into_iter().chain(folders.iter().map(|one| &**one)).collect(),
        analysis: Analysis::default(),
        seen: BTreeSet::new(),
        waiting: vec![scene.clone()],
        known,
        read: BTreeSet::new(),
    };
    let done = search.run(&scene);
    Some(done.map(|()| search.analysis))
}

/// Writes a copy of a scene with other paths in it, and says how many it changed. `map` is asked for
/// every path as the scene spells it. A scene that `engine` has no patterns for, or that isn't text, is
/// copied as it is.
///
/// # Errors
/// `Io` if the scene can't be read, `Write` if `dest` fails.
pub fn rewrite_paths(
    scene: &Path,
    engine: &Definition,
    dest: &mut impl Write,
    map: &dyn Fn(&str) -> Option<String>,
) -> Result<usize, AnalyseError> {
    let none = FilePatterns::default();
    let patterns = engine.files.as_ref().unwrap_or(&none);
    let mut changed = 0;
    let mut begun = Begun::default();
    each_line(scene, &mut |line, _| {
        let Ok(text) = std::str::from_utf8(line) else {
            return dest.write_all(line).map_err(AnalyseError::Write);
        };
        let code = patterns.uncommented(text, &mut begun);
        let mut names = patterns.names(&code, &mut begun);
        names.sort_by_key(|name| name.place.start);
        let mut written = 0;
        for name in names {
            let new = text.get(name.place.clone()).and_then(map);
            if let Some(new) = new.filter(|_| name.place.start >= written) {
                dest.write_all(&line[written..name.place.start]).map_err(AnalyseError::Write)?;
                dest.write_all(new.as_bytes()).map_err(AnalyseError::Write)?;
                written = name.place.end;
                changed += 1;
            }
        }
        dest.write_all(&line[written..]).map_err(AnalyseError::Write)
    })?;
    Ok(changed)
}

/// What is done with a line, given its number.
type Visit<'a> = dyn FnMut(&[u8], u64) -> Result<(), AnalyseError> + 'a;

/// Gives each line with its end, and its number from 1; a very long one in pieces.
fn each_line(scene: &Path, visit: &mut Visit<'_>) -> Result<(), AnalyseError> {
    let io = |error| AnalyseError::io(scene, error);
    let mut file = BufReader::with_capacity(64 * 1024, plain_file::open(scene).map_err(io)?);
    let mut line = Vec::new();
    let mut number = 1;
    loop {
        line.clear();
        if file.by_ref().take(MAX_LINE).read_until(b'\n', &mut line).map_err(io)? == 0 {
            return Ok(());
        }
        visit(&line, number)?;
        number += u64::from(line.ends_with(b"\n"));
    }
}

fn folder_of(scene: &Path) -> &Path {
    scene.parent().unwrap_or(Path::new(""))
}

/// Whether a file is something else than text.
fn is_binary(scene: &Path) -> bool {
    let mut head = Vec::new();
    let file =
        plain_file::open(scene).and_then(|file| file.take(HEAD as u64).read_to_end(&mut head));
    file.is_ok() && head.contains(&0)
}

struct Search<'a> {
    patterns: &'a FilePatterns,
    engine: &'a str,
    disk: Disk,
    /// That of the scene itself, from which paths may count in what it names too, and further such.
    folders: Vec<&'a Path>,
    analysis: Analysis,
    /// What the file that is read named already: by whom, the path, and what was found there. By one name a line may
    /// mean files of two kinds.
    seen: BTreeSet<(String, String, Option<PathBuf>)>,
    waiting: Vec<PathBuf>,
    /// Files that were read before this scene, and those that were read since, by their canonical paths.
    known: &'a BTreeSet<PathBuf>,
    read: BTreeSet<PathBuf>,
}

impl Search<'_> {
    fn run(&mut self, scene: &Path) -> Result<(), AnalyseError> {
        while let Some(next) = self.waiting.pop() {
            let place = next.canonicalize().unwrap_or_else(|_| next.clone());
            let known = next != scene && self.known.contains(&place);
            if known || !self.read.insert(place) {
                continue;
            }
            if self.read.len() > MAX_SCENES {
                let message = format!("it names more than {MAX_SCENES} scenes in turn");
                return Err(AnalyseError::TooLarge(message));
            }
            if is_binary(&next) {
                self.analysis.unread.push(next);
                continue;
            }
            self.seen.clear();
            let (engine, paths) = (self.engine.to_owned(), BTreeMap::new());
            let read = TextFile { engine, scene: scene.to_path_buf(), paths };
            self.analysis.text_files.insert(next.clone(), read);
            match self.read(&next, scene) {
                Err(AnalyseError::Io { source, .. }) if next != scene => {
                    let warning = format!("{} can't be read: {source}", next.display());
                    self.analysis.warnings.push(warning);
                }
                other => other?,
            }
        }
        Ok(())
    }

    fn read(&mut self, file: &Path, scene: &Path) -> Result<(), AnalyseError> {
        let patterns = self.patterns;
        let mut begun = Begun::default();
        each_line(file, &mut |line, number| {
            let text = String::from_utf8_lossy(line);
            let code = patterns.uncommented(&text, &mut begun);
            for why in patterns.untiled(&code) {
                let known = self.analysis.untiled.iter().any(|known| known == why);
                if !known {
                    self.analysis.untiled.push(why.to_owned());
                }
            }
            let required = !patterns.may_be_passed_over(&code, &mut begun);
            for name in patterns.names(&code, &mut begun) {
                let Some(rule) = patterns.rule(name.rule) else { continue };
                let path = code.get(name.place).unwrap_or_default();
                let node = match name.node {
                    Some(node) => node.to_owned(),
                    None if file == scene => format!("line {number}"),
                    None => {
                        let name = file.file_name().unwrap_or_default();
                        format!("{}, line {number}", name.to_string_lossy())
                    }
                };
                self.add(file, rule, path, node, required)?;
            }
            Ok(())
        })
    }

    fn add(
        &mut self,
        file: &Path,
        rule: &NamedFiles,
        path: &str,
        node: String,
        required: bool,
    ) -> Result<(), AnalyseError> {
        let (found, place) = self.find(file, rule, path);
        if !self.seen.insert((node.clone(), path.to_owned(), found.files.first().cloned())) {
            return Ok(());
        }
        if self.analysis.assets.len() >= MAX_ASSETS {
            let message = format!("it names more than {MAX_ASSETS} files");
            return Err(AnalyseError::TooLarge(message));
        }
        let read = self.analysis.text_files.get_mut(file);
        if let (Some(read), Some(place)) = (read, place) {
            read.paths.insert(path.to_owned(), place);
        }
        let exists = !found.files.is_empty();
        if !exists {
            let endings = rule.endings_of(path);
            if endings.iter().any(|end| self.patterns.is_provided(&format!("{path}{end}"))) {
                return Ok(());
            }
            self.analysis.missing.push(Missing {
                node: node.clone(),
                path: path.to_owned(),
                reason: found.reason,
                required,
                frames: None,
            });
        }
        if rule.scene {
            self.waiting.extend(found.files.iter().cloned());
        }
        let numbers: Option<Vec<i64>> = found.numbers.iter().copied().collect();
        let frames = numbers.filter(|numbers| !numbers.is_empty());
        self.analysis.assets.push(Asset {
            path: path.to_owned(),
            kind: match rule.kind {
                AssetKind::Image if frames.is_some() => AssetKind::ImageSequence,
                AssetKind::Image if found.many => AssetKind::Udim,
                kind => kind,
            },
            exists,
            node,
            files: found.files,
            required,
            frames,
            needed_by: None,
            indirect: false,
        });
        Ok(())
    }

    /// Looks beside the file that names it if the engine does, and beside the scene. Says where it was found, too: a
    /// name without its ending stays so, since the engine adds it wherever the files are.
    fn find(&self, file: &Path, rule: &NamedFiles, path: &str) -> (Found, Option<PathBuf>) {
        let slashed = path.replace('\\', "/");
        let beside = Some(folder_of(file)).filter(|_| !self.patterns.from_scene);
        let folders = beside.into_iter().chain(self.folders.iter().copied());
        let mut places = match self.disk.place(path) {
            Some(place) => vec![place],
            None => folders.map(|folder| folder.join(&slashed)).collect(),
        };
        let mut known = BTreeSet::new();
        places.retain(|place| known.insert(place.clone()));
        // What is there by its very name goes before what is spelled in another case.
        for exactly in [true, false] {
            for ending in rule.endings_of(&slashed) {
                let pattern = Pattern::of(&format!("{slashed}{ending}"), Family::One);
                for place in &places {
                    let mut whole = place.clone().into_os_string();
                    whole.push(ending);
                    let whole = PathBuf::from(whole);
                    let mut found = match exactly {
                        true => pattern.files_exactly_at(&whole),
                        false => pattern.files_at(&whole, &self.disk),
                    };
                    if !found.files.is_empty() {
                        found.many = pattern.is_many();
                        return (found, Some(if exactly { place.clone() } else { whole }));
                    }
                }
            }
        }
        let looked: Vec<String> = places.iter().map(|place| place.display().to_string()).collect();
        let mut reason = format!("not found; looked for {}", looked.join(", "));
        if !rule.endings.is_empty() {
            reason = format!("{reason}, and for the same with {}", rule.endings.join(", "));
        }
        let many = Pattern::of(&slashed, Family::One).is_many();
        (Found { reason, many, ..Found::default() }, None)
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;
    use crate::engine::shipped;

    fn povray() -> Definition {
        shipped().remove("povray").unwrap()
    }

    const SCENE: &str = "#version 3.7;\n#include \"colors.inc\"\n#include \"lib/set.inc\"\n\
        // #include \"old.inc\"\n/* image_map { png \"old.png\" }\n image_map { png \"older.png\" } */\n\
        sphere { 0, 1 texture { pigment { image_map { png \"tex\\\\wood.png\" } } } }\n\
        text { ttf \"fonts/a.ttf\" \"http://x\" 1, 0 }\n#fopen OUT \"log.txt\" write\n\
        height_field { tga \"gone.tga\" }\n";

    #[test]
    fn files_of_a_povray_scene_are_found() {
        let folder = tempfile::tempdir().unwrap();
        for (name, text) in [
            ("shot.pov", SCENE.replace("\\\\", "\\").as_str()),
            ("lib/set.inc", "#include \"lib/deep.inc\"\n#include \"lib/set.inc\"\n"),
            ("lib/deep.inc", "image_map { jpeg \"lib/deep.jpg\" }\n"),
            ("lib/deep.jpg", "x"),
            ("tex/wood.png", "x"),
            ("fonts/a.ttf", "x"),
        ] {
            let path = folder.path().join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
        let scene = folder.path().join("shot.pov");
        let analysis = analyse(&scene, &povray()).unwrap().unwrap();
        let files: Vec<(&str, AssetKind, bool)> = analysis
            .assets
            .iter()
            .map(|asset| (asset.path.as_str(), asset.kind, asset.exists))
            .collect();
        assert_eq!(
            files,
            [
                ("lib/set.inc", AssetKind::Reference, true),
                ("tex\\wood.png", AssetKind::Image, true),
                ("fonts/a.ttf", AssetKind::Font, true),
                ("gone.tga", AssetKind::Image, false),
                ("lib/deep.inc", AssetKind::Reference, true),
                ("lib/set.inc", AssetKind::Reference, true),
                ("lib/deep.jpg", AssetKind::Image, true),
            ]
        );
        let [missing] = &analysis.missing[..] else { panic!("{:?}", analysis.missing) };
        assert_eq!((missing.path.as_str(), missing.node.as_str()), ("gone.tga", "line 10"));
        assert!(missing.reason.contains("gone.tga"));
        assert_eq!(analysis.scene_info.own_frames(), None);
        assert_eq!(analysis.assets[6].node, "deep.inc, line 1");
    }

    /// POV-Ray looks beside the scene, and not beside the file that names another.
    #[test]
    fn what_lies_beside_an_include_is_missing() {
        let folder = tempfile::tempdir().unwrap();
        let scene = folder.path().join("shot.pov");
        fs::create_dir(folder.path().join("lib")).unwrap();
        fs::write(&scene, "#include \"lib/set.inc\"\n").unwrap();
        let set = "#include \"deep.inc\"\nimage_map { png \"wood.png\" }\n";
        for (name, text) in [("set.inc", set), ("deep.inc", ""), ("wood.png", "")] {
            fs::write(folder.path().join("lib").join(name), text).unwrap();
        }
        let analysis = analyse(&scene, &povray()).unwrap().unwrap();
        let missing: Vec<&str> = analysis.missing.iter().map(|one| one.path.as_str()).collect();
        assert_eq!(missing, ["deep.inc", "wood.png"]);
        // Others look there too.
        let text = "[engine.x]\nexecutables = ['x']\nbase = 'povray'\n[engine.x.files]\nfrom_scene = false\n\
                    [[engine.x.files.named]]\npattern = '\"(?<path>[^\"]+)\"'\nscene = true\n";
        let other = crate::engine::parse(text, "t").unwrap().remove("x").unwrap();
        assert_eq!(analyse(&scene, &other).unwrap().unwrap().missing, []);
    }

    /// Which file POV-Ray 3.7 opens for each of these, it was asked.
    #[test]
    fn endings_are_added_as_povray_adds_them() {
        let folder = tempfile::tempdir().unwrap();
        let scene = folder.path().join("shot.pov");
        let text = "#include \"colors\"\n#include \"inc/x\"\n#include \"both\"\n#include \"own.inc\"\n\
            #include \"v1.2\"\n#include \"bare\"\nimage_map { png \"inc/t e\" } image_map { jpeg \"inc/t e\" }\n\
            image_map { jpeg \"a\" } image_map { \"b\" } height_field { pot \"c\" }\nimage_map\n{ tiff\n\"d\" }\n\
            image_map { sys \"e\" } text { ttf \"timrom\" \"x\" 1, 0 } text { ttf \"f\" \"x\" 1, 0 }\n\
            density_file df3 \"g\"\nimage_map { bmp \"h\" }\nimage_map { png \"Case\" }\n\
            image_map { png \"metals\" }\nimage_map { tga \"a\" }\n#fopen F \"g\" read\n#include \"inc\\y\"\n";
        fs::write(&scene, text).unwrap();
        let files = [
            "inc/x.inc",
            "both.inc",
            "own.inc",
            "v1.2.INC",
            "bare",
            "inc/t e.png",
            "inc/t e.JPG",
            "a.jpeg",
            "b.png",
            "c.gif",
            "d.tif",
            "f.TTF",
            "g.df3",
            "h.bmp",
            "case.PNG",
            "inc/y.inc",
        ];
        // Beside them, what POV-Ray doesn't open.
        for name in files.iter().chain(&["both", "own.inc.inc", "a.JPEG", "d.tiff", "e.png"]) {
            let path = folder.path().join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, "").unwrap();
        }
        let analysis = analyse(&scene, &povray()).unwrap().unwrap();
        let mut found: Vec<String> = analysis
            .assets
            .iter()
            .flat_map(|asset| &asset.files)
            .map(|file| file.strip_prefix(folder.path()).unwrap().display().to_string())
            .collect();
        let mut expected = files.map(str::to_owned);
        found.sort();
        expected.sort();
        assert_eq!(found, expected);
        let missing: Vec<&str> = analysis.missing.iter().map(|one| one.path.as_str()).collect();
        assert_eq!(missing, ["e", "metals", "a", "g"]);
        assert!(analysis.missing[1].reason.ends_with("and for the same with .png, .PNG"));
        assert!(analysis.missing[3].reason.ends_with("/g"), "{}", analysis.missing[3].reason);
        // A copy of the scene names them as the scene does.
        let paths = &analysis.text_files[&scene].paths;
        assert_eq!(paths["inc/t e"], folder.path().join("inc/t e"));
        assert_eq!(paths["Case"], folder.path().join("Case.png"));
    }

    /// What is true isn't known here.
    #[test]
    fn what_povray_may_pass_over_may_be_missing() {
        let folder = tempfile::tempdir().unwrap();
        let scene = folder.path().join("shot.pov");
        let text = "#ifndef (Shot)\n#declare Shot = 1;\nimage_map { png \"guarded.png\" }\n\
            #switch (clock)\n #case (2)\n image_map { png \"case.png\" }\n #break\n#end\n\
            image_map { png \"after.png\" }\n#end\n# if (Baked) image_map { png \"one.png\" } #end\n\
            #macro Axis()\n #if (Long)\n text { ttf \"x.ttf\" \"a\" 1, 0 }\n #else\n image_map { png \"else.png\" }\n #end\n\
            #end\n// #if (no)\n#include \"last.inc\"\n";
        fs::write(&scene, text).unwrap();
        let missing = analyse(&scene, &povray()).unwrap().unwrap().missing;
        let (needed, perhaps): (Vec<&Missing>, Vec<&Missing>) =
            missing.iter().partition(|one| one.required);
        let paths = |list: &[&Missing]| {
            let mut paths: Vec<String> = list.iter().map(|one| one.path.clone()).collect();
            paths.sort();
            paths
        };
        assert_eq!(paths(&needed), ["after.png", "guarded.png", "last.inc"]);
        assert_eq!(paths(&perhaps), ["case.png", "else.png", "one.png", "x.ttf"]);
    }

    /// POV-Ray has pictures, maps and volumes of its own among its includes, too.
    #[test]
    fn what_comes_with_povray_is_not_missing() {
        let folder = tempfile::tempdir().unwrap();
        let scene = folder.path().join("shot.pov");
        let text = "#include \"shapes3.inc\"\n#include \"stoneold\"\ncolor_map {\n#include \"ash.map\"\n}\n\
            image_map { png \"test.png\" } image_map { png \"plasma2\" } height_field { pot \"mtmand.pot\" }\n\
            density_file df3 \"spiral.df3\"\nimage_map { png \"tex/test.png\" } #include \"lib/colors.inc\"\n\
            image_map { png \"tests.png\" } image_map { png \"fract003.png\" }\n";
        fs::write(&scene, text).unwrap();
        fs::write(folder.path().join("fract003.png"), "the scene's own").unwrap();
        let analysis = analyse(&scene, &povray()).unwrap().unwrap();
        let missing: Vec<&str> = analysis.missing.iter().map(|one| one.path.as_str()).collect();
        // It has them in no folder of these names.
        assert_eq!(missing, ["lib/colors.inc", "tex/test.png", "tests.png"]);
        let there: Vec<&Asset> = analysis.assets.iter().filter(|asset| asset.exists).collect();
        let [own] = there[..] else { panic!("{there:?}") };
        assert_eq!(own.path, "fract003.png");
    }

    /// POV-Ray 3.7 takes all of these.
    #[test]
    fn pictures_are_found_however_povray_takes_them() {
        let folder = tempfile::tempdir().unwrap();
        let scene = folder.path().join("shot.pov");
        let text = "pigment { image_map { \"a.png\" } }\npigment { image_map { png\n  \"b.png\" once } }\n\
            height_field{ \"c.tga\" }\nimage_map\n{ // which?\n\n \"d.gif\"\n}\n#debug\n\"no file\"\n\
            image_map {\n png \"e.png\"\n}\n#warning concat(\n\"none\")\n";
        fs::write(&scene, text).unwrap();
        let analysis = analyse(&scene, &povray()).unwrap().unwrap();
        let mut found: Vec<&str> =
            analysis.assets.iter().map(|asset| asset.path.as_str()).collect();
        found.sort_unstable();
        assert_eq!(found, ["a.png", "b.png", "c.tga", "d.gif", "e.png"]);
    }

    #[test]
    fn a_copy_differs_in_its_paths_only() {
        let folder = tempfile::tempdir().unwrap();
        let scene = folder.path().join("shot.pov");
        let text = SCENE.replace("\\\\", "\\");
        fs::write(&scene, [text.as_bytes(), b"// caf\xe9\n"].concat()).unwrap();
        let map = |path: &str| (path == "tex\\wood.png").then(|| "../lib/wood.png".to_owned());
        let mut copy = Vec::new();
        assert_eq!(rewrite_paths(&scene, &povray(), &mut copy, &map).unwrap(), 1);
        let expected = text.replace("tex\\wood.png", "../lib/wood.png");
        assert_eq!(copy, [expected.as_bytes(), b"// caf\xe9\n"].concat());
    }

    #[test]
    fn what_is_no_text_is_not_read() {
        let folder = tempfile::tempdir().unwrap();
        let scene = folder.path().join("shot.pov");
        fs::write(&scene, b"PXR-USDC\0\0\0").unwrap();
        let unread = analyse(&scene, &povray()).unwrap().unwrap().unread;
        assert_eq!(unread, std::slice::from_ref(&scene));
        assert!(analyse(&folder.path().join("none.pov"), &povray()).unwrap().is_err());
        assert!(analyse(&scene, &shipped()["noop"]).is_none());
    }

    #[test]
    fn long_lines_are_read_in_pieces() {
        let folder = tempfile::tempdir().unwrap();
        let scene = folder.path().join("shot.pov");
        let long = format!("{}\n#include \"a.inc\"\n", "x".repeat(1 << 20));
        fs::write(&scene, long).unwrap();
        let analysis = analyse(&scene, &povray()).unwrap().unwrap();
        assert_eq!(analysis.missing[0].node, "line 2");
    }
}
