//! Which servers can take over, and which of them should.

use std::cmp::Reverse;
use std::fmt;

use topology::{Observation, Position, ServerId, ServerState, ServerView};

use crate::Situation;
use crate::facts::{Named, channels, follows, is_drained, is_free, is_writable, named};
use crate::order::{Order, all, compare};

/// A server that cannot take over.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Exclusion {
    /// The server.
    pub server: Named,
    /// Why.
    pub why: Unfit,
}

/// The reason for which a server cannot take over.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Unfit {
    /// It does not answer.
    Silent,
    /// It has transactions that the primary never had.
    Diverged,
    /// It came back writable after it lost its role.
    Deposed,
    /// It applies what it receives only after a delay.
    Delayed,
    /// By its filters it does not have everything.
    Filtered,
    /// The configuration says so.
    NeverPromote,
    /// A person has put it into maintenance.
    Maintenance,
    /// It keeps no GTIDs.
    NoGtids,
    /// It has no binary log, so no other server can follow it.
    NoBinlog,
    /// Its binary log lacks what it has applied, so others cannot follow it.
    NoLogsApplied,
    /// Its applier stopped on an error before it had applied all that it has received.
    ApplierBroken,
    /// It has less than another server that answers.
    Behind,
    /// A person has named another.
    NotNamed,
}

impl fmt::Display for Unfit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Unfit::Silent => "it does not answer",
            Unfit::Diverged => "it has transactions that the primary does not have",
            Unfit::Deposed => "it came back writable after it lost its role",
            Unfit::Delayed => "it is delayed on purpose",
            Unfit::Filtered => "replication filters leave something out on the way to it",
            Unfit::NeverPromote => "never_promote is set",
            Unfit::Maintenance => "it is in maintenance (`pointsman set` or its state in the configuration)",
            Unfit::NoGtids => "it keeps no GTIDs",
            Unfit::NoBinlog => "log_bin is off",
            Unfit::NoLogsApplied => "log_replica_updates (MariaDB: log_slave_updates) is off",
            Unfit::ApplierBroken => {
                "its applier has stopped on an error: see SHOW REPLICA STATUS (MariaDB: SHOW ALL SLAVES STATUS)"
            }
            Unfit::Behind => "it has less than another server",
            Unfit::NotNamed => "another server was asked for",
        })
    }
}

impl fmt::Display for Exclusion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.server, self.why)
    }
}

/// Why this server cannot take over from `old`, whatever the others have.
pub(crate) fn unfit(situation: &Situation<'_>, server: &ServerView, old: Option<ServerId>) -> Option<Unfit> {
    let Some(seen) = server.seen.as_deref().filter(|_| situation.is_reachable(server)) else { return Some(Unfit::Silent) };
    let is_old = Some(server.id) == old;
    let is_delayed = seen.channels.iter().any(|channel| !channel.delay.is_zero());
    let is_broken = seen.channels.iter().any(|channel| channel.applier_error.is_some());
    let is_followed = |server: &ServerView| situation.servers().any(|other| other.answers() && follows(other, server.id));
    let reasons = [
        // Unless others follow it by now: then it was promoted by another Pointsman or a person.
        (is_writable(server) && server.is_deposed && !is_old && !is_followed(server), Unfit::Deposed),
        (!is_old && (server.diverged.is_some() || is_errant(situation, server, seen)), Unfit::Diverged),
        (seen.sample.applied.is_none() || seen.sample.written.is_none(), Unfit::NoGtids),
        (is_delayed, Unfit::Delayed),
        (server.filters.is_some(), Unfit::Filtered),
        (!is_old && situation.member(server.id).never_promote, Unfit::NeverPromote),
        (!is_old && server.share.state == ServerState::Maintenance, Unfit::Maintenance),
        (!seen.settings.log_bin, Unfit::NoBinlog),
        (!seen.settings.logs_applied, Unfit::NoLogsApplied),
        (is_broken && !is_drained(seen), Unfit::ApplierBroken),
    ];
    reasons.into_iter().find(|(holds, _)| *holds).map(|(_, why)| why)
}

/// A replica has transactions of its own that no other server has: it was written to, perhaps when there was no primary to compare it with.
fn is_errant(situation: &Situation<'_>, server: &ServerView, seen: &Observation) -> bool {
    if channels(server).is_empty() {
        return false;
    }
    let mut witnesses = situation.others(Some(server.id)).filter_map(|other| other.seen.as_deref()).peekable();
    if witnesses.peek().is_none() {
        return false;
    }
    match (&seen.sample.applied, seen.server_uuid, &seen.binlog_state) {
        (Some(Position::MySql(mine)), Some(own), _) => {
            let known = witnesses.filter_map(all).filter_map(|all| match all {
                Position::MySql(theirs) => Some(theirs),
                Position::MariaDb(_) => None,
            });
            known.fold(mine.clone(), |left, theirs| left.subtract(&theirs)).iter().any(|(uuid, _, _)| uuid == own)
        }
        (Some(Position::MariaDb(_)), _, Some(state)) => {
            let others: Vec<&Observation> = witnesses.collect();
            let known = |domain: u32| others.iter().filter_map(|other| knows(other, domain, seen.server_id)).max().unwrap_or(0);
            state.iter().any(|(domain, last)| last.server_id == seen.server_id && last.sequence > known(domain))
        }
        _ => false,
    }
}

