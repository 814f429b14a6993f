//! The side that applications see: a MySQL server that has no data.
//!
//! One client's way through: [`acceptor`] accepts and hands the socket to a worker; [`login`] proves who it is; [`session`] reads
//! its commands, asks `classifier` and `router` where each belongs, and lets [`relay`] pass the answer on. This crate does not
//! probe servers (that is `monitor`): it borrows the published snapshot.

mod acceptor;
mod accounts;
mod acknowledgement;
mod admission;
mod firewall;
mod held;
mod keeper;
mod limits;
mod listener;
mod log_limit;
mod login;
mod moment;
mod overview;
mod packet;
mod peer;
mod rate;
mod record;
mod registry;
mod reply;
mod rsa;
mod runtime;
mod session;
mod settings;
mod spans;
mod statistics;
mod tls;
mod version;
mod worker;

pub use accounts::{AccountTerms, Accounts, CausalScope};
pub use firewall::Firewall;
pub use limits::Limits;
pub use listener::{Closed, Frontend, Handles, Inherited, Running, SocketPath};
pub use login::LoginCounts;
pub use overview::{Asker, EjectionLine, Overview, PoolLine, PresentEjection, RuleLine, SessionCounts, SessionLine};
pub use rate::RuleRates;
pub use registry::Activity;
pub use runtime::Runtime;
pub use session::RouteStep;
pub use settings::{ClientCompression, Pooling, Settings};
pub use spans::{SpanCounts, SpanNumbers, SpanQueue, SpanSampling, SpanServer, StatementSpan};
pub use statistics::{DigestLine, Histogram, RouteLine, RuleCounts, Totals};
pub use tls::ClientTls;
pub use wire::Plugin;
