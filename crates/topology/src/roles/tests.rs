//! Clusters as data. A server is one word: `name=state`, with `>other` for its source.
//!
//! States: `w` writable, `r` read-only, `-` down and never seen, `?` not heard of yet; then `!` if it is down, `x` if it was deposed; then its role before in
//! capitals: `P`rimary, `R`eplica, `S`tray, or nothing for unknown. `b` came back writable, `p` was seen to be promoted. Sources: `>a` by identity, `>.a` without receiving, `>@a` by our own address,
//! `>%` a server that is not in the list, `>_` one that does not say. `before` names the last primary.

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::*;
use crate::{Engine, Position, Replication, Sample, SourceId, ThreadState, Uuid};

#[allow(clippy::struct_excessive_bools, reason = "one for each letter")]
struct Parsed {
    name: String,
    is_up: bool,
    is_pending: bool,
    is_deposed: bool,
    came_back_writable: bool,
    was_promoted: bool,
    role_before: Role,
    observation: Option<Observation>,
}

fn parse(word: &str, names: &[&str]) -> Parsed {
    let (name, rest) = word.split_once('=').unwrap();
    let (state, source) = rest.split_once('>').map_or((rest, None), |(state, source)| (state, Some(source)));
    let role_before = match state.chars().last().unwrap() {
        'P' => Role::Primary,
        'R' => Role::Replica,
        'S' => Role::Stray,
        _ => Role::Unknown,
    };
    let observation = (!state.starts_with(['?', '-'])).then(|| observation(name, state.starts_with('r'), source, names));
    Parsed {
        name: name.to_owned(),
        is_up: observation.is_some() && !state.contains('!'),
        is_pending: state.starts_with('?'),
        is_deposed: state.contains('x'),
        came_back_writable: state.contains('b'),
        was_promoted: state.contains('p'),
        role_before,
        observation,
    }
}

fn number_of(name: &str, names: &[&str]) -> u128 {
    names.iter().position(|other| *other == name).map_or(99, |place| place as u128)
}

fn observation(name: &str, read_only: bool, source: Option<&str>, names: &[&str]) -> Observation {
    Observation {
        sample: Sample {
            sent_at: Instant::now(),
            read_only,
            offline: false,
            written: Some(Position::empty(Engine::MySql)),
            applied: Some(Position::empty(Engine::MySql)),
        },
        engine: Engine::MySql,
        version: None,
        version_text: "9.7.4".into(),
        server_uuid: Some(Uuid(number_of(name, names))),
        server_id: 1,
        super_read_only: false,
        sql_mode: "".into(),
        binlog_state: None,
        defaults: None,
        binlog_filters: None,
        uptime: Duration::ZERO,
        received: None,
        channels: source.into_iter().map(|source| channel(source, names)).collect(),
        semi_sync: None,
        settings: Arc::default(),
    }
}

fn channel(source: &str, names: &[&str]) -> Replication {
    let (source, io) = match source.strip_prefix('.') {
        Some(source) => (source, ThreadState::Stopped),
        None => (source, ThreadState::Connecting),
    };
    let (address, source_id) = match source {
        "_" => ("10.9.9.9:3306".to_owned(), None),
        "%" => ("10.9.9.9:3306".to_owned(), Some(SourceId::Uuid(Uuid(1000)))),
        other => match other.strip_prefix('@') {
            Some(name) => (format!("{name}:3306"), None),
            None => ("inside:3306".to_owned(), Some(SourceId::Uuid(Uuid(number_of(other, names))))),
        },
    };
    Replication { io, applier: ThreadState::Running, source: Some(address.into()), source_id, ..Replication::default() }
}

