//! From "there is no such table" to a table: what a statement needs, as the server's error tells it.
//!
//! So cases may use any names, and no list has to follow them. Pure: errors and texts in, DDL out.

use std::collections::BTreeMap;

use super::session::Failure;
use crate::Engine;

/// The tables of a server and their columns' names, by schema and table.
pub(super) type Catalog = BTreeMap<(String, String), Vec<String>>;

/// Where functions that the fixture makes write to, so that a call of one is seen.
pub(super) const WITNESS: &str = "witness.written";

/// What helps a statement that failed.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Remedy {
    /// These statements, in one text.
    Ddl(String),
    /// A schema of its own, as what it needs is at odds with what other statements need.
    OwnSchema,
}

/// What a statement needs; `None` if that cannot be known.
pub(super) fn remedy(engine: Engine, failure: &Failure, sql: &str, schema: &str, catalog: &Catalog) -> Option<Remedy> {
    let tokens = tokens(sql);
    let mentions = mentions(&tokens, schema, catalog);
    let message = failure.message.as_str();
    // What is quoted stands between apostrophes.
    let plain = message.replace("n't ", " not ");
    let quoted: Vec<&str> = plain.split('\'').skip(1).step_by(2).collect();
    let first = quoted.first().copied();
    let ddl = match failure.code {
        // Unknown database.
        1049 => format!("CREATE DATABASE {}", quote(first?)),
        1146 | 4091 => missing_table(engine, first.or_else(|| message.rsplit(' ').next())?, &tokens, schema),
        1054 => missing_column(first?, &tokens, &mentions, catalog)?,
        // Ambiguous column; not a view; not a sequence; unknown partition; no full-text index on a partitioned table;
        // not a geometry, twice; a wrong type; not a number.
        1052 | 1347 | 4089 | 1735 | 1214 | 1367 | 3037 | 4079 | 4101 => return Some(Remedy::OwnSchema),
        // Unknown index.
        1176 => {
            let table = mentions.iter().find(|mention| mention.is_called(quoted.get(1).copied().unwrap_or_default()))?;
            format!("ALTER TABLE {} ADD KEY {} (id)", table.name(), quote(first?))
        }
        // No full-text index on the columns.
        1191 => missing_fulltext_index(&tokens, &mentions, catalog)?,
        // Not partitioned.
        1747 => missing_partitions(&tokens, &mentions)?,
        1305 => missing_routine(message, schema, 0)?,
        // Wrong number of arguments.
        1318 => missing_routine(message, schema, message.rsplit(' ').next()?.parse().ok()?)?,
        // Trigger does not exist.
        1360 => {
            let name = quote(&tokens.iter().rev().find(|token| token.is_word)?.text);
            let schema = quote(schema);
            format!(
                "CREATE TABLE IF NOT EXISTS {schema}.triggered (id INT); \
                 CREATE TRIGGER {schema}.{name} BEFORE INSERT ON {schema}.triggered FOR EACH ROW SET @triggered = 1"
            )
        }
        1539 => format!("CREATE EVENT {}.{} ON SCHEDULE EVERY 1 YEAR DISABLE DO DO 0", quote(schema), quote(first?)),
        // No grant for the account; no such account, twice.
        1141 | 1396 => format!("CREATE USER '{}'@'{}'", first?, quoted.get(1)?),
        1133 => format!("CREATE USER {}", quote(&tokens.iter().rev().find(|token| token.is_word)?.text)),
        // `r`@`%` is not granted to `u`@`h`.
        3530 => {
            let (role, user) = message.split_once(" is not granted to ")?;
            format!("CREATE ROLE {role}; GRANT {role} TO {user}")
        }
        // Table `t` is not system-versioned.
        4124 => {
            let table = message.split('`').nth(1)?;
            format!("ALTER TABLE {} ADD SYSTEM VERSIONING", mentions.iter().find(|mention| mention.table == table)?.name())
        }
        _ => return None,
    };
    Some(Remedy::Ddl(ddl))
}

