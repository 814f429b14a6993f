//! The progress of a promotion, for people; decisions do not depend on it.

use failover::{Finding, Plan, Step};
use tokio::time::Instant;
use topology::{ClusterView, Epoch};

use super::{Executor, name};
use crate::journal::{Entry, Event, Moment, Outcome};

/// A promotion that has begun.
#[derive(Debug)]
pub(super) struct Promotion {
    from: String,
    epoch: Epoch,
    began: Instant,
    is_asked_for: bool,
    /// The command before it was run.
    pub(super) is_announced: bool,
}

impl Promotion {
    pub(super) fn began(&self) -> Event {
        Event::PromotionBegan { from: self.from.clone(), is_asked_for: self.is_asked_for }
    }
}

impl Executor {
    /// Notes when a promotion begins, and how it ends.
    pub(super) fn follow_promotion(&mut self, view: &ClusterView, finding: &Finding, plan: &Plan) {
        if let Some(promotion) = self.promotion.take_if(|promotion| promotion.epoch != view.epoch) {
            self.end_promotion(view, &promotion);
        }
        let begins = plan.fence.is_some() || plan.is_closing;
        match (&self.promotion, plan.fence.or(view.primary)) {
            (None, Some(from)) if begins => {
                let promotion = Promotion {
                    from: name(view, from),
                    epoch: view.epoch,
                    began: Instant::now(),
                    is_asked_for: self.asked.is_some(),
                    is_announced: false,
                };
                self.record(promotion.began());
                self.promotion = Some(promotion);
            }
            (Some(_), _) if !begins && plan.stage.is_empty() => {
                self.promotion = None;
                self.record(Event::PromotionEnded { why: finding.to_string() });
            }
            _ => {}
        }
    }

    fn end_promotion(&mut self, view: &ClusterView, promotion: &Promotion) {
        let Some(to) = view.primary.or(view.last_primary) else { return };
        if !promotion.is_asked_for {
            self.history.promotions.push(Instant::now().into_std());
        }
        let event = Event::Promoted { to: name(view, to), took: promotion.began.elapsed(), is_asked_for: promotion.is_asked_for };
        let entry = Entry { at: std::time::SystemTime::now(), event: event.clone() };
        self.record(event);
        // Another Pointsman may have done it, and runs its own.
        if promotion.is_announced {
            tokio::spawn(self.recorder.hook(Moment::After, &entry));
        }
    }
}

/// The details of a step besides its server.
pub(super) fn detail(view: &ClusterView, step: &Step) -> String {
    match step {
        Step::Drain { up_to, .. } => format!("up to {up_to}"),
        Step::RequireAcks { acks, .. } => format!("{acks} for each commit"),
        Step::Follow { source, acknowledges, .. } => {
            let source = name(view, *source);
            if *acknowledges { format!("{source}, acknowledging") } else { source }
        }
        _ => String::new(),
    }
}

/// Logs an entry of the journal, except what is logged elsewhere, such as findings at their own level.
pub(super) fn log(event: &Event) {
    match event {
        // The frontend logs each worker's ejection.
        Event::Found { .. } | Event::Ejected { .. } | Event::EjectionEnded { .. } => {}
        Event::Step { step, server, detail, took, outcome } => match outcome {
            Outcome::Failed(why) => {
                tracing::warn!(step, %server, detail, ?took, why, "a step failed; the servers are looked at again");
            }
            Outcome::Begins => tracing::debug!(step, %server, "step begins"),
            Outcome::Done | Outcome::GoesOn => tracing::info!(step, %server, detail, ?took, %outcome, "step"),
        },
        Event::Locks { held: true, text } => tracing::info!(on = text, "holds the right to change roles"),
        Event::Locks { held: false, text } => tracing::info!(why = text, "does not get the right to change roles"),
        Event::PromotionBegan { from, is_asked_for } => {
            tracing::warn!(%from, is_asked_for, "the primary is about to be replaced");
        }
        Event::Promoted { to, took, is_asked_for } => tracing::warn!(%to, ?took, is_asked_for, "a new primary takes writes"),
        Event::PromotionEnded { why } => tracing::warn!(why, "the primary is not replaced"),
        Event::ShareSet { server, before, after } => {
            tracing::info!(%server, %before, %after, "a person has changed a server's share");
        }
        Event::Hook { moment, outcome } => tracing::info!(moment, outcome, "command of the configuration"),
    }
}

/// The answer to a person's request, once it is decided.
pub(super) fn answer(finding: &Finding) -> Option<Result<String, String>> {
    match finding {
        Finding::Done { .. } => Some(Ok(finding.to_string())),
        Finding::Refused { .. } | Finding::RolledBack { .. } => Some(Err(finding.to_string())),
        _ => None,
    }
}
