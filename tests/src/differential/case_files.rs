//! Reads statements from case files: those of the classifier's own tests, and lists of the same format.
//!
//! `crates/classifier/tests/cases.rs` describes the format. What follows `-->` is kept as it is; the user of the cases knows its meaning.

use std::path::Path;

use classifier::{Charset, Classifier, Context, Dialect, SqlMode, Statement};

use crate::Engine;

/// A statement of a case file.
#[derive(Debug, Clone)]
pub struct Case {
    /// Where it stands: `select.sql:12`.
    pub place: String,
    /// The statement.
    pub sql: String,
    /// How a session has to be set up for it.
    pub settings: Settings,
    /// What stands after `-->`, one for each such line.
    expected: Vec<String>,
}

/// What `--@` lines say.
#[derive(Debug, Clone)]
pub struct Settings {
    /// The value of `sql_mode`; empty for no mode.
    pub sql_mode: String,
    /// The name of the client's character set.
    pub charset: String,
    /// The default schema.
    pub schema: Option<String>,
}

impl Case {
    /// A statement of no file, without settings.
    pub fn of(sql: impl Into<String>) -> Self {
        Self { place: "by hand".to_owned(), sql: sql.into(), settings: Settings::default(), expected: Vec::new() }
    }

    /// What the file says for this engine; `None` if it says something for the other one only.
    pub fn expected(&self, engine: Engine) -> Option<&str> {
        let of_engine = |line: &'_ String| {
            let (is_mysql, is_mariadb) = (line.starts_with("mysql: "), line.starts_with("mariadb: "));
            match engine {
                Engine::MySql => !is_mariadb,
                Engine::MariaDb => !is_mysql,
            }
        };
        let line = self.expected.iter().find(|line| of_engine(line))?;
        Some(line.split_once(&format!("{}: ", engine.label())).map_or(line.as_str(), |(_, rest)| rest))
    }

    /// What the classifier says.
    pub fn classify(&self, classifier: &Classifier, engine: Engine) -> Statement {
        let context = Context {
            dialect: match engine {
                Engine::MySql => Dialect::MySql,
                Engine::MariaDb => Dialect::MariaDb,
            },
            sql_mode: SqlMode::parse(self.settings.sql_mode.as_bytes()),
            charset: Charset::of_name(self.settings.charset.as_bytes()),
            schema: self.settings.schema.as_deref(),
        };
        classifier.classify(self.sql.as_bytes(), &context)
    }
}

impl Default for Settings {
    fn default() -> Self {
        Self { sql_mode: String::new(), charset: "utf8mb4".to_owned(), schema: None }
    }
}

impl Settings {
    fn change(&mut self, setting: &str) {
        let (key, value) = setting.split_once(' ').unwrap_or((setting, ""));
        match key {
            "sql_mode" => value.clone_into(&mut self.sql_mode),
            "charset" => value.clone_into(&mut self.charset),
            "schema" => self.schema = (!value.is_empty()).then(|| value.to_owned()),
            _ => panic!("unknown setting {setting}"),
        }
    }
}

/// The cases of all `.sql` files in a folder and below it, or of one file.
pub fn read(path: &Path) -> Vec<Case> {
    if !path.is_dir() {
        let text = std::fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        let name = path.file_name().expect("a file's name").to_string_lossy();
        return parse(&name, &text);
    }
    let entries = std::fs::read_dir(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    let mut paths: Vec<_> = entries.map(|entry| entry.expect("an entry").path()).collect();
    paths.retain(|path| path.is_dir() || path.extension().is_some_and(|extension| extension == "sql"));
    paths.sort();
    paths.iter().flat_map(|path| read(path)).collect()
}

fn parse(file: &str, text: &str) -> Vec<Case> {
    let mut cases: Vec<Case> = Vec::new();
    let mut settings = Settings::default();
    let mut statement = String::new();
    for (index, line) in text.lines().enumerate() {
        if let Some(setting) = line.strip_prefix("--@ ") {
            settings.change(setting);
        } else if let Some(expected) = line.strip_prefix("--> ") {
            match cases.last_mut() {
                // The second of several such lines.
                Some(case) if statement.is_empty() => case.expected.push(expected.to_owned()),
                _ => cases.push(Case {
                    place: format!("{file}:{}", index + 1),
                    sql: std::mem::take(&mut statement).trim_end_matches('\n').to_owned(),
                    settings: settings.clone(),
                    expected: vec![expected.to_owned()],
                }),
            }
        } else if !(line.starts_with("--#") || line.is_empty() && statement.is_empty()) {
            statement.push_str(line);
            statement.push('\n');
        }
    }
    assert!(statement.trim().is_empty(), "{file}: a statement without a verdict: {statement}");
    cases
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_case_has_the_settings_above_it_and_all_its_verdicts() {
        let text = "--# About.\n--@ schema s\n\nSELECT 1\n\nFROM t\n--> replica\nTABLE t\n--> mysql: replica x\n--> mariadb: primary y\n\
                    --@ schema\nSELECT 2\n--> mysql: replica\n";
        let cases = parse("f.sql", text);
        let told = cases.iter().map(|case| (case.place.as_str(), case.sql.as_str(), case.settings.schema.as_deref()));
        let expected =
            [("f.sql:7", "SELECT 1\n\nFROM t", Some("s")), ("f.sql:9", "TABLE t", Some("s")), ("f.sql:13", "SELECT 2", None)];
        assert_eq!(told.collect::<Vec<_>>(), expected);
        let verdicts = |engine| cases.iter().map(|case| case.expected(engine)).collect::<Vec<_>>();
        assert_eq!(verdicts(Engine::MySql), [Some("replica"), Some("replica x"), Some("replica")]);
        assert_eq!(verdicts(Engine::MariaDb), [Some("replica"), Some("primary y"), None]);
    }
}
