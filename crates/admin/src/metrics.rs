//! `/metrics`: everything that is counted, in the text format of `OpenMetrics`, which Prometheus reads.
//!
//! Nothing is kept here. A scrape takes one look at the frontend, at the servers and at the process, and writes it down. The number of lines is bounded:
//! labels are names of the configuration and of our own code, never what a client has sent. `crates/admin/metrics.md` explains each metric.

mod process;
mod writer;

use std::fmt;
use std::sync::Arc;
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use classifier::CacheStats;
use frontend::{LoginCounts, Overview, PoolLine, SpanCounts, Totals};
use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, text};
use prometheus_client::registry::Registry;
use topology::{ClusterView, Role, Server, ServerId, Snapshot};

use self::process::Process;
use self::writer::{Label, Writer};
use crate::certificates::Certificate;
use crate::journal::Promotions;
use crate::views::clients::Clients;
use crate::views::statistics::name;

/// The type of the text.
pub(crate) const CONTENT_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// One look at everything.
#[derive(Debug)]
pub(crate) struct Scrape {
    now: Instant,
    snapshot: Arc<Snapshot>,
    finding: (&'static str, &'static str),
    epoch: u64,
    promotions: Promotions,
    clients: Clients,
    totals: Totals,
    logins: LoginCounts,
    cache: CacheStats,
    spans: SpanCounts,
    pools: Vec<PoolLine>,
    certificates: Arc<[Certificate]>,
    process: Option<Process>,
}

impl Scrape {
    /// Looks. `finding`: its name and its severity.
    pub(crate) fn look(
        overview: &Overview,
        view: &ClusterView,
        finding: (&'static str, &'static str),
        promotions: Promotions,
        certificates: Arc<[Certificate]>,
    ) -> Self {
        Self {
            now: Instant::now(),
            snapshot: overview.servers(),
            finding,
            epoch: view.epoch.0,
            promotions,
            clients: Clients::look(overview),
            totals: overview.totals(),
            logins: overview.logins(),
            cache: overview.cache(),
            spans: overview.spans(),
            pools: overview.pools(),
            certificates,
            process: Process::look(),
        }
    }

    /// As text.
    pub(crate) fn into_text(self) -> Result<String, fmt::Error> {
        let mut registry = Registry::default();
        registry.register_collector(Box::new(self));
        let mut text = String::new();
        text::encode(&mut text, &registry)?;
        Ok(text)
    }

    fn name(&self, server: Option<ServerId>) -> String {
        server.map_or_else(|| "none".to_owned(), |server| name(server, &self.snapshot))
    }
}

impl Collector for Scrape {
    fn encode(&self, encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let mut writer = Writer::new(encoder);
        let version = vec![label("version", env!("CARGO_PKG_VERSION"))];
        writer.gauges("pointsman_build_info", "The version that runs", [(version, 1)])?;
        self.write_statements(&mut writer)?;
        self.write_clients(&mut writer)?;
        self.write_servers(&mut writer)?;
        self.write_pools(&mut writer)?;
        self.write_certificates(&mut writer)?;
        if let Some(process) = &self.process {
            process.write(&mut writer)?;
        }
        Ok(())
    }
}

