use std::collections::BTreeMap as Model;

use proptest::prelude::*;

use super::*;

fn position(text: &str) -> GtidPosition {
    text.parse().unwrap_or_else(|error| panic!("{text}: {error}"))
}

#[test]
fn positions_print_as_mariadb_prints_them() {
    for (text, expect) in [
        ("", ""),
        ("0-1-100", "0-1-100"),
        ("5-2-7,0-1-100", "0-1-100,5-2-7"),
        (" 0-1-100 ,\n5-2-7", "0-1-100,5-2-7"),
        ("0-1-5,0-2-9,0-3-7", "0-2-9"),
        ("4294967295-4294967295-18446744073709551615", "4294967295-4294967295-18446744073709551615"),
    ] {
        assert_eq!(position(text).to_string(), expect, "{text:?}");
    }
}

#[test]
fn what_is_no_position_is_refused() {
    for text in ["0", "0-1", "0-1-2-3", "a-1-2", "0-1-", "-1-2-3", "0-+1-2", "4294967296-1-1", "0-1-18446744073709551616"] {
        assert_eq!(text.parse::<GtidPosition>(), Err(ParsePositionError::Gtid(text.into())));
    }
}

#[test]
fn only_the_sequence_within_a_domain_is_the_order() {
    for (whole, part, expect) in [
        ("0-1-100", "0-1-100", true),
        ("0-1-100", "0-1-99", true),
        ("0-1-100", "0-1-101", false),
        ("0-1-100", "0-77-3", true),
        ("0-1-100", "", true),
        ("", "", true),
        ("", "0-1-1", false),
        ("0-1-100", "1-1-1", false),
        ("0-1-100,1-1-1", "1-1-1", true),
        ("0-1-100,1-1-1", "0-1-5,1-1-2", false),
    ] {
        assert_eq!(position(whole).contains(&position(part)), expect, "{whole:?} contains {part:?}");
    }
}

#[test]
fn a_union_never_goes_back() {
    assert_eq!(position("0-1-5,1-1-9").union(&position("0-2-7,1-3-2,2-1-1")), position("0-2-7,1-1-9,2-1-1"));
    // Nor to the transaction of another server with the same number.
    assert_eq!(position("0-1-7,0-2-7"), position("0-1-7"));
}

fn parts() -> impl Strategy<Value = Vec<(u32, u32, u64)>> {
    proptest::collection::vec((0u32..3, 1u32..4, 1u64..20), 0..6)
}

fn built(parts: &[(u32, u32, u64)]) -> (GtidPosition, Model<u32, u64>) {
    let mut position = GtidPosition::default();
    let mut model = Model::new();
    for (domain, server_id, sequence) in parts {
        position.advance(*domain, Gtid { server_id: *server_id, sequence: *sequence });
        let last = model.entry(*domain).or_insert(*sequence);
        *last = (*last).max(*sequence);
    }
    (position, model)
}

fn model_of(position: &GtidPosition) -> Model<u32, u64> {
    position.iter().map(|(domain, gtid)| (domain, gtid.sequence)).collect()
}

proptest! {
    #[test]
    fn the_algebra_agrees_with_plain_maps(left in parts(), right in parts()) {
        let ((a, ma), (b, mb)) = (built(&left), built(&right));
        prop_assert_eq!(model_of(&a), ma.clone());
        prop_assert_eq!(a.contains(&b), mb.iter().all(|(domain, theirs)| ma.get(domain).is_some_and(|mine| mine >= theirs)));
        let mut both = ma;
        for (domain, theirs) in mb {
            let last = both.entry(domain).or_insert(theirs);
            *last = (*last).max(theirs);
        }
        prop_assert_eq!(model_of(&a.union(&b)), both);
        prop_assert!(a.union(&b).contains(&a) && a.union(&b).contains(&b));
        prop_assert_eq!(a.to_string().parse::<GtidPosition>(), Ok(a));
    }
}
