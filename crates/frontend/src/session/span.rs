//! What is exported of a sampled statement.

use std::time::{Instant, SystemTime};

use wire::Attributes;

use super::Core;
use crate::record::StatementRecord;
use crate::spans::{SpanServer, StatementSpan, TRACEPARENT, TraceParent};
use crate::statistics::DigestKey;

impl Core {
    /// The application's span that a statement belongs to, by its query attributes; if spans are exported.
    pub(super) fn parent_by_attribute(
        &self,
        attributes: &Attributes<'_>,
        is_ahead: impl Fn(usize) -> bool,
    ) -> Option<TraceParent> {
        self.settings.spans.as_ref()?;
        let mut parent = None;
        // Malformed attributes are refused elsewhere.
        let _ = attributes.each(is_ahead, |name, value| {
            if name == TRACEPARENT {
                parent = value.and_then(TraceParent::parse);
            }
        });
        parent
    }

    /// The same by its comment.
    pub(super) fn parent_by_comment(&self, sql: &[u8]) -> Option<TraceParent> {
        self.settings.spans.as_ref()?;
        TraceParent::in_comment(sql)
    }

    /// Exports a statement that is over, if it is sampled.
    pub(super) fn trace(&self, record: &StatementRecord<'_>, key: &DigestKey<'_>) {
        let Some(sampling) = self.settings.spans.as_ref().filter(|_| record.kind.runs()) else { return };
        let shared = &self.worker.shared;
        let Some(numbers) = shared.spans.sample(sampling, self.trace_parent.as_ref(), Instant::now()) else { return };
        let snapshot = shared.servers.load();
        let server = key.server.and_then(|server| snapshot.server(server)).map(|server| SpanServer {
            name: server.name.clone(),
            address: server.address.clone(),
            engine: server.engine,
        });
        let statement = record.statement;
        shared.spans.offer(StatementSpan {
            numbers,
            ended: SystemTime::now().checked_sub(record.ended.elapsed()).unwrap_or(SystemTime::UNIX_EPOCH),
            took: record.took,
            served: record.served,
            session: self.entry.id(),
            user: key.user.into(),
            peer: self.peer.to_string(),
            schema: key.schema.map(|schema| String::from_utf8_lossy(schema).into()),
            server,
            because: record.because(),
            verdict: statement.because.label(),
            verb: statement.verb,
            digest: statement.digest,
            text: self.worker.statistics().digests.text(statement.digest),
            tries: record.tries,
            rows: record.rows,
            changed: record.changed,
            error: record.error,
        });
    }
}
