use std::collections::BTreeSet;

use proptest::prelude::*;

use super::*;

const A: &str = "3e11fa47-71ca-11e1-9e33-c80aa9429562";
const B: &str = "3e11fa47-71ca-11e1-9e33-c80aa9429563";

fn set(text: &str) -> GtidSet {
    text.replace('A', A).replace('B', B).parse().unwrap_or_else(|error| panic!("{text}: {error}"))
}

#[test]
fn sets_print_as_mysql_prints_them() {
    for (text, expect) in [
        ("", ""),
        (" , ,", ""),
        ("A:1", "A:1"),
        ("A:1-1", "A:1"),
        ("A:1-5:7", "A:1-5:7"),
        ("A:7:1-5:6", "A:1-7"),
        ("A:1-5:3-9", "A:1-9"),
        ("B:1,\nA:2", "A:2,B:1"),
        ("A:1-55:tag1:1", "A:1-55:tag1:1"),
        ("A:tag1:1", "A:tag1:1"),
        ("A:ONE:1:3:_b:2, A:9", "A:9:_b:2:one:1:3"),
        ("A:1,\nA:2,\nA:4", "A:1-2:4"),
        ("A: 1 - 5 : 7", "A:1-5:7"),
        ("A:9223372036854775806", "A:9223372036854775806"),
        ("A", ""),
    ] {
        assert_eq!(set(text).to_string(), expect.replace('A', A).replace('B', B), "{text:?}");
    }
    assert_eq!(format!("{}:1", A.to_uppercase()).parse::<GtidSet>().unwrap(), set("A:1"));
}

#[test]
fn what_is_no_set_is_refused() {
    use ParsePositionError as E;
    let long_tag = format!("A:{}:1", "t".repeat(33));
    for (text, expect) in [
        ("x", E::Uuid("x".into())),
        (":1", E::Uuid(String::new())),
        ("3e11fa47-71ca-11e1-9e33_c80aa9429562:1", E::Uuid("3e11fa47-71ca-11e1-9e33_c80aa9429562".into())),
        ("3e11fa47-71ca-11e1-9e33-c80aa942956g:1", E::Uuid("3e11fa47-71ca-11e1-9e33-c80aa942956g".into())),
        ("A:0", E::Interval("0".into())),
        ("A:2-1", E::Interval("2-1".into())),
        ("A:1-2-3", E::Interval("1-2-3".into())),
        ("A:1-+2", E::Interval("1-+2".into())),
        ("A:1-", E::Interval("1-".into())),
        ("A:9223372036854775807", E::Interval("9223372036854775807".into())),
        ("A:99999999999999999999", E::Interval("99999999999999999999".into())),
        ("A:-1", E::Tag("-1".into())),
        ("A::1", E::Tag(String::new())),
        ("A:ta-g:1", E::Tag("ta-g".into())),
        (long_tag.as_str(), E::Tag("t".repeat(33))),
    ] {
        let got = text.replacen("A:", &format!("{A}:"), 1).parse::<GtidSet>();
        assert_eq!(got, Err(expect), "{text:?}");
    }
}

#[test]
fn a_set_contains_its_subsets_only() {
    for (whole, part, expect) in [
        ("A:1-10", "A:1-10", true),
        ("A:1-10", "A:3:5-6", true),
        ("A:1-10", "A:3:11", false),
        ("A:1-3:5-10", "A:3-5", false),
        ("A:1-10", "", true),
        ("", "", true),
        ("", "A:1", false),
        ("A:1-10", "B:1", false),
        ("A:1-10,B:1", "B:1", true),
        ("A:1-10", "A:tag:1", false),
        ("A:tag:1-10", "A:1", false),
        ("A:1-10:tag:1-2", "A:7:tag:2", true),
    ] {
        assert_eq!(set(whole).contains(&set(part)), expect, "{whole:?} contains {part:?}");
    }
}

