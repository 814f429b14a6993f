use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use failover::Durability;
use frontend::{Activity, DigestLine, Histogram, PoolLine, RouteStep, SessionLine};
use monitor::{Entry, Event, Outcome, Status};
use serde::Serialize;
use serde_json::Value;
use topology::{ClusterView, Condition, Epoch, Following, Role, ServerId, ServerState, ServerView, Share, Snapshot};

use super::*;
use crate::api::routes::routes;
use crate::settings::{Setting, Source};
use crate::views::doctor::Diagnosis;
use crate::views::ejections::EjectionView;
use crate::views::live::StateView;
use crate::views::route::ExplainedView;
use crate::views::rules::RuleView;
use crate::views::statistics::{Clocks, DigestView, PoolView, SessionView};
use crate::views::{EntryView, StatusView};

fn document() -> Value {
    serde_json::from_str(DOCUMENT).expect("JSON")
}

#[test]
fn each_route_is_described_and_each_described_route_is_there() {
    let document = document();
    let described: BTreeSet<(String, String)> = document["paths"]
        .as_object()
        .expect("paths")
        .iter()
        .flat_map(|(path, item)| {
            let methods = item.as_object().expect("methods").keys().filter(|key| *key != "parameters");
            methods.map(|method| (method.clone(), path.clone()))
        })
        .collect();
    let there: BTreeSet<_> = routes().iter().map(|route| (route.method.to_owned(), route.path.to_owned())).collect();
    assert_eq!(described, there);
    assert_eq!(document["info"]["version"], env!("CARGO_PKG_VERSION"));
}

#[test]
fn each_reference_leads_somewhere() {
    fn check(value: &Value, document: &Value) {
        match value {
            Value::Object(fields) => {
                if let Some(reference) = fields.get("$ref") {
                    let place = reference.as_str().and_then(|text| text.strip_prefix('#')).expect("a place in this file");
                    assert!(document.pointer(place).is_some(), "{place}");
                }
                fields.values().for_each(|value| check(value, document));
            }
            Value::Array(values) => values.iter().for_each(|value| check(value, document)),
            _ => {}
        }
    }
    let document = document();
    check(&document, &document);
}

/// Holds an example of an answer against its schema: the same properties, all of them required, and the same of what is in it.
fn check(schema: &str, example: impl Serialize) {
    let (document, example) = (document(), serde_json::to_value(example).expect("JSON"));
    compare(&document, &document["components"]["schemas"][schema], &example, schema);
}

fn compare(document: &Value, schema: &Value, example: &Value, place: &str) {
    if let Some(reference) = schema["$ref"].as_str() {
        let target = document.pointer(reference.trim_start_matches('#')).expect("a schema");
        return compare(document, target, example, place);
    }
    if let (Some(items), Some(examples)) = (schema.get("items"), example.as_array()) {
        return examples.iter().for_each(|example| compare(document, items, example, place));
    }
    let (Some(properties), Some(fields)) = (schema["properties"].as_object(), example.as_object()) else { return };
    let keys = |object: &serde_json::Map<String, Value>| object.keys().cloned().collect::<BTreeSet<_>>();
    assert_eq!(keys(properties), keys(fields), "{place}");
    let required = schema["required"].as_array().expect("required").iter().map(|key| key.as_str().expect("a key").to_owned());
    assert_eq!(required.collect::<BTreeSet<_>>(), keys(fields), "{place}: required");
    for (key, field) in fields {
        compare(document, &properties[key], field, &format!("{place}.{key}"));
    }
}

