//! What the promises need and the servers lack.

use failover::{Promise, Requirement};
use serde::Serialize;
use topology::{ClusterView, Condition};

/// What was found.
#[derive(Debug, Serialize)]
pub struct Diagnosis {
    /// Nothing is missing that a promotion without loss needs.
    pub is_good: bool,
    /// By server.
    missing: Vec<Lack>,
}

#[derive(Debug, Serialize)]
struct Lack {
    server: String,
    /// What cannot be promised without it. `null`: the server could not be looked at.
    promise: Option<String>,
    missing: String,
    /// What repairs it.
    statement: Option<&'static str>,
    cost: Option<&'static str>,
}

impl Diagnosis {
    /// Of these servers, which lack this.
    pub fn new(view: &ClusterView, requirements: &[Requirement]) -> Self {
        let unseen = view.servers.iter().filter_map(|server| {
            let why = match &server.condition {
                Condition::Down { why, .. } | Condition::Blind { why } => format!("cannot be looked at: {why}"),
                _ if server.seen.is_none() => "has not answered".to_owned(),
                _ => return None,
            };
            Some(Lack { server: server.name.to_string(), promise: None, missing: why, statement: None, cost: None })
        });
        let mut missing: Vec<Lack> = unseen.collect();
        let is_serious = |it: &Requirement| matches!(it.promise, Promise::Promotion | Promise::Lossless);
        let is_good = missing.is_empty() && !requirements.iter().any(is_serious);
        missing.extend(requirements.iter().map(Lack::from));
        Self { is_good, missing }
    }
}

impl From<&Requirement> for Lack {
    fn from(requirement: &Requirement) -> Self {
        let Requirement { server, promise, missing, statement, cost } = requirement;
        Self {
            server: server.to_string(),
            promise: Some(promise.to_string()),
            missing: (*missing).to_owned(),
            statement: Some(statement),
            cost: Some(cost),
        }
    }
}

#[cfg(test)]
impl Diagnosis {
    /// With one thing missing.
    pub(crate) fn example() -> Self {
        let missing = Lack { server: "db1".to_owned(), promise: None, missing: String::new(), statement: None, cost: None };
        Self { is_good: false, missing: vec![missing] }
    }
}