impl Scrape {
    fn write_statements(&self, writer: &mut Writer<'_>) -> fmt::Result {
        let routes = || {
            self.totals
                .routes
                .iter()
                .map(|route| (vec![label("server", self.name(route.server)), label("reason", route.because)], route))
        };
        writer.histograms(
            "pointsman_statement_duration_seconds",
            "Statements by where they ran and why there, from their arrival until their answers had been passed on",
            routes().map(|(labels, route)| (labels, &route.times)),
        )?;
        writer.counters(
            "pointsman_statement_errors",
            "Statements that ended in an error",
            routes().map(|(labels, route)| (labels, route.errors)),
        )?;
        writer.counters(
            "pointsman_statement_retries",
            "Further tries of a statement after one that failed",
            routes().map(|(labels, route)| (labels, route.retries)),
        )?;
        writer.counters("pointsman_rows_sent", "Rows that clients got", routes().map(|(labels, route)| (labels, route.rows)))?;
        writer.counters("pointsman_bytes_sent", "Bytes of answers", routes().map(|(labels, route)| (labels, route.bytes)))?;
        let verdicts = self.totals.verdicts.iter().map(|(verdict, count)| (vec![label("verdict", *verdict)], *count));
        writer.counters("pointsman_verdicts", "Statements by what the classifier found", verdicts)?;
        let refusals = self.totals.refusals.iter().map(|(code, count)| (vec![label("code", code.to_string())], *count));
        writer.counters("pointsman_refusals", "Errors of Pointsman's own, by their MySQL number", refusals)?;
        let rules = &self.totals.rules;
        let matches = rules.iter().map(|(name, counts)| (vec![label("rule", &**name)], counts.matched));
        writer.counters("pointsman_rule_matches", "Statements by the rule that matched them", matches)?;
        let refused = rules.iter().flat_map(|(name, counts)| {
            [("refuse", counts.refused), ("statements_per_second", counts.limited)]
                .map(|(reason, count)| (vec![label("rule", &**name), label("reason", reason)], count))
        });
        writer.counters("pointsman_rule_refusals", "Statements that a rule kept from running", refused)?;
        let CacheStats { hits, misses, entries } = self.cache;
        let lookups = [("hit", hits), ("miss", misses)].map(|(result, count)| (vec![label("result", result)], count));
        writer.counters("pointsman_verdict_cache_lookups", "Reads whose verdict was looked up", lookups)?;
        writer.gauge("pointsman_verdict_cache_entries", "Verdicts that are remembered", entries)?;
        let SpanCounts { exported, dropped, failed } = self.spans;
        let spans = [("exported", exported), ("dropped", dropped), ("failed", failed)];
        let spans = spans.map(|(result, count)| (vec![label("result", result)], count));
        writer.counters("pointsman_sampled_statements", "Statements that were sampled as spans, by what became of them", spans)
    }

    fn write_clients(&self, writer: &mut Writer<'_>) -> fmt::Result {
        let Clients { connected, limit, held, running, idle, pinned } = &self.clients;
        writer.gauge("pointsman_clients", "Client connections, those at their login included", *connected)?;
        writer.gauge("pointsman_clients_limit", "How many there may be (limits.client_connections)", *limit)?;
        let sessions = [("running", running), ("idle", idle)];
        let sessions = sessions.map(|(state, count)| (vec![label("state", state)], *count));
        writer.gauges("pointsman_sessions", "Sessions, with a statement under way or without", sessions)?;
        let pinned = pinned.iter().map(|(pin, count)| (vec![label("pin", *pin)], *count));
        writer.gauges("pointsman_pinned_sessions", "Sessions that something keeps on one server", pinned)?;
        writer.gauge("pointsman_held_statements", "Statements and logins that wait for a primary", *held)?;
        let LoginCounts { encrypted, clear, delayed, failed } = &self.logins;
        let logins = [("yes", encrypted), ("no", clear)].map(|(tls, count)| (vec![label("tls", tls)], *count));
        writer.counters("pointsman_logins", "Logins that succeeded", logins)?;
        writer.counters(
            "pointsman_delayed_logins",
            "Logins that had to wait, since others had failed",
            [(Vec::new(), *delayed)],
        )?;
        let failed = failed.iter().map(|(reason, count)| (vec![label("reason", *reason)], *count));
        writer.counters("pointsman_login_failures", "Clients that were not let in", failed)
    }

