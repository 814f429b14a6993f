//! What a proxy does about a finding: the stage of its plan, then another look at all servers.

use failover::{Durability, Finding, Plan, Request, Situation, Step, find, plan};
use topology::{ClusterView, Engine, ServerId, ThreadState};

use super::proxy::Phase;
use super::{Breakage, Event, Stage, World};

/// A step that has no answer by then is given up.
const STEP_TIMEOUT: u64 = 1000;

impl World {
    pub(super) fn decide(&mut self, proxy: usize) {
        if !self.proxies[proxy].is_alive || self.proxies[proxy].phase != Phase::Idle {
            return;
        }
        let now = self.instant(self.now);
        let mut view = self.proxies[proxy].cluster.view();
        let state = &self.proxies[proxy];
        let situation = Situation { view: &view, policy: &self.policy, history: &state.history, request: state.request };
        let mut finding = find(&situation, now);
        let skips_freeze = self.options.breakage == Some(Breakage::SkipFreeze) && matches!(finding, Finding::Revoking { .. });
        if skips_freeze {
            take_for_frozen(&mut view);
        }
        let situation = Situation { view: &view, policy: &self.policy, history: &state.history, request: state.request };
        if skips_freeze {
            finding = find(&situation, now);
        }
        self.tamper_finding(&mut finding);
        let plan = plan(&finding, &situation, now);
        let label = finding.label().to_owned();
        if self.proxies[proxy].last_finding != label {
            self.say(|| format!("proxy {proxy}: {label}: {finding}"));
            self.proxies[proxy].last_finding = label;
        }
        self.settle_request(proxy, &finding);
        self.proxies[proxy].cluster.close(plan.is_closing);
        if plan.stage.is_empty() && plan.accept.is_none() {
            self.fence(proxy, &plan);
            return self.release_locks(proxy);
        }
        if self.uses_locks && !self.holds_majority(proxy) {
            if self.take_locks(proxy) {
                self.look_around(proxy);
            }
            return;
        }
        self.act(proxy, &finding, plan);
    }

    fn settle_request(&mut self, proxy: usize, finding: &Finding) {
        let request = &mut self.proxies[proxy].request;
        match finding {
            Finding::Done { .. } | Finding::Refused { .. } | Finding::RolledBack { .. } => *request = None,
            Finding::SwitchingOver { to, .. } | Finding::RollingBack { to, .. } => {
                if let Some(Request::Switchover { to: asked, .. }) = request {
                    *asked = Some(to.id);
                }
            }
            _ => {}
        }
    }

    fn fence(&mut self, proxy: usize, plan: &Plan) {
        let ignores_fence = self.options.breakage == Some(Breakage::IgnoreFence);
        if let Some(fence) = plan.fence {
            self.proxies[proxy].fenced = Some(fence.index());
            if !ignores_fence {
                self.proxies[proxy].cluster.fence(fence);
            }
        }
        if let Some(unfence) = plan.unfence {
            self.proxies[proxy].fenced = None;
            self.proxies[proxy].cluster.unfence(unfence);
        }
    }

    fn act(&mut self, proxy: usize, finding: &Finding, plan: Plan) {
        self.fence(proxy, &plan);
        let ignores_fence = self.options.breakage == Some(Breakage::IgnoreFence);
        if let Some(id) = plan.accept {
            self.say(|| format!("proxy {proxy}: takes db{} for the primary", id.index() + 1));
            self.proxies[proxy].cluster.accept(id);
        }
        let mut stage = plan.stage;
        if ignores_fence {
            stage.retain(|step| !matches!(step, Step::Fence { .. }));
        }
        self.tamper_stage(&mut stage);
        if stage.is_empty() {
            return self.look_around(proxy);
        }
        let is_promotion = matches!(finding, Finding::Promoting(_));
        let state = &mut self.proxies[proxy];
        state.is_promoting = is_promotion;
        state.phase = Phase::Acting;
        state.round += 1;
        state.open_steps = (0..stage.len()).collect();
        let (round, incarnation, node) = (state.round, state.incarnation, self.node(proxy));
        self.say(|| format!("proxy {proxy}: {} does {stage:?}", finding.label()));
        for (place, step) in stage.into_iter().enumerate() {
            let of = Stage { proxy, incarnation, round, place };
            self.remember_intent(proxy, &step, is_promotion);
            self.after(STEP_TIMEOUT, Event::StepEnds { of, is_done: false, step: step.clone() });
            let to = step.server().index();
            let is_lost = self.random.percent(2) && !self.is_calm;
            if self.is_open(node, to) && !is_lost {
                let delay = self.random.between(1, 20);
                self.after(delay, Event::StepArrives { of, step });
            }
        }
    }

