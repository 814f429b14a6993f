//! The entry: one text in, one verdict out.
//!
//! Verdicts on reads do not depend on literals, so they are remembered by a keyed hash of the text from which the digest is made. Other statements
//! are cheap to classify again, and their effects on the session do depend on literals.

mod cache;
mod dispatch;
mod knowledge;
mod memo;

use crate::digest::{Fingerprint, Secret};
use crate::findings::Findings;
use crate::lexer::{Kind, Lexer, Rules};
use crate::read::is_query_word;
use crate::schema::SchemaClass;
use crate::{Catalogue, Charset, Context, Effects, Placement, Reason, Results, SqlMode, Statement, Verb};

pub use self::cache::CacheStats;
use self::cache::{Cache, Key, Verdict};
use self::dispatch::Surroundings;
pub use self::knowledge::Knowledge;
use self::memo::Memo;

/// Caps on what classification may cost.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ParseLimits {
    /// Verdicts kept, and as many texts whose digest is remembered. Each takes about 100 bytes.
    pub cache_entries: usize,
    /// Larger reads are not given to the parser.
    pub max_parsed_bytes: usize,
    /// Words and operators in a read that is given to the parser. Its tree may be as deep as that, and is walked and dropped by recursion.
    pub max_parsed_links: usize,
    /// Statements in one packet. A packet with more is not understood.
    pub max_batch_statements: usize,
    /// The secret with which texts and statements are hashed to be remembered. With it one could construct a text that is taken for another one, so a
    /// program that serves others picks it at random.
    pub text_key: u128,
    /// Digests kept of statements that a replica has refused as writes. Each takes about 50 bytes.
    pub learned_digests: usize,
}

impl Default for ParseLimits {
    fn default() -> Self {
        Self {
            cache_entries: 16_384,
            max_parsed_bytes: 32 * 1024,
            max_parsed_links: 4_000,
            max_batch_statements: 1_000,
            text_key: 0,
            learned_digests: 4_096,
        }
    }
}

/// Says what statements can do. Shared by all threads.
#[derive(Debug)]
pub struct Classifier {
    limits: ParseLimits,
    cache: Cache,
    knowledge: Knowledge,
    memo: Memo,
}

impl Classifier {
    /// A classifier with an empty cache, for servers without functions and views of their users.
    pub fn new(limits: ParseLimits) -> Self {
        Self {
            cache: Cache::new(limits.cache_entries),
            knowledge: Knowledge::new(limits.learned_digests),
            memo: Memo::new(limits.cache_entries, Secret::new(limits.text_key)),
            limits,
        }
    }

    /// The verdict on the statement (or the batch of statements) `sql`. Takes time linear in its length and a bounded stack, for any bytes.
    pub fn classify(&self, sql: &[u8], context: &Context<'_>) -> Statement {
        let mut statement = self.by_text_and_catalogue(sql, context);
        if statement.placement() == Placement::Replica
            && let Some(doubt) = self.knowledge.doubt(&statement)
        {
            statement.effects |= Effects::UNKNOWN;
            statement.because = doubt;
        }
        statement
    }

    fn by_text_and_catalogue(&self, sql: &[u8], context: &Context<'_>) -> Statement {
        let found = self.memo.fingerprint(sql, Rules::from(context));
        let known = self.knowledge.catalogue();
        let key = cache_key(&found, sql, context, known.generation);
        if let Some(verdict) = key.as_ref().and_then(|key| self.cache.find(key)) {
            return verdict.into_statement(&found);
        }
        let (verb, findings) = examine(sql, context, &self.limits, &known.catalogue);
        let is_read = findings.effects.contains(Effects::READ_DATA);
        let because = findings.because.unwrap_or(if is_read { Reason::PlainRead } else { Reason::OnlyComputes });
        if let Some(key) = key.filter(|_| findings.session.is_empty() && !is_about_size(because)) {
            self.cache.keep(key, Verdict { verb, effects: findings.effects, because });
        }
        Statement {
            verb,
            effects: findings.effects,
            because,
            digest: found.digest,
            key: found.key,
            first_definition: findings.first_definition,
            session: findings.session,
        }
    }

    /// Which of its results the server announces as followed by another one.
    pub fn results(&self, sql: &[u8], context: &Context<'_>) -> Results {
        let mut results = Results::default();
        let mut parts = Parts::new(sql, context, &self.limits);
        for (verb, findings) in parts.by_ref() {
            let is_program = verb == Verb::Begin && findings.effects.contains(Effects::UNKNOWN);
            if !results.add(verb, is_program) {
                return results;
            }
        }
        if parts.has_rest() {
            results.add_rest();
        }
        results
    }

    /// What is known apart from the statements themselves, and may change.
    pub fn knowledge(&self) -> &Knowledge {
        &self.knowledge
    }

    /// Hits, misses and entries of the cache.
    pub fn cache_stats(&self) -> CacheStats {
        self.cache.stats()
    }
}

