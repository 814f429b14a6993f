//! What people and programs see of a running Pointsman, and ask of it: the journal, its hooks, an HTTP API with metrics, on a Unix socket and by TCP, and
//! the dashboard that shows it; and the export of spans.
//!
//! This crate never changes state itself: every request goes to the monitor's [`Control`](monitor::Control) or to the frontend's
//! [`Overview`](frontend::Overview). Everything that is written or sent is made by the views and metrics in here; the crates below do not know about it.

mod api;
mod certificates;
mod client;
mod console;
mod dashboard;
mod ejections;
mod hooks;
mod http;
mod journal;
mod live;
mod metrics;
mod settings;
mod spans;
mod tls;
mod token;
mod views;

pub use api::{Api, Listeners, Requests, serve};
pub use certificates::{Certificate, Certificates};
pub use client::{ClientError, Events, Reply, events, get, post};
pub use ejections::record_ejections;
pub use hooks::Hooks;
pub use journal::{Journal, JournalSettings, OpenJournalError};
pub use settings::{Setting, Settings, Source};
pub use spans::{Collector, export_spans};
pub use tls::AdminTls;
pub use token::Token;
pub use views::doctor::Diagnosis;
