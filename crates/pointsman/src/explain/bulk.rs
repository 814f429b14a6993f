//! `pointsman explain --jsonl`: a whole query log, one JSON object a line in, one a line out, in the same order.
//!
//! No line stops it: an unreadable line gets an object with an `error`, and the next line is read.

use std::io::{self, BufRead, BufWriter, Read, Write};

use classifier::{Classifier, Dialect, ParseLimits, SessionEffect, Statement};
use serde::{Deserialize, Serialize};

use crate::cli::ExplainRequest;

/// Longest line that is read, in bytes. Statements may have up to 1 GiB, but logs do not have such.
const LINE_MAX: u64 = 256 << 20;

/// The keys of a line. Missing ones come from the command line; other keys are ignored.
#[derive(Deserialize)]
struct Question {
    sql: String,
    schema: Option<String>,
    sql_mode: Option<String>,
    charset: Option<String>,
    engine: Option<String>,
}

/// The verdict on a line.
#[derive(Serialize)]
struct Verdict {
    class: &'static str,
    target: &'static str,
    because: &'static str,
    digest: String,
    pins: Vec<String>,
}

#[derive(Serialize)]
struct Complaint {
    error: String,
}

/// Reads to the end of `input`.
pub(super) fn explain(input: impl Read, output: impl Write, defaults: &ExplainRequest) -> io::Result<()> {
    let classifier = Classifier::new(ParseLimits::default());
    let mut input = io::BufReader::new(input);
    let mut output = BufWriter::new(output);
    let mut line = Vec::new();
    loop {
        line.clear();
        if (&mut input).take(LINE_MAX).read_until(b'\n', &mut line)? == 0 {
            return output.flush();
        }
        let is_whole = line.ends_with(b"\n") || (line.len() as u64) < LINE_MAX;
        if !is_whole {
            input.skip_until(b'\n')?;
            put(&mut output, &Complaint { error: format!("the line is longer than {LINE_MAX} bytes") })?;
        } else if !line.trim_ascii().is_empty() {
            match verdict(&classifier, &line, defaults) {
                Ok(verdict) => put(&mut output, &verdict)?,
                Err(error) => put(&mut output, &Complaint { error })?,
            }
        }
        // A program that writes one line and waits for its answer gets it.
        if input.buffer().is_empty() {
            output.flush()?;
        }
    }
}

fn put(output: &mut impl Write, value: &impl Serialize) -> io::Result<()> {
    serde_json::to_writer(&mut *output, value)?;
    output.write_all(b"\n")
}

fn verdict(classifier: &Classifier, line: &[u8], defaults: &ExplainRequest) -> Result<Verdict, String> {
    let question: Question = serde_json::from_str(&String::from_utf8_lossy(line)).map_err(|error| error.to_string())?;
    let dialect = match question.engine.as_deref().map(str::to_ascii_lowercase).as_deref() {
        None => Dialect::from(defaults.engine),
        Some("mysql") => Dialect::MySql,
        Some("mariadb") => Dialect::MariaDb,
        Some(other) => return Err(format!("engine {other:?} is neither \"mysql\" nor \"mariadb\"")),
    };
    let sql_mode = question.sql_mode.as_deref().unwrap_or(&defaults.sql_mode);
    let charset = question.charset.as_deref().unwrap_or(&defaults.charset);
    let context = super::context(dialect, sql_mode, charset, question.schema.as_deref().or(defaults.schema.as_deref()));
    Ok(Verdict::from(classifier.classify(question.sql.as_bytes(), &context)))
}

impl From<Statement> for Verdict {
    fn from(statement: Statement) -> Self {
        let pins = statement.session.iter().filter_map(|effect| match effect {
            SessionEffect::Pin(pin) => Some(pin.to_string()),
            _ => None,
        });
        Self {
            class: statement.class(),
            target: statement.placement().label(),
            because: statement.because.label(),
            digest: statement.digest.to_string(),
            pins: pins.collect(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::Engine;

    fn lines(input: &[u8]) -> Vec<serde_json::Value> {
        let defaults = ExplainRequest {
            sql: None,
            jsonl: true,
            engine: Engine::Mysql,
            sql_mode: String::new(),
            charset: "utf8mb4".to_owned(),
            schema: None,
        };
        let mut output = Vec::new();
        explain(input, &mut output, &defaults).expect("written");
        output
            .split(|byte| *byte == b'\n')
            .filter(|line| !line.is_empty())
            .map(|line| serde_json::from_slice(line).expect("JSON"))
            .collect()
    }

    #[test]
    fn each_line_gets_one() {
        let told = lines(
            b"{\"sql\": \"SELECT a FROM t WHERE id = 1\", \"schema\": \"shop\"}\n\
              {\"sql\": \"CREATE TEMPORARY TABLE x (a INT)\", \"schema\": \"shop\", \"ts\": 17}\n\
              {\"sql\": \"SELECT NEXTVAL(s)\", \"engine\": \"MariaDB\"}\n\
              {\"sql\": \"SELECT \\\"a\\\" FROM t\", \"sql_mode\": \"ANSI\", \"charset\": \"gbk\"}",
        );
        let field = |line: usize, key: &str| told[line][key].as_str().expect("a text").to_owned();
        assert_eq!(
            (field(0, "class"), field(0, "target"), field(0, "because")),
            ("read".into(), "replica".into(), "plain_read".into())
        );
        assert_eq!(field(0, "digest").len(), 32);
        assert_eq!((field(1, "class"), field(1, "target")), ("write".into(), "primary".into()));
        assert_eq!(told[1]["pins"][0], "temporary table shop.x");
        assert_eq!((field(2, "target"), field(2, "because")), ("primary".into(), "sequence".into()));
        assert_eq!(field(3, "target"), "replica");
    }

    #[test]
    fn no_line_stops_it() {
        let mut input =
            b"{\"sql\": \"SELECT 1\"\n[1]\n\n{\"sql\": 1}\n{}\n\xff\xfe\n{\"sql\": \"SELECT 1\", \"engine\": \"oracle\"}\n"
                .to_vec();
        input.extend_from_slice(b"{\"sql\": \"SELECT '\xff'\"}\n");
        input.extend_from_slice(format!("{{\"sql\": \"SELECT {}1\"}}\n", "(".repeat(100_000)).as_bytes());
        input.extend_from_slice("[".repeat(100_000).as_bytes());
        let told = lines(&input);
        assert_eq!(told.len(), 9);
        assert!(told[..6].iter().chain(&told[8..]).all(|line| line["error"].is_string()), "{told:#?}");
        assert_eq!(told[6]["target"], "replica");
        assert_eq!(told[7]["target"], "primary");
    }
}
