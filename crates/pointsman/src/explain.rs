//! `pointsman explain`: the verdict on one statement, or on a log full of them, without servers.

mod bulk;

use std::process::ExitCode;

use classifier::{Charset, Classifier, Context, Dialect, ParseLimits, Placement, SqlMode};

use crate::cli::{self, ExplainRequest};

/// Prints class, place and reason.
pub(crate) fn explain(request: &ExplainRequest) -> ExitCode {
    let Some(sql) = &request.sql else {
        return match bulk::explain(std::io::stdin().lock(), std::io::stdout().lock(), request) {
            Ok(()) => ExitCode::SUCCESS,
            Err(_) => ExitCode::FAILURE,
        };
    };
    let context = context(request.engine.into(), &request.sql_mode, &request.charset, request.schema.as_deref());
    let statement = Classifier::new(ParseLimits::default()).classify(sql.as_bytes(), &context);
    let placement = match statement.placement() {
        Placement::Replica => "a replica within max_lag; the primary if there is none",
        Placement::Previous => "the server that ran the session's previous statement",
        Placement::Session => "any of the session's servers; repeated on the others",
        Placement::Primary => "the primary",
    };
    let mut lines = vec![
        format!("class:   {} ({:?})", statement.class(), statement.verb),
        format!("effects: {}", effects(&statement)),
        format!("runs on: {placement}"),
        format!("because: {}", statement.because),
        format!("digest:  {}", statement.digest),
    ];
    lines.extend(statement.session.iter().map(|effect| format!("session: {effect:?}")));
    cli::say(&lines.join("\n"))
}

/// How a statement is to be read, from names.
fn context<'a>(dialect: Dialect, sql_mode: &str, charset: &str, schema: Option<&'a str>) -> Context<'a> {
    let sql_mode = SqlMode::parse(sql_mode.as_bytes());
    Context { dialect, sql_mode, charset: Charset::of_name(charset.as_bytes()), schema }
}

fn effects(statement: &classifier::Statement) -> String {
    if statement.effects.is_empty() {
        return "none".to_owned();
    }
    statement.effects.iter_names().map(|(name, _)| name.to_ascii_lowercase()).collect::<Vec<_>>().join(", ")
}
