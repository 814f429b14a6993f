//! The program: command line, configuration, composition, signals.

mod cli;
mod config;
mod explain;
mod logging;
mod run;

use std::process::ExitCode;

use clap::Parser;

use crate::cli::{Cli, Command};
use crate::config::Config;

/// The command line or the configuration is wrong.
const USAGE: u8 = 2;

fn main() -> ExitCode {
    let cli = Cli::parse();
    match cli.command {
        Command::Explain(request) => explain::explain(&request),
        Command::Check { config } => match Config::load(&config) {
            Ok(loaded) => cli::say(&format!(
                "{} is good: {} servers, {} users, max_lag {}",
                config.display(),
                loaded.servers.len(),
                loaded.users.len(),
                humantime::format_duration(loaded.max_lag)
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

#[expect(clippy::print_stderr, reason = "this is where a program says why it ends")]
fn fail(message: &str, code: u8) -> ExitCode {
    eprintln!("pointsman: {message}");
    ExitCode::from(code)
}
