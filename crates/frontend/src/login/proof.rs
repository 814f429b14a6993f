//! Who the client is: the proof of its password, from its login to a verdict.
//!
//! The password of an account of the configuration is known, so the proof shows whether the client has it. With `security.auth = "passthrough"` the client
//! of any other account sends its password, and a server has to say whether it is right ([`Proven::Claimed`]), unless the account was remembered from an
//! earlier login ([`super::remembered`]). Who gives the wrong password for an account of the configuration is then treated in the same way, until a
//! server has answered, so that nobody can find out which accounts there are.

use std::sync::Arc;
use std::time::Instant;

use backend::Account;
use bytes::BytesMut;
use net::Exchange;
use subtle::ConstantTimeEq;
use wire::{AuthMoreData, Challenge, Expected, Login, ServerLogin, ServerStep};

use super::LoginError;
use crate::accounts::AccountTerms;
use crate::firewall::contain;
use crate::peer::Peer;
use crate::worker::Shared;

/// A client that has given a proof.
#[derive(Debug)]
pub(super) enum Proven {
    /// It has the password of this account.
    Account(Arc<Account>),
    /// It says that this is its account. A server has to confirm that.
    Claimed(Arc<Account>),
    /// The same, but it does not matter what a server says: by the configuration the client may not log in, for this reason.
    VainClaim(Arc<Account>, &'static str),
}

impl Proven {
    pub(super) fn account(&self) -> &Arc<Account> {
        match self {
            Self::Account(account) | Self::Claimed(account) | Self::VainClaim(account, _) => account,
        }
    }
}

/// A proof that was given.
#[derive(Debug)]
pub(super) struct Proof {
    pub(super) proven: Proven,
    /// What the OK must say for clients that trust a certificate by it.
    pub(super) vouched: Vec<u8>,
}

impl From<Proven> for Proof {
    fn from(proven: Proven) -> Self {
        Self { proven, vouched: Vec::new() }
    }
}

/// What is known of the account before the proof.
struct Candidate {
    account: Option<Arc<Account>>,
    is_configured: bool,
    /// Whether a password that is not known here may be right.
    asks_servers: bool,
    /// Why it may not log in like this, whatever its password is.
    hindrance: Option<&'static str>,
}

impl Candidate {
    fn find(user: &[u8], peer: Peer, is_encrypted: bool, shared: &Shared) -> Self {
        let settings = shared.settings.load();
        let configured = settings.accounts.find(user);
        let hindrance = settings.accounts.terms(user).and_then(|terms| hindrance(terms, peer, is_encrypted));
        let asks_servers = settings.remembered_login.is_some();
        let is_configured = configured.is_some();
        let remembered = || {
            let max_age = settings.remembered_login?;
            shared.remembered.find(user, Instant::now(), max_age)
        };
        // Such a client is treated as if it had the wrong password, whatever its password is.
        let account = configured.filter(|_| hindrance.is_none()).or_else(|| if is_configured { None } else { remembered() });
        Self { account, is_configured, asks_servers, hindrance }
    }

    fn expected(&self) -> Expected<'_> {
        let password = self.account.as_ref().map(|account| account.password.as_slice());
        if self.asks_servers { Expected::Disclosure { remembered: password } } else { password.into() }
    }

    /// What follows from the password that the client has sent.
    fn with_password(&self, user: &[u8], password: &[u8]) -> Proven {
        let configured = self.account.as_ref().filter(|_| self.is_configured);
        if let Some(account) = configured.filter(|account| bool::from(account.password.ct_eq(password))) {
            return Proven::Account(Arc::clone(account));
        }
        let claimed = Arc::new(Account { user: user.to_vec(), password: password.to_vec() });
        if self.is_configured { Proven::VainClaim(claimed, self.why("wrong password")) } else { Proven::Claimed(claimed) }
    }

    fn why(&self, otherwise: &'static str) -> &'static str {
        self.hindrance.unwrap_or(otherwise)
    }
}

fn hindrance(terms: &AccountTerms, peer: Peer, is_encrypted: bool) -> Option<&'static str> {
    if terms.demands_tls && !is_encrypted {
        return Some("the account demands TLS");
    }
    let is_near = terms.networks.is_empty() || contain(&terms.networks, peer.ip());
    (!is_near).then_some("the account may not log in from this address")
}

/// The proof of the password. `Ok(Err(why))` is a client that has not given it.
pub(super) async fn prove(
    exchange: &mut Exchange,
    login: &Login<'_>,
    challenge: Challenge,
    peer: Peer,
    shared: &Shared,
) -> Result<Result<Proof, &'static str>, LoginError> {
    let candidate = Candidate::find(login.user, peer, exchange.is_encrypted(), shared);
    let begin = if challenge.announced.is_some() { ServerLogin::start } else { ServerLogin::again };
    let (mut proof, mut step) = begin(challenge, login, candidate.expected());
    loop {
        step = match step {
            ServerStep::Send(payload) => {
                exchange.send(&payload).await?;
                proof.on_packet(&exchange.receive().await?)
            }
            ServerStep::SendPublicKey => {
                let mut payload = BytesMut::new();
                AuthMoreData { data: shared.login_key.public_pem() }.encode(&mut payload);
                exchange.send(&payload).await?;
                proof.on_packet(&exchange.receive().await?)
            }
            ServerStep::DecryptPassword(encrypted) => {
                proof.on_decrypted(shared.login_key.decrypt(&encrypted).as_deref().map(Vec::as_slice))
            }
            ServerStep::Accepted { send_first } => {
                // It says that OK or an error follows, and can wait for either.
                if let Some(payload) = send_first {
                    exchange.queue(&payload);
                }
                let vouched = exchange.own_certificate().and_then(|certificate| proof.vouch_for(certificate)).unwrap_or_default();
                let proven = candidate.account.map(Proven::Account).ok_or("unknown user");
                return Ok(proven.map(|proven| Proof { proven, vouched }));
            }
            ServerStep::Disclosed(password) => return Ok(Ok(candidate.with_password(login.user, &password).into())),
            ServerStep::Denied(why) => return Ok(Err(candidate.why(why))),
        }
    }
}