fn assign(cluster: &str, before: &str) -> (Vec<String>, Roles) {
    let names: Vec<&str> = cluster.split(' ').map(|word| word.split_once('=').unwrap().0).collect();
    let parsed: Vec<Parsed> = cluster.split(' ').map(|word| parse(word, &names)).collect();
    let addresses: Vec<String> = names.iter().map(|name| format!("{name}:3306")).collect();
    let candidates: Vec<Candidate<'_>> = (0..)
        .map(ServerId)
        .zip(parsed.iter().zip(&addresses))
        .map(|(id, (server, address))| Candidate {
            id,
            name: &server.name,
            address,
            replication_address: address,
            is_up: server.is_up,
            is_pending: server.is_pending,
            is_deposed: server.is_deposed,
            came_back_writable: server.came_back_writable,
            was_promoted: server.was_promoted,
            role_before: server.role_before,
            observation: server.observation.as_ref(),
        })
        .collect();
    let primary = names.iter().position(|name| *name == before).map(|place| ServerId(u16::try_from(place).unwrap()));
    let names = names.into_iter().map(str::to_owned).collect();
    (names, assign_roles(&candidates, Before { primary }))
}

/// `expect` is one capital for each server, `?` for unknown.
#[track_caller]
fn check(cluster: &str, before: &str, expect: &str) {
    let (_, roles) = assign(cluster, before);
    let got: String = roles
        .roles
        .iter()
        .map(|role| match role {
            Role::Primary => 'P',
            Role::Replica => 'R',
            Role::Stray => 'S',
            Role::Unknown => '?',
        })
        .collect();
    assert_eq!(got, expect, "{cluster} before={before:?}: {roles:?}");
    let up_primary = roles.primary.map(|id| roles.roles[id.index()]);
    assert!(matches!(up_primary, None | Some(Role::Primary)), "{cluster}: the primary has another role");
}

#[track_caller]
fn check_primary(cluster: &str, before: &str, expect: Option<&str>) {
    let (names, roles) = assign(cluster, before);
    assert_eq!(roles.primary.map(|id| names[id.index()].as_str()), expect, "{cluster} before={before:?}: {roles:?}");
}

#[test]
fn the_usual_cluster() {
    check("a=w b=r>a c=r>a", "", "PRR");
    check("a=wP b=rR>a c=rR>a", "a", "PRR");
    check("a=w b=r>@a c=r>@a", "", "PRR");
    check("a=w b=- c=r>a", "", "P?R");
    check("a=w", "", "P");
    check("a=w b=-", "", "P?");
    check("a=-", "", "?");
}

#[test]
fn there_is_no_first_primary_before_all_servers_were_heard_from() {
    check("a=w b=? c=r>a", "", "??R");
    check("a=w b=w c=?", "", "???");
    check("a=?", "", "?");
    check("a=wP b=? c=r>a", "a", "P?R");
    // What cannot be the first primary is a replica.
    check("a=r b=w>a c=?", "", "RR?");
}

#[test]
fn a_chain_of_replicas_follows_the_server_at_its_end() {
    check("a=w b=r>a c=r>b d=r>c", "", "PRRR");
    check("a=w b=w c=r>a d=r>c e=r>d f=r>b", "", "PSRRRR");
}

#[test]
fn of_two_writable_servers_the_one_with_more_followers_is_the_primary() {
    check("a=w b=w c=r>a", "", "PSR");
    check("a=w b=w c=r>b", "", "SPR");
    check("a=w b=w c=r>a d=r>b e=r>b", "", "SPRRR");
    // Also against memory: a human has repointed the replicas, but not yet set the old primary read-only.
    check("a=wP b=wR c=rR>b", "a", "SPR");
}

#[test]
fn on_a_tie_the_primary_stays_the_primary() {
    check("a=wP b=wS c=r>a d=r>b", "a", "PSRR");
    check("a=wP b=wR", "a", "PS");
    check("a=wS b=wP", "b", "SP");
    check("a=wP b=wR c=rR>_", "a", "PSR");
}

#[test]
fn a_tie_without_memory_leaves_no_primary() {
    check("a=w b=w", "", "SS");
    check("a=w b=w c=r>a d=r>b", "", "SSRR");
    check("a=w b=w c=r>_", "", "SSR");
    check("a=w b=w c=r>%", "", "SSR");
}

