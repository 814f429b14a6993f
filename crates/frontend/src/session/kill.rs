//! `KILL`, and the number that it takes.
//!
//! A session has a number of its own, which the client gets in the greeting and by `SELECT CONNECTION_ID()`; its connections to servers have the
//! servers' numbers, which `SHOW PROCESSLIST` shows. The two never meet: a session's begin at [`crate::registry::FIRST_ID`]. So a `KILL` of a
//! session's number is carried out here, whichever server its statement runs on, for sessions of the same account; any other number is the
//! primary's, and the primary decides.

use classifier::{Context, KillScope, KillTarget, Reason, Statement, Verb};
use net::Link;
use router::Steering;
use wire::Expect;

use super::exchange::Request;
use super::{Core, Ended, session_statement};
use crate::packet::Packet;
use crate::registry::{Kill, Signal, is_session_id};
use crate::reply::{self, Refusal};

/// What Pointsman answers by itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum OwnAnswer {
    /// The session's number, in a column of this name.
    ConnectionId(Vec<u8>),
    /// Stop a session or its statement. `None`: the client's own.
    Kill(Signal, Option<u64>),
}

/// Whether Pointsman answers this statement.
pub(super) fn own_answer(statement: &Statement, sql: &[u8], context: &Context<'_>) -> Option<OwnAnswer> {
    match statement.verb {
        Verb::Select if statement.because == Reason::PrimarySessionFunction => {
            classifier::asked_connection_id(sql, context).map(|name| OwnAnswer::ConnectionId(name.to_vec()))
        }
        Verb::Kill => {
            let kill = classifier::kill(sql, context)?;
            let signal = match kill.scope {
                KillScope::Connection => Signal::KILL_SESSION,
                KillScope::Query => Signal::KILL_QUERY,
                KillScope::QueryId => return None,
            };
            match kill.target {
                KillTarget::Own => Some(OwnAnswer::Kill(signal, None)),
                KillTarget::Number(id) if is_session_id(id) => Some(OwnAnswer::Kill(signal, Some(id))),
                KillTarget::Number(_) | KillTarget::Other => None,
            }
        }
        _ => None,
    }
}

impl Core {
    pub(super) async fn answer_own(&mut self, client: &mut Link, answer: OwnAnswer) -> Result<(), Ended> {
        match answer {
            OwnAnswer::ConnectionId(column) => {
                let packet =
                    reply::number(self.answer_sequence, &column, u64::from(self.entry.id()), self.status(), self.capabilities);
                self.say(client, &packet).await
            }
            OwnAnswer::Kill(signal, id) => self.kill(client, signal, id).await,
        }
    }

    /// `COM_PROCESS_KILL`
    pub(super) async fn process_kill(&mut self, client: &mut Link, id: u32, packet: &mut Packet) -> Result<(), Ended> {
        if is_session_id(id.into()) {
            return self.kill(client, Signal::KILL_SESSION, Some(id.into())).await;
        }
        let statement = Statement { effects: classifier::Effects::WRITE_DATA, ..session_statement(Verb::Kill, Vec::new()) };
        self.forward(client, &statement, Steering::default(), Request::whole(packet, Expect::Ok)).await.map(drop)
    }

    async fn kill(&mut self, client: &mut Link, signal: Signal, id: Option<u64>) -> Result<(), Ended> {
        let own = u64::from(self.entry.id());
        let id = id.unwrap_or(own);
        if id == own {
            // ER_QUERY_INTERRUPTED, as from a server to a session that kills itself.
            let interrupted = Refusal::interrupted();
            return match signal {
                Signal::KILL_SESSION => Err(self.dismiss(client, &interrupted, self.answer_sequence).await),
                _ => self.reply(client, &interrupted).await,
            };
        }
        match self.worker.shared.sessions.kill(id, &self.entry.options().account, signal) {
            Kill::Told => self.reply_ok(client).await,
            Kill::Unknown => self.reply(client, &Refusal::unknown_thread(id)).await,
            Kill::NotOwner => self.reply(client, &Refusal::not_owner(id)).await,
        }
    }
}
