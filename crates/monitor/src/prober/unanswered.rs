//! What to make of a question that has no answer yet.
//!
//! A look may hang because the server is frozen or the network is gone; then nothing else gets an answer either. Or it alone hangs, in a lock on the
//! server or on a connection that the network has forgotten; then a new connection is accepted, and so are the applications. So a slow look is not
//! judged by itself: a second connection is opened next to it.
//!
//! There are never more than two: a hanging look is given up for a new one only after a time that doubles, since the server may not notice that the
//! client is gone before the lock is released.

use std::pin::{Pin, pin};
use std::time::Duration;

use tokio::select;
use tokio::task::JoinHandle;
use tokio::time::{Instant, interval_at, sleep, sleep_until, timeout};
use topology::Report;

use super::{Look, Prober, RETRY_MAX, ReceiverGone, Seen, look};
use crate::connection::ServerConnection;
use crate::failure::ProbeError;

/// A look that hangs while others are answered is asked again through another connection after this time at first, at most after the
/// other.
const HOLD_MIN: Duration = Duration::from_secs(1);
const HOLD_MAX: Duration = Duration::from_mins(1);

/// The time without any answer, and what was reported of it.
#[derive(Debug)]
pub(super) struct Silence {
    since: Instant,
    is_said: bool,
    /// Failed looks that were reported for it.
    failures: u32,
}

impl Silence {
    pub(super) fn since(since: Instant) -> Silence {
        Silence { since, is_said: false, failures: 0 }
    }
}

type Answer = Result<(ServerConnection, Seen), ProbeError>;
type Looking = Pin<Box<dyn Future<Output = Answer> + Send>>;

/// What came first.
enum First {
    Answered(Answer),
    /// A fresh connection was let in.
    Greeted(ServerConnection),
    /// A fresh connection was answered, but not let in.
    Refused(ProbeError),
    /// The fresh connection has not answered a question of this moment, or was cut.
    Lost(Instant),
    /// The look was given up for this connection.
    GivenUp(ServerConnection),
}

impl Prober {
    /// A connection that is logged in, however long it takes to get an answer. Reports silence meanwhile.
    pub(super) async fn connect(&self, silence: &mut Silence) -> Result<Result<ServerConnection, ProbeError>, ReceiverGone> {
        loop {
            let mut opening = self.open();
            let opened = loop {
                let due = self.next_alarm(silence);
                select! {
                    biased;
                    opened = &mut opening => break opened,
                    () = sleep_until(due) => self.report_silence(silence, due).await?,
                }
            };
            // The length of the silence counts, not the number of attempts.
            match opened {
                Ok(Err(ProbeError::ConnectTimeout(_))) => {}
                Ok(opened) => return Ok(opened),
                // The task has panicked: the server was not heard from, and the next attempt must not follow at once.
                Err(_) => return Ok(Err(ProbeError::ConnectTimeout(self.settings.connect_timeout))),
            }
        }
    }

    /// A task of its own, so that a login completes even if its outcome no longer matters: a server counts interrupted logins, and after
    /// `max_connect_errors` of them in a row it blocks this host.
    fn open(&self) -> JoinHandle<Result<ServerConnection, ProbeError>> {
        let (target, settings) = (self.target.clone(), self.settings.clone());
        tokio::spawn(async move { ServerConnection::open(&target, &settings).await })
    }

    /// One look through a connection, however long it takes as long as the server answers others.
    pub(super) async fn look(&self, connection: ServerConnection, what: Look) -> Result<Answer, ReceiverGone> {
        let mut asked = Instant::now();
        let mut looking: Looking = Box::pin(look(connection, what));
        let mut hold = HOLD_MIN;
        loop {
            // The other half of the time is left for the second opinion.
            if let Ok(answer) = timeout(self.settings.silence / 2, &mut looking).await {
                return Ok(answer);
            }
            match self.await_hanging(&mut looking, asked, hold).await? {
                Ok(answer) => return Ok(answer),
                Err(connection) => {
                    asked = Instant::now();
                    looking = Box::pin(look(connection, Look::Full));
                    hold = (hold * 2).min(HOLD_MAX);
                }
            }
        }
    }

