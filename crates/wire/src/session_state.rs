//! Session state in OK packets: what the statement changed in the server's session.
//!
//! A block is a row of entries, `type(1) string<lenenc> data`. Sources: MySQL `page_protocol_basic_ok_packet_sessinfo` and
//! `session_tracker.cc`; MariaDB "`OK_Packet`" (session change types) and `session_tracker.cc`. MySQL writes a system variable
//! per entry, MariaDB all of them in one. MariaDB never sends GTIDs by their own type: it reports the variable `last_gtid`.

use crate::primitives::{Malformed, Put, Reader};

/// One thing that changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StateChange<'a> {
    /// A variable of `session_track_system_variables` was set. Type 0.
    SystemVariable {
        /// Its name.
        name: &'a [u8],
        /// Its new value.
        value: &'a [u8],
    },
    /// The default schema is now this one. Type 1.
    Schema(&'a [u8]),
    /// Something of the session changed (`session_track_state_change`). Type 2.
    StateChanged(bool),
    /// The GTIDs of `session_track_gtids`, as text. Type 3, MySQL only.
    Gtids(&'a [u8]),
    /// The statements that would restore the transaction's characteristics; empty for the defaults. Type 4.
    TransactionCharacteristics(&'a [u8]),
    /// Eight letters on the open transaction (`page_protocol_basic_ok_packet_sessinfo`, `T_______`). Type 5.
    TransactionState(&'a [u8]),
    /// A type that this crate does not know.
    Other {
        /// The type.
        kind: u8,
        /// The entry's data.
        data: &'a [u8],
    },
}

/// The changes in a block, see [`state_changes`].
#[derive(Debug, Clone)]
pub struct StateChanges<'a> {
    entries: Reader<'a>,
    /// What is left of an entry of system variables.
    variables: Reader<'a>,
}

/// Reads the block of an OK packet. After an error there is nothing more.
pub const fn state_changes(block: &[u8]) -> StateChanges<'_> {
    StateChanges { entries: Reader::new(block), variables: Reader::new(&[]) }
}

/// The block without entries that the client did not ask for: type 2 ([`StateChange::StateChanged`]), and GTIDs if `hides_gtids` is set. The rest
/// stays as it is.
pub fn without_own_trackers(block: &[u8], hides_gtids: bool) -> Result<Vec<u8>, Malformed> {
    let mut kept = Vec::with_capacity(block.len());
    let mut entries = Reader::new(block);
    while !entries.is_empty() {
        let kind = entries.u8()?;
        let data = entries.lenenc_bytes()?;
        let without;
        let data = match kind {
            2 => continue,
            3 if hides_gtids => continue,
            0 if hides_gtids => {
                without = without_last_gtid(data)?;
                if without.is_empty() {
                    continue;
                }
                &without
            }
            _ => data,
        };
        kept.push(kind);
        kept.put_lenenc_bytes(data);
    }
    Ok(kept)
}

/// The variable by which MariaDB reports what MySQL reports by type 3.
pub const LAST_GTID: &[u8] = b"last_gtid";

fn without_last_gtid(variables: &[u8]) -> Result<Vec<u8>, Malformed> {
    let mut kept = Vec::with_capacity(variables.len());
    let mut reader = Reader::new(variables);
    while !reader.is_empty() {
        let (name, value) = (reader.lenenc_bytes()?, reader.lenenc_bytes()?);
        if name != LAST_GTID {
            kept.put_lenenc_bytes(name);
            kept.put_lenenc_bytes(value);
        }
    }
    Ok(kept)
}

impl<'a> StateChanges<'a> {
    fn read(&mut self) -> Result<Option<StateChange<'a>>, Malformed> {
        loop {
            if !self.variables.is_empty() {
                return Ok(Some(StateChange::SystemVariable {
                    name: self.variables.lenenc_bytes()?,
                    value: self.variables.lenenc_bytes()?,
                }));
            }
            if self.entries.is_empty() {
                return Ok(None);
            }
            let kind = self.entries.u8()?;
            let data = self.entries.lenenc_bytes()?;
            if kind == 0 {
                self.variables = Reader::new(data);
            } else {
                return entry(kind, data).map(Some);
            }
        }
    }
}

/// An entry of any type but 0.
fn entry(kind: u8, data: &[u8]) -> Result<StateChange<'_>, Malformed> {
    let mut reader = Reader::new(data);
    Ok(match kind {
        1 => StateChange::Schema(reader.lenenc_bytes()?),
        // Both servers send the digit itself, though the manuals put a length before it as everywhere else.
        2 => StateChange::StateChanged(data.last() == Some(&b'1')),
        3 => match reader.u8()? {
            0 => StateChange::Gtids(reader.lenenc_bytes()?),
            // 0 is the only encoding there is so far.
            _ => StateChange::Other { kind, data },
        },
        4 => StateChange::TransactionCharacteristics(reader.lenenc_bytes()?),
        5 => StateChange::TransactionState(reader.lenenc_bytes()?),
        _ => StateChange::Other { kind, data },
    })
}

impl<'a> Iterator for StateChanges<'a> {
    type Item = Result<StateChange<'a>, Malformed>;

    fn next(&mut self) -> Option<Self::Item> {
        let item = self.read().transpose();
        if matches!(item, Some(Err(_))) {
            *self = state_changes(&[]);
        }
        item
    }
}

#[cfg(test)]
mod tests;
