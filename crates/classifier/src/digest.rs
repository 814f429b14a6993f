//! The normalised text of a statement and its fingerprint.
//!
//! Tokens are written with single spaces between them; comments vanish, except executable ones and hints; literals and placeholders
//! become `?` (with their sign where the sign cannot be an operator); a list of literals after `IN` becomes `(...)`, and so do the rows
//! after `VALUES`, however many there are; reserved words are upper case. Nothing else is folded, so that two statements with the
//! same digest always have the same verdict. In spirit this is MySQL's `STATEMENT_DIGEST_TEXT()` (manual 29.10), but the digests are
//! not the server's.
//!
//! Two hashes are made of that text. The digest is for people and rules: anybody can compute it, and so can search for two texts with the same
//! digest. Statements are remembered by their [`StatementKey`], which only this process can compute.

use std::hash::Hasher as _;

use siphasher::sip128::{Hasher128 as _, SipHasher13};
use xxhash_rust::xxh3::{Xxh3, xxh3_128};

use crate::functions;
use crate::keyword::is_reserved;
use crate::lexer::{Kind, Lexer, Rules, Token};
use crate::{Context, Digest, StatementKey};

/// What one pass over the text tells.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Fingerprint<'a> {
    pub(crate) digest: Digest,
    pub(crate) key: StatementKey,
    /// The first token that is not a parenthesis.
    pub(crate) first: Token<'a>,
    /// Whether something follows a `;`.
    pub(crate) is_batch: bool,
    /// Whether a comment may be code, or a token is bad.
    pub(crate) is_odd: bool,
}

/// The fingerprint of `sql`, with this secret.
pub(crate) fn fingerprint<'a>(sql: &'a [u8], rules: Rules, secret: &Secret) -> Fingerprint<'a> {
    let mut folder = Folder::new(sql, rules, Hashed::new(secret));
    folder.run();
    let end = Token { kind: Kind::End, text: b"", start: sql.len(), gap: false };
    let (digest, key) = folder.sink.finish();
    Fingerprint { digest, key, first: folder.first.unwrap_or(end), is_batch: folder.is_batch, is_odd: folder.is_odd }
}

/// The digest of `sql`, which [`crate::Statement`] has as well.
pub fn digest(sql: &[u8], context: &Context<'_>) -> Digest {
    fingerprint(sql, Rules::from(context), &Secret::new(0)).digest
}

/// The normalised text, cut at `limit` bytes.
pub fn digest_text(sql: &[u8], context: &Context<'_>, limit: usize) -> Vec<u8> {
    let mut folder = Folder::new(sql, Rules::from(context), Limited { text: Vec::new(), limit });
    folder.run();
    folder.sink.text
}

trait Sink {
    fn write(&mut self, bytes: &[u8]);
    /// A space, then the bytes.
    fn write_spaced(&mut self, bytes: &[u8]);
    fn write_upper(&mut self, word: &[u8]);
    fn is_full(&self) -> bool;
}

const BUFFER: usize = 1024;

/// The key of the hash by which statements and texts are remembered.
#[derive(Clone, Copy)]
pub(crate) struct Secret([u8; 16]);

impl Secret {
    pub(crate) fn new(secret: u128) -> Self {
        Self(secret.to_le_bytes())
    }

    #[inline]
    pub(crate) fn hash(&self, bytes: &[u8]) -> u128 {
        let mut hasher = self.hasher();
        hasher.write(bytes);
        hasher.finish128().as_u128()
    }

    fn hasher(&self) -> SipHasher13 {
        SipHasher13::new_with_key(&self.0)
    }
}

impl std::fmt::Debug for Secret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Secret(..)")
    }
}

/// Gathers text in a buffer and hashes it in large pieces.
struct Hashed<'s> {
    buffer: [u8; BUFFER],
    length: usize,
    secret: &'s Secret,
    /// Created when the buffer overflows for the first time.
    hashers: Option<Box<Hashers>>,
}

/// Of a text that is longer than the buffer.
struct Hashers {
    public: Xxh3,
    keyed: SipHasher13,
}

impl Hashers {
    fn new(secret: &Secret) -> Self {
        Self { public: Xxh3::new(), keyed: secret.hasher() }
    }

    fn update(&mut self, bytes: &[u8]) {
        self.public.update(bytes);
        self.keyed.write(bytes);
    }
}

impl<'s> Hashed<'s> {
    fn new(secret: &'s Secret) -> Self {
        Self { buffer: [0; BUFFER], length: 0, secret, hashers: None }
    }

    fn flush(&mut self) {
        let hashers = self.hashers.get_or_insert_with(|| Box::new(Hashers::new(self.secret)));
        hashers.update(self.buffer.get(..self.length).unwrap_or_default());
        self.length = 0;
    }

