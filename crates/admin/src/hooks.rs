//! Commands of the configuration that are run before and after a promotion.

use std::process::Stdio;
use std::time::Duration;

use monitor::Moment;
use tokio::io::AsyncWriteExt as _;
use tokio::process::Command;
use tokio::time::timeout;

/// What to run, each a program and its arguments; empty for nothing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Hooks {
    /// Before the first step of a promotion, which waits for its end or its time limit, and goes on whatever the result.
    pub before: Vec<String>,
    /// After the new primary was opened.
    pub after: Vec<String>,
    /// A command that runs longer is killed.
    pub timeout: Duration,
}

impl Hooks {
    /// The command for a moment, if there is one.
    pub(crate) fn command(&self, moment: Moment) -> Option<&[String]> {
        let command = match moment {
            Moment::Before => &self.before,
            Moment::After => &self.after,
        };
        (!command.is_empty()).then_some(command)
    }
}

/// Runs a command with `event` on its standard input, and returns its result as text.
pub(crate) async fn run(command: Vec<String>, event: String, limit: Duration) -> String {
    match timeout(limit, try_run(&command, &event)).await {
        Ok(Ok(outcome)) => outcome,
        Ok(Err(error)) => format!("cannot be run: {error}"),
        Err(_) => format!("killed: it took longer than {}", humantime::format_duration(limit)),
    }
}

async fn try_run(command: &[String], event: &str) -> std::io::Result<String> {
    let [program, arguments @ ..] = command else { return Ok("nothing to run".to_owned()) };
    let mut child = Command::new(program)
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .kill_on_drop(true)
        .spawn()?;
    if let Some(mut stdin) = child.stdin.take() {
        // A command need not read its input.
        let _ = stdin.write_all(event.as_bytes()).await;
        let _ = stdin.write_all(b"\n").await;
    }
    Ok(child.wait().await?.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(command: &[&str]) -> Vec<String> {
        command.iter().map(|word| (*word).to_owned()).collect()
    }

    #[tokio::test]
    async fn a_command_reads_the_event_and_its_status_is_reported() {
        let run = |command: &[&str], limit| run(words(command), "{\"event\":\"promoted\"}".to_owned(), limit);
        let minute = Duration::from_mins(1);
        assert_eq!(run(&["grep", "-q", "promoted"], minute).await, "exit status: 0");
        assert_eq!(run(&["grep", "-q", "demoted"], minute).await, "exit status: 1");
        assert!(run(&["/nowhere/to/be/found"], minute).await.starts_with("cannot be run"), "it is named");
        assert_eq!(run(&["sleep", "60"], Duration::from_millis(50)).await, "killed: it took longer than 50ms");
    }
}
