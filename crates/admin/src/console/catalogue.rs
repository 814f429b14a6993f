//! What drivers and graphical clients ask of any server before they ask anything else: variables, lists of schemas, engines, character sets.
//!
//! The answers are harmless: what there is of it here, in the columns that the servers have. Lists of what the console has nothing of are empty.

use super::login::VERSION;
use super::query::Query;
use super::rows::Rows;
use super::tables::{TABLES, named};

/// The only schema.
pub(super) const SCHEMA: &str = "pointsman";

/// Variables that clients look at, with values that cause them no trouble.
const VARIABLES: [(&str, &str); 29] = [
    ("auto_increment_increment", "1"),
    ("autocommit", "1"),
    ("character_set_client", "utf8mb4"),
    ("character_set_connection", "utf8mb4"),
    ("character_set_results", "utf8mb4"),
    ("character_set_server", "utf8mb4"),
    ("collation_connection", "utf8mb4_general_ci"),
    ("collation_database", "utf8mb4_general_ci"),
    ("collation_server", "utf8mb4_general_ci"),
    ("default_storage_engine", "pointsman"),
    ("init_connect", ""),
    ("interactive_timeout", "3600"),
    ("license", "Apache-2.0"),
    ("lower_case_table_names", "0"),
    ("max_allowed_packet", "65536"),
    ("net_buffer_length", "16384"),
    ("net_write_timeout", "60"),
    ("performance_schema", "0"),
    ("read_only", "1"),
    ("sql_auto_is_null", "0"),
    ("sql_mode", ""),
    ("system_time_zone", "UTC"),
    ("time_zone", "SYSTEM"),
    ("transaction_isolation", "REPEATABLE-READ"),
    ("transaction_read_only", "0"),
    ("tx_isolation", "REPEATABLE-READ"),
    ("version", VERSION),
    ("version_comment", "Pointsman's console: HELP"),
    ("wait_timeout", "3600"),
];

/// Lists of which the console has nothing, by how the statement begins, with the columns that clients look for.
const EMPTY: [(&[&str], &[&str]); 15] = [
    (&["WARNINGS"], &["Level", "Code", "Message"]),
    (&["ERRORS"], &["Level", "Code", "Message"]),
    (&["PLUGINS"], &["Name", "Status", "Type", "Library", "License"]),
    (&["PRIVILEGES"], &["Privilege", "Context", "Comment"]),
    (&["GRANTS"], &["Grants for admin"]),
    (&["STATUS"], &["Variable_name", "Value"]),
    (&["TRIGGERS"], &["Trigger", "Event", "Table", "Statement", "Timing", "Created"]),
    (&["EVENTS"], &["Db", "Name", "Definer", "Time zone", "Type", "Status"]),
    (&["PROCEDURE", "STATUS"], &["Db", "Name", "Type", "Definer", "Modified", "Created", "Security_type", "Comment"]),
    (&["FUNCTION", "STATUS"], &["Db", "Name", "Type", "Definer", "Modified", "Created", "Security_type", "Comment"]),
    (&["OPEN", "TABLES"], &["Database", "Table", "In_use", "Name_locked"]),
    (&["INDEX"], &["Table", "Non_unique", "Key_name", "Seq_in_index", "Column_name"]),
    (&["INDEXES"], &["Table", "Non_unique", "Key_name", "Seq_in_index", "Column_name"]),
    (&["KEYS"], &["Table", "Non_unique", "Key_name", "Seq_in_index", "Column_name"]),
    (&["TABLE", "STATUS"], &["Name", "Engine", "Rows", "Comment"]),
];

/// A variable's value, whatever its scope. `None`: it has none here.
pub(super) fn variable(name: &str) -> Option<&'static str> {
    VARIABLES.iter().find(|(known, _)| known.eq_ignore_ascii_case(name)).map(|(_, value)| *value)
}

