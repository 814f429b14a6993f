//! `pointsman check`: the configuration file, and with `--connect` the monitor's account on every server.

use std::fmt::Write as _;
use std::process::ExitCode;
use std::time::SystemTime;

use admin::Diagnosis;
use anyhow::Context as _;
use monitor::AccountCheck;
use serde_json::Value;

use crate::cli;
use crate::config::{Config, Durability};
use crate::expiry;
use crate::run::runtime;
use crate::settings::{failover_settings, monitor_settings};

/// Prints what is missing on each server. Fails if anything is.
pub(crate) fn connect(config: &Config) -> anyhow::Result<ExitCode> {
    let checks =
        runtime()?.block_on(monitor::check_accounts(&monitor_settings(config), config.failover.durability != Durability::Manual));
    let said = cli::say(checks.iter().map(described).collect::<String>().trim_end());
    let is_good = checks.iter().all(|check| check.missing.is_empty());
    Ok(if is_good { said } else { ExitCode::FAILURE })
}

/// Prints which certificates end soon, and what each promise needs and the servers lack. Fails if a certificate has ended, or if a promotion would be
/// impossible or could lose acknowledged writes. A file that cannot be read, or a key that does not fit, is a mistake of the configuration.
pub(crate) fn doctor(config: &Config) -> anyhow::Result<ExitCode> {
    let view = runtime()?.block_on(monitor::look_once(&monitor_settings(config)));
    let requirements = failover::requirements(&view, &failover_settings(config).policy);
    let diagnosis = serde_json::to_value(Diagnosis::new(&view, &requirements)).context("the diagnosis is no JSON")?;
    let endings = expiry::endings(config, SystemTime::now());
    for ending in &endings {
        cli::say(&ending.to_string());
    }
    let said = diagnosed(&diagnosis);
    Ok(if endings.iter().any(|ending| ending.left.is_none()) { ExitCode::FAILURE } else { said })
}

/// Prints a diagnosis of the API.
pub(crate) fn diagnosed(diagnosis: &Value) -> ExitCode {
    let mut text = String::new();
    for missing in diagnosis.get("missing").and_then(Value::as_array).into_iter().flatten() {
        let word = |key: &str| missing.get(key).and_then(Value::as_str).unwrap_or("-");
        let (server, what) = (word("server"), word("missing"));
        // Writing to a string cannot fail.
        let _ = match missing.get("promise").and_then(Value::as_str) {
            None => writeln!(text, "{server}: {what}"),
            Some(promise) => {
                let (statement, cost) = (word("statement"), word("cost"));
                writeln!(text, "{server}: {what} (needed for {promise}). To mend it: {statement}. Cost: {cost}")
            }
        };
    }
    if text.is_empty() {
        text.push_str("nothing is missing: a dead primary can be replaced, and what was acknowledged survives\n");
    }
    let said = cli::say(text.trim_end());
    let is_good = diagnosis.get("is_good").and_then(Value::as_bool).unwrap_or_default();
    if is_good { said } else { ExitCode::FAILURE }
}

fn described(check: &AccountCheck) -> String {
    let engine = check.engine.map(|engine| format!(", {engine}")).unwrap_or_default();
    let verdict = if check.missing.is_empty() { "good" } else { "missing:" };
    let mut text = format!("{} ({}{engine}): {verdict}\n", check.server, check.address);
    for line in &check.missing {
        // Writing to a string cannot fail.
        let _ = writeln!(text, "  {line}");
    }
    for note in &check.notes {
        let _ = writeln!(text, "  note: {note}");
    }
    text
}
