//! Opening what is a file, and nothing else.

use std::fs::File;
use std::io;
use std::path::Path;

/// Opens a file for reading; what is none is refused unopened: a pipe would wait for somebody to write to it, and
/// a device may never end.
///
/// # Errors
/// As [`File::open`], and for what is no file.
pub fn open(path: &Path) -> io::Result<File> {
    if !std::fs::metadata(path)?.is_file() {
        return Err(io::Error::other("it is not a file"));
    }
    File::open(path)
}

#[cfg(all(test, unix))]
mod tests {
    use std::process::Command;
    use std::sync::mpsc;
    use std::time::Duration;

    use crate::engine::shipped;
    use crate::{blender, demo, maya, text_scene};

    /// Reading one waits until somebody writes to it.
    #[test]
    fn no_reader_waits_for_a_pipe() {
        let folder = tempfile::tempdir().unwrap();
        let pipe = folder.path().join("scene");
        assert!(Command::new("mkfifo").arg(&pipe).status().unwrap().success());
        let (sender, receiver) = mpsc::channel();
        std::thread::spawn(move || {
            let engines = shipped();
            let text = text_scene::analyse(&pipe, &engines["povray"]).unwrap();
            for read in [blender::analyse(&pipe), maya::analyse(&pipe), demo::analyse(&pipe), text]
            {
                sender.send(read.map(drop).map_err(|error| error.to_string())).unwrap();
            }
        });
        for reader in 0..4 {
            let read = receiver.recv_timeout(Duration::from_secs(60));
            let said = read.unwrap_or_else(|_| panic!("reader {reader} waits")).unwrap_err();
            assert!(said.ends_with("it is not a file"), "{reader}: {said}");
        }
    }
}