fn status() -> Status {
    let server = ServerView {
        id: ServerId(0),
        name: "db1".into(),
        share: Share { weight: 1, state: ServerState::Active },
        role: Role::Primary,
        condition: Condition::Up,
        is_deposed: false,
        seen: None,
        seen_at: None,
        follows: Following::Unknown,
        diverged: None,
        shares_history: true,
        has_been_down: false,
        filters: None,
    };
    let view = ClusterView {
        epoch: Epoch(1),
        primary: Some(ServerId(0)),
        last_primary: Some(ServerId(0)),
        servers: vec![server],
        warnings: Vec::new(),
    };
    let (durability, requirements) = (Durability::Bounded, Vec::new());
    Status { view, finding: "healthy", severity: "info", text: String::new(), durability, requirements }
}

#[test]
fn the_answers_about_servers_are_as_described() {
    check("Status", StatusView::from(status()));
    check("State", StateView::example(status()));
}

#[test]
fn the_answers_of_the_frontend_are_as_described() {
    let (clocks, servers, now) = (Clocks::now(), Snapshot::default(), Instant::now());
    let activity = Activity {
        since: now,
        is_running: true,
        digest: classifier::Digest::default(),
        server: Some(ServerId(0)),
        pin: None,
        schema: None,
        statements: 1,
    };
    let (user, peer) = (Box::from(*b"app"), "127.0.0.1:5".to_owned());
    let session = SessionLine { id: 1, user, peer, is_encrypted: true, logged_in: now, activity };
    check("Session", SessionView::new(session, clocks, &servers));
    let pool = PoolLine { server: ServerId(0), open: 1, limit: 2, waiting: 0, ejected_by: 0 };
    check("Pool", PoolView::new(pool, &servers));
    let digest = DigestLine {
        digest: classifier::Digest::default(),
        text: Arc::default(),
        user: Box::default(),
        schema: None,
        server: None,
        because: "fresh_replica",
        errors: 0,
        rows: 0,
        changed: 0,
        bytes: 0,
        times: Histogram::default(),
        first_seen: now,
        last_seen: now,
    };
    check("Digest", DigestView::new(&digest, clocks, &servers));
    check("Rule", RuleView::example());
    check("Ejection", EjectionView::example());
    check("Setting", Setting { name: String::new(), value: None, source: Source::Default, next: None });
    check("Diagnosis", Diagnosis::example());
    let text = String::new;
    let (step, subject, result, because) = (text(), text(), text(), text());
    let step = RouteStep { step, subject, result, because, server_role: None, staleness_ms: None, weight: None };
    check("Explained", ExplainedView::from(vec![step]));
}

#[test]
fn each_kind_of_entry_is_as_described() {
    let (text, took) = (String::new, Duration::from_secs(1));
    let share = Share { weight: 1, state: ServerState::Active };
    let examples = [
        (
            "Found",
            Event::Found { finding: "healthy", severity: "info", text: text(), evidence: vec![("db1".to_owned(), text())] },
        ),
        ("StepOfPlan", Event::Step { step: "fence", server: text(), detail: text(), took, outcome: Outcome::Done }),
        ("Locks", Event::Locks { held: true, text: text() }),
        ("PromotionBegan", Event::PromotionBegan { from: text(), is_asked_for: true }),
        ("Promoted", Event::Promoted { to: text(), took, is_asked_for: true }),
        ("PromotionEnded", Event::PromotionEnded { why: text() }),
        ("ShareSet", Event::ShareSet { server: text(), before: share, after: share }),
        ("Ejected", Event::Ejected { server: text(), reason: "errors", text: text(), lasts: took }),
        ("EjectionEnded", Event::EjectionEnded { server: text(), took }),
        ("Hook", Event::Hook { moment: "before", outcome: text() }),
    ];
    let document = document();
    let kinds = document["components"]["schemas"]["JournalEntry"]["oneOf"].as_array().expect("kinds");
    assert_eq!(kinds.len(), examples.len());
    for (schema, event) in examples {
        let example = serde_json::to_value(EntryView::from(&Entry { at: SystemTime::now(), event })).expect("JSON");
        let kind = &document["components"]["schemas"][schema]["properties"]["event"]["const"];
        assert_eq!(*kind, example["event"], "{schema}");
        check(schema, example);
    }
}