    /// Of a text that does not fit into the buffer.
    fn write_long(&mut self, bytes: &[u8]) {
        self.flush();
        if let Some(hashers) = &mut self.hashers {
            hashers.update(bytes);
        }
    }

    fn finish(mut self) -> (Digest, StatementKey) {
        if self.hashers.is_some() {
            self.flush();
        }
        let (public, keyed) = if let Some(hashers) = self.hashers {
            (hashers.public.digest128(), hashers.keyed.finish128().as_u128())
        } else {
            let text = self.buffer.get(..self.length).unwrap_or_default();
            (xxh3_128(text), self.secret.hash(text))
        };
        (Digest(weakened(public)), StatementKey(keyed))
    }

    #[inline]
    fn room(&mut self, size: usize) -> Option<&mut [u8]> {
        if self.length + size > BUFFER {
            self.flush();
        }
        let start = self.length;
        let room = self.buffer.get_mut(start..start + size)?;
        self.length += size;
        Some(room)
    }
}

impl Sink for Hashed<'_> {
    #[inline]
    fn write(&mut self, bytes: &[u8]) {
        if let Some(room) = self.room(bytes.len()) {
            copy(room, bytes);
        } else {
            self.write_long(bytes);
        }
    }

    #[inline]
    fn write_spaced(&mut self, bytes: &[u8]) {
        if let Some((space, room)) = self.room(bytes.len() + 1).and_then(<[u8]>::split_first_mut) {
            *space = b' ';
            copy(room, bytes);
        } else {
            self.write(b" ");
            self.write(bytes);
        }
    }

    #[inline]
    fn write_upper(&mut self, word: &[u8]) {
        if let Some(room) = self.room(word.len()) {
            copy(room, word);
            room.make_ascii_uppercase();
        }
    }

    fn is_full(&self) -> bool {
        false
    }
}

/// Makes all public digests the same in tests, as a stranger can do with the digests of two texts.
#[cfg(test)]
pub(crate) mod weak {
    use std::cell::Cell;

    thread_local! {
        pub(crate) static IS_WEAK: Cell<bool> = const { Cell::new(false) };
    }
}

#[cfg(test)]
fn weakened(digest: u128) -> u128 {
    if weak::IS_WEAK.get() { 0 } else { digest }
}

#[cfg(not(test))]
const fn weakened(digest: u128) -> u128 {
    digest
}

/// `to.copy_from_slice(from)` for two slices of the same length, nearly always a few bytes. Copying the first and the last bytes, which may overlap,
/// is cheaper than a copy of a length that the compiler does not know.
#[inline]
fn copy(to: &mut [u8], from: &[u8]) {
    let is_short = from.len() <= 16;
    let is_done = is_short && (copy_ends::<8>(to, from) || copy_ends::<4>(to, from) || copy_ends::<2>(to, from));
    if !is_done {
        to.copy_from_slice(from);
    }
}

#[inline]
fn copy_ends<const N: usize>(to: &mut [u8], from: &[u8]) -> bool {
    let (Some(first), Some(last)) = (from.first_chunk::<N>(), from.last_chunk::<N>()) else { return false };
    if let Some(room) = to.first_chunk_mut::<N>() {
        *room = *first;
    }
    if let Some(room) = to.last_chunk_mut::<N>() {
        *room = *last;
    }
    true
}

struct Limited {
    text: Vec<u8>,
    limit: usize,
}

impl Sink for Limited {
    fn write(&mut self, bytes: &[u8]) {
        let room = self.limit.saturating_sub(self.text.len());
        self.text.extend(bytes.iter().take(room));
    }

    fn write_spaced(&mut self, bytes: &[u8]) {
        self.write(b" ");
        self.write(bytes);
    }

    fn write_upper(&mut self, word: &[u8]) {
        self.write(&word.to_ascii_uppercase());
    }

    fn is_full(&self) -> bool {
        self.text.len() >= self.limit
    }
}

/// What was written last. It decides about spaces and signs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Last {
    Nothing,
    /// No space may follow: `.` and `@@`.
    Glue,
    /// After it, `+` and `-` are operators, not signs.
    Operand,
    Other,
}

struct Folder<'a, S> {
    lexer: Lexer<'a>,
    sink: S,
    last: Last,
    /// The last token, if it was a name that may be a stored function's where white space precedes the `(`.
    word: Option<&'a [u8]>,
    first: Option<Token<'a>>,
    pending_semicolon: bool,
    is_batch: bool,
    is_odd: bool,
}

