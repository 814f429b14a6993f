//! Clusters as data, through [`check`]. A server is one word: `name=state>source io@received:applied`, without spaces.
//!
//! States: `w` writable, `r` read-only, `-` never seen and down, `?` not heard of. Flags: `!` gone, `~` silent, `o` offline, `z` shutting down, `f` full,
//! `l` blind, `x` deposed, `d` diverged, `s` shares the primary's history, `b` has been down, `k` acknowledges, `K` waits for acknowledgements,
//! `D` delayed, `E` applier error, `I` IO error, `N` never promoted, `M` in maintenance, `L` filtered, `G` no binary log, `5` priority 105, `O` looked at before the
//! primary was lost. The IO thread: `+` running, `*` connecting, `.` stopped. The first word of a check names the primary, or the last one with `!`.

mod beside;
mod loss;
mod mariadb;
mod promotion;
mod switchover;
mod words;

use std::sync::Arc;
use std::time::{Duration, Instant};

use topology::{
    ClusterView, Condition, DownCause, Engine, Epoch, Following, GtidSet, Interval, Observation, Position, Replication,
    ReplicationSettings, Role, Sample, SemiSync, ServerId, ServerState, ServerView, Share, ThreadState, Uuid, Version,
};

use super::*;

#[derive(Clone)]
struct World {
    view: ClusterView,
    policy: Policy,
    history: History,
    request: Option<Request>,
    now: Instant,
}

#[allow(clippy::too_many_lines, reason = "a flat translation of words")]
/// The primary was lost at 10 s; looks were sent at 11 s; now it is 20 s.
fn world(before: &str, cluster: &str) -> World {
    let start = Instant::now();
    let at = |seconds: u64| start + Duration::from_secs(seconds);
    let names: Vec<&str> = cluster.split(' ').map(|word| word.split_once('=').unwrap().0).collect();
    let id = |name: &str| names.iter().position(|other| *other == name).map(|place| ServerId(u16::try_from(place).unwrap()));
    let mut members = Vec::new();
    let servers = cluster.split(' ').enumerate().map(|(place, word)| {
        let (name, rest) = word.split_once('=').unwrap();
        let (rest, numbers) = rest.split_once('@').unwrap_or((rest, "10"));
        let (state, source) = rest.split_once('>').map_or((rest, None), |(state, source)| (state, Some(source)));
        let has = |flag: char| state.contains(flag);
        let (received, applied) = numbers.split_once(':').unwrap_or((numbers, numbers));
        let member = Member { priority: if has('5') { 105 } else { 100 }, never_promote: has('N') };
        members.push((ServerId(u16::try_from(place).unwrap()), member));
        let io = source.map(|source| match source.chars().last().unwrap() {
            '+' => ThreadState::Running,
            '*' => ThreadState::Connecting,
            _ => ThreadState::Stopped,
        });
        let followed = source.and_then(|source| id(&source[..source.len() - 1]));
        let seen_at = if has('!') || has('~') || has('O') { at(5) } else { at(11) };
        let channel = io.map(|io| Replication {
            io,
            applier: if has('E') { ThreadState::Stopped } else { ThreadState::Running },
            source: Some("somewhere:3306".into()),
            delay: Duration::from_secs(if has('D') { 60 } else { 0 }),
            uses_gtids: true,
            io_error: has('I').then_some(1236),
            applier_error: has('E').then_some(1062),
            last_error: (has('I') || has('E')).then(|| "words of the server".into()),
            ..Replication::default()
        });
        let semi_sync = SemiSync {
            source_enabled: has('K'),
            source_active: has('K'),
            clients: 0,
            waiting: 0,
            acks: 1,
            timeout: Duration::from_hours(24),
            after_sync: true,
            waits_alone: true,
            replica_enabled: has('k'),
            replica_active: has('k'),
        };
        let set = |text: &str| Some(Position::MySql(position(text)));
        let seen = (!state.starts_with(['-', '?'])).then(|| Observation {
            sample: Sample {
                sent_at: seen_at,
                read_only: state.starts_with('r'),
                offline: has('o'),
                written: set(applied),
                applied: set(applied),
            },
            engine: Engine::MySql,
            version: Version::parse("9.7.4"),
            version_text: "9.7.4".into(),
            server_uuid: Some(Uuid(place as u128 + 100)),
            server_id: 1,
            super_read_only: false,
            sql_mode: "".into(),
            binlog_state: None,
            defaults: None,
            binlog_filters: None,
            uptime: Duration::ZERO,
            received: set(received),
            channels: channel.into_iter().collect(),
            semi_sync: (has('k') || has('K')).then_some(semi_sync),
            settings: Arc::new(ReplicationSettings { log_bin: !has('G'), logs_applied: true, ..ReplicationSettings::default() }),
        });
        let why: Arc<str> = "for a test".into();
        let down = |cause| Condition::Down { cause, since: at(10), why: Arc::clone(&why) };
        let condition = match state.chars().find(|flag| "!~ozfl?-".contains(*flag)) {
            Some('!' | '-') => down(DownCause::Gone),
            Some('~') => Condition::Silent { since: at(10) },
            Some('o') => down(DownCause::Offline),
            Some('z') => down(DownCause::ShuttingDown),
            Some('f') => Condition::Full { since: at(10) },
            Some('l') => Condition::Blind { why: Arc::clone(&why) },
            Some(_) => Condition::Unknown,
            None => Condition::Up,
        };
        ServerView {
            id: ServerId(u16::try_from(place).unwrap()),
            name: name.into(),
            role: Role::Unknown,
            share: Share { state: if has('M') { ServerState::Maintenance } else { ServerState::Active }, ..Share::default() },
            condition,
            is_deposed: has('x'),
            seen_at: seen.as_ref().map(|_| seen_at),
            seen: seen.map(Arc::new),
            follows: match (source, followed) {
                (_, Some(id)) => Following::Server(id),
                (Some(_), None) => Following::Elsewhere,
                (None, None) => Following::Unknown,
            },
            diverged: has('d').then(|| "some".into()),
            shares_history: has('s'),
            has_been_down: has('b'),
            filters: has('L').then(|| "a filter".into()),
        }
    });
    let servers = servers.collect();
    let last_primary = id(before.trim_end_matches('!'));
    World {
        view: ClusterView {
            epoch: Epoch(1),
            primary: last_primary.filter(|_| !before.ends_with('!')),
            last_primary,
            servers,
            warnings: Vec::new(),
        },
        policy: Policy {
            durability: Durability::Auto,
            members,
            hang: Duration::from_secs(5),
            cooldown: Duration::from_mins(5),
            daily_max: 3,
            has_replication_account: true,
        },
        history: History::default(),
        request: None,
        now: at(20),
    }
}

