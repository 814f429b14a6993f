//! Where a statement runs, and why.
//!
//! Pure: [`decide`] gets the verdict on the statement, what the session is bound to, one [`Snapshot`](topology::Snapshot) of the servers, the policy
//! and the time, and returns a [`Decision`]. It does no IO and never waits: a statement that has to wait gets [`Decision::Wait`].

mod awaited;
mod balance;
mod decide;
mod denial;
mod ejection;
mod load;
mod reason;
mod rules;
mod steering;
mod typical;
mod view;

pub use awaited::Awaited;
pub use balance::{Balance, Balancer, Balancing, Candidate, Ending};
pub use decide::{Decision, Policy, Route, candidates, decide};
pub use denial::Denial;
pub use ejection::{Ejected, Ejection, EjectionPolicy, Outlier};
pub use load::Load;
pub use reason::{Because, Exclusion, millis_up};
pub use rules::{Class, Conditions, Facts, Rule, Table, matching_rule};
pub use steering::{By, Hint, HintError, Steering, Target};
pub use view::{Isolation, Previous, SessionView};
