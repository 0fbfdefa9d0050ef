//! Processes of engines, as Linux shows them.

use std::path::Path;

/// The processes that have `word` as one of the words of their command line, or whose working folder
/// is below `folder`.
#[must_use]
pub fn processes(word: &str, folder: &Path) -> Vec<u32> {
    let entries = std::fs::read_dir("/proc").into_iter().flatten().flatten();
    let ids = entries.filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok());
    let fits = |id: &u32| {
        let process = Path::new("/proc").join(id.to_string());
        // One that has ended has neither, even before it was waited for.
        let words = std::fs::read(process.join("cmdline")).unwrap_or_default();
        let said = words.split(|byte| *byte == 0).any(|other| other == word.as_bytes());
        said || std::fs::read_link(process.join("cwd")).is_ok_and(|cwd| cwd.starts_with(folder))
    };
    ids.filter(fits).collect()
}
