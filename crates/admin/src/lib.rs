//! What people and programs see of a running Pointsman, and ask of it: the journal, its hooks, and an HTTP API on a Unix socket.
//!
//! This crate never changes state itself: every request goes to the monitor's [`Control`](monitor::Control). Everything that is written or sent is
//! JSON made by the views in here; the crates below do not know about it.

mod api;
mod client;
mod hooks;
mod journal;
mod views;

pub use api::{Reloads, serve};
pub use client::{ClientError, Reply, get, post};
pub use hooks::Hooks;
pub use journal::{Journal, JournalSettings, OpenJournalError};