#[test]
fn followers_that_are_down_still_count() {
    check("a=wP b=wS c=r!R>a d=r!R>a e=rR>b", "a", "PSRRR");
    check("a=w b=w c=r!>a d=r!>a e=r>b", "", "PSRRR");
}

#[test]
fn a_stray_does_not_become_primary_because_the_primary_died() {
    check("a=w!P b=wS c=rR>a", "a", "PSR");
    check_primary("a=w!P b=wS c=rR>a", "a", None);
    check_primary("a=w!P b=wS", "a", None);
    // Not even without memory, as long as the replicas say that they follow another.
    check_primary("a=- b=w c=r>%", "", None);
    check_primary("a=w! b=w c=r>a", "", None);
    check_primary("a=- b=w c=r>% d=r>% e=r>b", "", None);
    check_primary("a=- b=w c=r>% d=r>b e=r>b", "", Some("b"));
}

#[test]
fn a_replica_that_was_promoted_becomes_primary() {
    // The old one is down, the other replica has not heard yet.
    check("a=w!P b=wR c=rR>a", "a", "SPR");
    check("a=w!P b=wR", "a", "SP");
    // The old one gave its role up in order.
    check("a=rP b=wR c=rR>a", "a", "RPR");
    check("a=rP>b b=wR c=rR>b", "a", "RPR");
    // Promoted while the old one was still writable.
    check("a=rP b=wS", "a", "RP");
    check("a=rP>b b=wS c=rR>b", "a", "RPR");
}

#[test]
fn a_deposed_primary_that_comes_back_writable_gets_nothing() {
    check("a=wxS b=wP c=rR>a", "b", "SPR");
    check("a=wxS b=w!P c=rR>a", "b", "SPR");
    check_primary("a=wxS b=w!P c=rR>a", "b", None);
    check("a=rR>b b=wP c=rR>b", "b", "RPR");
}

#[test]
fn a_server_that_starts_writable_was_not_promoted() {
    check_primary("a=w!P b=wbR c=rR>a", "a", None);
    check_primary("a=w!P b=wbR", "a", None);
    check("a=rP b=wbR", "a", "RP");
    // A replica that receives nothing from a read-only server is no evidence for that server.
    check("a=r b=r>.a c=r>d d=w", "", "RRRP");
    check("a=r b=r>a c=r>d d=w", "", "RRRS");
    check("a=w b=r>.a c=r>d d=w", "", "SRRS");
    // Its replicas were made to follow b, which is out of sight.
    check("a=wP b=r!R c=rR>b", "a", "PRR");
    check("a=wbP b=r!R c=rR>b", "a", "SRR");
    check("a=wbP b=r!R>a c=rR>b", "a", "SRR");
    check("a=wbP b=rR>a c=rR>b", "a", "PRR");
    check("a=wbP b=r!R>a c=rR>b d=rR>a", "a", "PRRR");
    check("a=wbP b=r!R>a c=r!R>b", "a", "PRR");
    check("a=wbP b=rR>c c=rR>b", "a", "PRR");
    check("a=wbP b=r!R c=rR>a", "a", "PRR");
    check("a=wbP b=w!xR c=rR>b", "a", "PSR");
    // A person has opened b, and closed another one only after it.
    check("a=rS b=rxR c=wS", "", "RRS");
    check("a=rS b=rxR c=wpS", "", "RRP");
    check("a=wS b=rxR c=wpS", "", "SRS");
    check_primary("a=w!P b=wR", "a", Some("b"));
    // It is seen for the first time while the primary is down.
    check_primary("a=w!P b=w", "a", None);
    check_primary("a=w! b=w", "", None);
    check_primary("a=- b=w", "", Some("b"));
    // b hands over to c, which follows no other for a moment.
    check_primary("a=wS b=rx c=rR", "b", None);
    check_primary("a=wS b=rx c=wR", "b", None);
    check_primary("a=wS b=r c=rR", "b", Some("a"));
    check_primary("a=r b=rx c=wR", "b", Some("c"));
    // The last primary has given its role up only if it is up and read-only.
    check_primary("a=rP b=w", "a", Some("b"));
    check_primary("a=r!P b=w", "a", None);
    check_primary("a=r!P b=wbR", "a", None);
}

