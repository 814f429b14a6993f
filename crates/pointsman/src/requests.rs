//! What a running Pointsman is asked for, by signals and by the admin API, that concerns the process as a whole: to read its configuration again, to let another
//! process take over, to end.

use std::path::PathBuf;

use frontend::{Handles, Running};
use net::ListenerHandle;
use sd_notify::NotifyState;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::{mpsc, oneshot};

use crate::expiry;
use crate::reload::Reloader;
use crate::sockets::{LISTEN_ADDRESS, LISTEN_SOCKET};
use crate::successor;
use crate::watch::FileWatch;

/// The signals that a process is sent by people and by service managers.
pub(crate) struct Signals {
    terminate: Signal,
    interrupt: Signal,
    /// Read the configuration again.
    hangup: Signal,
    /// Start a successor.
    user2: Signal,
}

impl Signals {
    pub(crate) fn new() -> std::io::Result<Self> {
        Ok(Self {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
            hangup: signal(SignalKind::hangup())?,
            user2: signal(SignalKind::user_defined2())?,
        })
    }

    /// One that says that the process is to end.
    pub(crate) async fn end(&mut self) {
        either(&mut self.terminate, &mut self.interrupt).await;
    }
}

async fn either(one: &mut Signal, other: &mut Signal) {
    tokio::select! {
        _ = one.recv() => {}
        _ = other.recv() => {}
    }
}

/// Why a process stops accepting clients.
pub(crate) enum End {
    Signal,
    /// Another process accepts them.
    Successor,
}

/// Requests of one kind, each with the channel for its result.
type Requests = mpsc::Receiver<oneshot::Sender<Result<String, String>>>;

/// The channel for the result of a request, if somebody waits for it.
type Reply = Option<oneshot::Sender<Result<String, String>>>;

enum Request {
    Reload(Reply),
    Upgrade(Reply),
}

/// What it can be asked for, and what that needs.
pub(crate) struct Work<'r> {
    pub(crate) program: PathBuf,
    pub(crate) control: monitor::Control,
    pub(crate) admin_handles: Vec<(&'static str, ListenerHandle)>,
    pub(crate) running: &'r Running,
    pub(crate) reloader: Reloader<'r>,
    pub(crate) reloads: Requests,
    pub(crate) upgrades: Requests,
}

impl Work<'_> {
    /// Does what it is asked for, one thing after the other, until the process is to end.
    pub(crate) async fn serve(mut self, signals: &mut Signals) -> End {
        let mut watch = FileWatch::new(self.reloader.files()).await;
        // The first tick comes at once.
        let mut expiry_check = tokio::time::interval(expiry::INTERVAL);
        loop {
            let Signals { terminate, interrupt, hangup, user2 } = &mut *signals;
            let request = tokio::select! {
                () = either(terminate, interrupt) => return End::Signal,
                _ = hangup.recv() => Request::Reload(None),
                _ = user2.recv() => Request::Upgrade(None),
                Some(reply) = self.reloads.recv() => Request::Reload(Some(reply)),
                Some(reply) = self.upgrades.recv() => Request::Upgrade(Some(reply)),
                () = watch.changed(), if self.reloader.watches_file() => Request::Reload(None),
                _ = expiry_check.tick() => {
                    self.reloader.warn_of_expiry();
                    continue;
                }
            };
            let work = async {
                match request {
                    Request::Reload(reply) => {
                        watch.note_read().await;
                        let outcome = self.reloader.reload().await;
                        watch.follow(self.reloader.files()).await;
                        (reply, outcome, false)
                    }
                    Request::Upgrade(reply) => {
                        let outcome = self.upgrade().await;
                        let is_done = outcome.is_ok();
                        (reply, outcome, is_done)
                    }
                }
            };
            let (reply, outcome, is_over) = tokio::select! {
                done = work => done,
                () = either(terminate, interrupt) => return End::Signal,
            };
            // The client may have left.
            let _ = reply.map(|reply| reply.send(outcome));
            if is_over {
                return End::Successor;
            }
        }
    }

    /// Starts a process that takes over; returns what happened.
    async fn upgrade(&self) -> Result<String, String> {
        let sockets = all_sockets(self.running, &self.admin_handles);
        tracing::info!(program = %self.program.display(), "starting a process that takes over");
        match successor::start(&self.program, &sockets, &self.control, self.reloader.servers()).await {
            Ok(process) => {
                for (_, handle) in &sockets {
                    handle.leave_file();
                }
                notify(NotifyState::MainPid(process));
                tracing::info!(process, "another process has taken over");
                Ok(format!("process {process} has taken over; process {} ends when its sessions have", std::process::id()))
            }
            Err(why) => {
                tracing::error!(why, "no other process has taken over, this one goes on");
                Err(why)
            }
        }
    }
}

/// What passes on each socket of this process, with its key.
pub(crate) fn all_sockets<'a>(
    running: &'a Running,
    admin: &'a [(&'static str, ListenerHandle)],
) -> Vec<(&'static str, &'a ListenerHandle)> {
    let Handles { tcp, unix } = running.handles();
    let mut sockets = vec![(LISTEN_ADDRESS, tcp)];
    sockets.extend(unix.as_ref().map(|unix| (LISTEN_SOCKET, unix)));
    sockets.extend(admin.iter().map(|(key, handle)| (*key, handle)));
    sockets
}

/// Tells systemd, if that has started this process (`sd_notify(3)`).
pub(crate) fn notify(state: NotifyState<'_>) {
    if let Err(error) = sd_notify::notify(&[state]) {
        tracing::warn!(%error, "systemd cannot be told the state of this service");
    }
}