/// The answer to `SHOW ..`, without that word. `None`: it is no such question.
pub(super) fn show(words: &[&str]) -> Option<Rows> {
    let words = without(words, &["SESSION", "GLOBAL", "LOCAL", "FULL", "EXTENDED"]);
    let is = |expected: &[&str]| {
        words.len() >= expected.len() && words.iter().zip(expected).all(|(word, expected)| word.eq_ignore_ascii_case(expected))
    };
    let is_any = |list: [&[&str]; 2]| list.into_iter().any(is);
    if let Some((_, columns)) = EMPTY.iter().find(|(start, _)| is(start)) {
        return Some(Rows::new(columns, Vec::new()));
    }
    let filtered = |rows: Rows, taken: usize| {
        // A list is not worth an error: a filter that is not understood leaves out nothing.
        let rest = words.get(taken..).unwrap_or_default().join(" ");
        Some(Query::show(&rest).and_then(|query| query.apply(rows.clone())).unwrap_or(rows))
    };
    if is(&["VARIABLES"]) {
        return filtered(lines(&["Variable_name", "Value"], VARIABLES.iter().map(|(name, value)| vec![*name, *value])), 1);
    }
    if is_any([&["DATABASES"], &["SCHEMAS"]]) {
        return filtered(lines(&["Database"], [vec![SCHEMA], vec!["information_schema"]]), 1);
    }
    if is(&["TABLES"]) {
        let has_other_schema = words.get(1..3).is_some_and(|words| match words {
            [from, schema] => is_from(from) && !schema.trim_matches('`').eq_ignore_ascii_case(SCHEMA),
            _ => false,
        });
        let names = TABLES.iter().filter(|_| !has_other_schema).map(|table| vec![table.name, "BASE TABLE"]);
        let taken = if words.get(1).is_some_and(|word| is_from(word)) { 3 } else { 1 };
        return filtered(lines(&["Tables_in_pointsman", "Table_type"], names), taken);
    }
    if is_any([&["COLUMNS"], &["FIELDS"]]) {
        return columns(words.get(2)?);
    }
    if is(&["ENGINES"]) {
        let columns = ["Engine", "Support", "Comment", "Transactions", "XA", "Savepoints"];
        return Some(lines(&columns, [vec!["pointsman", "DEFAULT", "What the admin API shows", "NO", "NO", "NO"]]));
    }
    if is_any([&["CHARACTER", "SET"], &["CHARSET"]]) {
        let columns = ["Charset", "Description", "Default collation", "Maxlen"];
        return Some(lines(&columns, [vec!["utf8mb4", "UTF-8 Unicode", "utf8mb4_general_ci", "4"]]));
    }
    if is(&["COLLATION"]) {
        let columns = ["Collation", "Charset", "Id", "Default", "Compiled", "Sortlen"];
        return Some(lines(&columns, [vec!["utf8mb4_general_ci", "utf8mb4", "45", "Yes", "Yes", "1"]]));
    }
    None
}

/// What `DESCRIBE` and `SHOW COLUMNS` say about a table of the console.
pub(super) fn columns(table: &str) -> Option<Rows> {
    let columns = named(table).ok()?.columns();
    let row = |column: &String| {
        let cells = [Some(column.as_str()), Some("text"), Some("YES"), Some(""), None, Some("")];
        cells.map(|cell| cell.map(str::to_owned)).to_vec()
    };
    Some(Rows::new(&["Field", "Type", "Null", "Key", "Default", "Extra"], columns.iter().map(row).collect()))
}

fn is_from(word: &str) -> bool {
    ["FROM", "IN"].iter().any(|keyword| word.eq_ignore_ascii_case(keyword))
}

/// The words after those that only say more of the same.
fn without<'a>(words: &'a [&'a str], modifiers: &[&str]) -> &'a [&'a str] {
    let count = words.iter().take_while(|word| modifiers.iter().any(|modifier| word.eq_ignore_ascii_case(modifier))).count();
    words.get(count..).unwrap_or_default()
}

fn lines<'a>(columns: &[&str], lines: impl IntoIterator<Item = Vec<&'a str>>) -> Rows {
    let row = |cells: Vec<&str>| cells.into_iter().map(|cell| Some(cell.to_owned())).collect();
    Rows::new(columns, lines.into_iter().map(row).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(rest: &str) -> Option<Rows> {
        show(&rest.split_whitespace().collect::<Vec<_>>())
    }

    fn first_column(rest: &str) -> Vec<String> {
        let rows = shown(rest).expect("an answer").rows;
        rows.into_iter().filter_map(|row| row.into_iter().next().flatten()).collect()
    }

    #[test]
    fn variables_can_be_filtered() {
        assert_eq!(first_column("SESSION VARIABLES LIKE 'lower_case_table_names'"), ["lower_case_table_names"]);
        assert_eq!(first_column("VARIABLES LIKE 'aurora\\_version'"), [""; 0]);
        assert_eq!(
            first_column("VARIABLES WHERE Variable_name = 'sql_mode' OR Variable_name = 'license'"),
            ["license", "sql_mode"]
        );
        assert_eq!(first_column("GLOBAL VARIABLES").len(), VARIABLES.len());
    }

    #[test]
    fn schemas_and_tables_are_those_of_the_console() {
        assert_eq!(first_column("DATABASES"), ["pointsman", "information_schema"]);
        assert_eq!(first_column("DATABASES LIKE 'point%'"), ["pointsman"]);
        assert_eq!(first_column("FULL TABLES FROM `pointsman` LIKE 'ser%'"), ["servers"]);
        assert_eq!(first_column("TABLES").len(), TABLES.len());
        assert_eq!(first_column("TABLES FROM mysql").len(), 0);
        assert_eq!(first_column("FULL COLUMNS FROM `pools`"), ["server", "ejected_by", "limit", "open", "waiting"]);
    }

    #[test]
    fn other_lists_are_empty_or_unknown() {
        for rest in ["WARNINGS", "SESSION STATUS LIKE 'Ssl_cipher'", "PROCEDURE STATUS WHERE Db = 'x'", "INDEX FROM servers"] {
            let rows = shown(rest).expect("an answer");
            assert!(rows.rows.is_empty() && rows.columns.len() >= 2, "{rest}");
        }
        for rest in ["SECRETS", "COLUMNS FROM users", "COLUMNS", ""] {
            assert_eq!(shown(rest), None, "{rest}");
        }
    }
}
