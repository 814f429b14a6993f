//! Rules, hints, `EXPLAIN ROUTE`, and a verdict that a replica corrects.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, missing_docs, unreachable_pub, reason = "tests")]

mod common;

use common::{Setup, scripted, server, usual};
use router::{Conditions, Rule, Target};
use testkit::{Action, Answer, FakeServer, LoginAs, RawClient};
use wire::{Capabilities, StatusFlags};

async fn three() -> Vec<FakeServer> {
    vec![server("primary").await, server("one").await, server("two").await]
}

/// The server that answers, or the error.
async fn answer(client: &mut RawClient, sql: &str) -> String {
    match client.query_one(sql).await {
        Answer::Rows(rows) => rows.single(),
        Answer::Ok { .. } => "OK".to_owned(),
        Answer::Err(error) => format!("{} {}", error.code, String::from_utf8_lossy(&error.message)),
    }
}

#[tokio::test]
async fn a_hint_at_the_start_of_a_statement_chooses_the_server() {
    let setup = Setup::new(three().await);
    let mut client = setup.client().await;
    for (hint, expected) in
        [("primary", "primary"), ("server=db2", "two"), ("server=db1 max_lag=5s", "one"), ("server=db0", "primary")]
    {
        assert_eq!(answer(&mut client, &format!("/* pointsman: {hint} */ SELECT a FROM t")).await, expected);
    }
    assert!(
        answer(&mut client, "/* pointsman: server=db7 */ SELECT 1").await.starts_with("1210 pointsman: no server has the name")
    );
}

#[tokio::test]
async fn a_hint_that_is_not_understood_is_an_error() {
    let setup = Setup::new(three().await);
    let mut client = setup.client().await;
    let told = answer(&mut client, "/* pointsman: primry */ SELECT a FROM t").await;
    assert!(told.starts_with("1210 pointsman: unknown hint \"primry\"; known are primary, replica"), "{told}");
    assert_eq!(answer(&mut client, "SELECT a FROM t").await, "one");
}

#[tokio::test]
async fn a_hint_never_sends_a_write_to_a_replica() {
    let setup = Setup::new(three().await);
    let mut client = setup.client().await;
    for hint in ["replica", "server=db1"] {
        for sql in ["DELETE FROM t", "SELECT a FROM t FOR UPDATE", "SELECT somebodys(1)", "SELECT 1; UPDATE t SET a = 1"] {
            let told = answer(&mut client, &format!("/* pointsman: {hint} */ {sql}")).await;
            assert!(
                told.starts_with("1235 pointsman: a hint asks for a replica, but this statement can only run on the primary: it"),
                "{told}"
            );
        }
    }
    assert!(setup.statements(0).is_empty());
    assert!(setup.statements(1).is_empty());
}

#[tokio::test]
async fn rules_steer_and_refuse() {
    let rule = |name: &str, table: &str| Rule {
        name: name.to_owned(),
        when: Conditions { tables: vec![router::Table { schema: None, name: table.into() }], ..Conditions::default() },
        ..Rule::default()
    };
    let rules = vec![
        Rule { refuse: Some("closed for the night".to_owned()), ..rule("closed", "secrets") },
        Rule { target: Some(Target::Server("db2".into())), ..rule("reports", "orders") },
    ];
    let setup = Setup::with_rules(three().await, rules);
    let mut client = setup.client().await;
    assert_eq!(answer(&mut client, "SELECT a FROM orders").await, "two");
    assert_eq!(answer(&mut client, "/* pointsman: primary */ SELECT a FROM orders").await, "primary");
    assert_eq!(answer(&mut client, "UPDATE orders SET a = 1").await, "OK");
    for sql in ["SELECT a FROM secrets", "DELETE FROM secrets", "/* pointsman: primary */ SELECT a FROM secrets"] {
        let told = answer(&mut client, sql).await;
        assert_eq!(told, "1227 pointsman: the rule \"closed\" refuses this statement: closed for the night");
    }
}

