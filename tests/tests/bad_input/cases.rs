//! Cases of the table, tried one by one; what doesn't hold is told at the end, all at once.

use std::collections::BTreeSet;
use std::time::Duration;

use weft_tests::{Farm, Output, wait_for};

use crate::table::{Row, Table};

/// The longest sentence that people are asked to read, in bytes; paths of tests are long.
const MAX_SENTENCE: usize = 500;
/// How long facts may take to be known to every node.
const AGREEMENT: Duration = Duration::from_secs(60);

/// The table's rows, and what was seen.
pub(crate) struct Cases {
    table: Table,
    tried: BTreeSet<String>,
    wrong: Vec<String>,
}

impl Cases {
    /// None tried yet.
    pub(crate) fn of(table: Table) -> Self {
        Self { table, tried: BTreeSet::new(), wrong: Vec::new() }
    }

    /// Tries a case that must change nothing.
    pub(crate) fn refused(&mut self, farm: &Farm, case: &str, call: impl FnOnce() -> Output) {
        let before = state(farm);
        let output = call();
        let after = state(farm);
        if before != after {
            let less = before.difference(&after).collect::<Vec<_>>();
            let more = after.difference(&before).collect::<Vec<_>>();
            let said = format!("`{:.300}` ended with {}", output.call, output.status);
            self.wrong.push(format!("{case}: it changed {less:#?} to {more:#?}\n  {said}"));
        }
        self.check(case, &output);
    }

    /// Compares what a call said with the case's row.
    pub(crate) fn check(&mut self, case: &str, output: &Output) {
        let Some(row) = self.table.0.iter().find(|row| row.case == case).cloned() else {
            self.wrong.push(format!("'{case}' is no row of the table"));
            return;
        };
        self.tried.insert(row.case.clone());
        let complaints = complaints(&row, output);
        if !complaints.is_empty() {
            let what = complaints.join("; ");
            self.wrong.push(format!(
                "{case}: {what}\n  `{:.300}` ended with {}\n  {:.1500}",
                output.call, output.status, output.stderr
            ));
        }
    }

    /// Something about a case doesn't hold.
    pub(crate) fn require(&mut self, holds: bool, what: &str) {
        if !holds {
            self.wrong.push(what.to_owned());
        }
    }

    /// Counts a case as tried that can't be tried here.
    pub(crate) fn skipped(&mut self, case: &str) {
        self.tried.insert(case.to_owned());
    }

    /// All rows were tried, and all hold.
    pub(crate) fn finish(mut self) {
        for row in &self.table.0 {
            if !self.tried.contains(&row.case) {
                self.wrong.push(format!("'{}' was not tried", row.case));
            }
        }
        let (wrong, rows) = (&self.wrong, self.table.0.len());
        assert!(wrong.is_empty(), "{} wrong in {rows} rows:\n{}", wrong.len(), wrong.join("\n\n"));
    }
}

/// What of the studio bad input could change: its jobs and its members, once two nodes agree on them.
fn state(farm: &Farm) -> BTreeSet<String> {
    wait_for(AGREEMENT, "two nodes tell the same of jobs and members", || {
        let state = seen_by(farm, 1)?;
        (seen_by(farm, 2)? == state).then_some(state)
    })
}

fn seen_by(farm: &Farm, number: usize) -> Option<BTreeSet<String>> {
    let list = |path: &str| farm.node(number).get(path)?.as_array().cloned();
    let jobs = list("/v1/jobs?all=true")?.into_iter().map(|job| {
        let fields = ["job", "name", "status", "priority", "frames_total", "frames_done"];
        fields.map(|field| job[field].to_string()).join(" ")
    });
    Some(jobs.chain(list("/v1/members")?.into_iter().map(|member| member.to_string())).collect())
}

fn complaints(row: &Row, output: &Output) -> Vec<String> {
    let mut complaints = Vec::new();
    if output.status != row.exit {
        complaints.push(format!("the exit status is {} and not {}", output.status, row.exit));
    }
    let said = format!("{}\n{}", output.stderr, output.stdout);
    if let Some(words) = row.lacking(&said) {
        complaints.push(format!("it doesn't say '{words}'"));
    }
    if row.exit == 0 {
        return complaints;
    }
    let Some(sentence) = output.stderr.lines().find_map(|line| line.strip_prefix("error: ")) else {
        complaints.push("no line begins with 'error: '".into());
        return complaints;
    };
    if sentence.len() > MAX_SENTENCE {
        complaints.push(format!("its first line has {} bytes", sentence.len()));
    }
    for words in ["panicked at", "RUST_BACKTRACE", "(os error ", "\u{1b}"] {
        if said.contains(words) {
            complaints.push(format!("it says {words:?}"));
        }
    }
    complaints.extend(debug_form(sentence).map(|form| format!("'{form}' is for programmers")));
    complaints
}

/// A value as Rust's `{:?}` writes it: `Some(…)`, `Os { code: … }`.
fn debug_form(text: &str) -> Option<&str> {
    let opens = text.char_indices().filter(|(_, letter)| matches!(letter, '(' | '{'));
    opens
        .filter_map(|(at, letter)| {
            let before = &text[..at];
            let before = if letter == '{' { before.strip_suffix(' ')? } else { before };
            let name = before.rsplit(|letter: char| !letter.is_alphanumeric()).next()?;
            let camel = name.starts_with(|letter: char| letter.is_ascii_uppercase())
                && name.contains(|letter: char| letter.is_ascii_lowercase());
            camel.then_some(name)
        })
        .next()
}

#[test]
fn debug_forms_are_recognised() {
    assert_eq!(debug_form("no: Some(3)"), Some("Some"));
    assert_eq!(debug_form("no: Os { code: 2 }"), Some("Os"));
    assert_eq!(debug_form("it isn't one (Blender 5.0 or later); MD5(x)"), None);
}
