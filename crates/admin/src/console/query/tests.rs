use super::*;

/// A table of three servers.
fn table() -> Rows {
    let row = |cells: [&str; 4]| cells.map(|cell| Some(cell).filter(|cell| !cell.is_empty()).map(str::to_owned)).to_vec();
    let rows = [["db1", "primary", "10", ""], ["db2", "replica", "9", "late"], ["DB3", "replica", "100", ""]];
    Rows::new(&["name", "role", "weight", "why"], rows.map(row).to_vec())
}

/// The rows of the result, cells joined.
fn result(sql: &str) -> Result<Vec<String>, String> {
    let (name, query) = Query::select(sql)?;
    assert_eq!(name, "servers", "{sql}");
    let rows = query.apply(table())?;
    let text = |cell: &Option<String>| cell.clone().unwrap_or_else(|| "NULL".to_owned());
    Ok(rows.rows.iter().map(|row| row.iter().map(text).collect::<Vec<_>>().join(" ")).collect())
}

fn check(sql: &str, expected: &[&str]) {
    assert_eq!(result(sql).as_deref().map(<[String]>::to_vec), Ok(expected.iter().map(ToString::to_string).collect()), "{sql}");
}

#[test]
fn columns_are_chosen_and_named() {
    check("SELECT * FROM servers LIMIT 1", &["db1 primary 10 NULL"]);
    check("select t.* from servers t limit 1", &["db1 primary 10 NULL"]);
    check("SELECT weight, `name` FROM servers", &["10 db1", "9 db2", "100 DB3"]);
    check("SELECT t.name AS n FROM servers AS t ORDER BY n DESC LIMIT 1", &["DB3"]);
    check("SELECT COUNT(*) FROM servers WHERE role = 'replica'", &["2"]);
    let (_, query) = Query::select("SELECT count(*) AS n FROM servers").expect("good");
    assert_eq!(query.apply(table()).expect("good").columns, ["n"]);
    let (_, query) = Query::select("SELECT servers.name, role 'r' FROM servers").expect("good");
    assert_eq!(query.apply(table()).expect("good").columns, ["name", "r"]);
}

#[test]
fn conditions_are_those_of_sql() {
    let names = |condition: &str, expected: &[&str]| check(&format!("SELECT name FROM servers WHERE {condition}"), expected);
    names("name = 'DB2'", &["db2"]);
    names("weight > 9", &["db1", "DB3"]);
    names("weight >= 9 AND weight < 100", &["db1", "db2"]);
    names("role <> 'primary' AND NOT weight = 9", &["DB3"]);
    names("name = 'db1' OR role = 'replica' AND weight = 9", &["db1", "db2"]);
    names("(name = 'db1' OR role = 'replica') AND weight = 9", &["db2"]);
    names("name LIKE 'd%' AND name NOT LIKE '_b3'", &["db1", "db2"]);
    names("weight IN (9, 10, NULL)", &["db1", "db2"]);
    names("weight NOT IN (9, NULL)", &[]);
    names("weight NOT IN (9)", &["db1", "DB3"]);
    names("weight BETWEEN 9 AND 10", &["db1", "db2"]);
    names("weight NOT BETWEEN 9 AND 10", &["DB3"]);
    names("why IS NULL", &["db1", "DB3"]);
    names("why IS NOT NULL", &["db2"]);
    // Neither true nor false.
    names("why = NULL OR why <> 'late' OR NOT why = 'late'", &[]);
    names("why <=> NULL", &["db1", "DB3"]);
    names("why = 'late' AND name = 'db1'", &[]);
    names("weight > -1", &["db1", "db2", "DB3"]);
    names("TRUE = 1", &["db1", "db2", "DB3"]);
}

#[test]
fn rows_are_ordered_and_cut() {
    check("SELECT name FROM servers ORDER BY weight", &["db2", "db1", "DB3"]);
    check("SELECT name, weight FROM servers ORDER BY role DESC, 2 DESC", &["DB3 100", "db2 9", "db1 10"]);
    check("SELECT name FROM servers ORDER BY why, name", &["db1", "DB3", "db2"]);
    check("SELECT name FROM servers LIMIT 1, 1", &["db2"]);
    check("SELECT name FROM servers LIMIT 5 OFFSET 2", &["DB3"]);
    check("SELECT name FROM servers LIMIT 0, 200", &["db1", "db2", "DB3"]);
}

#[test]
fn what_is_not_understood_is_named() {
    for (sql, expected) in [
        ("SELECT name FROM servers WHERE colour = 1", "there is no column \"colour\"; there are name, role, weight, why"),
        ("SELECT colour FROM servers", "no column \"colour\""),
        ("SELECT name FROM servers ORDER BY 7", "no column \"7\""),
        ("SELECT name FROM servers JOIN pools", "there is \"pools\" where the end is expected"),
        ("SELECT name FROM servers WHERE", "the statement ends where a column or a value is expected"),
        ("SELECT name FROM servers WHERE name", "where a comparison is expected"),
        ("SELECT name FROM servers WHERE name = (SELECT 1)", "there is \"(\""),
        ("SELECT name FROM servers GROUP BY name", "the console understands SELECT"),
        ("SELECT max(weight) FROM servers", "there is \"(\""),
        ("SELECT name FROM servers LIMIT x", "where a number is expected"),
        ("SELECT name FROM servers; DROP TABLE t", "there is \";\""),
        ("SELECT 1", "where a name is expected"),
        ("SELECT name FROM servers WHERE name = 'x", "is not closed"),
    ] {
        let told = result(sql).expect_err(sql);
        assert!(told.contains(expected), "{sql}: {told}");
    }
}

#[test]
fn nesting_is_bounded_and_the_work_is_linear() {
    for opening in ["(", "NOT "] {
        let deep = format!("SELECT name FROM servers WHERE {}", opening.repeat(20_000));
        assert!(result(&deep).expect_err("too deep").contains("nested too deeply"));
    }
    let long = format!("SELECT name FROM servers WHERE name = 'x'{}", " OR name = 'db1'".repeat(4_000));
    check(&long, &["db1"]);
}

#[test]
fn the_rest_of_show_is_like_or_a_condition() {
    let count = |rest: &str| Query::show(rest).and_then(|query| query.apply(table())).map(|rows| rows.rows.len());
    for (rest, expected) in [("", 3), ("LIKE 'replica'", 2), ("like 'DB_' limit 1", 1), ("WHERE weight > 9", 2), ("LIMIT 2", 2)] {
        assert_eq!(count(rest), Ok(expected), "{rest}");
    }
    for bad in ["LIKE", "LIKE x", "LIKE 'a' LIKE 'b'", "LIMIT", "WHERE", "db1"] {
        assert!(count(bad).is_err(), "{bad}");
    }
    assert_eq!(Query::show("LIMIT 5").map(|query| query.only_limit()), Ok(Some(5)));
    assert_eq!(Query::show("LIKE 'a' LIMIT 5").map(|query| query.only_limit()), Ok(None));
}
