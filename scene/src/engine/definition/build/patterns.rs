//! The regular expressions of a definition.

use super::super::super::files::{FilePatterns, NamedFiles};
use super::super::super::log::{LogPatterns, Pattern};
use super::super::super::table::{FilesTable, LogTable, NamedFilesTable, Text};
use super::Wrong;
use crate::analysis::AssetKind;

pub(super) fn pattern(text: &Text) -> Result<Pattern, Wrong> {
    Pattern::new(text.get_ref()).map_err(|message| (Some(text.span()), message))
}

pub(super) fn log_patterns(table: &LogTable) -> Result<LogPatterns, Wrong> {
    // Each alternative is a set of groups that must be there.
    let read = |texts: &Option<Vec<Text>>, alternatives: &[&[&str]]| {
        let mut patterns = Vec::new();
        for text in texts.iter().flatten() {
            let pattern = pattern(text)?;
            let groups = pattern.groups();
            let complete = |needed: &&[&str]| needed.iter().all(|group| groups.contains(group));
            if !alternatives.is_empty() && !alternatives.iter().any(complete) {
                let named: Vec<String> =
                    alternatives.iter().map(|needed| needed.join(" and ")).collect();
                let message = format!(
                    "the pattern needs a group named {}, written (?<{}>…)",
                    named.join(", or "),
                    alternatives[0][0]
                );
                return Err((Some(text.span()), message));
            }
            patterns.push(pattern);
        }
        Ok(patterns)
    };
    Ok(LogPatterns {
        progress: read(&table.progress, &[&["percent"], &["done", "total"]])?,
        frame: read(&table.frame, &[&["frame"]])?,
        memory: read(&table.memory, &[&["value"]])?,
        saved: read(&table.saved, &[&["path"]])?,
        warning: read(&table.warning, &[])?,
        error: read(&table.error, &[])?,
        fatal: read(&table.fatal, &[])?,
        licence: read(&table.licence, &[])?,
        wrap: table.wrap.unwrap_or(0),
    })
}

pub(super) fn file_patterns(table: &FilesTable) -> Result<FilePatterns, Wrong> {
    let all = |texts: &[Text]| texts.iter().map(pattern).collect::<Result<Vec<_>, Wrong>>();
    if table.block_comment.as_ref().is_some_and(|(begin, end)| begin.is_empty() || end.is_empty()) {
        return Err((None, "block_comment must say how a comment begins and ends".to_owned()));
    }
    Ok(FilePatterns {
        line_comment: table.line_comment.clone().unwrap_or_default(),
        block_comment: table.block_comment.clone(),
        quotes: table.quotes.as_deref().unwrap_or("\"").chars().collect(),
        from_scene: table.from_scene,
        branches: match &table.branches {
            Some((begin, end)) => Some((pattern(begin)?, pattern(end)?)),
            None => None,
        },
        provided: all(&table.provided)?,
        named: table.named.iter().map(named_files).collect::<Result<_, Wrong>>()?,
        untiled: table
            .untiled
            .iter()
            .map(|untiled| Ok((pattern(&untiled.pattern)?, untiled.why.clone())))
            .collect::<Result<_, Wrong>>()?,
    })
}

pub(super) fn named_files(table: &NamedFilesTable) -> Result<NamedFiles, Wrong> {
    let compiled = pattern(&table.pattern)?;
    if !compiled.groups().contains("path") {
        let message = "the pattern has no group called path, which is the file";
        return Err((Some(table.pattern.span()), message.to_owned()));
    }
    let inside = match (&table.inside, &table.until) {
        (Some(inside), Some(until)) => Some((pattern(inside)?, pattern(until)?)),
        (None, None) => None,
        (Some(one), None) | (None, Some(one)) => {
            let message = "inside and until go together: where a block begins and where it ends";
            return Err((Some(one.span()), message.to_owned()));
        }
    };
    let wrong = |ending: &&Text| {
        let text = ending.get_ref();
        !text.starts_with('.') || text.len() < 2 || text.contains(['/', '\\'])
    };
    if let Some(wrong) = table.endings.iter().find(wrong) {
        let message = "an ending is what is added to a name, with its dot: '.inc'";
        return Err((Some(wrong.span()), message.to_owned()));
    }
    let endings = table.endings.iter().map(|ending| ending.get_ref().clone()).collect();
    let kind = table.kind.unwrap_or(AssetKind::Other);
    Ok(NamedFiles { pattern: compiled, inside, kind, scene: table.scene, endings })
}
