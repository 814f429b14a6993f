//! What is being found out about a statement while it is read.

use crate::{Because, Effects, Pin, SessionEffect};

/// More effects on the session than this are not listed: the session is pinned instead. A 16 MB `SET` could list millions.
pub(crate) const SESSION_EFFECTS_MAX: usize = 1_000;

/// Effects so far, the reason that counts, and what happens to the session.
#[derive(Debug, Clone, Default)]
pub(crate) struct Notes {
    pub(crate) effects: Effects,
    /// The first thing that made it more than a read.
    pub(crate) because: Option<Because>,
    pub(crate) session: Vec<SessionEffect>,
}

impl Notes {
    pub(crate) fn of(effects: Effects, because: Because) -> Self {
        Self { effects, because: Some(because), session: Vec::new() }
    }

    /// Adds effects; the first reason stays.
    pub(crate) fn note(&mut self, effects: Effects, because: Because) {
        self.effects |= effects;
        self.because.get_or_insert(because);
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
    pub(crate) fn anything(&mut self, because: Because) {
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
