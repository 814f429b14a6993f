//! What a person can ask of the monitor: its status, and a change of the primary.

use std::time::Duration;

use failover::{Durability, Requirement};
use tokio::sync::{mpsc, oneshot, watch};
use topology::{ClusterView, ShareChange};

use crate::settings::{FailoverSettings, Settings};

/// Requests that may wait for the monitor.
pub(crate) const COMMANDS_QUEUED_MAX: usize = 16;

/// A request, with the channel for its answer.
#[derive(Debug)]
pub(crate) enum Command {
    Status(oneshot::Sender<Status>),
    Change(Change, oneshot::Sender<Result<String, String>>),
    Rebuild(String, oneshot::Sender<Result<String, String>>),
    Set(String, ShareChange, oneshot::Sender<Result<String, String>>),
    Reload(Box<(Settings, FailoverSettings)>, oneshot::Sender<Result<(), String>>),
    Suspend(oneshot::Sender<Result<(), String>>),
    Resume,
}

/// A change of primary that a person asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    /// Another primary while the present one is well.
    Switchover {
        /// Its name in the config; without it the best fit.
        to: Option<String>,
        /// How long open transactions get to end.
        drain: Duration,
        /// If the new primary has not taken over after this time, the old one goes on.
        limit: Duration,
    },
    /// A promotion in place of a primary that is down.
    Failover {
        /// Its name in the config; without it the best fit.
        to: Option<String>,
        /// Go on although acknowledged writes may be lost.
        accept_loss: bool,
    },
}

/// The servers, the finding, and what is done about it.
#[derive(Clone, Debug)]
pub struct Status {
    /// All servers, as failover sees them.
    pub view: ClusterView,
    /// The name of the situation.
    pub finding: &'static str,
    /// How bad it is.
    pub severity: &'static str,
    /// What is seen, what is done, and what a person must do.
    pub text: String,
    /// What a promotion may cost, as the servers are set up now.
    pub durability: Durability,
    /// What the promises need that the servers lack.
    pub requirements: Vec<Requirement>,
}

/// The way to the monitor's task.
#[derive(Clone, Debug)]
pub struct Control {
    commands: mpsc::Sender<Command>,
    settings: watch::Receiver<Settings>,
}

/// The monitor has ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the monitor has ended")]
pub struct MonitorEnded;

impl Control {
    pub(crate) fn new(commands: mpsc::Sender<Command>, settings: watch::Receiver<Settings>) -> Control {
        Control { commands, settings }
    }

    /// The monitor's settings in force.
    pub fn settings(&self) -> watch::Receiver<Settings> {
        self.settings.clone()
    }

    /// Applies other settings; or returns why not, and changes nothing.
    pub async fn reload(&self, settings: Settings, failover: FailoverSettings) -> Result<Result<(), String>, MonitorEnded> {
        let (reply, answer) = oneshot::channel();
        let command = Command::Reload(Box::new((settings, failover)), reply);
        self.commands.send(command).await.map_err(|_| MonitorEnded)?;
        answer.await.map_err(|_| MonitorEnded)
    }

    /// The present status.
    pub async fn status(&self) -> Result<Status, MonitorEnded> {
        let (reply, answer) = oneshot::channel();
        self.commands.send(Command::Status(reply)).await.map_err(|_| MonitorEnded)?;
        answer.await.map_err(|_| MonitorEnded)
    }

    /// Asks for a server's data to be replaced by a copy of the primary's (MySQL's CLONE), and waits until the server stops to use it.
    pub async fn rebuild(&self, server: String) -> Result<Result<String, String>, MonitorEnded> {
        let (reply, answer) = oneshot::channel();
        self.commands.send(Command::Rebuild(server, reply)).await.map_err(|_| MonitorEnded)?;
        answer.await.map_err(|_| MonitorEnded)
    }

    /// Changes a server's share of the traffic: what was done, or why it was not. It stays so until Pointsman ends, or other settings name another share
    /// than before.
    pub async fn set(&self, server: String, change: ShareChange) -> Result<Result<String, String>, MonitorEnded> {
        let (reply, answer) = oneshot::channel();
        self.commands.send(Command::Set(server, change, reply)).await.map_err(|_| MonitorEnded)?;
        answer.await.map_err(|_| MonitorEnded)
    }

    /// Has it look at the servers only, so that another process can decide; or returns why not. Waits until no work on the servers is in progress.
    pub async fn suspend(&self) -> Result<Result<(), String>, MonitorEnded> {
        let (reply, answer) = oneshot::channel();
        self.commands.send(Command::Suspend(reply)).await.map_err(|_| MonitorEnded)?;
        answer.await.map_err(|_| MonitorEnded)
    }

    /// Ends [`Control::suspend`].
    pub async fn resume(&self) -> Result<(), MonitorEnded> {
        self.commands.send(Command::Resume).await.map_err(|_| MonitorEnded)
    }

    /// Asks for a change of primary and waits for its end: what was done, or why it was not.
    pub async fn change(&self, change: Change) -> Result<Result<String, String>, MonitorEnded> {
        let (reply, answer) = oneshot::channel();
        self.commands.send(Command::Change(change, reply)).await.map_err(|_| MonitorEnded)?;
        answer.await.map_err(|_| MonitorEnded)
    }
}
