//! Cursors: a result that stays on the server until its rows are fetched.
//!
//! A cursor lives on one connection, so it is a pin. It ends with its last row, and when its statement is executed again, reset or closed, or when a
//! transaction ends; not every one of these is seen, so a cursor may be taken for open for longer than it is.

use classifier::{Effects, Statement, Verb};
use net::Link;
use router::Steering;
use wire::error_code::ER_STMT_HAS_NO_OPEN_CURSOR;

use super::exchange::Request;
use super::{Core, Ended, session_statement};
use crate::packet::Packet;
use crate::reply::Refusal;

impl Core {
    /// `COM_STMT_FETCH`
    pub(super) async fn fetch(&mut self, client: &mut Link, id: u32, packet: &mut Packet) -> Result<(), Ended> {
        if self.statements.get(id).is_none() {
            return self.reply(client, &Refusal::unknown_statement(id, "mysqld_stmt_fetch")).await;
        }
        if !self.session.binding.has_cursor(id) {
            let refusal = Refusal::new(ER_STMT_HAS_NO_OPEN_CURSOR, format!("the statement ({id}) has no open cursor"));
            return self.reply(client, &refusal).await;
        }
        self.forward(client, &about_cursor(), Steering::default(), Request::fetch(packet, id)).await.map(drop)
    }

    /// `COM_STMT_RESET` of a statement whose rows wait on its server.
    pub(super) async fn close_cursor(&mut self, client: &mut Link, id: u32, packet: &mut Packet) -> Result<(), Ended> {
        self.forward(client, &about_cursor(), Steering::default(), Request::reset_statement(packet, id)).await.map(drop)
    }
}

/// What stands for a command about a cursor: it runs where the cursor is, which is the primary.
fn about_cursor() -> Statement {
    Statement { effects: Effects::PRIMARY_SESSION, ..session_statement(Verb::Execute, Vec::new()) }
}
