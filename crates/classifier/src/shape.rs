//! The shape of a query expression, for what sqlparser cannot parse.
//!
//! About one real read in twenty is beyond sqlparser (`LIMIT ROWS EXAMINED`, `EXPLAIN PARTITIONS`, `DO`, `TABLE t`, ODBC joins, `INTERVAL` forms,
//! JSON functions of MariaDB, large statements). The scan has already found all its tokens harmless. Here they must also stand in the order that both
//! servers' grammars demand: balanced parentheses, each a query or an expression, the clauses of each query in their order, and no reserved word that
//! a read does not have. It accepts some statements that the servers refuse, which does no harm, and rejects some exotic reads. It uses an explicit
//! stack: no recursion, linear time.

use crate::keyword::{Keyword, is_reserved};
use crate::lexer::{Kind, Lexer, Token};
use crate::scan::take_system_variable;

/// Nesting that is followed.
const DEPTH_MAX: usize = 200;

/// How far a query has come. The order is the order of the clauses.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Clause {
    /// Before `SELECT`: at the beginning of an arm, or among common table expressions.
    Start,
    Select,
    From,
    Where,
    Group,
    Having,
    Window,
    Qualify,
    Order,
    Limit,
}

/// What stands between two parentheses, or in the whole text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Level {
    /// Nothing yet.
    Empty,
    /// A list of expressions, names or joins.
    Expression,
    /// A query in parentheses, to which `UNION`, `ORDER BY` or `LIMIT` may be added.
    QueryInParentheses,
    Query(Clause),
}

/// Whether the statement from the lexer's position to its end is a query expression.
pub(crate) fn is_query(lexer: Lexer<'_>) -> bool {
    let end = Walk::new(lexer, Level::Empty).run();
    matches!(end, Some(Level::QueryInParentheses)) || end.is_some_and(is_complete_query)
}

/// Whether it is a list of expressions, as after `DO`.
pub(crate) fn is_expression_list(lexer: Lexer<'_>) -> bool {
    Walk::new(lexer, Level::Expression).run() == Some(Level::Expression)
}

fn is_complete_query(level: Level) -> bool {
    matches!(level, Level::Query(clause) if clause > Clause::Start)
}

struct Walk<'a> {
    lexer: Lexer<'a>,
    level: Level,
    /// The enclosing levels, each with whether a common table expression was opened in it: `AS (`.
    outer: Vec<(Level, bool)>,
    last: Option<Token<'a>>,
}

impl<'a> Walk<'a> {
    fn new(lexer: Lexer<'a>, level: Level) -> Self {
        Self { lexer, level, outer: Vec::new(), last: None }
    }

    /// The outermost level at the end, if everything on the way was in its place.
    fn run(mut self) -> Option<Level> {
        loop {
            let token = self.lexer.next();
            if token.is_end() {
                return self.outer.is_empty().then_some(self.level);
            }
            self.step(token)?;
            self.last = Some(token);
        }
    }

    fn step(&mut self, token: Token<'a>) -> Option<()> {
        match token.kind {
            Kind::Literal | Kind::Placeholder | Kind::Quoted => {
                self.operand();
                Some(())
            }
            Kind::Hint => Some(()),
            Kind::SystemVariable => {
                take_system_variable(&mut self.lexer).1?;
                self.operand();
                Some(())
            }
            Kind::Symbol => self.symbol(token),
            Kind::Word => self.word(token),
            _ => None,
        }
    }

    /// Something that cannot begin a query.
    fn operand(&mut self) {
        if matches!(self.level, Level::Empty | Level::QueryInParentheses) {
            self.level = Level::Expression;
        }
    }

    fn symbol(&mut self, token: Token<'a>) -> Option<()> {
        match token.text {
            b"(" => self.open(),
            b")" | b"}" => self.close(),
            // ODBC: `{fn f(a)}`, `{d '2026-11-20'}`, `{OJ a LEFT JOIN b ON ..}`.
            b"{" => {
                self.open()?;
                self.level = Level::Expression;
                self.lexer.next().is_any(ODBC).then_some(())
            }
            b"," | b"." | b"*" | b"+" | b"-" | b"/" | b"%" | b"=" | b"<" | b">" | b"<=" | b">=" | b"<>" | b"!=" | b"<=>"
            | b"<<" | b">>" | b"!" | b"~" | b"&" | b"|" | b"^" | b"&&" | b"||" | b"->" | b"->>" => {
                self.operand();
                Some(())
            }
            _ => None,
        }
    }

