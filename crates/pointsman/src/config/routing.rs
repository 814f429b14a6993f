//! `[routing]`: which writes a read is sure to see, and how reads and connections are shared.

use std::time::Duration;

use router::EjectionPolicy;

use super::reader::Section;
use super::units::Period;

/// `[routing]`.
#[derive(Debug)]
pub(crate) struct Routing {
    pub(crate) max_lag: Duration,
    pub(crate) causal_reads: CausalReads,
    pub(crate) filtered_replicas: bool,
    pub(crate) causal_wait: Duration,
    pub(crate) balance: router::Balance,
    pub(crate) slow_start: Duration,
    pub(crate) transaction_reads: TransactionReads,
    pub(crate) hold_writes: Duration,
    pub(crate) pooling: Pooling,
}

impl Routing {
    pub(super) fn read(mut section: Section<'_>) -> Self {
        let routing = Self {
            max_lag: section.optional("max_lag", Period(Duration::from_secs(1))).0,
            causal_reads: section.optional("causal_reads", CausalReads::Session),
            filtered_replicas: section.optional("filtered_replicas", false),
            causal_wait: section.optional("causal_wait", Period(Duration::from_millis(10))).0,
            balance: section.optional("balance", BalanceName::Observed).into(),
            slow_start: section.optional("slow_start", Period(router::Balancing::default().slow_start)).0,
            transaction_reads: section.optional("transaction_reads", TransactionReads::Primary),
            hold_writes: section.optional("hold_writes", Period(Duration::from_secs(10))).0,
            pooling: section.optional("pooling", Pooling::Transaction),
        };
        section.finish();
        routing
    }
}

/// Which writes a read is sure to see.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Deserialize, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum CausalReads {
    /// Whatever is within `max_lag`.
    Off,
    /// Also everything that its own session wrote.
    Session,
    /// Also everything that its account's sessions wrote.
    User,
    /// Also everything that any session wrote.
    Global,
}

/// Where a transaction that may write reads.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Deserialize, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum TransactionReads {
    /// On the primary.
    Primary,
    /// At `READ COMMITTED` on a replica, until its first statement that is no plain read.
    Lazy,
}

/// How reads are shared out among replicas.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Deserialize, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum BalanceName {
    RoundRobin,
    LeastConnections,
    Observed,
    RandomOfTwo,
    Latency,
}

impl From<BalanceName> for router::Balance {
    fn from(name: BalanceName) -> Self {
        match name {
            BalanceName::RoundRobin => Self::RoundRobin,
            BalanceName::LeastConnections => Self::LeastConnections,
            BalanceName::Observed => Self::Observed,
            BalanceName::RandomOfTwo => Self::RandomOfTwo,
            BalanceName::Latency => Self::Latency,
        }
    }
}

/// `[ejection]`: when a replica gets no reads for a while.
pub(super) fn ejection(mut section: Section<'_>) -> EjectionPolicy {
    let default = EjectionPolicy::default();
    let ejection = EjectionPolicy {
        failures: section.optional("failures", default.failures),
        errors: section.optional("errors", default.errors),
        latency: section.optional("latency", default.latency),
        latency_min: section.optional("latency_min", Period(default.latency_min)).0,
        share: section.optional("share", default.share),
        time: section.optional("time", Period(default.time)).0,
        time_max: section.optional("time_max", Period(default.time_max)).0,
    };
    if ejection.latency == 1 {
        section.complain("latency must be at least 2, or 0 for never: at 1, every second replica is slower than the others");
    }
    for (key, value) in [("share", ejection.share), ("errors", ejection.errors)] {
        if value > 100 {
            section.complain(&format!("{key} is in per cent, at most 100"));
        }
    }
    if ejection.time > ejection.time_max {
        section.complain("time must not be longer than time_max");
    }
    section.finish();
    ejection
}

/// How long a session keeps a server connection on which nothing of it lives.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Deserialize, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Pooling {
    /// Until its statement or its transaction ends.
    Transaction,
    /// Until it ends or has been idle for a while.
    Session,
}
