//! The program: command line, configuration, composition, signals.

mod admin_listeners;
mod ask;
mod check;
mod cli;
mod config;
mod expiry;
mod explain;
mod logging;
mod reload;
mod requests;
mod run;
mod settings;
mod sockets;
mod successor;
mod top;
mod watch;

use std::process::ExitCode;

use clap::Parser;

use crate::cli::{Cli, Command, Running};
use crate::config::Config;

/// The command line or the configuration is wrong.
const USAGE: u8 = 2;

fn main() -> ExitCode {
    let cli = Cli::parse();
    match cli.command {
        Command::Explain(request) => explain::explain(&request),
        Command::Doctor { config: None, socket } => done(ask::doctor(&Running { config: None, socket })),
        Command::Doctor { config: Some(config), .. } => match Config::load(&config) {
            Ok(loaded) => done(check::doctor(&loaded)),
            Err(invalid) => fail(&invalid.to_string(), USAGE),
        },
        Command::Status { running, json } => done(ask::status(&running, json)),
        Command::Journal { running, last } => done(ask::journal(&running, last)),
        Command::Sessions { running, json } => done(ask::sessions(&running, json)),
        Command::Digests { running, limit, reset: false, json } => done(ask::digests(&running, limit, json)),
        Command::Digests { running, reset: true, .. } => done(ask::reset_digests(&running)),
        Command::Top { running } => done(top::top(&running)),
        Command::Kill { running, session, query } => done(ask::kill(&running, session, query)),
        Command::Reload { running } => done(ask::reload(&running)),
        Command::Set { running, server, weight, state } => done(ask::set(&running, &server, weight, state.as_deref())),
        Command::Switchover { running, to, drain, limit } => done(ask::switchover(&running, to.as_deref(), drain, limit)),
        Command::Upgrade { running } => done(ask::upgrade(&running)),
        Command::Rebuild { running, server, yes } => done(ask::rebuild(&running, &server, yes)),
        Command::Failover { running, to, accept_loss } => done(ask::failover(&running, to.as_deref(), accept_loss)),
        Command::Check { config, connect } => match Config::load(&config) {
            Ok(loaded) if connect => check::connect(&loaded).unwrap_or_else(|error| fail(&format!("{error:#}"), 1)),
            Ok(loaded) => cli::say(&format!(
                "{} is good: {} servers, {} users, max_lag {}",
                config.display(),
                loaded.servers.len(),
                loaded.users.len(),
                humantime::format_duration(loaded.routing.max_lag)
            )),
            Err(invalid) => fail(&invalid.to_string(), USAGE),
        },
        Command::Run(options) => match Config::load(&options.config) {
            Ok(config) => match run::run(config, &options) {
                Ok(()) => ExitCode::SUCCESS,
                Err(error) => fail(&format!("{error:#}"), 1),
            },
            Err(invalid) => fail(&invalid.to_string(), USAGE),
        },
    }
}

fn done(outcome: anyhow::Result<ExitCode>) -> ExitCode {
    outcome.unwrap_or_else(|error| match error.downcast_ref::<config::Invalid>() {
        Some(invalid) => fail(&invalid.to_string(), USAGE),
        None => fail(&format!("{error:#}"), 1),
    })
}

#[expect(clippy::print_stderr, reason = "this is where a program says why it ends")]
fn fail(message: &str, code: u8) -> ExitCode {
    eprintln!("pointsman: {message}");
    ExitCode::from(code)
}