    /// What is about to be done is written down first: after a crash it may have been done.
    fn remember_intent(&mut self, proxy: usize, step: &Step, is_promotion: bool) {
        let now = self.instant(self.now);
        let history = &mut self.proxies[proxy].history;
        history.begin(step.kind(), step.server());
        if matches!(step, Step::OpenWrites { .. }) && is_promotion {
            history.promotions.push(now);
        }
    }

    fn remember_success(&mut self, proxy: usize, step: &Step) {
        self.proxies[proxy].history.end(step.kind(), step.server());
    }

    pub(super) fn step_arrives(&mut self, of: Stage, step: Step) {
        let Stage { proxy, incarnation, round, .. } = of;
        let to = step.server().index();
        // The connection ended with the process that opened it.
        if !self.is_current(proxy, incarnation) || self.proxies[proxy].round != round || !self.servers[to].works() {
            return;
        }
        let holder = self.servers[to].lock;
        if self.uses_locks && holder.is_some_and(|holder| holder != (proxy, incarnation)) {
            return self.after(1, Event::StepEnds { of, is_done: false, step });
        }
        if matches!(step, Step::Detach { .. }) && self.proxies[proxy].is_promoting {
            self.check_detached(proxy, to);
        }
        let is_done = self.apply_step(proxy, &step);
        self.say(|| format!("proxy {proxy}: {step:?} {}", if is_done { "done" } else { "failed" }));
        let is_reply_lost = self.random.percent(2) && !self.is_calm;
        if self.is_open(to, self.node(proxy)) && !is_reply_lost {
            let delay = self.random.between(1, 5);
            self.after(delay, Event::StepEnds { of, is_done, step });
        }
    }

    pub(super) fn step_ends(&mut self, of: Stage, is_done: bool, step: &Step) {
        let Stage { proxy, incarnation, round, place } = of;
        let state = &self.proxies[proxy];
        if !self.is_current(proxy, incarnation) || state.round != round || state.phase != Phase::Acting {
            return;
        }
        // The time-out of a step that was answered comes later.
        if !self.proxies[proxy].open_steps.remove(&place) {
            return;
        }
        if is_done {
            self.remember_success(proxy, step);
            if let (Step::AwaitTransactions { .. }, Some(Request::Switchover { drain_until, .. })) =
                (step, &mut self.proxies[proxy].request)
            {
                *drain_until = self.start;
            }
        }
        if self.proxies[proxy].open_steps.is_empty() {
            self.look_around(proxy);
        }
    }

    fn look_around(&mut self, proxy: usize) {
        let count = self.servers.len();
        let state = &mut self.proxies[proxy];
        state.phase = Phase::Looking;
        state.round += 1;
        state.pending = count;
        let round = state.round;
        for server in 0..count {
            self.send_probe(proxy, server, Some(round));
        }
    }

