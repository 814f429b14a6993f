//! What is known about the servers: who they are, which one is the primary, how far each replica is, and how fresh.
//!
//! Everything here is pure: observations go in, a [`Snapshot`] comes out. Probing the servers is `monitor`'s work, choosing one
//! for a statement is `router`'s. There is no clock: every moment is an argument, always of our own monotonic clock and never of
//! a server's.
//!
//! The way of a fact: [`Report`] -> [`Cluster::observe`] (health, [`assign_roles`], [`PositionHistory`]) -> [`Snapshot`] ->
//! [`Publisher`] -> [`Published::load`].

mod defaults;
mod epoch;
mod semi_sync;
mod server;
mod share;
mod version;

mod binlog_state;
mod gtid_position;
mod gtid_set;
mod position;
mod uuid;

mod observation;

mod cluster;
mod history;
mod roles;

mod published;
mod snapshot;
mod view;

pub use binlog_state::BinlogState;
pub use cluster::{Cluster, ClusterSettings, Member};
pub use defaults::SessionDefaults;
pub use epoch::Epoch;
pub use gtid_position::{Gtid, GtidPosition};
pub use gtid_set::{GtidSet, Interval, Tag};
pub use history::{HISTORY_AGE_MAX, HISTORY_RESOLUTION, HISTORY_SAMPLES_MAX, PositionHistory};
pub use observation::{FailureKind, Observation, ProbeFailure, Report, Sample};
pub use position::{ParsePositionError, Position};
pub use published::{Published, Publisher, SnapshotGuard, Suspects, WriteUnderWay, Writes, publishing};
pub use roles::{Before, Candidate, Following, Roles, Warning, assign_roles};
pub use semi_sync::{LOSSLESS_TIMEOUT_MIN, ReplicationSettings, SemiSync};
pub use server::{Engine, Health, Replication, Role, Server, ServerId, SourceId, ThreadState};
pub use share::{ServerState, Share, ShareChange};
pub use snapshot::Snapshot;
pub use uuid::Uuid;
pub use version::Version;
pub use view::{ClusterView, Condition, DownCause, ServerView};