#[test]
fn a_replica_that_is_down_takes_the_role_from_no_server() {
    // c went down before it could be told that b had replaced a, and a has restarted writable.
    check("a=wbR b=wP c=r!R>a", "b", "SPR");
    check("a=wbR b=wP c=rR>a", "b", "PSR");
    check("a=wS b=w!P c=r!R>a", "b", "PSR");
}

#[test]
fn a_primary_that_is_down_keeps_its_role_but_is_not_the_one_to_write_to() {
    check("a=w!P b=rR>a c=rR>a", "a", "PRR");
    check_primary("a=w!P b=rR>a c=rR>a", "a", None);
    check("a=wP b=rR>a", "a", "PR");
}

#[test]
fn a_writable_server_with_a_source_is_a_replica() {
    check("a=w b=w>a c=r>a", "", "PRR");
    check("a=w b=w>a c=r>b d=r>b", "", "PRRR");
    // Its own source is dead, and it has followers. Still it was not promoted.
    check_primary("a=w!P b=wR>a c=rR>b", "a", None);
    check_primary("a=- b=w>% c=r>b", "", None);
    check_primary("a=rR b=wR>a c=rR>b", "a", None);
}

#[test]
fn the_writable_half_of_a_ring_is_the_primary() {
    check("a=w>b b=r>a", "", "PR");
    check("a=w>b b=r>a c=r>a", "", "PRR");
    // It stays so when the other half is down.
    check("a=wP>b b=r!R>a c=rR>a", "a", "PRR");
    check_primary("a=w>b b=w>a", "", None);
    check_primary("a=r>b b=r>a", "", None);
    check_primary("a=w>b b=w>a c=r>a", "", None);
    check_primary("a=w>b b=r!>a", "", None);
}

#[test]
fn without_a_writable_server_there_is_no_primary() {
    check_primary("a=r b=r>a c=r>a", "", None);
    check("a=r b=r>a c=r>a", "", "RRR");
    check_primary("a=rP b=rR>a", "a", None);
}

#[test]
fn a_stopped_or_stale_identity_yields_to_an_address_of_ours() {
    let names = ["a", "b", "c"];
    let mut parsed: Vec<Parsed> = ["a=w", "b=w", "c=r>a"].iter().map(|word| parse(word, &names)).collect();
    let mut primary_of = |io: ThreadState, address: &str| {
        let observation = parsed[2].observation.as_mut().unwrap();
        observation.channels[0].io = io;
        observation.channels[0].source = Some(Arc::from(address));
        let candidates: Vec<Candidate<'_>> = (0..)
            .map(ServerId)
            .zip(parsed.iter().zip(["a:1", "b:1", "c:1"]))
            .map(|(id, (server, address))| Candidate {
                id,
                name: &server.name,
                address,
                replication_address: address,
                is_up: true,
                is_pending: false,
                is_deposed: false,
                came_back_writable: false,
                was_promoted: false,
                role_before: Role::Unknown,
                observation: server.observation.as_ref(),
            })
            .collect();
        assign_roles(&candidates, Before::default()).primary
    };
    assert_eq!(primary_of(ThreadState::Running, "b:1"), Some(ServerId(0)), "connected: the identity is certain");
    assert_eq!(primary_of(ThreadState::Connecting, "b:1"), Some(ServerId(1)), "repointed, not yet connected");
    assert_eq!(primary_of(ThreadState::Stopped, "elsewhere:1"), Some(ServerId(0)), "an address of its own world");
}

