//! What each server showed when a decision was made, as text for the journal.

use std::time::Instant;

use topology::{ClusterView, Condition, Engine, Observation, Replication, ServerView, ThreadState};

/// Of each server, its name and what is known of it.
pub(super) fn evidence(view: &ClusterView) -> Vec<(String, String)> {
    view.servers.iter().map(|server| (server.name.to_string(), describe(view, server))).collect()
}

fn describe(view: &ClusterView, server: &ServerView) -> String {
    let mut words = vec![condition(&server.condition), server.role.to_string()];
    if server.is_deposed {
        words.push("deposed".to_owned());
    }
    if let Some(seen) = &server.seen {
        words.extend(observation(seen));
        words.extend(seen.channels.first().map(|channel| replication(view, server, channel)));
    }
    words.extend(server.diverged.as_ref().map(|foreign| format!("has transactions of its own: {foreign}")));
    words.extend(server.filters.as_ref().map(|filters| format!("filtered: {filters}")));
    words.join(", ")
}

fn condition(condition: &Condition) -> String {
    match condition {
        Condition::Unknown => "not seen yet".to_owned(),
        Condition::Up => "up".to_owned(),
        Condition::Silent { since } => format!("silent for {} ms", ms_since(*since)),
        Condition::Full { since } => format!("full for {} ms", ms_since(*since)),
        Condition::Blind { why } => format!("cannot be looked at ({why})"),
        Condition::Down { cause, since, why } => format!("down for {} ms ({cause:?}: {why})", ms_since(*since)),
    }
}

fn ms_since(moment: Instant) -> u128 {
    moment.elapsed().as_millis()
}

fn observation(seen: &Observation) -> Vec<String> {
    let mut words = vec![match (seen.sample.read_only, seen.sample.offline) {
        (_, true) => "offline".to_owned(),
        (true, false) => "read-only".to_owned(),
        (false, false) => "writable".to_owned(),
    }];
    let position = match seen.engine {
        Engine::MySql => seen.sample.applied.as_ref(),
        Engine::MariaDb => seen.sample.written.as_ref(),
    };
    words.extend(position.map(|position| format!("at {position}")));
    if seen.received != seen.sample.applied {
        words.extend(seen.received.as_ref().map(|received| format!("received {received}")));
    }
    if let Some(semi_sync) = seen.semi_sync.filter(|semi_sync| semi_sync.source_enabled) {
        words.push(format!("waits for {} of {} acknowledging replicas", semi_sync.acks, semi_sync.clients));
    }
    if seen.semi_sync.is_some_and(|semi_sync| semi_sync.replica_enabled) {
        words.push("acknowledges".to_owned());
    }
    words
}

fn replication(view: &ClusterView, server: &ServerView, channel: &Replication) -> String {
    let source = view.source_of(server).unwrap_or_else(|| "an unknown source".into());
    let error = channel.last_error.as_ref().map(|error| format!(" ({error})")).unwrap_or_default();
    format!("follows {source}: receiving {}, applying {}{error}", thread(channel.io), thread(channel.applier))
}

fn thread(state: ThreadState) -> &'static str {
    match state {
        ThreadState::Running => "runs",
        ThreadState::Connecting => "connects",
        ThreadState::Stopped => "stopped",
    }
}
