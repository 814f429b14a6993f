//! What is known about a statement so far, while it is being read.

use crate::{Effects, Pin, Reason, SessionEffect};

/// More effects on the session than this are not listed: the session is pinned instead. A 16 MB `SET` could list millions.
pub(crate) const SESSION_EFFECTS_MAX: usize = 1_000;

/// More calls of functions that are not native are not listed: the statement is then not a read.
const STORED_CALLS_MAX: usize = 32;

/// Effects so far, the reason that counts, and what happens to the session.
#[derive(Debug, Clone, Default)]
pub(crate) struct Findings {
    pub(crate) effects: Effects,
    /// The first thing that made it more than a read.
    pub(crate) because: Option<Reason>,
    pub(crate) session: Vec<SessionEffect>,
    /// See [`crate::Statement::first_definition`].
    pub(crate) first_definition: u16,
    /// Calls that only the catalogue can judge. It is asked once, at the end.
    pub(crate) calls: Vec<StoredCall>,
}

/// A call of a function that is not native.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct StoredCall {
    /// In lower case, without quotes and without its schema.
    pub(crate) name: Box<[u8]>,
    /// The call names a schema or a package.
    pub(crate) is_qualified: bool,
}

/// The effects of calling a function about which nothing is known.
const UNKNOWN_CALL: Effects = Effects::UNKNOWN.union(Effects::SESSION_UNSEEN);

impl Findings {
    pub(crate) fn of(effects: Effects, because: Reason) -> Self {
        Self { effects, because: Some(because), ..Self::default() }
    }

    /// Adds effects; the first reason stays.
    pub(crate) fn note(&mut self, effects: Effects, because: Reason) {
        self.effects |= effects;
        self.because.get_or_insert(because);
    }

    /// The statement after `before` others of the batch defines something.
    pub(crate) fn define(&mut self, before: usize) {
        if !self.effects.contains(Effects::DEFINES) {
            // A number that is too small means an earlier definition, which is the safe side.
            self.first_definition = u16::try_from(before).unwrap_or(u16::MAX);
        }
        self.effects |= Effects::DEFINES;
    }

    /// A function that is not native is called.
    pub(crate) fn call(&mut self, name: &[u8], is_qualified: bool) {
        if self.calls.len() >= STORED_CALLS_MAX {
            self.note(UNKNOWN_CALL, Reason::UnknownFunction);
            return;
        }
        self.calls.push(StoredCall { name: name.to_ascii_lowercase().into(), is_qualified });
    }

    /// Whether a call in the list has this name.
    pub(crate) fn has_call(&self, name: &[u8]) -> bool {
        self.calls.iter().any(|call| call.name.eq_ignore_ascii_case(name))
    }

    /// Takes the calls off the list. Those that the catalogue does not know as reads may do anything.
    pub(crate) fn resolve_calls(&mut self, only_reads: impl Fn(&StoredCall) -> bool) {
        for call in std::mem::take(&mut self.calls) {
            if only_reads(&call) {
                self.effects |= Effects::READ_DATA;
            } else {
                self.note(UNKNOWN_CALL, Reason::UnknownFunction);
            }
        }
    }

    pub(crate) fn push(&mut self, effect: SessionEffect) {
        match self.session.len() {
            0..SESSION_EFFECTS_MAX => self.session.push(effect),
            SESSION_EFFECTS_MAX => self.session.push(SessionEffect::Pin(Pin::Connection)),
            _ => {}
        }
    }

    pub(crate) fn pin(&mut self, pin: Pin) {
        self.push(SessionEffect::Pin(pin));
    }

    pub(crate) fn unpin(&mut self, pin: Pin) {
        self.push(SessionEffect::Unpin(pin));
    }

    /// The statement may leave the session in any state.
    pub(crate) fn anything(&mut self, because: Reason) {
        self.note(Effects::UNKNOWN | Effects::SESSION_UNSEEN, because);
        let pin = SessionEffect::Pin(Pin::Connection);
        if !self.session.contains(&pin) {
            self.push(pin);
        }
    }

    pub(crate) fn absorb(&mut self, other: Self) {
        self.effects |= other.effects;
        if self.because.is_none() {
            self.because = other.because;
        }
        self.absorb_session(other.session);
        self.calls.extend(other.calls);
    }

    pub(crate) fn absorb_session(&mut self, effects: Vec<SessionEffect>) {
        for effect in effects {
            let is_again = effect == SessionEffect::Pin(Pin::Connection) && self.session.contains(&effect);
            if !is_again {
                self.push(effect);
            }
        }
    }

    pub(crate) fn has_only_data(&self) -> bool {
        Effects::READ_DATA.contains(self.effects)
    }
}

/// Bytes as a name for people and maps: what is not UTF-8 is replaced.
pub(crate) fn name_of(bytes: &[u8]) -> Box<str> {
    String::from_utf8_lossy(bytes).into()
}
