use proptest::prelude::*;

use super::*;
use crate::{Gtid, GtidPosition};

/// The primary after this many transactions.
fn at(sequence: u64) -> Position {
    let mut position = GtidPosition::default();
    if sequence > 0 {
        position.advance(0, Gtid { server_id: 1, sequence });
    }
    Position::MariaDb(position)
}

fn ms(start: Instant, millis: u64) -> Instant {
    start + Duration::from_millis(millis)
}

#[test]
fn a_replica_is_as_fresh_as_the_latest_position_that_it_has() {
    let start = Instant::now();
    let mut history = PositionHistory::default();
    for (millis, sequence) in [(0, 10), (50, 12), (100, 12), (150, 15)] {
        history.record(ms(start, millis), at(sequence));
    }
    for (applied, expect) in
        [(9, None), (10, Some(0)), (11, Some(0)), (12, Some(100)), (14, Some(100)), (15, Some(150)), (99, Some(150))]
    {
        let expect = expect.map(|millis| ms(start, millis));
        assert_eq!(history.fresh_as_of(&at(applied)), expect, "applied {applied}");
    }
}

#[test]
fn an_idle_primary_takes_one_sample_and_keeps_its_replicas_fresh() {
    let start = Instant::now();
    let mut history = PositionHistory::default();
    for millis in (0..3_600_000).step_by(50) {
        history.record(ms(start, millis), at(7));
    }
    assert_eq!(history.len(), 1);
    assert_eq!(history.fresh_as_of(&at(7)), Some(ms(start, 3_599_950)));
}

#[test]
fn samples_are_kept_for_as_long_as_they_are_said_to_be() {
    let (start, age) = (Instant::now(), u64::try_from(HISTORY_AGE_MAX.as_millis()).unwrap());
    let kept = |later: &[u64]| {
        let mut history = PositionHistory::default();
        for (sequence, millis) in (1..).zip([0, 1].iter().chain(later)) {
            history.record(ms(start, *millis), at(sequence));
        }
        assert!(!history.is_empty());
        (history.len(), history.fresh_as_of(&at(1)).is_some())
    };
    assert_eq!(kept(&[]), (2, true));
    assert_eq!(kept(&[age]), (3, true));
    assert_eq!(kept(&[age + 1]), (2, false));
    assert_eq!(kept(&[10 * age]), (1, false));
}

#[test]
fn an_empty_position_proves_nothing() {
    let start = Instant::now();
    let mut history = PositionHistory::default();
    history.record(start, at(0));
    assert!(history.is_empty());
    assert_eq!(history.fresh_as_of(&at(5)), None);
}

#[test]
fn a_sample_out_of_order_is_ignored() {
    let start = Instant::now();
    let mut history = PositionHistory::default();
    history.record(ms(start, 100), at(5));
    history.record(ms(start, 50), at(9));
    history.record(ms(start, 100), at(9));
    assert_eq!(history.fresh_as_of(&at(9)), Some(ms(start, 100)));
    assert_eq!(history.len(), 1);
}

#[test]
fn positions_of_another_engine_prove_nothing() {
    let mut history = PositionHistory::default();
    history.record(Instant::now(), at(5));
    assert_eq!(history.fresh_as_of(&Position::empty(crate::Engine::MySql)), None);
}

#[test]
fn a_new_primary_may_start_below_the_old_one() {
    let start = Instant::now();
    let mut history = PositionHistory::default();
    for (millis, sequence) in [(0, 10), (50, 20), (100, 14), (150, 16)] {
        history.record(ms(start, millis), at(sequence));
    }
    assert_eq!(history.fresh_as_of(&at(15)), Some(ms(start, 100)));
    assert_eq!(history.fresh_as_of(&at(16)), Some(ms(start, 150)));
}

#[test]
fn ten_minutes_of_busy_samples_stay_within_the_limit_and_the_precision() {
    let start = Instant::now();
    let mut history = PositionHistory::default();
    let step = 20;
    let last = 900_000 / step;
    for n in 1..=last {
        history.record(ms(start, n * step), at(n));
        assert!(history.len() < HISTORY_SAMPLES_MAX);
    }
    let now = ms(start, last * step);
    for n in (1..=last).rev().step_by(97) {
        let truth = Duration::from_millis((last - n) * step);
        let Some(fresh) = history.fresh_as_of(&at(n)) else {
            assert!(truth + truth / HISTORY_RESOLUTION > HISTORY_AGE_MAX, "no proof at {truth:?}");
            continue;
        };
        let told = now.saturating_duration_since(fresh);
        assert!(told >= truth, "told {told:?}, but it is {truth:?}");
        assert!(told <= truth + told / HISTORY_RESOLUTION + Duration::from_millis(step), "told {told:?}, but it is {truth:?}");
    }
}

proptest! {
    /// Never fresher than the truth; exactly the truth while nothing was thinned out.
    #[test]
    fn freshness_is_the_latest_contained_sample(
        steps in proptest::collection::vec((1u64..400, 0u64..3), 1..200),
        applied in 0u64..300,
    ) {
        let start = Instant::now();
        let (mut millis, mut sequence) = (0, 1);
        let mut history = PositionHistory::default();
        let mut truth = None;
        for (wait, more) in steps {
            millis += wait;
            sequence += more;
            history.record(ms(start, millis), at(sequence));
            if sequence <= applied {
                truth = Some(ms(start, millis));
            }
        }
        prop_assert_eq!(history.fresh_as_of(&at(applied)), truth);
    }
}