/// The last transaction of this domain and server that a server has, received or logged.
fn knows(seen: &Observation, domain: u32, server_id: u32) -> Option<u64> {
    let logged = seen.binlog_state.as_ref().and_then(|state| state.last(domain, server_id));
    let last = match all(seen) {
        Some(Position::MariaDb(position)) => position.last(domain).filter(|last| last.server_id == server_id),
        _ => None,
    };
    logged.max(last.map(|last| last.sequence))
}

/// The server that takes over.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Choice {
    Candidate(ServerId),
    /// Before they can be compared these must apply what they have received.
    Compare(Vec<ServerId>),
    Split(Vec<Named>),
    Nobody(Vec<Exclusion>),
}

/// Chooses the most advanced server; among equals one that already follows no other, then by priority, version, and the backlog of its applier.
pub(crate) fn choose(situation: &Situation<'_>, old: Option<ServerId>, to: Option<ServerId>, accepts_loss: bool) -> Choice {
    let mut excluded = Vec::new();
    let mut fit: Vec<&ServerView> = Vec::new();
    for server in situation.servers() {
        match unfit(situation, server, old) {
            // It is dead, or it is the one that is to be replaced.
            Some(_) if Some(server.id) == old => {}
            Some(why) => excluded.push(Exclusion { server: named(server), why }),
            None if Some(server.id) == old && is_writable(server) => {}
            None => fit.push(server),
        }
    }
    // Excluded servers do not take over, but their transactions count, unless they are not the primary's.
    let holders: Vec<&ServerView> = situation
        .servers()
        .filter(|server| situation.is_reachable(server) && (Some(server.id) != old || fit.iter().any(|fit| fit.id == server.id)))
        .filter(|server| {
            !matches!(unfit(situation, server, old), Some(Unfit::Diverged | Unfit::Deposed | Unfit::Silent | Unfit::NoGtids))
        })
        .collect();
    if let Some(to) = to.filter(|_| accepts_loss) {
        return named_choice(&fit, to, excluded);
    }
    let mut best: Vec<&ServerView> = Vec::new();
    for server in fit {
        match standing(server, &holders) {
            Standing::Top => best.push(server),
            Standing::Behind => excluded.push(Exclusion { server: named(server), why: Unfit::Behind }),
            Standing::Apart(other) => return Choice::Split(vec![named(server), named(other)]),
            Standing::Unclear(other) => return Choice::Compare(vec![server.id, other.id]),
        }
    }
    if let Some(to) = to {
        return named_choice(&best, to, excluded);
    }
    let newest =
        |server: &ServerView| server.seen.as_ref().and_then(|seen| seen.version).map(|version| (version.major, version.minor));
    let rank = |server: &&ServerView| {
        (
            is_free(server) && is_writable(server),
            is_free(server).then(|| situation.servers().filter(|other| follows(other, server.id)).count()),
            situation.member(server.id).priority,
            Reverse(newest(server)),
            server.seen.as_deref().is_some_and(is_drained),
            Reverse(server.id),
        )
    };
    best.into_iter().max_by_key(rank).map_or(Choice::Nobody(excluded), |best| Choice::Candidate(best.id))
}

fn named_choice(from: &[&ServerView], to: ServerId, mut excluded: Vec<Exclusion>) -> Choice {
    if from.iter().any(|server| server.id == to) {
        return Choice::Candidate(to);
    }
    excluded.extend(from.iter().map(|server| Exclusion { server: named(server), why: Unfit::NotNamed }));
    Choice::Nobody(excluded)
}

enum Standing<'a> {
    Top,
    Behind,
    Apart(&'a ServerView),
    Unclear(&'a ServerView),
}

fn standing<'a>(server: &ServerView, holders: &[&'a ServerView]) -> Standing<'a> {
    let Some(mine) = server.seen.as_deref() else { return Standing::Behind };
    let mut found = Standing::Top;
    for other in holders.iter().filter(|other| other.id != server.id) {
        let Some(theirs) = other.seen.as_deref() else { continue };
        match compare(mine, theirs) {
            Order::Behind => return Standing::Behind,
            Order::Apart => found = Standing::Apart(other),
            Order::Unclear if matches!(found, Standing::Top) => found = Standing::Unclear(other),
            Order::Unclear | Order::Equal | Order::Ahead => {}
        }
    }
    found
}
