//! `pointsman explain`: the verdict on one statement, without servers.

use std::process::ExitCode;

use classifier::{Charset, Classifier, Context, Dialect, Limits, SqlMode, Track};

use crate::cli::{self, Engine, ExplainRequest};

/// Prints class, place and reason.
pub(crate) fn explain(request: &ExplainRequest) -> ExitCode {
    let context = Context {
        dialect: match request.engine {
            Engine::Mysql => Dialect::MySql,
            Engine::Mariadb => Dialect::MariaDb,
        },
        sql_mode: SqlMode::parse(request.sql_mode.as_bytes()),
        charset: Charset::of_name(request.charset.as_bytes()),
        schema: request.schema.as_deref(),
    };
    let statement = Classifier::new(Limits::default()).classify(request.sql.as_bytes(), &context);
    let track = match statement.track() {
        Track::Replica => "a replica within max_lag; the primary if there is none",
        Track::Previous => "the server that ran the session's previous statement",
        Track::Session => "any of the session's servers; repeated on the others",
        Track::Primary => "the primary",
    };
    let mut lines = vec![
        format!("class:   {:?}", statement.verb),
        format!("effects: {}", effects(&statement)),
        format!("runs on: {track}"),
        format!("because: {}", statement.because),
        format!("digest:  {}", statement.digest),
    ];
    lines.extend(statement.session.iter().map(|effect| format!("session: {effect:?}")));
    cli::say(&lines.join("\n"))
}

fn effects(statement: &classifier::Statement) -> String {
    if statement.effects.is_empty() {
        return "none".to_owned();
    }
    statement.effects.iter_names().map(|(name, _)| name.to_ascii_lowercase()).collect::<Vec<_>>().join(", ")
}