/// What follows from the text and the catalogue.
pub(crate) fn examine(sql: &[u8], context: &Context<'_>, limits: &ParseLimits, catalogue: &Catalogue) -> (Verb, Findings) {
    let rules = Rules::from(context);
    let (verb, mut findings) = parts(sql, context, limits);
    findings.resolve_calls(|call| catalogue.is_reading_call(call, context.dialect));
    if findings.effects == Effects::READ_DATA && catalogue.has_doubtful_view(sql, rules) {
        findings.note(Effects::UNKNOWN | Effects::SESSION_UNSEEN, Reason::DoubtfulView);
    }
    distrust(&mut findings, sql, rules);
    (verb, findings)
}

/// The statements of a text in order, each read under the rules that the ones before it leave.
struct Parts<'a> {
    lexer: Lexer<'a>,
    surroundings: Surroundings<'a>,
    /// Those not read yet.
    limit: usize,
}

impl<'a> Parts<'a> {
    fn new(sql: &'a [u8], context: &Context<'_>, limits: &'a ParseLimits) -> Self {
        let lexer = Lexer::new(sql, Rules::from(context)).transparent();
        Self { lexer, surroundings: Surroundings::new(context, limits), limit: limits.max_batch_statements }
    }

    /// Whether there are statements beyond the limit.
    fn has_more(&self) -> bool {
        self.lexer.peek().kind != Kind::End
    }

    /// Whether a server finds anything after the last statement, if only a comment.
    fn has_rest(&self) -> bool {
        let rest = self.lexer.sql().get(self.lexer.position()..).unwrap_or_default();
        !rest.trim_ascii().is_empty()
    }
}

impl Iterator for Parts<'_> {
    type Item = (Verb, Findings);

    fn next(&mut self) -> Option<Self::Item> {
        while self.lexer.peek().kind == Kind::Semicolon {
            self.lexer.next();
        }
        if self.lexer.peek().kind == Kind::End {
            return None;
        }
        self.limit = self.limit.checked_sub(1)?;
        let (verb, findings) = dispatch::classify(&mut self.lexer, &self.surroundings);
        self.surroundings.follow(&findings.session, &mut self.lexer);
        Some((verb, findings))
    }
}

/// Classifies the statements of a batch.
fn parts(sql: &[u8], context: &Context<'_>, limits: &ParseLimits) -> (Verb, Findings) {
    let mut verb = Verb::Empty;
    let mut all = Findings::default();
    let mut parts = Parts::new(sql, context, limits);
    for (count, (part_verb, findings)) in parts.by_ref().enumerate() {
        verb = if count == 0 { part_verb } else { Verb::Batch };
        if findings.effects.contains(Effects::DEFINES) {
            all.define(count);
        }
        all.absorb(findings);
    }
    if parts.has_more() {
        // The rest may define something, too.
        all.define(limits.max_batch_statements);
        all.anything(Reason::TooComplex);
    }
    (verb, all)
}

/// Where the bytes are not sure to mean what they seem to mean, nothing is a read.
fn distrust(findings: &mut Findings, sql: &[u8], rules: Rules) {
    let doubt = match rules.charset {
        Charset::Unknown => Some(Reason::UnsafeCharset),
        Charset::AsciiUnsafe if !sql.is_ascii() => Some(Reason::UnsafeCharset),
        _ if rules.sql_mode.contains(SqlMode::UNKNOWN) => Some(Reason::UnknownSqlMode),
        _ => None,
    };
    let Some(doubt) = doubt else { return };
    // A change of the session is noted as it seems, but not repeated on other servers.
    findings.note(Effects::UNKNOWN, doubt);
    if doubt == Reason::UnsafeCharset && hides_ascii(sql) {
        findings.anything(doubt);
    }
}

/// Whether a byte from 0x80 up precedes a byte that may be its second half, and has a meaning of its own otherwise.
fn hides_ascii(sql: &[u8]) -> bool {
    let is_meaningful = |b: u8| matches!(b, b'\\' | b'`' | b'@' | b'{'..=b'~');
    sql.windows(2).any(|pair| matches!(pair, [first, second] if !first.is_ascii() && is_meaningful(*second)))
}

fn is_about_size(because: Reason) -> bool {
    matches!(because, Reason::TooLarge | Reason::TooComplex)
}

/// The key under which the verdict may be remembered. It contains everything on which the verdict of a read depends.
fn cache_key(found: &Fingerprint<'_>, sql: &[u8], context: &Context<'_>, generation: u32) -> Option<Key> {
    let first = found.first;
    let is_read = is_query_word(first) || first.is_any(&["explain", "describe", "desc"]);
    let is_trusted = match context.charset {
        Charset::AsciiSafe => true,
        Charset::AsciiUnsafe => sql.is_ascii(),
        Charset::Unknown => false,
    };
    let is_known_mode = !context.sql_mode.contains(SqlMode::UNKNOWN);
    (is_read && is_trusted && is_known_mode && !found.is_odd && !found.is_batch).then(|| {
        let schema = context.schema.map_or(SchemaClass::User, |schema| SchemaClass::of_name(schema.as_bytes()));
        Key { statement: found.key, dialect: context.dialect, sql_mode: context.sql_mode, schema, generation }
    })
}

#[cfg(test)]
mod tests;
