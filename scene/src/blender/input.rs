//! The bytes of a `.blend` file, unpacked on the fly where they are compressed.

use std::fs::File;
use std::io::{self, BufReader, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};

use crate::analysis::AnalyseError;
use crate::plain_file;

/// Unpacking may always yield this much, in bytes.
const UNPACKED_FLOOR: u64 = 1 << 30;
/// Beyond [`UNPACKED_FLOOR`], unpacking may yield this many times the compressed size. Blender's
/// files shrink to a half or a tenth; gzip can't go beyond 1032, zstd far beyond.
const UNPACKED_RATIO: u64 = 200;
/// No file may unpack to more than this, in bytes.
const UNPACKED_LIMIT: u64 = 1 << 40;

const GZIP_MAGIC: [u8; 2] = [0x1f, 0x8b];
const ZSTD_MAGIC: [u8; 4] = [0x28, 0xb5, 0x2f, 0xfd];

enum Bytes {
    /// `length` is the file's size: seeking past the end of a file is no error to the system.
    Plain {
        file: BufReader<File>,
        length: u64,
    },
    Packed {
        stream: Box<dyn Read>,
        cap: u64,
    },
}

/// A forward-only reader of a scene's contents that knows its position.
pub(super) struct Input {
    path: PathBuf,
    bytes: Bytes,
    position: u64,
}

impl Input {
    pub(super) fn open(path: &Path) -> Result<Self, AnalyseError> {
        let opened = || -> io::Result<Bytes> {
            let file = plain_file::open(path)?;
            let length = file.metadata()?.len();
            let mut file = BufReader::with_capacity(64 * 1024, file);
            let mut magic = [0; 4];
            let mut filled = 0;
            while filled < magic.len() {
                match file.read(&mut magic[filled..])? {
                    0 => break,
                    n => filled += n,
                }
            }
            file.seek(SeekFrom::Start(0))?;
            let cap = length.saturating_mul(UNPACKED_RATIO).clamp(UNPACKED_FLOOR, UNPACKED_LIMIT);
            let stream: Box<dyn Read> = if magic[..2] == GZIP_MAGIC {
                Box::new(flate2::bufread::MultiGzDecoder::new(file))
            } else if magic == ZSTD_MAGIC || is_skippable(magic) {
                // Blender writes a row of frames and, last, a skippable one with a seek table.
                Box::new(zstd::stream::read::Decoder::with_buffer(file)?)
            } else {
                return Ok(Bytes::Plain { file, length });
            };
            let stream = Box::new(BufReader::with_capacity(64 * 1024, stream));
            Ok(Bytes::Packed { stream, cap })
        };
        Ok(Self {
            path: path.to_path_buf(),
            bytes: opened().map_err(|error| AnalyseError::io(path, error))?,
            position: 0,
        })
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Bytes from the beginning of the unpacked contents.
    pub(super) fn position(&self) -> u64 {
        self.position
    }

    /// Reads up to `buffer.len()` bytes; 0 at the end only.
    pub(super) fn read(&mut self, buffer: &mut [u8]) -> Result<usize, AnalyseError> {
        loop {
            let result = match &mut self.bytes {
                Bytes::Plain { file, .. } => file.read(buffer),
                Bytes::Packed { stream, .. } => stream.read(buffer),
            };
            match result {
                Ok(count) => {
                    self.position += count as u64;
                    self.check_cap()?;
                    return Ok(count);
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(self.failure(error)),
            }
        }
    }

    /// Fills `buffer` as far as the contents go, and says how far that was.
    pub(super) fn fill(&mut self, buffer: &mut [u8]) -> Result<usize, AnalyseError> {
        let mut filled = 0;
        while filled < buffer.len() {
            match self.read(&mut buffer[filled..])? {
                0 => break,
                count => filled += count,
            }
        }
        Ok(filled)
    }

    /// Fills `buffer`; an end before that is an error that says what was being read.
    pub(super) fn read_exact(&mut self, buffer: &mut [u8], what: &str) -> Result<(), AnalyseError> {
        let start = self.position;
        if self.fill(buffer)? < buffer.len() {
            return Err(AnalyseError::corrupt(
                self.position,
                format!("the file ends inside {what}, which begins at byte {start}"),
            ));
        }
        Ok(())
    }

    /// Passes over `count` bytes, which must be there.
    pub(super) fn skip(&mut self, count: u64, what: &str) -> Result<(), AnalyseError> {
        if let Bytes::Plain { file, length } = &mut self.bytes {
            let target = self.position.saturating_add(count);
            if target > *length {
                return Err(AnalyseError::corrupt(
                    *length,
                    format!("the file ends inside {what}, which goes on to byte {target}"),
                ));
            }
            let moved = match i64::try_from(count) {
                Ok(offset) => file.seek_relative(offset),
                Err(_) => file.seek(SeekFrom::Start(target)).map(|_| ()),
            };
            self.position = target;
            return moved.map_err(|error| self.failure(error));
        }
        let mut left = count;
        let mut waste = [0; 16 * 1024];
        while left > 0 {
            let piece = waste.len().min(usize::try_from(left).unwrap_or(usize::MAX));
            self.read_exact(&mut waste[..piece], what)?;
            left -= piece as u64;
        }
        Ok(())
    }

    fn check_cap(&self) -> Result<(), AnalyseError> {
        match &self.bytes {
            Bytes::Packed { cap, .. } if self.position > *cap => Err(AnalyseError::TooLarge(
                format!("{} unpacks to more than {} MiB", self.path.display(), cap >> 20),
            )),
            _ => Ok(()),
        }
    }

    fn failure(&self, error: io::Error) -> AnalyseError {
        match &self.bytes {
            Bytes::Plain { .. } => AnalyseError::io(&self.path, error),
            // The decoders report damage as all kinds of errors; the disk's own carry its code.
            Bytes::Packed { .. } if error.raw_os_error().is_none() => AnalyseError::corrupt(
                self.position,
                format!("the compressed contents cannot be unpacked ({error})"),
            ),
            Bytes::Packed { .. } => AnalyseError::io(&self.path, error),
        }
    }
}

/// Zstandard's skippable frames begin with 0x184D2A50 to 0x184D2A5F (RFC 8878, 3.1.2).
fn is_skippable(magic: [u8; 4]) -> bool {
    u32::from_le_bytes(magic) & 0xffff_fff0 == 0x184d_2a50
}