impl<'a, S: Sink> Folder<'a, S> {
    fn new(sql: &'a [u8], rules: Rules, sink: S) -> Self {
        Self {
            lexer: Lexer::new(sql, rules),
            sink,
            last: Last::Nothing,
            word: None,
            first: None,
            pending_semicolon: false,
            is_batch: false,
            is_odd: false,
        }
    }

    fn run(&mut self) {
        while !self.sink.is_full() {
            let token = self.lexer.next();
            if token.kind == Kind::End {
                break;
            }
            if token.kind == Kind::Semicolon {
                self.pending_semicolon |= self.last != Last::Nothing;
                continue;
            }
            if self.pending_semicolon {
                self.pending_semicolon = false;
                self.is_batch = true;
                self.put(b";", Last::Other);
            }
            if self.first.is_none() && !token.is_symbol("(") {
                self.first = Some(token);
            }
            self.fold(token);
        }
    }

    #[inline]
    fn fold(&mut self, token: Token<'a>) {
        let word = self.word.take();
        match token.kind {
            Kind::Word => self.word(token),
            Kind::Literal | Kind::Placeholder => self.put(b"?", Last::Operand),
            Kind::Quoted | Kind::UserVariable => self.put(token.text, Last::Operand),
            Kind::SystemVariable => self.put(token.text, Last::Glue),
            Kind::Symbol => self.symbol(token, word),
            Kind::ExecutableOpen | Kind::ExecutableClose => {
                self.is_odd = true;
                self.put(token.text, Last::Other);
            }
            Kind::Hint => self.put(token.text, Last::Other),
            Kind::Bad => {
                self.is_odd = true;
                self.put(b"!", Last::Other);
            }
            Kind::Semicolon | Kind::End => {}
        }
    }

    #[inline]
    fn put(&mut self, text: &[u8], last: Last) {
        if matches!(self.last, Last::Nothing | Last::Glue) {
            self.sink.write(text);
        } else {
            self.sink.write_spaced(text);
        }
        self.last = last;
    }

    #[inline]
    fn space(&mut self) {
        if !matches!(self.last, Last::Nothing | Last::Glue) {
            self.sink.write(b" ");
        }
    }

    #[inline]
    fn word(&mut self, token: Token<'a>) {
        let is_name = self.last == Last::Glue || !is_reserved(token.text);
        if is_name {
            self.put(token.text, Last::Operand);
            self.word = Some(token.text);
            return;
        }
        self.space();
        self.sink.write_upper(token.text);
        self.last = Last::Other;
        if token.is_word("in") {
            self.skip_list();
        } else if token.is_word("values") {
            while self.skip_list() && self.skip_comma_before_list() {}
        }
    }

    /// Replaces a list of literals by `(...)`.
    fn skip_list(&mut self) -> bool {
        let Some(after) = literal_list(self.lexer) else { return false };
        self.lexer = after;
        self.put(b"(...)", Last::Operand);
        true
    }

    /// After a row that was folded: skips the comma if the next row can be folded into it.
    fn skip_comma_before_list(&mut self) -> bool {
        loop {
            let mut ahead = self.lexer;
            if !ahead.next().is_symbol(",") {
                return false;
            }
            let Some(after) = literal_list(ahead) else { return false };
            self.lexer = after;
        }
    }

    #[inline]
    fn symbol(&mut self, token: Token<'a>, word: Option<&'a [u8]>) {
        match token.text {
            b"." => {
                self.sink.write(b".");
                self.last = Last::Glue;
            }
            b"(" => {
                if token.gap && word.is_some_and(functions::needs_no_space_as_written) {
                    // This calls not the built-in function but a stored one, so it is another statement.
                    self.sink.write(b" ");
                }
                self.put(b"(", Last::Other);
            }
            b")" => self.put(b")", Last::Operand),
            b"+" | b"-" if self.last != Last::Operand && self.lexer.peek().kind == Kind::Literal => {}
            text => self.put(text, Last::Other),
        }
    }
}

/// The position after `( literal, ... )`, rows of literals included.
fn literal_list(mut lexer: Lexer<'_>) -> Option<Lexer<'_>> {
    let mut depth = 0_usize;
    let mut has_literal = false;
    loop {
        let token = lexer.next();
        match token.kind {
            Kind::Literal | Kind::Placeholder if depth > 0 => has_literal = true,
            Kind::Word if depth > 0 && token.is_any(&["null", "default", "true", "false"]) => has_literal = true,
            Kind::Symbol => match token.text {
                b"(" => depth += 1,
                b")" if depth > 1 => depth -= 1,
                b")" if depth == 1 => return has_literal.then_some(lexer),
                b"," | b"-" | b"+" if depth > 0 => {}
                _ => return None,
            },
            _ => return None,
        }
    }
}

#[cfg(test)]
mod tests;
