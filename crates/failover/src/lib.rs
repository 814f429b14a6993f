//! What to do when the primary or its replicas are not as they should be: pure decisions, from what the servers say.
//!
//! [`find`] names the situation, [`plan`] says which steps come next. The executor (the monitor on real servers, the simulator on a model of them)
//! does the first stage, looks at the servers again, and asks again. So nothing here remembers the progress of a plan: the servers' own state shows
//! it, even to a process that has just started.
//!
//! The flow: [`ClusterView`](topology::ClusterView) -> [`find`] -> [`Finding`] -> [`plan`] -> [`Plan`] of [`Step`]s.

mod finding;
mod plan;
mod policy;
mod step;

mod beside;
mod lost;
mod promotion;
mod switchover;

mod candidates;
mod order;
mod quorum;

mod facts;

mod doctor;

pub use beside::Rejoin;
pub use candidates::{Exclusion, Unfit};
pub use doctor::{Promise, Requirement, requirements};
pub use facts::Named;
pub use finding::{Finding, Severity, find};
pub use lost::Suspicion;
pub use plan::{Plan, plan};
pub use policy::{Durability, History, Member, Policy, Request, Situation};
pub use promotion::{Cause, Hold, Promotion};
pub use quorum::durability;
pub use step::{Step, StepKind};
pub use switchover::Handover;

#[cfg(test)]
mod tests;
