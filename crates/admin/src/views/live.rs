//! What the dashboard shows live: the state of everything at one moment, and what the last seconds brought to each server.

use std::collections::VecDeque;
use std::time::{Duration, Instant, SystemTime};

use frontend::{Overview, PoolLine, RouteLine};
use monitor::Status;
use serde::Serialize;
use topology::{Server, ServerId};

use super::clients::Clients;
use super::ejections::EjectionView;
use super::rules::RuleView;
use super::{StatusView, milliseconds};

/// Looks whose differences give the latencies: those of the last ten seconds, as single seconds of little traffic say nothing.
const LOOKS: usize = 11;

/// The state at one moment.
#[derive(Debug, Serialize)]
pub(crate) struct StateView {
    /// RFC 3339, UTC.
    at: String,
    version: &'static str,
    /// What `/api/status` answers.
    status: StatusView,
    /// Reads go to a replica while its staleness is at most this.
    max_lag_ms: u64,
    clients: Clients,
    /// In the order of the configuration.
    traffic: Vec<TrafficView>,
    /// What `/api/ejections` answers.
    ejections: Vec<EjectionView>,
    /// What `/api/rules` answers.
    rules: Vec<RuleView>,
}

/// One server.
#[derive(Debug, Serialize)]
pub(crate) struct TrafficView {
    name: String,
    /// How much its data may be behind the primary's, at most; `null` while nothing is proven.
    staleness_ms: Option<u64>,
    #[serde(flatten)]
    recent: Recent,
    connections: ConnectionsView,
}

/// The connections to a server.
#[derive(Debug, Serialize)]
pub(crate) struct ConnectionsView {
    open: usize,
    limit: usize,
    waiting: usize,
}

/// What one server did lately; `null` for what is not known.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize)]
pub(crate) struct Recent {
    /// During the last second.
    statements_per_second: Option<f64>,
    errors_per_second: Option<f64>,
    /// During the last ten seconds.
    mean_us: Option<u64>,
    /// An upper bound: 95 of 100 statements took no longer.
    p95_us: Option<u64>,
}

impl StateView {
    /// The state now. `looks` gets one more.
    pub(crate) fn look(overview: &Overview, status: Status, looks: &mut Looks) -> Self {
        let now = Instant::now();
        looks.take(now, &overview.totals().routes);
        let (servers, pools) = (overview.servers(), overview.pools());
        let of = |server: &Server| pools.iter().find(|pool| pool.server == server.id).copied();
        Self {
            at: humantime::format_rfc3339_millis(SystemTime::now()).to_string(),
            version: env!("CARGO_PKG_VERSION"),
            status: StatusView::from(status),
            max_lag_ms: milliseconds(overview.max_lag()),
            clients: Clients::look(overview),
            traffic: servers.servers.iter().map(|server| TrafficView::new(server, of(server), looks, now)).collect(),
            ejections: EjectionView::list(overview),
            rules: RuleView::list(overview.rules()),
        }
    }
}

impl TrafficView {
    fn new(server: &Server, pool: Option<PoolLine>, looks: &Looks, now: Instant) -> Self {
        let number = |value: fn(PoolLine) -> usize| pool.map(value).unwrap_or_default();
        Self {
            name: server.name.to_string(),
            staleness_ms: server.staleness(now).map(milliseconds),
            recent: looks.recent(server.id),
            connections: ConnectionsView {
                open: number(|pool| pool.open),
                limit: number(|pool| pool.limit),
                waiting: number(|pool| pool.waiting),
            },
        }
    }
}

/// The last looks at the counts of each server.
#[derive(Debug, Default)]
pub(crate) struct Looks(VecDeque<Look>);

#[derive(Debug)]
struct Look {
    at: Instant,
    servers: Vec<(ServerId, Counts)>,
}

/// What a server has done since the start, or between two looks.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct Counts {
    statements: u64,
    errors: u64,
    time: Duration,
    /// Upper bounds (the last one has none) with the number of statements.
    buckets: Vec<(Option<Duration>, u64)>,
}

impl Looks {
    fn take(&mut self, at: Instant, routes: &[RouteLine]) {
        if self.0.len() >= LOOKS {
            self.0.pop_front();
        }
        let mut servers: Vec<(ServerId, Counts)> = Vec::new();
        for line in routes {
            let Some(server) = line.server else { continue };
            match servers.iter_mut().find(|(known, _)| *known == server) {
                Some((_, counts)) => counts.add(line),
                None => servers.push((server, Counts::from(line))),
            }
        }
        self.0.push_back(Look { at, servers });
    }

    fn recent(&self, server: ServerId) -> Recent {
        let (Some(first), Some(last)) = (self.0.front(), self.0.back()) else { return Recent::default() };
        let before = self.0.iter().rev().nth(1);
        let second = before.map(|before| (last.of(server).since(&before.of(server)), last.at.duration_since(before.at)));
        let per_second = |count: fn(&Counts) -> u64| second.as_ref().and_then(|(counts, time)| per_second(count(counts), *time));
        let window = last.of(server).since(&first.of(server));
        Recent {
            statements_per_second: per_second(|counts| counts.statements),
            errors_per_second: per_second(|counts| counts.errors),
            mean_us: window.mean().map(microseconds),
            p95_us: window.p95().map(microseconds),
        }
    }
}

impl Look {
    fn of(&self, server: ServerId) -> Counts {
        self.servers.iter().find(|(known, _)| *known == server).map(|(_, counts)| counts.clone()).unwrap_or_default()
    }
}