/// `12` is transactions 1 to 12 of the first primary; `12+x` has one of another origin as well.
fn position(text: &str) -> GtidSet {
    let (last, extra) = text.split_once('+').map_or((text, None), |(last, extra)| (last, Some(extra)));
    let mut set = GtidSet::default();
    set.add(Uuid(100), None, Interval { first: 1, last: last.parse().unwrap() });
    if let Some(extra) = extra {
        set.add(Uuid(extra.parse().unwrap()), None, Interval { first: 1, last: 1 });
    }
    set
}

impl World {
    /// With another last look at a server.
    fn with(mut self, name: char, change: impl FnOnce(&mut Observation)) -> World {
        let id = self.id(name);
        let server = self.view.servers.iter_mut().find(|server| server.id == id).unwrap();
        change(Arc::make_mut(server.seen.as_mut().unwrap()));
        self
    }

    fn with_semi_sync(self, name: char, change: impl FnOnce(&mut SemiSync)) -> World {
        self.with(name, |seen| change(seen.semi_sync.as_mut().unwrap()))
    }

    fn with_settings(self, name: char, change: impl FnOnce(&mut ReplicationSettings)) -> World {
        self.with(name, |seen| change(Arc::make_mut(&mut seen.settings)))
    }

    fn with_channel(self, name: char, change: impl FnOnce(&mut Replication)) -> World {
        self.with(name, |seen| change(seen.channels.first_mut().unwrap()))
    }

    /// It was looked at for the last time at this second.
    fn with_look(mut self, name: char, second: u64) -> World {
        let id = self.id(name);
        let moment = self.now.checked_sub(Duration::from_secs(20 - second)).unwrap();
        self.view.servers.iter_mut().find(|server| server.id == id).unwrap().seen_at = Some(moment);
        self
    }

    fn with_durability(mut self, durability: Durability) -> World {
        self.policy.durability = durability;
        self
    }

    fn with_frozen(mut self, names: &str) -> World {
        self.history.frozen = self.ids(names);
        self
    }

    fn with_closed(mut self, names: &str) -> World {
        self.history.closed = self.ids(names);
        self
    }

    fn asked(mut self, request: Request) -> World {
        self.request = Some(request);
        self
    }

    fn ids(&self, names: &str) -> std::collections::BTreeSet<ServerId> {
        names.chars().map(|name| self.id(name)).collect()
    }

    fn id(&self, name: char) -> ServerId {
        self.view.servers.iter().find(|server| *server.name == *name.to_string()).unwrap().id
    }

    fn decide(&self) -> (Finding, Plan) {
        let situation = Situation { view: &self.view, policy: &self.policy, history: &self.history, request: self.request };
        let finding = find(&situation, self.now);
        let plan = plan(&finding, &situation, self.now);
        (finding, plan)
    }

    /// The finding's label, then the plan.
    fn shown(&self) -> String {
        let (finding, plan) = self.decide();
        assert!(!finding.to_string().is_empty());
        let name = |id: ServerId| self.view.server(id).unwrap().name.to_string();
        let mut words = vec![finding.label().to_owned()];
        words.extend(plan.fence.map(|id| format!("fenced:{}", name(id))));
        words.extend(plan.unfence.map(|id| format!("unfenced:{}", name(id))));
        words.extend(plan.accept.map(|id| format!("accepted:{}", name(id))));
        words.extend(plan.is_closing.then(|| "closing".to_owned()));
        words.extend(plan.stage.iter().map(|step| match step {
            Step::Follow { server, source, is_former_primary, .. } => {
                format!("follow:{}>{}{}", name(*server), name(*source), if *is_former_primary { "!" } else { "" })
            }
            step => format!("{}:{}", step.label(), name(step.server())),
        }));
        words.join(" ")
    }
}

#[track_caller]
fn check_world(world: &World, expect: &str) {
    let shown = world.shown();
    assert_eq!(shown, expect, "{}", world.decide().0);
}

#[track_caller]
fn check(before: &str, cluster: &str, expect: &str) {
    check_world(&world(before, cluster), expect);
}