#[test]
fn warnings_say_what_to_do() {
    for (cluster, before, expect) in [
        ("a=w b=r>a", "", vec![]),
        ("a=wP b=wS c=r>a", "a", vec!["b accepts writes, but a is the primary"]),
        ("a=w b=w", "", vec!["a accepts writes, but nothing shows", "b accepts writes, but nothing shows"]),
        ("a=wxS b=wP", "b", vec!["a came back writable after it lost its role"]),
        ("a=w b=w>a", "", vec!["b is a replica, but accepts writes"]),
        ("a=r b=r>a", "", vec!["no primary: every server that answers is read-only"]),
        ("a=w!P b=rR>a", "a", vec!["no primary: a is down"]),
        ("a=w!P b=wS c=rR>a", "a", vec!["b accepts writes, but nothing shows", "no primary: a is down"]),
        ("a=? b=?", "", vec![]),
        ("a=? b=r", "", vec![]),
        ("a=w b=w c=?", "", vec![]),
        ("a=- b=-", "", vec![]),
    ] {
        let (_, roles) = assign(cluster, before);
        let got: Vec<String> = roles.warnings.iter().map(ToString::to_string).collect();
        assert_eq!(got.len(), expect.len(), "{cluster}: {got:?}");
        for (got, expect) in got.iter().zip(expect) {
            assert!(got.starts_with(expect), "{cluster}: {got:?}");
        }
    }
    let (_, roles) = assign("a=w b=w>a", "");
    assert!(roles.warnings.iter().any(|warning| warning.to_string().ends_with("remove its source with RESET REPLICA ALL")));
}

/// Every cluster of three servers, whatever they say and whatever was before.
#[test]
fn whatever_the_servers_say_the_promises_hold() {
    let names = ["a", "b", "c"];
    // The third server is there to vote, so it needs fewer states.
    let states: [&[&str]; 3] = [
        &["-", "w", "wP", "wR", "wS", "wxS", "w!P", "w!S", "r", "rP", "r!R"],
        &["-", "w", "wP", "wR", "wS", "wxS", "w!P", "w!S", "r", "rR"],
        &["w", "rR", "r!R"],
    ];
    let mut clusters = 0_u32;
    for_each_cluster(&names, &states, &mut |words| {
        let cluster = words.join(" ");
        for before in ["", "a", "b"] {
            let (_, roles) = assign(&cluster, before);
            clusters += 1;
            let of = |id: ServerId| parse(&words[id.index()], &names);
            if let Some(primary) = roles.primary {
                let server = of(primary);
                assert!(server.is_up && !server.is_deposed, "{cluster} before={before:?}: {roles:?}");
                assert!(!server.observation.unwrap().sample.read_only, "{cluster} before={before:?}: {roles:?}");
            }
            let primaries = (0..3).map(ServerId).filter(|id| roles.roles[id.index()] == Role::Primary && of(*id).is_up);
            assert!(primaries.eq(roles.primary), "{cluster} before={before:?}: {roles:?}");
            for id in (0..3).map(ServerId) {
                let server = of(id);
                let is_free_writer =
                    server.is_up && server.observation.is_some_and(|seen| !seen.sample.read_only && seen.channels.is_empty());
                let role = roles.roles[id.index()];
                assert!(!is_free_writer || matches!(role, Role::Primary | Role::Stray), "{cluster}: {id} is {role}");
                let is_warned = roles.warnings.iter().any(|warning| warning.to_string().starts_with(&server.name));
                assert!(!server.is_up || role != Role::Stray || is_warned, "{cluster}: no warning of the stray {id}");
            }
        }
    });
    assert!(clusters > 10_000, "{clusters}");
}

fn for_each_cluster(names: &[&str; 3], states: &[&[&str]; 3], check: &mut impl FnMut(&[String])) {
    let words = |name: &str, states: &[&str]| -> Vec<String> {
        let sources = names.iter().filter(|other| **other != name).map(|other| format!(">{other}"));
        let sources: Vec<String> = [String::new(), ">_".into()].into_iter().chain(sources).collect();
        let with_sources = |state: &&str| sources.iter().map(|source| format!("{name}={state}{source}")).collect::<Vec<_>>();
        states.iter().flat_map(with_sources).collect()
    };
    for a in words(names[0], states[0]) {
        for b in words(names[1], states[1]) {
            for c in words(names[2], states[2]) {
                check(&[a.clone(), b.clone(), c]);
            }
        }
    }
}
