//! Which results of a text are followed by another one, as servers know it before the rows of each.
//!
//! Another statement follows in the text, or the result is a procedure's, after which at least the OK of its `CALL` follows. (MySQL `dispatch_command`,
//! `Sql_cmd_call::execute_inner`; MariaDB has the same.) What `EXECUTE` executes is not known here: it counts as a statement with one result.

use crate::Verb;

/// The results of a text, in their order.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Results {
    /// The statements of the text.
    statements: usize,
    /// Those among them whose results end with an OK.
    calls: Vec<usize>,
    /// The one that the next result belongs to.
    at: usize,
}

impl Results {
    /// Those of a single `CALL`.
    pub fn of_call() -> Self {
        Self { statements: 1, calls: vec![0], at: 0 }
    }

    /// Whether another result follows the next one, if that is a result set. False where it is not known.
    pub fn is_next_followed(&self) -> bool {
        self.is_in_call() || self.at + 1 < self.statements
    }

    /// A result has ended.
    pub fn ended(&mut self, is_result_set: bool) {
        if !(is_result_set && self.is_in_call()) {
            self.at += 1;
        }
    }

    fn is_in_call(&self) -> bool {
        self.calls.binary_search(&self.at).is_ok()
    }

    /// Notes the next statement of the text. False if it is not known where that ends.
    pub(crate) fn add(&mut self, verb: Verb, is_program: bool) -> bool {
        if verb == Verb::Call || is_program {
            self.calls.push(self.statements);
        }
        self.statements += 1;
        verb != Verb::Other && !is_program
    }

    /// Something follows the last statement: a comment, or more than is looked at.
    pub(crate) fn add_rest(&mut self) {
        self.statements += 1;
    }
}

#[cfg(test)]
mod tests {
    use crate::{Charset, Classifier, Context, Dialect, ParseLimits, SqlMode};

    /// `answers` are a letter each: `o` for an OK, `r` for a result set, `R` for one that another result follows.
    fn check(dialect: Dialect, sql: &str, answers: &str) {
        let limits = ParseLimits { max_batch_statements: 4, ..ParseLimits::default() };
        let context = Context { dialect, sql_mode: SqlMode::empty(), charset: Charset::AsciiSafe, schema: None };
        let mut results = Classifier::new(limits).results(sql.as_bytes(), &context);
        let mut found = String::new();
        for answer in answers.chars() {
            let is_result_set = answer != 'o';
            found.push(match (is_result_set, results.is_next_followed()) {
                (false, _) => 'o',
                (true, false) => 'r',
                (true, true) => 'R',
            });
            results.ended(is_result_set);
        }
        assert_eq!(found, answers, "{sql}");
    }

    #[test]
    fn a_result_is_followed_if_another_statement_or_the_ok_of_its_call_is() {
        for dialect in [Dialect::MySql, Dialect::MariaDb] {
            let check = |sql, answers| check(dialect, sql, answers);
            check("SELECT 1", "r");
            check("SELECT 1;", "r");
            check(" SELECT ';' ; ; ", "r");
            check("SELECT 1; SELECT 2", "Rr");
            check("SELECT ';'; UPDATE t SET a = 1; SELECT 2;", "Ror");
            check("SELECT 1; -- the server takes this for a statement", "Ro");
            check("SELECT 1; /* and this */", "Ro");
            check("CALL p()", "RRo");
            check("CALL p()", "o");
            check("CALL p(); SELECT 1", "RRor");
            check("SELECT 1; CALL p(); CALL q(); SELECT 1", "RRRoRor");
            check("CREATE PROCEDURE p () BEGIN SELECT 1; SELECT 2; END", "o");
            check("EXECUTE s; SELECT 1", "Rr");
        }
    }

    #[test]
    fn where_a_program_ends_is_not_known_but_it_ends_with_an_ok() {
        check(Dialect::MariaDb, "BEGIN NOT ATOMIC SELECT 1; SELECT 2; END; SELECT 3", "RRor");
        check(Dialect::MariaDb, "SELECT 1; BEGIN NOT ATOMIC SELECT 2; END", "RRo");
        check(Dialect::MariaDb, "SELECT 1; IF @a THEN SELECT 2; END IF", "Rrr");
        check(Dialect::MySql, "BEGIN; SELECT 1; COMMIT", "oRo");
    }

    #[test]
    fn statements_beyond_the_limit_are_not_looked_at() {
        check(Dialect::MySql, "SELECT 1; SELECT 2; SELECT 3; SELECT 4; SELECT 5; SELECT 6; SELECT 7", "RRRRrrr");
    }
}