    fn write_servers(&self, writer: &mut Writer<'_>) -> fmt::Result {
        let servers = &self.snapshot.servers;
        let of_each = |value: fn(&Server) -> u32| servers.iter().map(move |server| (vec![name_of(server)], value(server)));
        writer.gauges("pointsman_server_up", "1: it answers", of_each(|server| server.answers().into()))?;
        writer.gauges("pointsman_server_weight", "Its share of the reads", of_each(|server| server.weight))?;
        let roles = servers.iter().flat_map(|server| {
            [Role::Primary, Role::Replica, Role::Stray, Role::Unknown]
                .map(|role| (vec![name_of(server), label("role", role.to_string())], u32::from(server.role == role)))
        });
        writer.gauges("pointsman_server_role", "1: it has this role", roles)?;
        let states = servers.iter().map(|server| (vec![name_of(server), label("state", server.state.to_string())], 1));
        writer.gauges("pointsman_server_state", "1: whether it gets reads, as a person has said", states)?;
        let staleness =
            servers.iter().filter_map(|server| Some((vec![name_of(server)], server.staleness(self.now)?.as_secs_f64())));
        writer.gauges(
            "pointsman_server_staleness_seconds",
            "How much its data may be behind the primary's, at most; absent while nothing is proven",
            staleness,
        )?;
        let has_primary = self.snapshot.primary_server().is_some_and(Server::answers);
        writer.gauge("pointsman_primary_up", "1: there is a primary that answers", u32::from(has_primary))?;
        writer.gauge("pointsman_epoch", "The reign of the primary: it grows with each change", self.epoch)?;
        let (finding, severity) = self.finding;
        let finding = vec![label("finding", finding), label("severity", severity)];
        writer.gauges("pointsman_finding", "What is the matter with the servers as a whole", [(finding, 1)])?;
        let Promotions { automatic, asked_for, last } = self.promotions;
        let promotions = [("failover", automatic), ("switchover", asked_for)];
        let promotions = promotions.map(|(kind, count)| (vec![label("kind", kind)], count));
        writer.counters("pointsman_promotions", "Changes of primary that this process has made", promotions)?;
        let last = last.and_then(|at: SystemTime| at.duration_since(UNIX_EPOCH).ok()).map(|at| (Vec::new(), at.as_secs_f64()));
        writer.gauges("pointsman_last_promotion_timestamp_seconds", "When the last of them ended", last)
    }

    fn write_certificates(&self, writer: &mut Writer<'_>) -> fmt::Result {
        let ends = self.certificates.iter().map(|Certificate { key, expires, .. }| {
            let since_1970 = expires.duration_since(UNIX_EPOCH).unwrap_or_default();
            (vec![label("certificate", key.as_str())], since_1970.as_secs_f64())
        });
        writer.gauges(
            "pointsman_certificate_expiry_timestamp_seconds",
            "When a certificate of the configuration, or one that leads to its root, ends",
            ends,
        )
    }

    fn write_pools(&self, writer: &mut Writer<'_>) -> fmt::Result {
        let of_each = |value: fn(&PoolLine) -> usize| {
            self.pools.iter().map(move |pool| (vec![label("server", self.name(Some(pool.server)))], value(pool)))
        };
        let ejections = self.totals.ejections.iter();
        let ejections = ejections
            .map(|((server, why), count)| (vec![label("server", self.name(Some(*server))), label("reason", *why)], *count));
        writer.counters(
            "pointsman_ejections",
            "How often a worker has begun to give it no reads, as it was an outlier",
            ejections,
        )?;
        writer.gauges("pointsman_ejecting_workers", "Workers that give it no reads now", of_each(|pool| pool.ejected_by))?;
        writer.gauges("pointsman_server_connections", "Connections to it, in use and idle", of_each(|pool| pool.open))?;
        writer.gauges("pointsman_server_connections_limit", "How many there may be", of_each(|pool| pool.limit))?;
        writer.gauges("pointsman_waiting_statements", "Statements that wait for a connection to it", of_each(|pool| pool.waiting))
    }
}

fn label(key: &'static str, value: impl Into<String>) -> Label {
    (key, value.into())
}

fn name_of(server: &Server) -> Label {
    label("server", &*server.name)
}
