//! The binary log, for tools that follow it (change data capture). They log in as a client, say that they are a replica, and get events for as long as
//! they stay.

use classifier::{Effects, Pin, SessionEffect, Statement, Verb};
use net::Link;
use router::Steering;
use wire::Expect;

use super::exchange::Request;
use super::{Core, Ended, session_statement};
use crate::packet::Packet;
use crate::reply::Refusal;

impl Core {
    /// Passes a command on to the primary, if the configuration says so. It needs the right to that there (`REPLICATION SLAVE`).
    ///
    /// It is no write that a switchover would have to wait for, and it is never sent again. No other session gets its connection.
    pub(super) async fn follow_binlog(&mut self, client: &mut Link, packet: &mut Packet, expect: Expect) -> Result<(), Ended> {
        if !self.settings.binlog_commands {
            return self.reply(client, &Refusal::no_binlog()).await;
        }
        let pin = vec![SessionEffect::Pin(Pin::Connection)];
        let statement = Statement { effects: Effects::THIS_SERVER, ..session_statement(Verb::Other, pin) };
        self.forward(client, &statement, Steering::default(), Request::whole(packet, expect)).await?;
        if let Some(home) = self.session.binding.home() {
            self.held.iter_mut().filter(|lease| lease.server() == home).for_each(backend::Lease::keep_from_others);
        }
        Ok(())
    }
}
