//! `pointsman check`: the configuration file, and with `--connect` the monitor's account on every server.

use std::fmt::Write as _;
use std::process::ExitCode;

use failover::Promise;
use monitor::AccountCheck;
use topology::Condition;

use crate::cli;
use crate::config::{Config, Durability};
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

/// Prints what each promise needs and the servers lack. Fails if a promotion would be impossible, or could lose acknowledged writes.
pub(crate) fn doctor(config: &Config) -> anyhow::Result<ExitCode> {
    let view = runtime()?.block_on(monitor::look_once(&monitor_settings(config)));
    let policy = failover_settings(config).policy;
    let mut text = String::new();
    for server in &view.servers {
        if let Condition::Down { why, .. } | Condition::Blind { why } = &server.condition {
            let _ = writeln!(text, "{}: cannot be looked at: {why}", server.name);
        } else if server.seen.is_none() {
            let _ = writeln!(text, "{}: has not answered", server.name);
        }
    }
    let all_seen = text.is_empty();
    let requirements = failover::requirements(&view, &policy);
    for requirement in &requirements {
        let _ = writeln!(text, "{requirement}");
    }
    if text.is_empty() {
        text.push_str("nothing is missing: a dead primary can be replaced, and what was acknowledged survives\n");
    }
    let said = cli::say(text.trim_end());
    let is_serious = |promise: Promise| matches!(promise, Promise::Promotion | Promise::Lossless);
    let is_good = all_seen && !requirements.iter().any(|requirement| is_serious(requirement.promise));
    Ok(if is_good { said } else { ExitCode::FAILURE })
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
