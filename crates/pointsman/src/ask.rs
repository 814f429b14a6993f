//! `pointsman status`, `sessions`, `digests`, `set`, `switchover` and others: what a person asks of a running Pointsman.

mod table;

use std::fmt::Write as _;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use admin::Reply;
use anyhow::{Context as _, bail};
use serde_json::{Value, json};

use crate::check;
use crate::cli::{self, Running};
use crate::config::Config;
use crate::run::runtime;

/// Prints the status, for people or as the API's JSON.
pub(crate) fn status(running: &Running, as_json: bool) -> anyhow::Result<ExitCode> {
    let reply = ask(running, "/api/status", None)?;
    if as_json {
        return Ok(cli::say(&reply.text));
    }
    Ok(cli::say(&described(&serde_json::from_str(&reply.text).context("the answer is no JSON")?)))
}

/// The last entries of the journal, one JSON object a line.
pub(crate) fn journal(running: &Running, last: usize) -> anyhow::Result<ExitCode> {
    let reply = ask(running, &format!("/api/journal?last={last}"), None)?;
    let entries: Vec<Value> = serde_json::from_str(&reply.text).context("the answer is no JSON")?;
    Ok(cli::say(&entries.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n")))
}

/// Prints the sessions.
pub(crate) fn sessions(running: &Running, as_json: bool) -> anyhow::Result<ExitCode> {
    let columns = ["id", "user", "peer", "schema", "state", "state_ms", "server", "pin", "statements", "digest"];
    list(running, "/api/sessions", &columns, as_json)
}

/// Prints the statistics of digests.
pub(crate) fn digests(running: &Running, limit: usize, as_json: bool) -> anyhow::Result<ExitCode> {
    let columns = ["digest", "user", "schema", "server", "because", "count", "errors", "rows_sent", "sum_us", "max_us", "text"];
    list(running, &format!("/api/digests?limit={limit}"), &columns, as_json)
}

/// Prints what the servers' settings lack, as a running Pointsman has seen them.
pub(crate) fn doctor(running: &Running) -> anyhow::Result<ExitCode> {
    let reply = ask(running, "/api/doctor", None)?;
    if !reply.is_success {
        bail!("{}", reply.text.trim());
    }
    Ok(check::diagnosed(&serde_json::from_str(&reply.text).context("the answer is no JSON")?))
}

/// Begins them anew.
pub(crate) fn reset_digests(running: &Running) -> anyhow::Result<ExitCode> {
    done(&ask(running, "/api/digests/reset", Some(json!({})))?)
}

/// Stops a session, or its statement.
pub(crate) fn kill(running: &Running, session: u32, only_statement: bool) -> anyhow::Result<ExitCode> {
    done(&ask(running, "/api/kill", Some(json!({ "session": session, "only_statement": only_statement })))?)
}

fn list(running: &Running, path: &str, columns: &[&str], as_json: bool) -> anyhow::Result<ExitCode> {
    let reply = ask(running, path, None)?;
    if !reply.is_success {
        bail!("{}", reply.text.trim());
    }
    if as_json {
        return Ok(cli::say(&reply.text));
    }
    let rows: Vec<Value> = serde_json::from_str(&reply.text).context("the answer is no JSON")?;
    Ok(cli::say(&table::render(columns, &rows)))
}

/// Has the configuration file read again.
pub(crate) fn reload(running: &Running) -> anyhow::Result<ExitCode> {
    done(&ask(running, "/api/reload", Some(json!({})))?)
}

/// Changes a server's share of the traffic.
pub(crate) fn set(running: &Running, server: &str, weight: Option<u32>, state: Option<&str>) -> anyhow::Result<ExitCode> {
    let change = json!({ "weight": weight, "state": state });
    done(&ask(running, &format!("/api/servers/{}", percent_encoded(server)), Some(change))?)
}

/// As a part of a path: RFC 3986, section 2.3.
fn percent_encoded(name: &str) -> String {
    let is_plain = |byte: &u8| byte.is_ascii_alphanumeric() || b"-._~".contains(byte);
    name.bytes().map(|byte| if is_plain(&byte) { char::from(byte).to_string() } else { format!("%{byte:02X}") }).collect()
}

/// Another primary while the present one is healthy.
pub(crate) fn switchover(
    running: &Running,
    to: Option<&str>,
    drain: Option<Duration>,
    limit: Option<Duration>,
) -> anyhow::Result<ExitCode> {
    let ms = |time: Option<Duration>| time.map(|time| u64::try_from(time.as_millis()).unwrap_or(u64::MAX));
    done(&ask(running, "/api/switchover", Some(json!({ "to": to, "drain_ms": ms(drain), "limit_ms": ms(limit) })))?)
}

/// A new process in place of this one.
pub(crate) fn upgrade(running: &Running) -> anyhow::Result<ExitCode> {
    done(&ask(running, "/api/upgrade", Some(json!({})))?)
}

/// A promotion in place of a primary that is down.
pub(crate) fn failover(running: &Running, to: Option<&str>, accept_loss: bool) -> anyhow::Result<ExitCode> {
    done(&ask(running, "/api/failover", Some(json!({ "to": to, "accept_loss": accept_loss })))?)
}

/// Replaces a server's data by a copy of the primary's, after asking for confirmation.
pub(crate) fn rebuild(running: &Running, server: &str, is_agreed: bool) -> anyhow::Result<ExitCode> {
    if !is_agreed {
        cli::say(&format!("All data of {server} will be replaced by a copy of the primary's. Type its name to go on:"));
        let mut answer = String::new();
        std::io::stdin().read_line(&mut answer).context("no answer")?;
        if answer.trim() != server {
            bail!("nothing was done");
        }
    }
    done(&ask(running, "/api/rebuild", Some(json!({ "server": server })))?)
}

fn done(reply: &Reply) -> anyhow::Result<ExitCode> {
    if !reply.is_success {
        bail!("{}", reply.text);
    }
    Ok(cli::say(&reply.text))
}

fn ask(running: &Running, path: &str, body: Option<Value>) -> anyhow::Result<Reply> {
    let socket = socket_of(running)?;
    Ok(runtime()?.block_on(async {
        match body {
            None => admin::get(&socket, path).await,
            Some(body) => admin::post(&socket, path, body.to_string()).await,
        }
    })?)
}

/// The admin socket of the Pointsman that is meant.
pub(crate) fn socket_of(running: &Running) -> anyhow::Result<PathBuf> {
    if let Some(socket) = &running.socket {
        return Ok(socket.clone());
    }
    let Some(path) = &running.config else { bail!("say which Pointsman: --config FILE or --socket PATH") };
    Config::load(path)?.admin.socket.with_context(|| format!("{} has no [admin] socket", path.display()))
}

/// A table of the servers, and the finding.
fn described(status: &Value) -> String {
    let text = |value: &Value, key: &str| value.get(key).and_then(Value::as_str).unwrap_or("-").to_owned();
    let mut lines = format!(
        "primary: {} (epoch {}, a promotion is {})\n{}: {}\n",
        text(status, "primary"),
        status.get("epoch").and_then(Value::as_u64).unwrap_or_default(),
        text(status, "durability"),
        text(status, "finding"),
        text(status, "text")
    );
    for server in status.get("servers").and_then(Value::as_array).into_iter().flatten() {
        // Writing to a string cannot fail.
        let _ = write!(
            lines,
            "\n  {:<12} {:<8} {:<8} weight {:<4} {:<12} {}",
            text(server, "name"),
            text(server, "role"),
            text(server, "condition"),
            server.get("weight").and_then(Value::as_u64).unwrap_or_default(),
            text(server, "state"),
            text(server, "position")
        );
        if let Some(source) = server.get("follows").and_then(Value::as_str) {
            let _ = write!(
                lines,
                ", follows {source} (receiving {}, applying {})",
                text(server, "receiving"),
                text(server, "applying")
            );
        }
        for key in ["why", "diverged"] {
            if let Some(words) = server.get(key).and_then(Value::as_str) {
                let _ = write!(lines, "\n  {:<12} {words}", "");
            }
        }
    }
    for warning in status.get("warnings").and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str) {
        let _ = write!(lines, "\n  warning: {warning}");
    }
    lines
}