    fn open(&mut self) -> Option<()> {
        if self.outer.len() >= DEPTH_MAX {
            return None;
        }
        let is_common_table = self.last.is_some_and(|last| last.is_word("as"));
        self.outer.push((self.level, is_common_table));
        self.level = Level::Empty;
        Some(())
    }

    fn close(&mut self) -> Option<()> {
        let inner = self.level;
        let (outer, is_common_table) = self.outer.pop()?;
        let is_query = inner == Level::QueryInParentheses || is_complete_query(inner);
        if inner == Level::Query(Clause::Start) {
            return None;
        }
        self.level = match outer {
            Level::Empty if is_query => Level::QueryInParentheses,
            Level::Empty => Level::Expression,
            // An arm in parentheses, which may be followed by anything that may follow an arm.
            Level::Query(Clause::Start) if is_query && !is_common_table => Level::QueryInParentheses,
            other => other,
        };
        Some(())
    }

    fn word(&mut self, token: Token<'a>) -> Option<()> {
        let follows_dot = self.last.is_some_and(|last| last.is_symbol("."));
        let follows_for = self.last.is_some_and(|last| last.is_word("for"));
        if follows_dot || follows_for || !is_reserved(token.text) {
            self.operand();
            return Some(());
        }
        let lower = token.text.to_ascii_lowercase();
        match lower.as_slice() {
            b"select" | b"table" | b"values" => self.begin(Clause::Select),
            b"with" if matches!(self.level, Level::Query(Clause::Group | Clause::Limit)) => Some(()),
            // `MATCH a AGAINST ('x' WITH QUERY EXPANSION)`
            b"with" if self.level == Level::Expression && self.lexer.peek().is_word("query") => Some(()),
            b"with" => self.begin(Clause::Start),
            b"union" | b"except" | b"intersect" => self.next_arm(),
            b"from" => self.clause(Clause::From),
            b"where" => self.clause(Clause::Where),
            b"group" if self.lexer.peek().is_word("by") => self.clause(Clause::Group),
            b"having" => self.clause(Clause::Having),
            b"window" => self.clause(Clause::Window),
            b"order" if self.lexer.peek().is_word("by") => self.clause(Clause::Order),
            b"limit" => self.clause(Clause::Limit),
            b"qualify" => self.clause(Clause::Qualify),
            // `JSON_VALUE(a, '$' RETURNING DATE)`
            b"returning" if self.level == Level::Expression => Some(()),
            word if Keyword::of(word).may_be_in_a_read() => {
                if !matches!(word, b"all" | b"distinct" | b"recursive" | b"as") {
                    self.operand();
                }
                Some(())
            }
            _ => None,
        }
    }

    fn begin(&mut self, clause: Clause) -> Option<()> {
        match self.level {
            Level::Empty => self.level = Level::Query(clause),
            Level::Query(Clause::Start) if clause > Clause::Start => self.level = Level::Query(clause),
            _ => return None,
        }
        Some(())
    }

    fn next_arm(&mut self) -> Option<()> {
        let is_open = self.level == Level::QueryInParentheses || is_complete_query(self.level);
        self.level = Level::Query(Clause::Start);
        is_open.then_some(())
    }

    fn clause(&mut self, clause: Clause) -> Option<()> {
        match self.level {
            // `FOR SYSTEM_TIME FROM a TO b`
            _ if clause == Clause::From && self.last.is_some_and(|last| last.is_word("system_time")) => {}
            Level::Query(current) if current > Clause::Start && current < clause => self.level = Level::Query(clause),
            Level::QueryInParentheses if clause >= Clause::Order => self.level = Level::Query(clause),
            // `EXTRACT(DAY FROM d)`, `GROUP_CONCAT(a ORDER BY b LIMIT 1)`, `OVER (ORDER BY a)`.
            Level::Expression if matches!(clause, Clause::From | Clause::Order | Clause::Limit) => {}
            // `OVER (ORDER BY a)`
            Level::Empty if clause == Clause::Order => self.level = Level::Expression,
            _ => return None,
        }
        Some(())
    }
}

