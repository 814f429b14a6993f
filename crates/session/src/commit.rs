//! Whether a statement may commit something. Only then is its outcome unknown if its reply is lost, or comes from a server that is no longer the
//! primary.

use classifier::{Effects, Placement, SessionEffect, Statement, Verb};

use crate::{OpenTransaction, RequestKind, Session};

/// It reads, or changes only what belongs to the session.
const LEAVES_DATA: Effects = Effects::READ_DATA
    .union(Effects::CHANGE_SESSION)
    .union(Effects::PRIMARY_SESSION)
    .union(Effects::THIS_SERVER)
    .union(Effects::CONNECTION_MEMORY);

impl Session {
    /// Whether this statement, sent now, may commit something, including what the transaction has written before.
    pub fn may_commit(&self, statement: &Statement, kind: RequestKind) -> bool {
        statement.placement() == Placement::Primary
            && kind.runs()
            && may_commit(
                statement,
                self.binding.may_have_pending_writes() || self.binding.transaction().is_some_and(OpenTransaction::is_lazy),
            )
    }
}

fn may_commit(statement: &Statement, in_transaction: bool) -> bool {
    if in_transaction {
        return !stays_in_transaction(statement) && !rolls_back(statement);
    }
    // Without a transaction, BEGIN, COMMIT and the like have nothing to commit. XA does, under a name of its own.
    let writes_nothing = LEAVES_DATA.union(Effects::TRANSACTION).contains(statement.effects);
    !writes_nothing || statement.verb == Verb::Xa
}

/// Whether it can, inside a transaction, neither end that transaction nor commit by itself. Stored functions and triggers cannot commit (MySQL manual
/// 27.8), procedures can. Writes to tables without transactions are not recognised, and count as part of the transaction.
fn stays_in_transaction(statement: &Statement) -> bool {
    let is_plain = matches!(
        statement.verb,
        Verb::Select
            | Verb::With
            | Verb::Values
            | Verb::Table
            | Verb::Show
            | Verb::Describe
            | Verb::Explain
            | Verb::Do
            | Verb::Insert
            | Verb::Replace
            | Verb::Update
            | Verb::Delete
            | Verb::Set
            | Verb::Use
            | Verb::Savepoint
            | Verb::ReleaseSavepoint
    );
    let ends = |effect: &SessionEffect| {
        matches!(effect, SessionEffect::End | SessionEffect::Begin { .. } | SessionEffect::Autocommit(_))
    };
    is_plain && !statement.session.iter().any(ends)
}

/// `ROLLBACK`, to a savepoint or not.
fn rolls_back(statement: &Statement) -> bool {
    statement.verb == Verb::Rollback
}

/// `ROLLBACK` alone: if the transaction is already gone, nothing is left to do.
pub fn only_rolls_back(statement: &Statement) -> bool {
    rolls_back(statement) && matches!(statement.session.as_slice(), [SessionEffect::End])
}

/// A single write that a read-only server refuses as a whole, before it has done anything.
pub fn is_refused_as_a_whole(statement: &Statement) -> bool {
    let is_single = matches!(statement.verb, Verb::Insert | Verb::Replace | Verb::Update | Verb::Delete);
    is_single && !statement.effects.intersects(Effects::UNKNOWN | Effects::SESSION_UNSEEN)
}

#[cfg(test)]
mod tests {
    use classifier::{Charset, Classifier, Context, Dialect, ParseLimits, SqlMode};

    use super::*;

    #[test]
    fn what_may_commit_inside_and_outside_a_transaction() {
        let classifier = Classifier::new(ParseLimits::default());
        for dialect in [Dialect::MySql, Dialect::MariaDb] {
            for (sql, outside, inside) in [
                ("INSERT INTO t VALUES (1)", true, false),
                ("UPDATE t SET a = somebodys(1)", true, false),
                ("DELETE FROM t", true, false),
                ("SELECT a FROM t FOR UPDATE", true, false),
                ("SELECT somebodys(1)", true, false),
                ("SELECT LAST_INSERT_ID()", false, false),
                ("SELECT @a", false, false),
                ("SET @a = 1", false, false),
                ("SET autocommit = 1", false, true),
                ("BEGIN", false, true),
                ("COMMIT", false, true),
                ("ROLLBACK", false, false),
                ("ROLLBACK TO SAVEPOINT s", false, false),
                ("SAVEPOINT s", false, false),
                ("CREATE TABLE t (a INT)", true, true),
                ("ALTER TABLE t ADD b INT", true, true),
                ("TRUNCATE TABLE t", true, true),
                ("CALL p()", true, true),
                ("LOCK TABLES t WRITE", true, true),
                ("XA PREPARE 'a'", true, true),
                ("INSERT INTO t VALUES (1); COMMIT", true, true),
                ("GRANT SELECT ON t TO a", true, true),
            ] {
                let context = Context { dialect, sql_mode: SqlMode::default(), charset: Charset::AsciiSafe, schema: None };
                let statement = classifier.classify(sql.as_bytes(), &context);
                assert_eq!((may_commit(&statement, false), may_commit(&statement, true)), (outside, inside), "{sql}");
            }
        }
    }

    fn classified(sql: &str) -> Statement {
        let context =
            Context { dialect: Dialect::MySql, sql_mode: SqlMode::default(), charset: Charset::AsciiSafe, schema: None };
        Classifier::new(ParseLimits::default()).classify(sql.as_bytes(), &context)
    }

    #[test]
    fn only_a_plain_rollback_succeeds_without_its_transaction() {
        assert!(only_rolls_back(&classified("ROLLBACK")));
        for sql in ["ROLLBACK TO SAVEPOINT s", "ROLLBACK AND CHAIN", "COMMIT", "SELECT 1"] {
            assert!(!only_rolls_back(&classified(sql)), "{sql}");
        }
    }

    #[test]
    fn a_write_that_may_do_more_than_its_text_shows_is_not_refused_as_a_whole() {
        for sql in ["INSERT INTO t VALUES (1)", "REPLACE INTO t VALUES (1)", "UPDATE t SET a = 1", "DELETE FROM t"] {
            assert!(is_refused_as_a_whole(&classified(sql)), "{sql}");
        }
        let executable = "INSERT INTO t VALUES (1) /*!80000 ON DUPLICATE KEY UPDATE a = 1 */";
        for sql in [executable, "CALL p()", "INSERT INTO t VALUES (1); DELETE FROM t", "CREATE TABLE t (a INT)"] {
            assert!(!is_refused_as_a_whole(&classified(sql)), "{sql}");
        }
    }
}