    fn apply_step(&mut self, proxy: usize, step: &Step) -> bool {
        let id = step.server().index();
        let mut all = std::mem::take(&mut self.all);
        let server = &mut self.servers[id];
        let is_done = match step {
            Step::Freeze { .. } => {
                server.start_sql(&mut all);
                server.io = ThreadState::Stopped;
                true
            }
            Step::Thaw { .. } => {
                server.start_sql(&mut all);
                if server.source.is_some() && server.io == ThreadState::Stopped && !server.io_error {
                    server.io = ThreadState::Connecting;
                }
                true
            }
            Step::Drain { .. } => {
                server.start_sql(&mut all);
                true
            }
            Step::AwaitTransactions { .. } => true,
            Step::CloseWrites { .. } => {
                server.read_only |= server.waiting.is_empty();
                server.read_only
            }
            Step::Fence { .. } => {
                for waiting in &mut server.waiting {
                    waiting.reply = None;
                }
                if server.engine == Engine::MySql {
                    server.offline = true;
                    server.read_only |= server.waiting.is_empty();
                } else {
                    server.read_only = true;
                    for waiting in std::mem::take(&mut server.waiting) {
                        server.commit(waiting.tx, &all);
                    }
                }
                true
            }
            Step::Retire { .. } => {
                for mut waiting in std::mem::take(&mut server.waiting) {
                    waiting.reply = None;
                    server.commit(waiting.tx, &all);
                }
                server.source_enabled = false;
                server.offline |= server.engine == Engine::MySql;
                server.read_only = true;
                true
            }
            Step::Detach { .. } => {
                server.relay.clear();
                server.source = None;
                server.io = ThreadState::Stopped;
                server.sql = false;
                server.io_error = false;
                server.applier_error = false;
                true
            }
            Step::RequireAcks { acks, .. } => {
                server.source_enabled = server.has_semi_sync;
                server.acks = if server.engine == Engine::MariaDb { 1 } else { *acks };
                true
            }
            Step::Follow { source, acknowledges, is_former_primary, .. } => {
                server.relay.clear();
                if *is_former_primary {
                    server.demote();
                    server.offline = false;
                }
                server.source = Some(source.index());
                server.replica_enabled = *acknowledges;
                server.io = ThreadState::Connecting;
                server.sql = true;
                server.io_error = false;
                server.applier_error = false;
                server.cut_since = None;
                true
            }
            Step::OpenWrites { .. } => {
                if server.read_only {
                    server.writable_since = self.now;
                }
                server.read_only = false;
                server.offline = false;
                true
            }
        };
        self.all = all;
        self.after_step(proxy, step);
        is_done
    }

    fn after_step(&mut self, proxy: usize, step: &Step) {
        let id = step.server().index();
        match step {
            Step::Freeze { .. } | Step::Drain { .. } => self.wake_applier(id),
            Step::Thaw { .. } | Step::Follow { .. } => {
                self.wake_applier(id);
                self.after(2, Event::ConnectIo { replica: id });
            }
            Step::Fence { .. } if self.servers[id].offline => self.lose_source(id),
            Step::OpenWrites { .. } => self.check_opened(proxy, id),
            _ => {}
        }
        self.recheck_connections();
    }

    fn holds_majority(&self, proxy: usize) -> bool {
        let mine = (proxy, self.proxies[proxy].incarnation);
        2 * self.servers.iter().filter(|server| server.is_alive && server.lock == Some(mine)).count() > self.servers.len()
    }

    fn take_locks(&mut self, proxy: usize) -> bool {
        let mine = (proxy, self.proxies[proxy].incarnation);
        let node = self.node(proxy);
        for id in 0..self.servers.len() {
            let is_free = self.servers[id].lock.is_none();
            if is_free && self.servers[id].works() && self.is_open_both_ways(node, id) {
                self.servers[id].lock = Some(mine);
            }
        }
        if !self.holds_majority(proxy) {
            self.release_locks(proxy);
            return false;
        }
        self.say(|| format!("proxy {proxy}: has the lock"));
        true
    }

    pub(super) fn release_locks(&mut self, proxy: usize) {
        for server in &mut self.servers {
            if server.lock.is_some_and(|(holder, _)| holder == proxy) {
                server.lock = None;
            }
        }
    }

    fn tamper_finding(&self, finding: &mut Finding) {
        let Finding::Promoting(promotion) = finding else { return };
        match self.options.breakage {
            Some(Breakage::ChooseLeastAdvanced) => {
                let chosen = promotion.to.id.index();
                let usable = |id: &usize| {
                    *id != chosen
                        && self.servers[*id].works()
                        && self.servers[*id].read_only
                        && self.servers[*id].source.is_some()
                };
                let size = |id: &usize| self.servers[*id].log.len() + self.servers[*id].relay.len();
                if let Some(least) = (0..self.servers.len()).filter(usable).min_by_key(size) {
                    promotion.to.id = ServerId(u16::try_from(least).unwrap());
                }
            }
            Some(Breakage::SkipQuorum) => promotion.durability = Durability::Lossless,
            _ => {}
        }
    }

    fn tamper_stage(&self, stage: &mut [Step]) {
        if self.options.breakage != Some(Breakage::SkipDrain) {
            return;
        }
        for step in stage {
            if let Step::Drain { server, .. } = *step {
                *step = Step::Detach { server };
            }
        }
    }
}

/// All replicas look as if they received nothing.
fn take_for_frozen(view: &mut ClusterView) {
    for seen in view.servers.iter_mut().filter_map(|server| server.seen.as_mut()) {
        for channel in &mut std::sync::Arc::make_mut(seen).channels {
            channel.io = ThreadState::Stopped;
        }
    }
}
