//! The two algorithms. Every frame is compressed by itself, so no connection keeps a window: each thread has one compressor and one decompressor
//! of each kind, for all its connections.

use std::cell::RefCell;

use bytes::{BufMut, BytesMut};
use flate2::{Compress, Decompress, FlushCompress, FlushDecompress, Status};

use crate::LinkError;

/// What both servers use for zlib.
const ZLIB_LEVEL: u32 = 6;

/// A client may ask for levels of up to 22, and the server does the work. On our frames, those above this one cost ten times as much for some percent.
const ZSTD_LEVEL_MAX: u8 = 9;

/// Deflate cannot make more than this of one byte.
const ZLIB_EXPANSION: usize = 1032;

thread_local! {
    static DEFLATE: RefCell<Compress> = RefCell::new(Compress::new(flate2::Compression::new(ZLIB_LEVEL), true));
    static INFLATE: RefCell<Decompress> = RefCell::new(Decompress::new(true));
    static TO_ZSTD: RefCell<zstd::bulk::Compressor<'static>> = RefCell::default();
    static FROM_ZSTD: RefCell<zstd::bulk::Decompressor<'static>> = RefCell::default();
}

/// How what is sent is compressed, and what is received was.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Compression {
    /// The format of zlib (RFC 1950).
    Zlib,
    /// Zstandard (RFC 8878). Its level concerns only what is sent.
    Zstd {
        /// From 1 to 22; what is above 9 counts as 9.
        level: u8,
    },
}

impl Compression {
    /// MySQL's default for zstd.
    pub const ZSTD_LEVEL: u8 = 3;

    /// Zstandard as MySQL uses it by default.
    pub const ZSTD: Self = Self::Zstd { level: Self::ZSTD_LEVEL };

    /// Appends `plain` compressed, or nothing and returns false if that would not be shorter.
    pub(super) fn compress(self, plain: &[u8], out: &mut BytesMut) -> bool {
        let start = out.len();
        out.put_bytes(0, plain.len());
        let place = out.get_mut(start..).unwrap_or_default();
        let length = match self {
            Self::Zlib => DEFLATE.with_borrow_mut(|deflate| {
                deflate.reset();
                match deflate.compress(plain, place, FlushCompress::Finish) {
                    Ok(Status::StreamEnd) => usize::try_from(deflate.total_out()).ok(),
                    _ => None,
                }
            }),
            Self::Zstd { level } => TO_ZSTD.with_borrow_mut(|compressor| {
                compressor.set_compression_level(level.clamp(1, ZSTD_LEVEL_MAX).into()).ok()?;
                compressor.compress_to_buffer(plain, place).ok()
            }),
        };
        let length = length.filter(|length| *length < plain.len());
        out.truncate(start.saturating_add(length.unwrap_or(0)));
        length.is_some()
    }

    /// Appends what `packed` decompresses to, which must be exactly `length` bytes.
    pub(super) fn decompress(self, packed: &[u8], length: usize, out: &mut BytesMut) -> Result<(), LinkError> {
        if matches!(self, Self::Zlib) && length > packed.len().saturating_mul(ZLIB_EXPANSION) {
            return Err(LinkError::BadFrame("a frame says that it holds more than can be in it"));
        }
        let start = out.len();
        out.put_bytes(0, length);
        let place = out.get_mut(start..).unwrap_or_default();
        let is_exact = match self {
            Self::Zlib => INFLATE.with_borrow_mut(|inflate| {
                inflate.reset(true);
                let ended = inflate.decompress(packed, place, FlushDecompress::Finish);
                matches!(ended, Ok(Status::StreamEnd))
                    && inflate.total_out() == length as u64
                    && inflate.total_in() == packed.len() as u64
            }),
            Self::Zstd { .. } => FROM_ZSTD.with_borrow_mut(|decompressor| {
                decompressor.decompress_to_buffer(packed, place).is_ok_and(|written| written == length)
            }),
        };
        if !is_exact {
            out.truncate(start);
            return Err(LinkError::BadFrame("a frame does not decompress to the length that it gives"));
        }
        Ok(())
    }
}