impl From<&RouteLine> for Counts {
    fn from(line: &RouteLine) -> Self {
        let RouteLine { times, errors, .. } = line;
        Self { statements: times.count(), errors: *errors, time: times.sum(), buckets: times.buckets().collect() }
    }
}

impl Counts {
    fn add(&mut self, line: &RouteLine) {
        self.statements = self.statements.saturating_add(line.times.count());
        self.errors = self.errors.saturating_add(line.errors);
        self.time = self.time.saturating_add(line.times.sum());
        for ((_, count), (_, more)) in self.buckets.iter_mut().zip(line.times.buckets()) {
            *count = count.saturating_add(more);
        }
    }

    /// What has been added since an earlier look.
    fn since(mut self, earlier: &Self) -> Self {
        self.statements = self.statements.saturating_sub(earlier.statements);
        self.errors = self.errors.saturating_sub(earlier.errors);
        self.time = self.time.saturating_sub(earlier.time);
        for ((_, count), (_, before)) in self.buckets.iter_mut().zip(&earlier.buckets) {
            *count = count.saturating_sub(*before);
        }
        self
    }

    fn mean(&self) -> Option<Duration> {
        let statements = u32::try_from(self.statements).unwrap_or(u32::MAX);
        self.time.checked_div(statements)
    }

    /// The upper bound of the bucket in which the 95th of 100 statements is. `None` for the bucket that has no bound.
    fn p95(&self) -> Option<Duration> {
        let wanted = self.statements.saturating_sub(self.statements / 20);
        let mut seen = 0_u64;
        let bucket = self.buckets.iter().find(|(_, count)| {
            seen = seen.saturating_add(*count);
            *count > 0 && seen >= wanted
        });
        bucket.and_then(|(bound, _)| *bound)
    }
}

/// To one decimal place.
#[expect(clippy::cast_precision_loss, reason = "for people")]
fn per_second(count: u64, time: Duration) -> Option<f64> {
    let seconds = time.as_secs_f64();
    (seconds > 0.0).then(|| (count as f64 / seconds * 10.0).round() / 10.0)
}

fn microseconds(time: Duration) -> u64 {
    u64::try_from(time.as_micros()).unwrap_or(u64::MAX)
}

#[cfg(test)]
impl StateView {
    /// With one server of everything.
    pub(crate) fn example(status: Status) -> Self {
        let connections = ConnectionsView { open: 1, limit: 9, waiting: 0 };
        let traffic = TrafficView { name: "db1".to_owned(), staleness_ms: Some(0), recent: Recent::default(), connections };
        let clients = Clients { connected: 1, limit: 9, held: 0, running: 0, idle: 1, pinned: [("transaction", 1)].into() };
        let (at, version) = ("2026-01-01T00:00:00.000Z".to_owned(), "0.1.0");
        let (ejections, rules) = (vec![EjectionView::example()], vec![RuleView::example()]);
        let (status, traffic) = (StatusView::from(status), vec![traffic]);
        Self { at, version, status, max_lag_ms: 1000, clients, traffic, ejections, rules }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn counts(times: &[(Duration, u64)]) -> Counts {
        let bounds = [Some(Duration::from_millis(1)), Some(Duration::from_millis(10)), None];
        let place = |took: Duration| bounds.iter().position(|bound| bound.is_none_or(|bound| took <= bound)).unwrap();
        let mut counts = Counts { buckets: bounds.map(|bound| (bound, 0)).to_vec(), ..Counts::default() };
        for (took, count) in times {
            counts.statements += count;
            counts.time += *took * u32::try_from(*count).unwrap();
            counts.buckets[place(*took)].1 += count;
        }
        counts
    }

    const QUICK: Duration = Duration::from_micros(500);
    const SLOW: Duration = Duration::from_millis(8);

    #[test]
    fn rates_are_of_the_last_second_and_latencies_of_the_window() {
        let (begin, server) = (Instant::now(), ServerId(1));
        let look = |second, times: &[_]| Look {
            at: begin + Duration::from_secs(second),
            servers: vec![(server, Counts { errors: second, ..counts(times) })],
        };
        let mut looks = Looks::default();
        assert_eq!(looks.recent(server), Recent::default());
        looks.0.push_back(look(0, &[(SLOW, 7)]));
        assert_eq!(looks.recent(server).statements_per_second, None);
        looks.0.push_back(look(1, &[(SLOW, 7), (QUICK, 90)]));
        looks.0.push_back(look(2, &[(SLOW, 17), (QUICK, 90)]));
        let expected =
            Recent { statements_per_second: Some(10.0), errors_per_second: Some(1.0), mean_us: Some(1250), p95_us: Some(10_000) };
        assert_eq!(looks.recent(server), expected);
        let idle = Recent { statements_per_second: Some(0.0), errors_per_second: Some(0.0), mean_us: None, p95_us: None };
        assert_eq!(looks.recent(ServerId(7)), idle);
    }

    #[test]
    fn no_more_looks_are_kept_than_are_needed() {
        let mut looks = Looks::default();
        for _ in 0..3 * LOOKS {
            looks.take(Instant::now(), &[]);
        }
        assert_eq!(looks.0.len(), LOOKS);
    }

    #[test]
    fn the_95th_of_100_statements_is_found() {
        let check = |times: &[(Duration, u64)], expected: Option<u64>| {
            assert_eq!(counts(times).p95(), expected.map(Duration::from_millis), "{times:?}");
        };
        check(&[], None);
        check(&[(QUICK, 1)], Some(1));
        check(&[(QUICK, 95), (SLOW, 5)], Some(1));
        check(&[(QUICK, 94), (SLOW, 6)], Some(10));
        check(&[(Duration::from_secs(1), 3)], None);
    }
}
