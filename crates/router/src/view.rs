//! What binds a session, as far as routing has to know it.

use std::time::Instant;

use classifier::PinKind;
use session::OpenTransaction;
use topology::{Position, ServerId};

use crate::Steering;

/// A session's view of itself at the moment of one statement.
#[derive(Debug, Clone, Copy, Default)]
pub struct SessionView<'a> {
    /// The open transaction.
    pub transaction: Option<OpenTransaction>,
    /// `autocommit = 0`: every statement belongs to a transaction.
    pub is_autocommit_off: bool,
    /// What it has chosen for its transactions.
    pub isolation: Isolation,
    /// Another pin that binds its reads to the primary, the first of several.
    pub pin: Option<PinKind>,
    /// The server on whose connection the session's pins live (temporary tables, user variables ...).
    pub home: Option<ServerId>,
    /// Everything that it has there is known, and can be set on another server.
    pub may_leave_home: bool,
    /// Where its previous statement ran.
    pub previous: Previous,
    /// The connection that knew what `LAST_INSERT_ID()` is was lost.
    pub insert_id_is_lost: bool,
    /// The servers to which it holds connections.
    pub held: &'a [ServerId],
    /// When the last statement was answered that may have written what this session must see (its own, its account's or any session's, depending on
    /// the configuration). A replica must have everything from before that moment.
    pub wrote_at: Option<Instant>,
    /// What that write has committed on the present primary, if it is the session's own and the server has reported it. A replica that has this has
    /// all of the session's writes, whenever it was last proven fresh.
    pub committed: Option<&'a Position>,
    /// Replicas that have reported that they have it, and when.
    pub proven: &'a [(ServerId, Instant)],
    /// Servers that have just failed this statement.
    pub avoid: &'a [ServerId],
    /// What rules and hints ask for.
    pub steering: Steering<'a>,
}

/// An isolation level, as far as it decides where a transaction may read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Isolation {
    /// Each statement reads what was committed when it began.
    ReadCommitted,
    /// Any other, or the servers' default.
    #[default]
    Other,
}

/// The connection on which the previous statement ran, which remembers its row count and its warnings.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Previous {
    /// There was no statement, or none that left anything to ask about.
    #[default]
    Nothing,
    /// To this server, and held.
    On(ServerId),
    /// Given back, or broken.
    Lost,
}