fn missing_table(engine: Engine, name: &str, tokens: &[Token], schema: &str) -> String {
    let (schema, table) = name.split_once('.').unwrap_or((schema, name));
    let (schema, name) = (quote(schema), format!("{}.{}", quote(schema), quote(table)));
    let is =
        |words: &[&str]| tokens.windows(words.len()).any(|window| window.iter().zip(words).all(|(token, word)| token.is(word)));
    let what = if is(&["create", "view"]) {
        format!("CREATE VIEW {name} AS SELECT 1 AS a")
    } else if engine == Engine::MariaDb && (is(&["create", "sequence"]) || is(&["value", "for"]) || is(&["lastval"])) {
        // Without a cache, so that every value that is taken can be seen.
        format!("CREATE SEQUENCE {name} NOCACHE")
    } else {
        format!("CREATE TABLE {name} (id INT NOT NULL AUTO_INCREMENT PRIMARY KEY); INSERT INTO {name} VALUES (1), (2), (3)")
    };
    format!("CREATE DATABASE IF NOT EXISTS {schema}; {what}")
}

/// A column of text with the number of the row, which also passes for a number and for JSON; unless the statement wants another type.
fn missing_column(name: &str, tokens: &[Token], mentions: &[Mention], catalog: &Catalog) -> Option<String> {
    let mut parts = name.rsplit('.');
    let column = parts.next()?;
    let qualifier = parts.next();
    let lacks_it = |mention: &&Mention| !mention.columns(catalog).iter().any(|known| known.eq_ignore_ascii_case(column));
    // The table that is named for it elsewhere in the statement, or the first one.
    let is_meant = |mention: &&Mention| match qualifier {
        Some(qualifier) => mention.is_called(qualifier),
        None => tokens.windows(3).any(|window| mention.is_called(&window[0].text) && window[1].is(".") && window[2].is(column)),
    };
    let mut candidates = mentions.iter().filter(lacks_it);
    let table = candidates.clone().find(is_meant).or_else(|| candidates.next())?.name();
    let has = |prefixes: &[&str]| {
        let mut words = tokens.iter().filter(|token| token.is_word).map(|token| token.text.to_ascii_lowercase());
        words.any(|word| prefixes.iter().any(|prefix| word.starts_with(prefix)))
    };
    let (kind, value) = if has(&["st_", "mbr", "geomet"]) {
        ("GEOMETRY", "ST_GeomFromText(CONCAT('POINT(', id, ' ', id, ')'))")
    } else if has(&["median", "percentile_"]) {
        ("DOUBLE", "id")
    } else {
        ("VARCHAR(64)", "id")
    };
    let column = quote(column);
    Some(format!("ALTER TABLE {table} ADD COLUMN {column} {kind}; UPDATE {table} SET {column} = {value}"))
}

fn missing_fulltext_index(tokens: &[Token], mentions: &[Mention], catalog: &Catalog) -> Option<String> {
    let start = tokens.iter().position(|token| token.is("match"))?;
    let list = tokens.get(start + 1..)?.iter().take_while(|token| !token.is("against"));
    let words: Vec<&str> = list.filter(|token| token.is_word).map(|token| token.text.as_str()).collect();
    let (table, columns) = mentions.iter().find_map(|mention| {
        let known = mention.columns(catalog);
        let columns: Vec<_> =
            words.iter().filter(|word| known.iter().any(|name| name == *word)).map(|word| quote(word)).collect();
        (!columns.is_empty()).then(|| (mention.name(), columns.join(", ")))
    })?;
    Some(format!("ALTER TABLE {table} ADD FULLTEXT ({columns})"))
}

fn missing_partitions(tokens: &[Token], mentions: &[Mention]) -> Option<String> {
    let start = tokens.iter().position(|token| token.is("partition"))?;
    let list = tokens.get(start + 1..)?.iter().take_while(|token| token.text != ")");
    let names: Vec<String> = list.filter(|token| token.is_word).map(|token| quote(&token.text)).collect();
    let table = mentions.iter().rev().find(|mention| mention.position < start)?.name();
    let (last, others) = names.split_last()?;
    let others = others.iter().zip(2..).map(|(name, limit)| format!("PARTITION {name} VALUES LESS THAN ({limit})"));
    let partitions: Vec<String> = others.chain([format!("PARTITION {last} VALUES LESS THAN MAXVALUE")]).collect();
    Some(format!("ALTER TABLE {table} PARTITION BY RANGE (id) ({})", partitions.join(", ")))
}

/// `FUNCTION test.f does not exist`, `Incorrect number of arguments for FUNCTION test.f; expected 0, got 2`.
///
/// It writes: if a read can call it, then that is no read. Functions that other versions of the servers have. Without the catalogue, which would tell
/// of somebody's own of that name, the classifier takes them for reads; so no such function may exist here, and a call of one proves nothing.
pub(super) fn is_native_somewhere(name: &str) -> bool {
    const NAMES: &[&str] =
        &["etag", "from_vector", "kdf", "md5", "sha", "sha1", "string_to_vector", "to_vector", "vector_dim", "vector_to_string"];
    let name = name.to_ascii_lowercase();
    NAMES.contains(&name.as_str()) || ["vec_", "uuid_v", "json_"].iter().any(|prefix| name.starts_with(prefix))
}

