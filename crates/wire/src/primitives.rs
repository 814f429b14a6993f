//! The protocol's basic types: fixed and length-encoded integers, and the three kinds of strings.
//!
//! A [`Reader`] walks over a borrowed payload; every read is checked. [`Put`] adds the writing side to `bytes::BufMut`.
//! Sources: MySQL `page_protocol_basic_data_types`; MariaDB "Protocol Data Types". The two agree.

use bytes::BufMut;

/// A packet that breaks the protocol. The text is for people; the caller knows whose fault it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("malformed packet: {what}")]
pub struct Malformed {
    /// What is wrong, in a few words.
    pub what: &'static str,
}

impl Malformed {
    /// An error that says `what` is wrong.
    pub const fn new(what: &'static str) -> Self {
        Self { what }
    }
}

const TRUNCATED: Malformed = Malformed::new("it ends in the middle of a field");

/// Reads a payload from front to back.
#[derive(Debug, Clone, Copy)]
pub struct Reader<'a> {
    rest: &'a [u8],
}

impl<'a> Reader<'a> {
    /// Starts at the first byte of `bytes`.
    pub const fn new(bytes: &'a [u8]) -> Self {
        Self { rest: bytes }
    }

    /// The next `count` bytes.
    pub fn take(&mut self, count: usize) -> Result<&'a [u8], Malformed> {
        let (taken, rest) = self.rest.split_at_checked(count).ok_or(TRUNCATED)?;
        self.rest = rest;
        Ok(taken)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], Malformed> {
        let (taken, rest) = self.rest.split_first_chunk().ok_or(TRUNCATED)?;
        self.rest = rest;
        Ok(*taken)
    }

    /// `int<1>`.
    pub fn u8(&mut self) -> Result<u8, Malformed> {
        let [byte] = self.array()?;
        Ok(byte)
    }

    /// `int<2>`, little endian as all of them.
    pub fn u16(&mut self) -> Result<u16, Malformed> {
        self.array().map(u16::from_le_bytes)
    }

    /// `int<3>`.
    pub fn u24(&mut self) -> Result<u32, Malformed> {
        let [low, middle, high] = self.array()?;
        Ok(u32::from_le_bytes([low, middle, high, 0]))
    }

    /// `int<4>`.
    pub fn u32(&mut self) -> Result<u32, Malformed> {
        self.array().map(u32::from_le_bytes)
    }

    /// `int<8>`.
    pub fn u64(&mut self) -> Result<u64, Malformed> {
        self.array().map(u64::from_le_bytes)
    }

    /// `int<lenenc>`. 0xFB (NULL in a text row) and 0xFF (an ERR packet) are no integers. A longer form than needed is
    /// accepted, as the servers and their clients do.
    pub fn lenenc_int(&mut self) -> Result<u64, Malformed> {
        match self.u8()? {
            0xfb => Err(Malformed::new("NULL where an integer is due")),
            0xfc => self.u16().map(u64::from),
            0xfd => self.u24().map(u64::from),
            0xfe => self.u64(),
            0xff => Err(Malformed::new("0xFF where an integer is due")),
            small => Ok(u64::from(small)),
        }
    }

    /// `string<lenenc>`.
    pub fn lenenc_bytes(&mut self) -> Result<&'a [u8], Malformed> {
        let length = self.lenenc_int()?;
        self.take(usize::try_from(length).map_err(|_| TRUNCATED)?)
    }

    /// `string<NUL>`, without its NUL.
    pub fn nul_bytes(&mut self) -> Result<&'a [u8], Malformed> {
        let end = memchr::memchr(0, self.rest).ok_or(Malformed::new("a string lacks its NUL"))?;
        let text = self.take(end)?;
        self.take(1)?;
        Ok(text)
    }

    /// What is left, without taking it.
    pub const fn rest_ahead(&self) -> &'a [u8] {
        self.rest
    }

    /// `string<EOF>`: whatever is left. The reader is empty afterwards.
    pub fn rest(&mut self) -> &'a [u8] {
        std::mem::take(&mut self.rest)
    }

    /// How many bytes are left.
    pub const fn remaining(&self) -> usize {
        self.rest.len()
    }

    /// Nothing is left.
    pub const fn is_empty(&self) -> bool {
        self.rest.is_empty()
    }
}

/// The writing side, for every `BufMut`: `Vec<u8>` and `BytesMut`.
pub trait Put: BufMut {
    /// `int<lenenc>`, in its shortest form.
    fn put_lenenc_int(&mut self, value: u64) {
        let [b0, b1, b2, ..] = value.to_le_bytes();
        match value {
            0..=0xfa => self.put_u8(b0),
            0xfb..=0xffff => self.put_slice(&[0xfc, b0, b1]),
            0x1_0000..=0xff_ffff => self.put_slice(&[0xfd, b0, b1, b2]),
            _ => {
                self.put_u8(0xfe);
                self.put_u64_le(value);
            }
        }
    }

    /// `string<lenenc>`.
    fn put_lenenc_bytes(&mut self, bytes: &[u8]) {
        self.put_lenenc_int(bytes.len() as u64);
        self.put_slice(bytes);
    }

    /// `string<NUL>`. It ends at the first NUL of `bytes`, if there is one: what follows would be read as the next fields.
    fn put_nul_bytes(&mut self, bytes: &[u8]) {
        let text = bytes.split(|&byte| byte == 0).next().unwrap_or_default();
        self.put_slice(text);
        self.put_u8(0);
    }
}

impl<B: BufMut + ?Sized> Put for B {}

#[cfg(test)]
mod tests;