    /// Until the look is answered, or given up for another connection.
    async fn await_hanging(
        &self,
        looking: &mut Looking,
        asked: Instant,
        hold: Duration,
    ) -> Result<Result<Answer, ServerConnection>, ReceiverGone> {
        let mut silence = Silence::since(asked);
        loop {
            let mut first = self.second_opinion(looking, &mut silence).await?;
            if let First::Greeted(connection) = first {
                // A look may be slow on a busy server, so it is reported only after it has taken as long as a silent server needs to be down.
                let patience = self.settings.query_timeout * self.settings.failures;
                let rest = (asked + patience).saturating_duration_since(Instant::now());
                if let Ok(answer) = timeout(rest, &mut *looking).await {
                    return Ok(Ok(answer));
                }
                self.report_failure(&ProbeError::LookHangs).await?;
                first = self.hold(looking, connection, hold).await;
            }
            match first {
                First::Answered(answer) => return Ok(Ok(answer)),
                First::GivenUp(connection) => return Ok(Err(connection)),
                // No server runs there any more, so the look will not be answered either.
                First::Refused(error) if error.is_cut_connection() => return Ok(Ok(Err(error))),
                First::Refused(error) => {
                    self.report_failure(&error).await?;
                    if let Ok(answer) = timeout(RETRY_MAX, &mut *looking).await {
                        return Ok(Ok(answer));
                    }
                    if !error.is_silence() {
                        silence = Silence::since(Instant::now());
                    }
                }
                First::Lost(since) => silence = Silence::since(since),
                First::Greeted(_) => silence = Silence::since(Instant::now()),
            }
        }
    }

    /// Whether a fresh connection is let in while the look hangs.
    async fn second_opinion(&self, looking: &mut Looking, silence: &mut Silence) -> Result<First, ReceiverGone> {
        select! {
            biased;
            answer = looking => Ok(First::Answered(answer)),
            opened = self.connect(silence) => Ok(match opened? {
                Ok(connection) => First::Greeted(connection),
                Err(error) => First::Refused(error),
            }),
        }
    }

    /// Waits for the look for as long as the other connection gets answers, at most until the time is over.
    async fn hold(&self, looking: &mut Looking, mut other: ServerConnection, hold: Duration) -> First {
        let mut pings =
            interval_at(Instant::now() + self.settings.interval, self.settings.interval.max(Duration::from_millis(1)));
        let mut over = pin!(sleep(hold));
        loop {
            select! {
                biased;
                answer = &mut *looking => return First::Answered(answer),
                () = &mut over => return First::GivenUp(other),
                _ = pings.tick() => {}
            }
            let sent = Instant::now();
            let ping = timeout(self.settings.silence, other.ping());
            select! {
                biased;
                answer = &mut *looking => return First::Answered(answer),
                answer = ping => if !matches!(answer, Ok(Ok(()))) { return First::Lost(sent) },
            }
        }
    }

    fn next_alarm(&self, silence: &Silence) -> Instant {
        let failure = silence.since + self.settings.query_timeout * silence.failures.saturating_add(1);
        if silence.is_said { failure } else { failure.min(silence.since + self.settings.silence) }
    }

    /// Says once that there is silence, and counts a failed look for every `query_timeout` of it.
    async fn report_silence(&self, silence: &mut Silence, due: Instant) -> Result<(), ReceiverGone> {
        // If we wake up late, the answer may already be in the socket.
        if due.elapsed() > self.settings.silence / 2 {
            *silence = Silence::since(Instant::now());
            return Ok(());
        }
        let lasted = silence.since.elapsed();
        if !silence.is_said && lasted >= self.settings.silence {
            silence.is_said = true;
            self.report(Report::Silent { since: silence.since.into_std() }).await?;
        }
        if lasted >= self.settings.query_timeout * silence.failures.saturating_add(1) {
            silence.failures = silence.failures.saturating_add(1);
            self.report_failure(&ProbeError::Silent(self.settings.query_timeout)).await?;
        }
        Ok(())
    }
}
