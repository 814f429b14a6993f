//! Query attributes: named values that a client sends along with a statement.
//!
//! Source: MySQL `page_protocol_com_query`, `page_protocol_com_stmt_execute`, `page_protocol_binary_resultset` (values). MariaDB has none. They are
//! passed on unchanged. This module walks over them to find the statement after them, and the few that are Pointsman's own.

use crate::primitives::{Malformed, Reader};

/// `PARAMETER_COUNT_AVAILABLE` among the flags of `COM_STMT_EXECUTE`: parameters are followed by attributes.
pub(super) const PARAMETER_COUNT_AVAILABLE: u8 = 0x08;

/// The attributes of one statement. Empty for clients that have not negotiated them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Attributes<'a> {
    /// How many values there are; the first [`Self::skipped`] are a prepared statement's parameters.
    count: usize,
    skipped: usize,
    null_bitmap: &'a [u8],
    /// For each a type of two bytes and a length-encoded name.
    types: &'a [u8],
    values: &'a [u8],
}

impl<'a> Attributes<'a> {
    /// Reads the attributes before a query's text, and leaves the reader at the text.
    pub(super) fn read(reader: &mut Reader<'a>) -> Result<Self, Malformed> {
        let count = count(reader)?;
        if reader.lenenc_int()? != 1 {
            return Err(Malformed::new("more than one set of query attributes"));
        }
        if count == 0 {
            return Ok(Self::default());
        }
        let null_bitmap = reader.take(count.div_ceil(8))?;
        if reader.u8()? == 0 {
            return Err(Malformed::new("query attributes without their types"));
        }
        let types = take_types(reader, count)?;
        let mut found = Self { count, skipped: 0, null_bitmap, types, values: reader.rest_ahead() };
        let length = found.values_length()?;
        found.values = reader.take(length)?;
        Ok(found)
    }

    /// After the parameters of a prepared statement.
    pub(super) fn after_parameters(
        count: usize,
        params: usize,
        null_bitmap: &'a [u8],
        types: &'a [u8],
        values: &'a [u8],
    ) -> Self {
        Self { count, skipped: params, null_bitmap, types, values }
    }

    /// Calls `with` for each attribute with its name and its value, which is `None` where it is NULL or no text. `is_ahead` says which of the
    /// parameters before them were sent ahead, and so have no value here.
    pub fn each(&self, is_ahead: impl Fn(usize) -> bool, with: impl FnMut(&'a [u8], Option<&'a [u8]>)) -> Result<(), Malformed> {
        let mut values = Reader::new(self.values);
        self.walk(&mut values, is_ahead, with)
    }

    fn values_length(&self) -> Result<usize, Malformed> {
        let mut values = Reader::new(self.values);
        self.walk(&mut values, |_| false, |_, _| {})?;
        Ok(self.values.len().saturating_sub(values.rest_ahead().len()))
    }

    fn walk(
        &self,
        values: &mut Reader<'a>,
        is_ahead: impl Fn(usize) -> bool,
        mut with: impl FnMut(&'a [u8], Option<&'a [u8]>),
    ) -> Result<(), Malformed> {
        let mut types = Reader::new(self.types);
        for index in 0..self.count {
            let kind = types.u16()?;
            let name = types.lenenc_bytes()?;
            let is_null = self.null_bitmap.get(index / 8).is_some_and(|byte| byte >> (index % 8) & 1 == 1);
            let is_parameter = index < self.skipped;
            let value = if is_null || (is_parameter && is_ahead(index)) { None } else { take_value(values, kind)? };
            if !is_parameter {
                with(name, value);
            }
        }
        Ok(())
    }
}

/// Reads a count, and checks that it fits: each value takes at least two bytes of type and one of name.
pub(super) fn count(reader: &mut Reader<'_>) -> Result<usize, Malformed> {
    let count = usize::try_from(reader.lenenc_int()?).map_err(|_| Malformed::new("too many parameters"))?;
    if count > reader.rest_ahead().len().saturating_mul(8) {
        return Err(Malformed::new("more parameters than the packet can hold"));
    }
    Ok(count)
}

/// Types and names of `count` values.
pub(super) fn take_types<'a>(reader: &mut Reader<'a>, count: usize) -> Result<&'a [u8], Malformed> {
    let mut ahead = Reader::new(reader.rest_ahead());
    for _ in 0..count {
        ahead.u16()?;
        ahead.lenenc_bytes()?;
    }
    let length = reader.rest_ahead().len().saturating_sub(ahead.rest_ahead().len());
    reader.take(length)
}

/// The bits of a type's two bytes that the server compares; the last bit says "unsigned".
const TYPE: u16 = 0x7fff;

/// One value as MySQL reads it; its bytes if it is a text.
///
/// The manual lists more types of fixed length than there are here (`YEAR`, `INT24`, `NULL`, ..), but to the server those, and every number that is
/// no type at all, are texts. Reading them otherwise would find another statement than the one that runs. Tried for all numbers on MySQL 9.7.4
/// (`tests/query_attributes_hide_nothing.rs`); it accepts some broken lengths, which are malformed here.
fn take_value<'a>(values: &mut Reader<'a>, kind: u16) -> Result<Option<&'a [u8]>, Malformed> {
    let fixed = match kind & TYPE {
        // TINY
        0x01 => 1,
        // SHORT
        0x02 => 2,
        // LONG, FLOAT
        0x03 | 0x04 => 4,
        // DOUBLE, LONGLONG
        0x05 | 0x08 => 8,
        // TIMESTAMP, DATETIME
        0x07 | 0x0c => length_among(values, &[0, 4, 7, 11, 13])?,
        // DATE
        0x0a => length_among(values, &[0, 4])?,
        // TIME
        0x0b => length_among(values, &[0, 8, 12])?,
        // BOOL
        0xf4 => return Err(Malformed::new("a value of a type that is never sent")),
        _ => return values.lenenc_bytes().map(Some),
    };
    values.take(fixed).map(|_| None)
}

/// A date or time has one of a few lengths, according to which of its parts are zero.
fn length_among(values: &mut Reader<'_>, lengths: &[usize]) -> Result<usize, Malformed> {
    let length = usize::try_from(values.lenenc_int()?).ok();
    length.filter(|length| lengths.contains(length)).ok_or(Malformed::new("a date or time of a wrong length"))
}