#[test]
fn subtraction_leaves_what_the_other_lacks() {
    for (left, right, expect) in [
        ("A:1-10", "A:3-4", "A:1-2:5-10"),
        ("A:1-10", "A:1-10", ""),
        ("A:1-10", "A:1-20", ""),
        ("A:1-10", "B:1-10", "A:1-10"),
        ("A:1-10", "", "A:1-10"),
        ("A:1-5:7:9-12", "A:2:5-7:11-20", "A:1:3-4:9-10"),
        ("A:1-5:t:1-5", "A:1-5", "A:t:1-5"),
    ] {
        assert_eq!(set(left).subtract(&set(right)), set(expect), "{left:?} - {right:?}");
    }
}

/// The plainest thing that can be a set of transactions: the set of them.
type Model = BTreeSet<(u128, Option<String>, u64)>;

fn model_of(set: &GtidSet) -> Model {
    let numbers = |intervals: &[Interval]| intervals.iter().flat_map(|i| i.first..=i.last).collect::<Vec<_>>();
    set.iter()
        .flat_map(|(uuid, tag, intervals)| {
            numbers(intervals).into_iter().map(move |n| (uuid.0, tag.map(|tag| tag.as_str().to_owned()), n))
        })
        .collect()
}

/// Few origins and small numbers, so that intervals meet, overlap and touch.
fn parts() -> impl Strategy<Value = Vec<(u128, Option<&'static str>, u64, u64)>> {
    let tag = prop_oneof![3 => Just(None), 1 => Just(Some("a")), 1 => Just(Some("b"))];
    proptest::collection::vec((0u128..2, tag, 1u64..40, 0u64..6), 0..12)
}

fn built(parts: &[(u128, Option<&str>, u64, u64)]) -> (GtidSet, Model) {
    let mut set = GtidSet::default();
    let mut model = Model::new();
    for (uuid, tag, first, more) in parts {
        set.add(Uuid(*uuid), tag.and_then(Tag::new), Interval::new(*first, first + more).unwrap());
        model.extend((*first..=first + more).map(|n| (*uuid, tag.map(str::to_owned), n)));
    }
    (set, model)
}

fn assert_canonical(set: &GtidSet) {
    for (_, _, intervals) in set.iter() {
        assert!(!intervals.is_empty(), "{set}: an origin without intervals");
        assert!(intervals.windows(2).all(|pair| pair[0].last + 1 < pair[1].first), "{set}: intervals that touch");
        assert!(intervals.iter().all(|interval| interval.first <= interval.last), "{set}: an empty interval");
    }
}

proptest! {
    #[test]
    fn the_algebra_agrees_with_plain_sets(left in parts(), right in parts()) {
        let ((a, ma), (b, mb)) = (built(&left), built(&right));
        prop_assert_eq!(model_of(&a), ma.clone());
        prop_assert_eq!(a.contains(&b), ma.is_superset(&mb));
        prop_assert_eq!(a == b, ma == mb);
        prop_assert_eq!(a.is_empty(), ma.is_empty());
        for (got, expect) in [(a.union(&b), &ma | &mb), (a.subtract(&b), &ma - &mb)] {
            assert_canonical(&got);
            prop_assert_eq!(model_of(&got), expect);
        }
        prop_assert!(a.union(&b).contains(&a));
        prop_assert!(a.contains(&a.subtract(&b)));
    }

    #[test]
    fn what_is_printed_reads_back_the_same(parts in parts()) {
        let (set, _) = built(&parts);
        assert_canonical(&set);
        prop_assert_eq!(set.to_string().parse::<GtidSet>(), Ok(set.clone()));
        prop_assert_eq!(set.to_string().replace(',', ",\n").parse::<GtidSet>(), Ok(set));
    }

    #[test]
    fn no_text_panics(text in "[0-9a-f:,\\- _t+\n]{0,80}|\\PC{0,40}", tail in "[0-9a-z:,\\- \n]{0,40}") {
        let _ = text.parse::<GtidSet>();
        let _ = format!("{A}:{tail}").parse::<GtidSet>();
        let _ = text.parse::<crate::GtidPosition>();
        let _ = crate::Version::parse(&text);
    }
}