fn missing_routine(message: &str, schema: &str, arity: usize) -> Option<String> {
    let mut words = message.split(' ').skip_while(|word| !["FUNCTION", "PROCEDURE", "PACKAGE"].contains(word));
    let kind = words.next()?;
    // PACKAGE p, PACKAGE BODY p
    let name = words.find(|word| *word != "BODY")?.trim_end_matches(';');
    let (schema, name) = name.split_once('.').unwrap_or((schema, name));
    if is_native_somewhere(name) {
        return None;
    }
    let name = format!("{}.{}", quote(schema), quote(name));
    if kind == "PACKAGE" {
        return Some(format!(
            "SET sql_mode = 'ORACLE'; CREATE PACKAGE {name} AS PROCEDURE q; END; \
             CREATE PACKAGE BODY {name} AS PROCEDURE q AS BEGIN NULL; END; END; SET sql_mode = DEFAULT"
        ));
    }
    let parameters: Vec<String> = (1..=arity).map(|number| format!("p{number} VARCHAR(255)")).collect();
    let parameters = parameters.join(", ");
    let (returns, result) = if kind == "FUNCTION" { ("RETURNS INT", "RETURN 1;") } else { ("", "") };
    Some(format!(
        "DROP {kind} IF EXISTS {name}; \
         CREATE {kind} {name} ({parameters}) {returns} MODIFIES SQL DATA BEGIN INSERT INTO {WITNESS} VALUES (); {result} END"
    ))
}

/// A table that a statement names.
#[derive(Debug)]
struct Mention {
    schema: String,
    table: String,
    alias: Option<String>,
    position: usize,
}

impl Mention {
    fn name(&self) -> String {
        format!("{}.{}", quote(&self.schema), quote(&self.table))
    }

    fn is_called(&self, name: &str) -> bool {
        self.alias.as_ref().unwrap_or(&self.table).eq_ignore_ascii_case(name)
    }

    fn columns<'c>(&self, catalog: &'c Catalog) -> &'c [String] {
        catalog.get(&(self.schema.clone(), self.table.clone())).map_or(&[], Vec::as_slice)
    }
}

fn mentions(tokens: &[Token], schema: &str, catalog: &Catalog) -> Vec<Mention> {
    const BEFORE: &[&str] = &["from", "join", "straight_join", "table", "update", "into", "in", ",", "(", "oj"];
    const NO_ALIAS: &[&str] = &[
        "where",
        "join",
        "left",
        "right",
        "inner",
        "cross",
        "natural",
        "straight_join",
        "on",
        "using",
        "use",
        "force",
        "ignore",
        "group",
        "order",
        "having",
        "limit",
        "union",
        "except",
        "intersect",
        "partition",
        "for",
        "lock",
        "into",
        "window",
        "procedure",
        "tablesample",
        "like",
        "offset",
        "fetch",
        "set",
    ];
    let mut mentions = Vec::new();
    for (position, token) in tokens.iter().enumerate().filter(|(_, token)| token.is_word) {
        let before = |steps: usize| position.checked_sub(steps).and_then(|index| tokens.get(index));
        let is_qualified = before(1).is_some_and(|token| token.text == ".");
        let (schema, place) = match before(2) {
            Some(schema) if is_qualified => (schema.text.as_str(), before(3)),
            _ => (schema, before(1)),
        };
        let is_place = place.is_some_and(|token| BEFORE.iter().any(|known| token.is(known)));
        if !is_place || !catalog.contains_key(&(schema.to_owned(), token.text.clone())) {
            continue;
        }
        let mut after = tokens.iter().skip(position + 1).skip_while(|token| token.is("as"));
        let alias = after.next().filter(|token| token.is_word && !NO_ALIAS.iter().any(|known| token.is(known)));
        let alias = alias.map(|token| token.text.clone());
        mentions.push(Mention { schema: schema.to_owned(), table: token.text.clone(), alias, position });
    }
    mentions
}

#[derive(Debug)]
struct Token {
    text: String,
    is_word: bool,
}

impl Token {
    fn is(&self, text: &str) -> bool {
        self.text.eq_ignore_ascii_case(text)
    }
}

