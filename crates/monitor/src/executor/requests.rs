//! What a person asks for, until it is done, refused, or undone.

use failover::{Finding, Request};
use tokio::sync::oneshot;
use tokio::time::Instant;
use topology::{ClusterView, ServerView};

use super::{Executor, progress};
use crate::control::Change;

/// What a person waits for.
#[derive(Debug)]
pub(super) struct Asked {
    pub(super) request: Request,
    pub(super) reply: Option<oneshot::Sender<Result<String, String>>>,
}

impl Executor {
    /// What a person asks for begins with the next look.
    pub(crate) fn ask(&mut self, view: &ClusterView, change: &Change, reply: oneshot::Sender<Result<String, String>>) {
        let now = Instant::now().into_std();
        let (Change::Switchover { to, .. } | Change::Failover { to, .. }) = change;
        let to = match to.as_deref().map(|wanted| server_named(view, wanted)).transpose() {
            Ok(server) => server.map(|server| server.id),
            Err(why) => {
                // The asker may have gone.
                let _ = reply.send(Err(why));
                return;
            }
        };
        if self.asked.is_some() {
            let _ = reply.send(Err("another change is under way; see `pointsman status`".to_owned()));
            return;
        }
        let request = match change {
            Change::Switchover { drain, limit, .. } => {
                Request::Switchover { to, drain_until: now + *drain, give_up_at: now + *drain + *limit }
            }
            Change::Failover { accept_loss, .. } => Request::Failover { to, accept_loss: *accept_loss },
        };
        self.asked = Some(Asked { request, reply: Some(reply) });
    }

    pub(super) fn answer_request(&mut self, finding: &Finding) {
        if let (Finding::SwitchingOver { to, .. }, Some(asked)) = (finding, &mut self.asked)
            && let Request::Switchover { to: chosen @ None, .. } = &mut asked.request
        {
            *chosen = Some(to.id);
        }
        let Some(outcome) = self.asked.as_ref().and_then(|_| progress::answer(finding)) else { return };
        if let Some(reply) = self.asked.take().and_then(|asked| asked.reply) {
            // The asker may have gone.
            let _ = reply.send(outcome);
        }
    }

    /// Whether a person accepts that writes on servers which do not answer may be lost.
    pub(super) fn accepts_loss(&self) -> bool {
        self.asked.as_ref().is_some_and(|asked| matches!(asked.request, Request::Failover { accept_loss: true, .. }))
    }

    /// Refuses a failover, so that no one waits for servers that may never come back. A switchover has its own time limit.
    pub(super) fn refuse_failover(&mut self, why: &str) {
        let Some(asked) = self.asked.take_if(|asked| matches!(asked.request, Request::Failover { .. })) else { return };
        if let Some(reply) = asked.reply {
            // The asker may have gone.
            let _ = reply.send(Err(format!("not done: {why}")));
        }
    }

    /// No transaction is open any more, so the rest of their time is not needed, and the time limit moves forward by it.
    pub(super) fn end_of_transactions(&mut self) {
        if let Some(Asked { request: Request::Switchover { drain_until, give_up_at, .. }, .. }) = &mut self.asked {
            let saved = drain_until.saturating_duration_since(Instant::now().into_std());
            *drain_until -= saved;
            *give_up_at -= saved;
        }
    }
}

/// The server with the name that a person gave.
pub(crate) fn server_named<'v>(view: &'v ClusterView, wanted: &str) -> Result<&'v ServerView, String> {
    view.servers.iter().find(|server| *server.name == *wanted).ok_or_else(|| {
        let names: Vec<&str> = view.servers.iter().map(|server| &*server.name).collect();
        format!("no server has the name {wanted:?}; there are {}", names.join(", "))
    })
}
