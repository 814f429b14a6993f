//! What the worker's statistics, its slow log and its spans get to know of each statement.

use classifier::{Context, Digest, PinKind, Statement, digest_text};
use router::Rule;
use wire::error_code::ER_USER_LIMIT_REACHED;

use super::Core;
use crate::record::StatementRecord;
use crate::statistics::{DigestKey, RuleCounts, TEXT_MAX};

impl Core {
    /// Keeps the normalised text of a statement that is about to run, if its digest is new: the text itself may be gone before the answer comes.
    pub(super) fn learn_text(&self, statement: &Statement, sql: &[u8], context: &Context<'_>) {
        let limit = self.settings.limits.digest_statistics;
        if statement.digest != Digest::default() {
            self.worker.statistics().digests.learn(limit, statement.digest, || digest_text(sql, context, TEXT_MAX));
        }
    }

    /// What keeps the session on one server.
    fn pin_label(&self) -> Option<&'static str> {
        let binding = &self.session.binding;
        if binding.in_transaction() {
            return Some("transaction");
        }
        binding.pin_of_reads().map(PinKind::label).or_else(|| binding.home().map(|_| "user_variable"))
    }

    /// A statement is over.
    pub(super) fn count(&self, record: &StatementRecord<'_>, rule: Option<&Rule>) {
        let limit = self.settings.limits.digest_statistics;
        let (event, schema) = (record.event(), self.session.context().schema);
        let key = DigestKey {
            digest: record.statement.digest,
            user: &self.entry.options().account.user,
            schema: schema.map(str::as_bytes),
            server: event.server,
        };
        self.entry.end(key.server, self.pin_label(), schema, event.ended);
        let mut statistics = self.worker.statistics();
        statistics.totals.note(&event);
        if let Some(rule) = rule.filter(|_| record.kind.runs()) {
            let is_refused = u64::from(rule.refuse.is_some());
            // Nothing else of Pointsman's own has this number while a statement runs; a server's answer has a route.
            let is_limited = record.route.is_none() && record.error == Some(ER_USER_LIMIT_REACHED);
            let counts = RuleCounts { matched: 1, refused: is_refused, limited: is_limited.into() };
            statistics.totals.note_rule(&rule.name, &counts);
        }
        if limit > 0 && record.has_digest() {
            statistics.digests.note(limit, &key, &event);
        }
        if self.settings.slow_statement.is_some_and(|slow| record.took >= slow)
            && let Some(left_out) = statistics.slow.admit(record.ended)
        {
            let text = statistics.digests.text(record.statement.digest);
            // The log may be slow, and others count, too.
            drop(statistics);
            self.log_slow(record, &key, text.as_deref().unwrap_or_default(), left_out);
        } else {
            drop(statistics);
        }
        self.trace(record, &key);
    }

    fn log_slow(&self, record: &StatementRecord<'_>, key: &DigestKey<'_>, text: &[u8], left_out: u64) {
        let snapshot = self.worker.shared.servers.load();
        let server = key.server.and_then(|server| snapshot.server(server)).map(|server| &*server.name);
        tracing::warn!(
            connection = self.entry.id(),
            user = %String::from_utf8_lossy(key.user),
            schema = key.schema.map(String::from_utf8_lossy).as_deref(),
            server,
            because = record.because(),
            took = ?record.took,
            rows = record.rows,
            changed = record.changed,
            error = record.error,
            digest = %key.digest,
            text = %String::from_utf8_lossy(text),
            left_out,
            "a slow statement"
        );
    }
}
