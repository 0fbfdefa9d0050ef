//! The table in docs/errors.md.

use std::path::PathBuf;

/// All rows, of all sections.
pub(crate) struct Table(pub(crate) Vec<Row>);

/// One row.
#[derive(Clone, Debug)]
pub(crate) struct Row {
    /// What is asked.
    pub(crate) case: String,
    /// The words in the message, each with gaps where something differs.
    pub(crate) words: Vec<Vec<String>>,
    /// The exit status.
    pub(crate) exit: i32,
}

impl Table {
    /// Reads it. Rows are `| case | what happens | exit |`.
    pub(crate) fn read() -> Self {
        let path: PathBuf =
            [env!("CARGO_MANIFEST_DIR"), "..", "docs", "errors.md"].iter().collect();
        let text = std::fs::read_to_string(&path);
        let text = text.unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        let rows: Vec<Row> = text.lines().filter_map(row).collect();
        assert!(rows.len() > 20, "{} has hardly any rows: {rows:#?}", path.display());
        for row in &rows {
            let same = rows.iter().filter(|other| other.case == row.case).count();
            assert_eq!(same, 1, "'{}' stands there more than once", row.case);
        }
        Self(rows)
    }
}

fn row(line: &str) -> Option<Row> {
    let cells: Vec<&str> = line.strip_prefix("| ")?.strip_suffix(" |")?.split(" | ").collect();
    let [case, what, exit] = cells[..] else { panic!("a row has three cells: {line}") };
    if exit == "exit" {
        return None;
    }
    let exit = exit.parse().unwrap_or_else(|_| panic!("'{exit}' is no exit status: {line}"));
    let words = what.split('`').skip(1).step_by(2).map(pieces).collect();
    Some(Row { case: case.to_owned(), words, exit })
}

/// What stands between the words in capitals, which stand for what differs.
fn pieces(words: &str) -> Vec<String> {
    let mut pieces = vec![String::new()];
    let mut word = String::new();
    for letter in words.chars().chain(['\0']) {
        if letter.is_alphanumeric() {
            word.push(letter);
            continue;
        }
        if !word.is_empty() && word.chars().all(|letter| letter.is_ascii_uppercase()) {
            pieces.push(String::new());
        } else {
            pieces.last_mut().expect("there is always one").push_str(&word);
        }
        word.clear();
        if letter != '\0' {
            pieces.last_mut().expect("there is always one").push(letter);
        }
    }
    pieces
}

impl Row {
    /// The first words that a message lacks.
    pub(crate) fn lacking(&self, message: &str) -> Option<String> {
        let words = self.words.iter().find(|pieces| !stands_in(message, pieces))?;
        Some(words.join("…"))
    }
}

/// Whether pieces stand in a text one after the other.
fn stands_in(text: &str, pieces: &[String]) -> bool {
    let mut rest = text;
    pieces.iter().all(|piece| match rest.find(piece.as_str()) {
        Some(at) => {
            rest = &rest[at + piece.len()..];
            true
        }
        None => false,
    })
}

#[test]
fn words_in_capitals_stand_for_others() {
    let row = row("| a `b` | `frame N is not 'NAME'`, with `GPUs` and MD5 | 2 |").unwrap();
    assert_eq!((row.case.as_str(), row.exit), ("a `b`", 2));
    assert_eq!(row.words, [vec!["frame ", " is not '", "'"], vec!["GPUs"]]);
    assert_eq!(row.lacking("error: frame 11 is not 'x'; GPUs."), None);
    assert_eq!(row.lacking("error: frame 11 is 'x'; GPUs."), Some("frame … is not '…'".into()));
    assert!(row.lacking("error: frame 11 is not 'x'").is_some());
}
