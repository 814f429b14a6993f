//! `pointsman upgrade`: a new process of the program on disk takes over the listening sockets, and this one drains.
//!
//! Both have the same sockets meanwhile, so no client is refused. The new process is told of the sockets as systemd would tell it. Until it has looked at the
//! servers and accepts clients, this one goes on as if nothing had happened, but for changes of primary: only one of the two may decide about them. If it
//! ends before, or takes too long, nothing has changed.

use std::env;
use std::io;
use std::os::fd::AsFd as _;
use std::path::PathBuf;
use std::process::Stdio;
use std::time::Duration;

use anyhow::Context as _;
use command_fds::{CommandFdExt as _, FdMapping};
use monitor::Control;
use net::ListenerHandle;
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::process::{Child, Command};
use tokio::time::timeout;
use topology::{ServerState, Share, ShareChange};

use crate::config::Server;

/// The argument of `run` that makes a process a successor.
const ARGUMENT: &str = "--take-over";

/// What it writes to its standard output once it accepts clients.
const READY: &str = "ready";

/// The keys of the Unix sockets whose files the new process removes at its end, as the former one made them. Those that systemd made stay.
const FILES: &str = "POINTSMAN_FILES";

/// What a person has set, for the new process.
const SHARES: &str = "POINTSMAN_SHARES";

/// From its start until it accepts clients: a look at all servers, each of which may hang.
const START_LIMIT: Duration = Duration::from_mins(1);

/// Until work on the servers that is in progress has ended.
const REST_LIMIT: Duration = Duration::from_secs(10);

/// The first number of the passed sockets, by `sd_listen_fds(3)`.
const FIRST_FD: i32 = 3;

/// The program of this process. To be asked at the start: later the file may be another one.
pub(crate) fn program() -> io::Result<PathBuf> {
    env::current_exe()
}

/// Starts a process that takes over these sockets, each with its key. Returns its number once it accepts clients; from then on this process decides nothing.
pub(crate) async fn start(
    program: &PathBuf,
    sockets: &[(&str, &ListenerHandle)],
    control: &Control,
    configured: &[Server],
) -> Result<u32, String> {
    let suspended = timeout(REST_LIMIT, control.suspend()).await;
    suspended
        .map_err(|_| format!("roles of servers have been changing for {} s: try again once that is over", REST_LIMIT.as_secs()))?
        .map_err(|ended| ended.to_string())??;
    let outcome = async {
        let shares = shares(control, configured).await?;
        let child = Starting(Some(spawn(program, sockets, &shares)?));
        child.ready().await
    };
    let outcome = outcome.await.map_err(|error| format!("{}: {error:#}", program.display()));
    if outcome.is_err() {
        // If the monitor has ended, so has the process, nearly.
        let _ = control.resume().await;
    }
    outcome
}

fn spawn(program: &PathBuf, sockets: &[(&str, &ListenerHandle)], shares: &Value) -> anyhow::Result<Child> {
    let mut mappings = Vec::new();
    for ((_, socket), child_fd) in sockets.iter().zip(FIRST_FD..) {
        mappings.push(FdMapping { parent_fd: socket.as_fd().try_clone_to_owned()?, child_fd });
    }
    let names: Vec<&str> = sockets.iter().map(|(key, _)| *key).collect();
    let files: Vec<&str> = sockets.iter().filter(|(_, socket)| socket.removes_file()).map(|(key, _)| *key).collect();
    let mut command = Command::new(program);
    command
        .args(env::args_os().skip(1).filter(|argument| argument != ARGUMENT))
        .arg(ARGUMENT)
        .env("LISTEN_FDS", sockets.len().to_string())
        .env("LISTEN_FDNAMES", names.join(":"))
        .env_remove("LISTEN_PID")
        .env(FILES, files.join(":"))
        .env(SHARES, shares.to_string())
        .stdin(Stdio::null())
        .stdout(Stdio::piped());
    command.fd_mappings(mappings).context("two sockets have one number")?.spawn().context("cannot be started")
}

/// A process that is killed unless it gets ready.
struct Starting(Option<Child>);

impl Starting {
    async fn ready(mut self) -> anyhow::Result<u32> {
        let child = self.0.as_mut().context("it has ended")?;
        let said = child.stdout.take().context("its output is missing")?;
        let mut line = String::new();
        let is_read = timeout(START_LIMIT, BufReader::new(said).read_line(&mut line)).await;
        is_read.with_context(|| format!("did not accept clients within {} s", START_LIMIT.as_secs()))??;
        if line.trim_end() != READY {
            let status = child.wait().await?;
            anyhow::bail!("ended before it accepted clients ({status}); its log says why");
        }
        let id = child.id().context("it has ended")?;
        self.0 = None;
        Ok(id)
    }
}

impl Drop for Starting {
    fn drop(&mut self) {
        if let Some(mut child) = self.0.take() {
            // It may have ended by itself.
            let _ = child.start_kill();
        }
    }
}

/// Says to the predecessor that it can go, and takes over the files of its sockets. Until then they are the predecessor's, who goes on if this process ends.
#[expect(clippy::print_stdout, reason = "the predecessor reads it")]
pub(crate) fn announce(sockets: &[(&str, &ListenerHandle)]) {
    let files = env::var(FILES).unwrap_or_default();
    for (key, socket) in sockets {
        if files.split(':').any(|file| file == *key) {
            socket.take_file();
        }
    }
    println!("{READY}");
}

/// Each server whose share a person has changed: its name, what the configuration says, and what is in force.
async fn shares(control: &Control, configured: &[Server]) -> anyhow::Result<Value> {
    let status = control.status().await?;
    let changed = status.view.servers.iter().filter_map(|server| {
        let before = configured.iter().find(|configured| configured.id == server.id)?.share;
        (server.share != before).then(|| json!([&*server.name, text(before), text(server.share)]))
    });
    Ok(changed.collect())
}

fn text(share: Share) -> Value {
    json!([share.weight, share.state.name()])
}

/// Sets what a person has set at the predecessor, unless the configuration says something else by now.
pub(crate) async fn take_over_shares(control: &Control, configured: &[Server]) {
    let Ok(passed) = env::var(SHARES) else { return };
    for (server, before, share) in read_shares(&passed) {
        if configured.iter().any(|known| *known.name == *server && known.share == before) {
            let change = ShareChange { weight: Some(share.weight), state: Some(share.state) };
            // The monitor is here, and has this server.
            let _ = control.set(server, change).await;
        }
    }
}

fn read_shares(passed: &str) -> Vec<(String, Share, Share)> {
    let share = |value: &Value| {
        let weight = value.get(0)?.as_u64()?.try_into().ok()?;
        Some(Share { weight, state: ServerState::named(value.get(1)?.as_str()?)? })
    };
    let entry = |value: &Value| Some((value.get(0)?.as_str()?.to_owned(), share(value.get(1)?)?, share(value.get(2)?)?));
    let passed: Vec<Value> = serde_json::from_str(passed).unwrap_or_default();
    passed.iter().filter_map(entry).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_are_read_as_they_were_written() {
        let before = Share::default();
        let after = Share { weight: 7, state: ServerState::Drain };
        let passed = json!([["db \"2\"", text(before), text(after)], ["cut", 1], 5]);
        assert_eq!(read_shares(&passed.to_string()), [("db \"2\"".to_owned(), before, after)]);
        assert_eq!(read_shares("no JSON"), []);
    }
}
