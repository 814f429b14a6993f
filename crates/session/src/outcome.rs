//! What a response says about the session.

use wire::{ErrOwned, Malformed, OkPacket, PrepareOk, StateChange, StatusFlags, state_changes};

/// What a response said besides its data.
#[derive(Debug, Default)]
#[allow(clippy::struct_excessive_bools, reason = "they are independent")]
pub struct Outcome {
    /// The error that ended it.
    pub error: Option<u16>,
    /// The last status flags; `None` if the response had none.
    pub status: Option<StatusFlags>,
    /// The server has warnings about the last result.
    pub has_warnings: bool,
    /// An OK named a value that an insert made for an `AUTO_INCREMENT` column.
    pub has_insert_id: bool,
    /// The rows that the last result changed; `None` if it is a result set.
    pub changed: Option<u64>,
    /// The rows of the last result; `None` if it is not a result set.
    pub rows: Option<u64>,
    /// Bytes of the response that the client got.
    pub bytes: u64,
    /// The session's new schema, as the server reports it.
    pub schema: Option<Box<[u8]>>,
    /// The server reports that the session's state has changed in some way.
    pub state_changed: bool,
    /// The GTID of what the statement has committed, in the server's text: the last of several, or a MySQL GTID set.
    pub gtid: Option<Box<[u8]>>,
    /// For `COM_STMT_PREPARE`.
    pub prepared: Option<PrepareOk>,
    /// The error, if it was withheld from the client.
    pub withheld: Option<ErrOwned>,
    /// The server said OK, but the client got an error because this does not count. The rest of the response was not read.
    pub is_unconfirmed: bool,
}

impl Outcome {
    /// Notes how one result ended, and its number of rows if it is a result set.
    pub fn note(&mut self, ok: &OkPacket<'_>, rows: Option<u64>) {
        self.rows = rows;
        self.changed = Some(ok.affected_rows).filter(|_| rows.is_none());
        self.status = Some(ok.status);
        self.has_warnings = ok.warnings > 0;
        self.has_insert_id |= ok.last_insert_id != 0;
    }

    /// Notes what an OK packet says about the session. If its state block has something that only Pointsman asked for, returns the block without it.
    ///
    /// `hides_gtids`: the client has not asked for GTIDs itself.
    pub fn absorb(&mut self, ok: &OkPacket<'_>, hides_gtids: bool) -> Result<Option<Vec<u8>>, Malformed> {
        if ok.session_state.is_empty() {
            return Ok(None);
        }
        let mut has_own = false;
        for change in state_changes(ok.session_state) {
            match change? {
                StateChange::Schema(schema) => self.schema = Some(Box::from(schema)),
                StateChange::StateChanged(changed) => {
                    self.state_changed |= changed;
                    has_own = true;
                }
                StateChange::Gtids(gtid) | StateChange::SystemVariable { name: wire::LAST_GTID, value: gtid } => {
                    self.gtid = Some(Box::from(gtid));
                    has_own |= hides_gtids;
                }
                _ => {}
            }
        }
        if has_own { wire::without_own_trackers(ok.session_state, hides_gtids).map(Some) } else { Ok(None) }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use classifier::{Charset, Classifier, Context, Dialect, ParseLimits, SqlMode};
    use topology::{Engine, Position, ServerId};
    use wire::Capabilities;

    use super::*;
    use crate::{Beginning, LoginDetails, RequestKind, Session, SessionState};

    const MYSQL: &[u8] = b"\x03\x29\x00\x273e11fa47-71ca-11e1-9e33-c80aa9429562:23\x02\x011";
    const MARIADB: &[u8] = b"\x00\x14\x01a\x01b\x09last_gtid\x050-1-2";

    fn outcome(session_state: &[u8], hides_gtids: bool) -> (Outcome, Option<Vec<u8>>) {
        let mut payload = bytes::BytesMut::new();
        let ok = OkPacket { session_state, status: StatusFlags::SESSION_STATE_CHANGED, ..OkPacket::default() };
        ok.encode(0, Capabilities::SESSION_TRACK, &mut payload);
        let ok = OkPacket::decode(&payload, Capabilities::SESSION_TRACK).unwrap();
        let mut outcome = Outcome::default();
        outcome.note(&ok, None);
        let filtered = outcome.absorb(&ok, hides_gtids).unwrap();
        (outcome, filtered)
    }

    #[test]
    fn what_was_committed_is_noted_and_hidden_unless_the_client_has_asked() {
        let (mysql, filtered) = outcome(MYSQL, true);
        assert_eq!(mysql.gtid.as_deref(), Some(&b"3e11fa47-71ca-11e1-9e33-c80aa9429562:23"[..]));
        assert_eq!((mysql.state_changed, filtered.as_deref()), (true, Some(&b""[..])));
        assert_eq!(outcome(MYSQL, false).1.as_deref(), Some(&MYSQL[..43]));
        let (mariadb, filtered) = outcome(MARIADB, true);
        assert_eq!((mariadb.gtid.as_deref(), filtered.as_deref()), (Some(&b"0-1-2"[..]), Some(&b"\x00\x04\x01a\x01b"[..])));
        assert_eq!(outcome(MARIADB, false).1, None);
    }

    #[test]
    fn a_session_knows_what_its_last_write_committed_if_that_was_reported() {
        let beginning =
            Beginning { dialect: Dialect::MariaDb, sql_mode: SqlMode::empty(), charset: Charset::AsciiSafe, autocommit: true };
        let mut session = Session::new(SessionState::new(LoginDetails::default(), None), beginning);
        let context =
            Context { dialect: Dialect::MariaDb, sql_mode: SqlMode::empty(), charset: Charset::AsciiSafe, schema: None };
        let classifier = Classifier::new(ParseLimits::default());
        let mut run = |sql: &str, gtid: Option<&[u8]>, error: Option<u16>| {
            let outcome = Outcome { gtid: gtid.map(Box::from), error, ..Outcome::default() };
            let statement = classifier.classify(sql.as_bytes(), &context);
            session.settle(&statement, RequestKind::Whole, ServerId(1), &outcome, Instant::now());
            session.binding.committed().map(|(server, position)| (server, position.clone()))
        };
        let at = |text| Some((ServerId(1), Position::parse(Engine::MariaDb, text).unwrap()));
        assert_eq!(run("INSERT INTO t VALUES (1)", Some(b"0-1-2"), None), at("0-1-2"));
        assert_eq!(run("SELECT a FROM t", None, None), at("0-1-2"), "a read commits nothing");
        assert_eq!(run("INSERT INTO t VALUES (2)", Some(b"0-1-3"), None), at("0-1-3"));
        // An error may hide what was committed before it, and so may an answer that says nothing.
        assert_eq!(run("CALL p()", Some(b"0-1-4"), Some(1644)), None);
        assert_eq!(run("INSERT INTO t VALUES (3)", Some(b"0-1-5"), None), at("0-1-5"));
        assert_eq!(run("INSERT INTO t VALUES (4)", None, None), None);
        assert_eq!(run("INSERT INTO t VALUES (5)", Some(b"nonsense"), None), None);
        run("INSERT INTO t VALUES (6)", Some(b"0-1-6"), None);
        session.binding.may_have_written(Instant::now());
        assert_eq!(session.binding.committed(), None);
    }
}
