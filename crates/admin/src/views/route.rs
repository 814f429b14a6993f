//! The steps of a decision.

use frontend::RouteStep;
use serde::Serialize;

/// What `EXPLAIN ROUTE` says.
#[derive(Debug, Serialize)]
pub(crate) struct ExplainedView {
    /// In order; the last one is the decision.
    steps: Vec<StepView>,
}

#[derive(Debug, Serialize)]
struct StepView {
    step: String,
    subject: String,
    result: String,
    because: String,
    /// Only steps of servers have it, and what follows.
    server_role: Option<String>,
    staleness_ms: Option<u64>,
    weight: Option<u32>,
}

impl From<Vec<RouteStep>> for ExplainedView {
    fn from(steps: Vec<RouteStep>) -> Self {
        Self { steps: steps.into_iter().map(StepView::from).collect() }
    }
}

impl From<RouteStep> for StepView {
    fn from(step: RouteStep) -> Self {
        let RouteStep { step, subject, result, because, server_role, staleness_ms, weight } = step;
        let staleness_ms = staleness_ms.map(|staleness| u64::try_from(staleness).unwrap_or(u64::MAX));
        Self { step, subject, result, because, server_role, staleness_ms, weight }
    }
}
