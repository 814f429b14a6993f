//! Small predicates about servers in a [`Situation`], for the decisions.

use std::fmt;
use std::sync::Arc;
use std::time::Instant;

use topology::{Condition, DownCause, Following, Observation, Replication, SemiSync, ServerId, ServerView, ThreadState};

use crate::{Member, Situation};

/// A server with its name, for messages.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Named {
    /// Its place in the list.
    pub id: ServerId,
    /// Its name in the config.
    pub name: Arc<str>,
}

impl fmt::Display for Named {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.name.fmt(f)
    }
}

/// Names with commas between, `nobody` for none.
pub(crate) fn list(servers: &[Named]) -> String {
    if servers.is_empty() {
        return "nobody".to_owned();
    }
    servers.iter().map(|server| &*server.name).collect::<Vec<_>>().join(", ")
}

impl<'a> Situation<'a> {
    pub(crate) fn servers(&self) -> impl Iterator<Item = &'a ServerView> + use<'a> {
        self.view.servers.iter()
    }

    pub(crate) fn others(&self, than: Option<ServerId>) -> impl Iterator<Item = &'a ServerView> + use<'a> {
        self.servers().filter(move |server| Some(server.id) != than)
    }

    pub(crate) fn server(&self, id: ServerId) -> Option<&'a ServerView> {
        self.view.server(id)
    }

    pub(crate) fn named(&self, id: ServerId) -> Named {
        self.server(id).map_or_else(|| Named { id, name: id.to_string().into() }, named)
    }

    pub(crate) fn member(&self, id: ServerId) -> Member {
        let known = self.policy.members.iter().find(|(member, _)| *member == id);
        known.map_or_else(Member::default, |(_, member)| *member)
    }

    /// It answers, or is in an `offline_mode` that we have set: an administrator's statements reach it.
    pub(crate) fn is_reachable(&self, server: &ServerView) -> bool {
        server.answers() || (is_offline(server) && self.history.closed.contains(&server.id))
    }

    /// The server at the end of the chain that this one follows; itself if it follows no known server.
    pub(crate) fn root(&self, from: &'a ServerView) -> &'a ServerView {
        let mut at = from;
        for _ in self.servers() {
            match at.follows {
                Following::Server(source) if !is_free(at) => match self.server(source) {
                    Some(next) => at = next,
                    None => return at,
                },
                _ => return at,
            }
        }
        at
    }

    /// Servers that answer, follow this one directly, and are not stopped.
    pub(crate) fn followers(&self, of: ServerId) -> impl Iterator<Item = &'a ServerView> + use<'a> {
        self.servers().filter(move |server| server.answers() && follows(server, of) && io(server) != Some(ThreadState::Stopped))
    }
}

pub(crate) fn named(server: &ServerView) -> Named {
    Named { id: server.id, name: Arc::clone(&server.name) }
}

pub(crate) fn is_offline(server: &ServerView) -> bool {
    matches!(server.condition, Condition::Down { cause: DownCause::Offline, .. })
}

pub(crate) fn channels(server: &ServerView) -> &[Replication] {
    server.seen.as_deref().map_or(&[], |seen| seen.channels.as_slice())
}

pub(crate) fn semi_sync(server: &ServerView) -> Option<SemiSync> {
    server.seen.as_ref().and_then(|seen| seen.semi_sync)
}

/// Seen, and follows no other server.
pub(crate) fn is_free(server: &ServerView) -> bool {
    server.seen.as_ref().is_some_and(|seen| seen.channels.is_empty())
}

pub(crate) fn is_writable(server: &ServerView) -> bool {
    server.seen.as_ref().is_some_and(|seen| !seen.sample.read_only)
}

pub(crate) fn follows(server: &ServerView, source: ServerId) -> bool {
    !is_free(server) && server.follows == Following::Server(source)
}

/// The most active of its IO threads; `None` if it follows no other server.
pub(crate) fn io(server: &ServerView) -> Option<ThreadState> {
    let rank = |state: &ThreadState| match state {
        ThreadState::Running => 2,
        ThreadState::Connecting => 1,
        ThreadState::Stopped => 0,
    };
    channels(server).iter().map(|channel| channel.io).max_by_key(rank)
}

/// It receives nothing, so it acknowledges nothing.
pub(crate) fn is_frozen(server: &ServerView) -> bool {
    server.seen.is_some() && (is_free(server) || io(server) == Some(ThreadState::Stopped))
}

/// All that it has received is applied.
pub(crate) fn is_drained(seen: &Observation) -> bool {
    match (&seen.sample.applied, &seen.received) {
        (Some(applied), Some(received)) => seen.channels.is_empty() || applied.contains(received),
        (_, None) => true,
        (None, Some(_)) => seen.channels.is_empty(),
    }
}

/// It was looked at after this moment.
pub(crate) fn is_seen_after(server: &ServerView, moment: Instant) -> bool {
    server.seen_at.is_some_and(|seen| seen > moment)
}

/// It receives nothing, or only from a server that we can look at: not from the old primary, and not from one out of our sight that another Pointsman
/// may have opened. From a writable server only if that one takes over (`to`).
pub(crate) fn is_settled(situation: &Situation<'_>, server: &ServerView, old: Option<ServerId>, to: Option<ServerId>) -> bool {
    let source = situation.others(old).find(|source| follows(server, source.id));
    is_frozen(server) || source.is_some_and(|source| source.answers() && (!is_writable(source) || to == Some(source.id)))
}
