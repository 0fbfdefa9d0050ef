//! The file's skeleton: its header, and the row of blocks that it consists of.
//!
//! | file header | bytes |
//! |---|---|
//! | `BLENDER`, `_` or `-`, `v` or `V`, three digits | 12; 32 or 64 bits, little or big endian, version |
//! | `BLENDER`, `17`, `-`, `01`, `v`, four digits | 17; its own size, 64 bits, format 1, little endian, version (5.0 on) |
//!
//! | block header | fields, in order |
//! |---|---|
//! | 20 bytes, 32-bit files | code, i32 length, u32 old address, i32 struct, i32 count |
//! | 24 bytes, 64-bit files | code, i32 length, u64 old address, i32 struct, i32 count |
//! | 32 bytes, format 1 | code, i32 struct, u64 old address, i64 length, i64 count |

use crate::analysis::AnalyseError;

use super::input::Input;
use super::number::{Layout, PointerSize};

/// The longest file header, in bytes.
const MAX_HEADER: usize = 17;
/// The longest block header, in bytes.
pub(super) const MAX_BLOCK_HEADER: usize = 32;

/// Which Blender wrote a file: 277, 304, 502.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Version(pub(super) u32);

impl std::fmt::Display for Version {
    /// Two digits after the point until 2.83 and its like; one since 3.0, when 3.1 followed.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let (major, minor) = (self.0 / 100, self.0 % 100);
        if major < 3 { write!(f, "{major}.{minor:02}") } else { write!(f, "{major}.{minor}") }
    }
}

/// What the header of one block says.
#[derive(Debug, Clone, Copy)]
pub(super) struct Block {
    /// Four letters, or two and two NULs.
    pub(super) code: [u8; 4],
    /// Where the contents begin, in bytes from the beginning of the unpacked file.
    pub(super) position: u64,
    /// Bytes of contents.
    pub(super) length: u64,
    /// Where it was in the memory of the Blender that wrote it; how blocks point at each other.
    pub(super) address: u64,
    /// Which struct of the DNA the contents are an array of.
    pub(super) structure: u32,
    /// How many of these structs.
    pub(super) count: u64,
}

impl Block {
    /// Whether this is a datablock: something with a name that others may point at.
    pub(super) fn is_id(&self) -> bool {
        self.id_code().is_some()
    }

    /// The two letters of a datablock's code. Big-endian files have their NULs in front.
    pub(super) fn id_code(&self) -> Option<[u8; 2]> {
        match self.code {
            [a, b, 0, 0] | [0, 0, a, b] if a != 0 && b != 0 => Some([a, b]),
            _ => None,
        }
    }
}

/// Reads a file block by block.
pub(super) struct BlockReader {
    input: Input,
    layout: Layout,
    large_headers: bool,
    version: Version,
    /// What is left of the current block's contents.
    left: u64,
    /// The bytes of the last header read: the file's, then each block's.
    header: Vec<u8>,
}

impl BlockReader {
    pub(super) fn new(mut input: Input) -> Result<Self, AnalyseError> {
        let mut header = vec![0; 12];
        if input.fill(&mut header)? < header.len() || &header[..7] != b"BLENDER" {
            return Err(AnalyseError::if_pointer(&header).unwrap_or_else(|| not_blend(&input)));
        }
        let large_headers = header[7].is_ascii_digit();
        if large_headers {
            header.resize(MAX_HEADER, 0);
            if &header[7..9] != b"17" {
                return Err(AnalyseError::Unsupported(format!(
                    "{} has a file header that is not known here; it may come from a newer Blender",
                    input.path().display()
                )));
            }
            input.read_exact(&mut header[12..], "the file header")?;
            if &header[10..12] != b"01" {
                return Err(AnalyseError::Unsupported(format!(
                    "{} is in a version of the file format that is not known here; it may come \
                     from a newer Blender",
                    input.path().display()
                )));
            }
        }
        let (bits, endian, digits) =
            if large_headers { (header[9], header[12], 13) } else { (header[7], header[8], 9) };
        let pointer = match bits {
            b'_' => PointerSize::Four,
            b'-' => PointerSize::Eight,
            _ => return Err(not_blend(&input)),
        };
        let big_endian = match endian {
            b'v' => false,
            b'V' => true,
            _ => return Err(not_blend(&input)),
        };
        let mut version = 0;
        for &digit in &header[digits..] {
            if !digit.is_ascii_digit() {
                return Err(not_blend(&input));
            }
            version = version * 10 + u32::from(digit - b'0');
        }
        Ok(Self {
            input,
            layout: Layout { pointer, big_endian },
            large_headers,
            version: Version(version),
            left: 0,
            header,
        })
    }