/// Words, also quoted ones, and symbols; no literals in quotes and no comments. Roughly: a wrong guess only leaves an error in place.
fn tokens(sql: &str) -> Vec<Token> {
    let mut tokens = Vec::new();
    let mut rest = sql.trim_start();
    while let Some(first) = rest.chars().next() {
        let is_part = |c: char| c.is_alphanumeric() || "_$@".contains(c);
        let (text, is_word, length) = match first {
            '`' | '"' | '\'' => {
                let inner = rest[1..].split(first).next().unwrap_or_default();
                (inner, first != '\'', inner.len() + 2)
            }
            '/' if rest.starts_with("/*") => ("", false, rest.find("*/").map_or(rest.len(), |end| end + 2)),
            '#' => ("", false, rest.find('\n').unwrap_or(rest.len())),
            '-' if rest.starts_with("-- ") => ("", false, rest.find('\n').unwrap_or(rest.len())),
            _ if is_part(first) => {
                let end = rest.find(|c| !is_part(c)).unwrap_or(rest.len());
                (&rest[..end], true, end)
            }
            _ => (&rest[..first.len_utf8()], false, first.len_utf8()),
        };
        if !text.is_empty() {
            tokens.push(Token { text: text.to_owned(), is_word });
        }
        rest = rest.get(length..).unwrap_or_default().trim_start();
    }
    tokens
}

/// A name in back quotes.
pub(super) fn quote(name: &str) -> String {
    format!("`{}`", name.replace('`', "``"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(code: u16, message: &str, sql: &str, expected: &str) {
        let columns = |names: &[&str]| names.iter().map(|&name| name.to_owned()).collect();
        let catalog = Catalog::from([
            (("test".to_owned(), "t".to_owned()), columns(&["id", "a"])),
            (("test".to_owned(), "u".to_owned()), columns(&["id"])),
        ]);
        let failure = Failure { code, message: message.to_owned() };
        let Some(Remedy::Ddl(found)) = remedy(Engine::MariaDb, &failure, sql, "test", &catalog) else {
            panic!("nothing for {message}")
        };
        assert!(found.contains(expected), "{sql}: {found}");
    }

    #[test]
    fn a_missing_column_goes_to_the_table_that_is_meant() {
        let check = |column: &str, sql: &str, table: &str| {
            check(
                1054,
                &format!("Unknown column '{column}' in 'SELECT'"),
                sql,
                &format!("ALTER TABLE `test`.`{table}` ADD COLUMN"),
            );
        };
        check("b", "SELECT b FROM t JOIN u ON t.id = u.id", "t");
        check("b", "SELECT b FROM t JOIN u ON t.a = u.b", "u");
        check("a", "SELECT a FROM t, u WHERE u.a > 1", "u");
        check("x.b", "SELECT 't x' FROM t AS y JOIN `test`.`u` x /* t x */ ON x.b", "u");
    }

    #[test]
    fn what_is_missing_is_made() {
        check(1146, "Table 'db.t' doesn't exist", "TABLE db.t", "CREATE TABLE `db`.`t` (id INT");
        check(1146, "Table 'test.v' doesn't exist", "SHOW CREATE VIEW v", "CREATE VIEW `test`.`v`");
        check(1146, "Table 'test.s' doesn't exist", "SELECT NEXT VALUE FOR s", "CREATE SEQUENCE `test`.`s` NOCACHE");
        check(
            1176,
            "Key 'i' doesn't exist in table 'x'",
            "SELECT 1 FROM t x USE INDEX (i)",
            "ALTER TABLE `test`.`t` ADD KEY `i`",
        );
        check(1191, "Can't find", "SELECT MATCH (x.a) AGAINST ('id') FROM t x", "`test`.`t` ADD FULLTEXT (`a`)");
        check(
            1747,
            "PARTITION () clause",
            "SELECT 1 FROM u PARTITION (p, q)",
            "PARTITION `p` VALUES LESS THAN (2), PARTITION `q`",
        );
    }

    #[test]
    fn a_missing_function_is_made_to_write() {
        check(1305, "FUNCTION test.f does not exist", "SELECT f()", "CREATE FUNCTION `test`.`f` () RETURNS INT");
        let arguments = "Incorrect number of arguments for FUNCTION test.f; expected 0, got 2";
        check(1318, arguments, "SELECT f(1, 2)", "`test`.`f` (p1 VARCHAR(255), p2 VARCHAR(255))");
        check(1318, arguments, "SELECT f(1, 2)", "INSERT INTO witness.written");
    }
}
