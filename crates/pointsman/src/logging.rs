//! Log lines: for people or as JSON, to standard error.

use std::fmt::{self, Write as _};
use std::io::IsTerminal as _;

use tracing::field::Field;
use tracing_subscriber::EnvFilter;
use tracing_subscriber::field::MakeExt as _;
use tracing_subscriber::fmt::format;

use crate::config::{Log, LogFormat};

/// Starts logging.
pub(crate) fn start(log: &Log) {
    let filter = EnvFilter::new(&log.level.0);
    // Colours are for a terminal; in a file, or in systemd's journal, they are rubbish.
    let is_terminal = std::io::stderr().is_terminal();
    let builder = tracing_subscriber::fmt().with_env_filter(filter).with_ansi(is_terminal).with_writer(std::io::stderr);
    match log.format {
        LogFormat::Human => builder.fmt_fields(format::debug_fn(put_field).delimited(" ")).init(),
        LogFormat::Json => builder.json().flatten_event(true).init(),
    }
}

/// `name=value`; the message has no name. Names of schemas and messages of servers are untrusted text: a line break in them must not begin a new
/// line.
fn put_field(out: &mut format::Writer<'_>, field: &Field, value: &dyn fmt::Debug) -> fmt::Result {
    if field.name() != "message" {
        write!(out, "{}=", field.name())?;
    }
    write!(Escaped(out), "{value:?}")
}

/// Writes control characters as Rust's strings have them.
struct Escaped<'a, 'w>(&'a mut format::Writer<'w>);

impl fmt::Write for Escaped<'_, '_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        text.chars().try_for_each(|character| {
            if character.is_control() { write!(self.0, "{}", character.escape_default()) } else { self.0.write_char(character) }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_break_in_a_value_begins_no_line() {
        let mut out = String::new();
        write!(Escaped(&mut format::Writer::new(&mut out)), "no such schema: a\nERROR \u{1b}[31mforged \u{e9}").expect("written");
        assert_eq!(out, "no such schema: a\\nERROR \\u{1b}[31mforged \u{e9}");
    }
}
