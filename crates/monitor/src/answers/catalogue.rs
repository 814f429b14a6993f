//! The definitions of functions and views, as the servers' `information_schema` has them.
//!
//! Sources: MySQL manual 28.3.30 "ROUTINES", 28.3.48 "VIEWS", 29.12.21 "The `user_defined_functions` Table"; MariaDB "Information Schema ROUTINES
//! Table", "VIEWS Table", "mysql.func Table". A definition that the account may not see is NULL or empty.

use classifier::Definition;
use topology::Engine;

use super::Fields;

type Read = fn(&Fields) -> Option<Definition>;

/// Each query, and how to read a row of its answer. Without the privileges there are fewer rows or columns, but no error.
pub(crate) const CATALOGUE_QUERIES: [(&str, Read); 2] = [(ROUTINES, routine), (VIEWS, view)];

/// Asks for the loadable functions, which needs a privilege on a table.
pub(crate) fn loadable_query(engine: Engine) -> &'static str {
    match engine {
        // Those of component_classic_hashing were native before they moved there.
        Engine::MySql => {
            "SELECT UDF_NAME AS name FROM performance_schema.user_defined_functions \
             WHERE UDF_LIBRARY IS NOT NULL OR UDF_NAME NOT IN ('md5', 'sha', 'sha1')"
        }
        Engine::MariaDb => "SELECT name AS name FROM mysql.func",
    }
}

/// Reads a row of its answer.
pub(crate) fn loadable(row: &Fields) -> Option<Definition> {
    Some(Definition::Opaque { name: row.text("name")?.into() })
}

const ROUTINES: &str = "SELECT ROUTINE_NAME AS name, ROUTINE_TYPE AS type, ROUTINE_BODY AS language, SQL_MODE AS sql_mode, \
     SQL_DATA_ACCESS AS data_access, ROUTINE_DEFINITION AS body FROM information_schema.ROUTINES WHERE ROUTINE_TYPE <> 'PROCEDURE'";

/// The servers' own views cannot be named without their schemas, which are known to be about the server.
const VIEWS: &str = "SELECT TABLE_NAME AS name, VIEW_DEFINITION AS query FROM information_schema.VIEWS \
     WHERE TABLE_SCHEMA NOT IN ('information_schema', 'mysql', 'performance_schema', 'sys')";

fn routine(row: &Fields) -> Option<Definition> {
    if row.text("type")? != "FUNCTION" {
        return Some(Definition::Package);
    }
    let name = row.text("name")?.into();
    if row.text("language")? != "SQL" || row.text("data_access")? == "MODIFIES SQL DATA" {
        return Some(Definition::Opaque { name });
    }
    let body = row.non_empty("body").map(Into::into);
    Some(Definition::Function { name, body, sql_mode: row.text("sql_mode")?.into() })
}

fn view(row: &Fields) -> Option<Definition> {
    Some(Definition::View { name: row.text("name")?.into(), query: row.non_empty("query").map(Into::into) })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(fields: &[(&str, &str)]) -> Fields {
        Fields(fields.iter().map(|(name, value)| ((*name).to_owned(), Some((*value).to_owned()))).collect())
    }

    fn function(language: &str, access: &str, body: &str) -> Option<Definition> {
        let fields = [("name", "f"), ("type", "FUNCTION"), ("language", language), ("data_access", access), ("body", body)];
        routine(&row(&[fields.as_slice(), &[("sql_mode", "ANSI")]].concat()))
    }

    #[test]
    fn what_is_hidden_has_no_body_and_what_is_no_plain_sql_is_opaque() {
        let with_body = |body: Option<&str>| {
            Some(Definition::Function { name: "f".into(), body: body.map(Into::into), sql_mode: "ANSI".into() })
        };
        assert_eq!(function("SQL", "CONTAINS SQL", "RETURN 1"), with_body(Some("RETURN 1")));
        let opaque = Some(Definition::Opaque { name: "f".into() });
        assert_eq!(function("SQL", "MODIFIES SQL DATA", "RETURN 1"), opaque);
        assert_eq!(function("EXTERNAL", "NO SQL", "return 1"), opaque);
        assert_eq!(function("SQL", "NO SQL", ""), with_body(None));
        assert_eq!(view(&row(&[("name", "v"), ("query", "")])), Some(Definition::View { name: "v".into(), query: None }));
        assert_eq!(routine(&row(&[("type", "PACKAGE BODY")])), Some(Definition::Package));
    }
}