#[tokio::test]
async fn explain_route_tells_every_step_and_runs_nothing() {
    let setup = Setup::new(three().await);
    for capabilities in [testkit::raw::USUAL, testkit::raw::USUAL - Capabilities::DEPRECATE_EOF] {
        let mut client = setup.client_as(&LoginAs { capabilities, ..LoginAs::new("app", "secret") }).await;
        let rows = client.query_one("EXPLAIN ROUTE SELECT a FROM t WHERE b = 17").await.expect_rows();
        let text =
            |row: usize, column: usize| rows.rows[row][column].as_ref().map(|bytes| String::from_utf8_lossy(bytes).into_owned());
        let steps: Vec<_> = (0..rows.rows.len()).map(|row| text(row, 0).unwrap()).collect();
        assert_eq!(steps, ["classify", "digest", "cache", "rules and hints", "pin", "server", "server", "server", "decision"]);
        assert_eq!(text(0, 3).unwrap(), "it only reads data");
        assert_eq!(text(1, 2).unwrap(), "SELECT a FROM t WHERE b = ?");
        assert_eq!((text(5, 1).unwrap(), text(5, 4).unwrap(), text(5, 5).unwrap()), ("db0".into(), "primary".into(), "0".into()));
        assert_eq!(text(6, 2).unwrap(), "chosen");
        assert_eq!((text(8, 1).unwrap(), text(8, 2).unwrap()), ("forward".into(), "db1".into()));
        let refused = client.query_one("EXPLAIN ROUTE /* pointsman: replica */ DELETE FROM t").await.expect_rows();
        let decision = refused.rows.last().unwrap();
        assert_eq!(decision[2].as_deref(), Some(b"write_to_replica".as_slice()));
    }
    assert!((0..3).all(|server| setup.statements(server).is_empty()));
}

#[tokio::test]
async fn explain_route_cannot_be_prepared() {
    let setup = Setup::new(three().await);
    let mut client = setup.client().await;
    client.send_command(b"\x16EXPLAIN ROUTE SELECT 1").await;
    client.expect_response();
    let error = client.answers(false).await.expect("an answer").remove(0).expect_err();
    assert_eq!(error.code, 1295);
    assert_eq!(answer(&mut client, "SELECT a FROM t").await, "one");
}

/// A replica that refuses calls of `abs`, as if it wrote.
async fn refusing(code: u16) -> FakeServer {
    scripted(move |call| {
        if call.sql().contains("ABS(") {
            return vec![Action::Answer(Answer::err(code, *b"HY000", "The server is running with the --read-only option"))];
        }
        if call.sql().starts_with("START") {
            return vec![Action::Answer(Answer::ok().with_status(StatusFlags::IN_TRANS))];
        }
        usual("replica", call)
    })
    .await
}

#[tokio::test]
async fn what_a_replica_refuses_as_a_write_runs_once_on_the_primary_and_goes_there_from_then_on() {
    for code in [1290, 1792, 1836] {
        let setup = Setup::new(vec![server("primary").await, refusing(code).await]);
        let mut client = setup.client().await;
        assert_eq!(answer(&mut client, "SELECT ABS(1) FROM t").await, "primary");
        assert_eq!(answer(&mut client, "SELECT ABS(2) FROM t").await, "primary");
        assert_eq!(setup.statements(1), ["SELECT ABS(1) FROM t"]);
        assert_eq!(setup.statements(0), ["SELECT ABS(1) FROM t", "SELECT ABS(2) FROM t"]);
        assert_eq!(answer(&mut setup.client().await, "SELECT a FROM t").await, "replica");
    }
}

#[tokio::test]
async fn other_errors_of_a_replica_are_the_clients() {
    let setup = Setup::new(vec![server("primary").await, refusing(1146).await]);
    let mut client = setup.client().await;
    assert!(answer(&mut client, "SELECT ABS(1) FROM t").await.starts_with("1146 "));
    assert!(setup.statements(0).is_empty());
}

#[tokio::test]
async fn in_a_transaction_on_a_replica_its_refusal_is_the_clients() {
    let setup = Setup::new(vec![server("primary").await, refusing(1792).await]);
    let mut client = setup.client().await;
    client.query_one("START TRANSACTION READ ONLY").await.expect_ok();
    assert!(answer(&mut client, "SELECT ABS(1) FROM t").await.starts_with("1792 "));
    assert!(setup.statements(0).is_empty());
}

/// It does not even react to `KILL`: the client is told all the same, and the next statement gets another connection.
#[tokio::test]
async fn a_server_that_hangs_beyond_the_time_of_a_rule_is_given_up() {
    let hanging = scripted(|call| if call.sql().contains("SLEEP") { vec![Action::Hang] } else { usual("primary", call) }).await;
    let rule = Rule { name: "short".to_owned(), timeout: Some(std::time::Duration::from_millis(50)), ..Rule::default() };
    let setup = Setup::with_rules(vec![hanging], vec![rule]);
    let mut client = setup.client().await;
    let told = answer(&mut client, "UPDATE t SET a = SLEEP(100)").await;
    assert!(
        told.starts_with("1158 pointsman: lost the server during the statement, which may or may not have taken effect"),
        "{told}"
    );
    assert!(setup.statements(0).iter().any(|sql| sql.starts_with("KILL QUERY ")), "{:?}", setup.statements(0));
    assert_eq!(answer(&mut client, "SELECT a FROM t").await, "primary");
}