/// What may stand after `{`.
const ODBC: &[&str] = &["fn", "oj", "d", "t", "ts", "date", "time", "timestamp"];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lexer::Rules;
    use crate::{Charset, Dialect, SqlMode};

    fn lexer(sql: &str) -> Lexer<'_> {
        let rules = Rules { dialect: Dialect::MariaDb, sql_mode: SqlMode::empty(), charset: Charset::AsciiSafe };
        Lexer::new(sql.as_bytes(), rules)
    }

    #[test]
    fn reads_have_the_shape_of_a_query() {
        for sql in [
            "SELECT 1",
            "TABLE t ORDER BY a LIMIT 1",
            "SELECT {fn LENGTH('a')}, {d '2026-11-20'} FROM {OJ t LEFT OUTER JOIN u ON t.a = u.a}",
            "SELECT * FROM t FOR SYSTEM_TIME FROM '2026-01-01' TO '2026-02-01' WHERE a",
            "VALUES ROW(1,2), ROW(3,4)",
            "SELECT a FROM t LIMIT 5 ROWS EXAMINED 10",
            "SELECT a FROM t1 LEFT JOIN (t2, t3) ON t1.a = t2.a WHERE b",
            "SELECT EXTRACT(DAY_HOUR FROM a), TRIM(LEADING 'x' FROM b) FROM t GROUP BY a WITH ROLLUP HAVING 1",
            "(SELECT 1) UNION ALL (SELECT 2) ORDER BY 1 LIMIT 1",
            "((SELECT 1) UNION (SELECT 2)) EXCEPT SELECT 3",
            "WITH RECURSIVE a (x) AS (SELECT 1), b AS (VALUES (2)) SELECT * FROM a, b",
            "WITH a AS (SELECT 1) (SELECT * FROM a) UNION SELECT 2",
            "SELECT SUM(a) OVER (PARTITION BY b ORDER BY c ROWS UNBOUNDED PRECEDING) FROM t WINDOW w AS (ORDER BY a)",
            "SELECT * FROM t USE INDEX FOR ORDER BY (i) WHERE a IN (SELECT b FROM u GROUP BY b)",
            "SELECT * FROM t WHERE (a, b) IN ((1, 2), (3, 4)) AND (SELECT 1) = ((1))",
        ] {
            assert!(is_query(lexer(sql)), "{sql}");
        }
    }

    #[test]
    fn everything_else_has_not() {
        for sql in [
            "",
            "1",
            "SELECT (1",
            "SELECT 1)",
            "SELECT a WHERE b FROM c",
            "SELECT a FROM t LIMIT 1 WHERE b",
            "SELECT 1 UNION",
            "WITH a AS (SELECT 1)",
            "WITH a AS (SELECT 1) DELETE FROM t",
            "SELECT a FROM t FOR UPDATE OF t LOCK IN SHARE MODE",
            "SELECT a FROM t PROCEDURE ANALYSE()",
            "SELECT a INTO b FROM t",
            "SELECT {x '2020-01-01'}",
            "SELECT a : b",
            "SELECT 1 SELECT 2",
        ] {
            assert!(!is_query(lexer(sql)), "{sql}");
        }
        assert!(is_expression_list(lexer("SLEEP(1), 1 + (SELECT 2)")));
        assert!(!is_expression_list(lexer("1 UNION SELECT 2")));
    }

    #[test]
    fn nesting_is_bounded() {
        let deep = |depth| format!("SELECT {}1{}", "(".repeat(depth), ")".repeat(depth));
        assert!(is_query(lexer(&deep(DEPTH_MAX))));
        assert!(!is_query(lexer(&deep(DEPTH_MAX + 1))));
    }
}