    pub(super) fn layout(&self) -> Layout {
        self.layout
    }

    pub(super) fn version(&self) -> Version {
        self.version
    }

    /// The bytes of the last header, as they are in the file.
    pub(super) fn header_bytes(&self) -> &[u8] {
        &self.header
    }

    /// The next block, after passing over what is left of this one. `None` at the end marker; an
    /// end without that marker is an error.
    pub(super) fn next_block(&mut self) -> Result<Option<Block>, AnalyseError> {
        let left = std::mem::take(&mut self.left);
        self.input.skip(left, "a block")?;
        let start = self.input.position();
        let size = match (self.large_headers, self.layout.pointer) {
            (true, _) => MAX_BLOCK_HEADER,
            (false, PointerSize::Four) => 20,
            (false, PointerSize::Eight) => 24,
        };
        self.header.clear();
        self.header.resize(4, 0);
        if self.input.fill(&mut self.header)? < 4 {
            return Err(AnalyseError::corrupt(
                start,
                "the file ends without its end marker; it was probably cut off while being \
                 copied or saved",
            ));
        }
        let code = [self.header[0], self.header[1], self.header[2], self.header[3]];
        if &code == b"ENDB" {
            // Some writers cut the end marker's header short; nothing in it matters.
            return Ok(None);
        }
        self.header.resize(size, 0);
        self.input.read_exact(&mut self.header[4..], "a block header")?;
        let block = self.parse(code);
        let plausible = code.iter().all(|&byte| byte == 0 || byte.is_ascii_graphic());
        match block {
            Some(block) if plausible => {
                self.left = block.length;
                Ok(Some(block))
            }
            _ => Err(AnalyseError::corrupt(start, "there is no block header where one should be")),
        }
    }

    fn parse(&self, code: [u8; 4]) -> Option<Block> {
        let (layout, header) = (self.layout, &self.header);
        let int = |at: usize| layout.signed(header.get(at..at + 4)?);
        let long = |at: usize| layout.signed(header.get(at..at + 8)?);
        let (length, address, structure, count) = if self.large_headers {
            (long(16)?, layout.pointer(header.get(8..)?)?, int(4)?, long(24)?)
        } else {
            let after = 8 + layout.pointer.bytes();
            (int(4)?, layout.pointer(header.get(8..)?)?, int(after)?, int(after + 4)?)
        };
        Some(Block {
            code,
            position: self.input.position(),
            length: u64::try_from(length).ok()?,
            address,
            structure: u32::try_from(structure).ok()?,
            count: u64::try_from(count).ok()?,
        })
    }

    /// What is left of the current block's contents, in bytes.
    pub(super) fn left(&self) -> u64 {
        self.left
    }

    /// Fills `buffer` from the current block, which must have that much left.
    pub(super) fn read_exact(&mut self, buffer: &mut [u8]) -> Result<(), AnalyseError> {
        let wanted = buffer.len() as u64;
        if wanted > self.left {
            return Err(AnalyseError::corrupt(
                self.input.position(),
                format!("a block should have {wanted} more bytes, but has {}", self.left),
            ));
        }
        self.left -= wanted;
        self.input.read_exact(buffer, "a block")
    }

    /// Reads past the last block: what follows the end marker's code. 0 at the end.
    pub(super) fn read_tail(&mut self, buffer: &mut [u8]) -> Result<usize, AnalyseError> {
        self.input.read(buffer)
    }
}

fn not_blend(input: &Input) -> AnalyseError {
    AnalyseError::Unsupported(format!("{} is not a Blender file", input.path().display()))
}
