//! Does a statement that counts as a read only read? The servers themselves are asked.
//!
//! A statement runs on a replica that is read-only, which must not refuse it, and on the primary, where a second session looks
//! for all that it may have left behind: other data, other definitions, locks, an open transaction, and anything that is new in
//! its session. There it runs twice, once by itself and once within a transaction, in which even the locks show that a statement
//! drops at its end.

pub mod case_files;
mod fixture;
mod missing;
mod observation;
mod session;

use std::time::{Duration, Instant};

use mysql_async::Conn;
use mysql_async::prelude::Queryable as _;

use self::case_files::Case;
use self::fixture::Fixture;
use self::observation::{COUNTER, Look, Observer, differences};
pub use self::session::{Answer, Failure};
use self::session::{USUAL_SCHEMA, ask, open};
use crate::{Cluster, Server, promptly};

/// How often a statement is given what it lacks. One needs a schema, its tables, their columns.
const MAX_SUPPLIES: usize = 40;

/// How often all are asked until the fixture stays as it is.
const MAX_ROUNDS: usize = 6;

/// What came out for one statement.
#[derive(Debug)]
pub struct Finding<'a> {
    /// Which.
    pub case: &'a Case,
    /// What the primary answered.
    pub answer: Answer,
    /// What a read must not do. Empty for a read.
    pub seen: Vec<String>,
    /// Both answers came as rows, twice the same on the primary, but others on the replica: perhaps it is about the server.
    pub rows_differ: bool,
}

/// What came out for all.
#[derive(Debug)]
pub struct Report<'a> {
    /// One for each statement.
    pub findings: Vec<Finding<'a>>,
    /// What all of them together did. More than single statements were seen to do, as this is the closer look.
    pub seen_at_the_end: Vec<String>,
    /// How long the fixture took, and the check.
    pub took: [Duration; 2],
}

/// Checks statements on the first replica and on the primary, with a new fixture.
pub async fn check<'a>(cluster: &Cluster, cases: &[&'a Case]) -> Report<'a> {
    let started = Instant::now();
    let replica = &cluster.replicas()[0];
    let mut files = [cluster.primary().files().await, replica.files().await];

    // The replica comes first and for all: it cannot be harmed, and it tells what is missing. What one statement lacked can change
    // what another one is answered.
    let mut fixture = Fixture::lay(cluster).await;
    let mut asked: Vec<Asked> = cases.iter().map(|case| Asked::at_first(case)).collect();
    for _ in 0..MAX_ROUNDS {
        let before = fixture.supplies;
        for (case, asked) in cases.iter().zip(&mut asked) {
            promptly(&case.sql, ask_replica(&mut fixture, replica, case, asked)).await;
        }
        if fixture.supplies == before {
            break;
        }
    }
    let prepared = started.elapsed();

    let mut observer = Observer::at(cluster.primary()).await;
    let before = observer.everything().await;
    let mut findings = Vec::new();
    for (case, asked) in cases.iter().zip(asked) {
        let mut finding = promptly(&case.sql, check_one(&mut observer, cluster.primary(), case, &asked)).await;
        if !finding.seen.is_empty() {
            // A look at files costs a process. A statement that writes one is noticed anyway: the second time, the file exists.
            finding.seen.extend(new_files(cluster.primary(), &mut files[0]).await);
        }
        findings.push(finding);
    }

    let mut seen_at_the_end = differences(&before, &observer.everything().await);
    for (server, files) in [cluster.primary(), replica].into_iter().zip(&mut files) {
        seen_at_the_end.extend(new_files(server, files).await);
    }
    cluster.wait_for_replicas().await;
    let mut looks = [observer.everything().await, Observer::at(replica).await.everything().await];
    for look in &mut looks {
        look.retain(|(name, _)| *name != COUNTER);
    }
    for difference in differences(&looks[0], &looks[1]) {
        seen_at_the_end.push(format!("the replica differs from the primary: {difference}"));
    }
    Report { findings, seen_at_the_end, took: [prepared, started.elapsed().saturating_sub(prepared)] }
}

/// What a replica said, and in which schema.
struct Asked {
    answer: Answer,
    schema: String,
}

impl Asked {
    fn at_first(case: &Case) -> Self {
        let schema = case.settings.schema.clone().unwrap_or_else(|| USUAL_SCHEMA.to_owned());
        Self { answer: Answer::Results(Vec::new()), schema }
    }
}

async fn ask_replica(fixture: &mut Fixture<'_>, replica: &Server, case: &Case, asked: &mut Asked) {
    for _ in 0..MAX_SUPPLIES {
        asked.answer = match open(replica.address(), &case.settings, &asked.schema).await {
            Err(failure) => Answer::Failed(failure),
            Ok(mut session) => {
                let answer = ask(&mut session, &case.sql).await;
                let _ = session.disconnect().await;
                answer
            }
        };
        let Some(failure) = asked.answer.failure() else { return };
        if !fixture.supply(failure, &case.sql, &case.settings, &mut asked.schema).await {
            return;
        }
    }
}

async fn check_one<'a>(observer: &mut Observer, primary: &Server, case: &'a Case, asked: &Asked) -> Finding<'a> {
    let mut seen = Vec::new();
    if let Some(failure) = asked.answer.failure().filter(|failure| failure.is_refusal()) {
        seen.push(format!("refused by the read-only replica: {failure}"));
    }
    let data = observer.data().await;
    let mut session = match open(primary.address(), &case.settings, &asked.schema).await {
        Ok(session) => session,
        // Neither server knows the mode or the character set.
        Err(failure) => return Finding { case, answer: Answer::Failed(failure), seen, rows_differ: false },
    };
    let thread = observer.meet(&mut session).await;
    let before = observer.session(&mut session, thread).await.unwrap_or_else(|failure| panic!("{failure}"));
    let answer = ask(&mut session, &case.sql).await;
    seen.extend(state_changes(observer, &mut session, thread, &before).await);
    let again = ask_in_transaction(observer, &mut session, thread, &case.sql, &answer, &mut seen).await;
    let _ = session.disconnect().await;
    // Only now, as the statement may have locked what is to be looked at.
    seen.extend(differences(&data, &observer.data().await));

    if !answer.is_like(&asked.answer) {
        seen.push(format!("the replica answers {}, the primary {answer}", asked.answer));
    }
    let rows_differ = match (&answer, &again, &asked.answer) {
        (one, Some(again), replica @ Answer::Results(_)) => one == again && one != replica,
        _ => false,
    };
    Finding { case, answer, seen, rows_differ }
}

async fn state_changes(observer: &mut Observer, session: &mut Conn, thread: u64, before: &Look) -> Vec<String> {
    match observer.session(session, thread).await {
        Ok(after) => differences(before, &after),
        Err(failure) => vec![format!("the session no longer answers: {failure}")],
    }
}

async fn ask_in_transaction(
    observer: &mut Observer,
    session: &mut Conn,
    thread: u64,
    sql: &str,
    first: &Answer,
    seen: &mut Vec<String>,
) -> Option<Answer> {
    if let Err(error) = session.query_drop("START TRANSACTION").await {
        seen.push(format!("the session can no longer begin a transaction: {error}"));
        return None;
    }
    let answer = ask(session, sql).await;
    seen.extend(observer.transaction(session, thread).await);
    if !answer.is_like(first) {
        seen.push(format!("it first answers {first}, and then {answer}"));
    }
    let _ = session.query_drop("ROLLBACK").await;
    Some(answer)
}

async fn new_files(server: &Server, before: &mut String) -> Vec<String> {
    let after = server.files().await;
    let is_new = |line: &&str| !line.starts_with("total") && !before.lines().any(|known| known == *line);
    let new = after.lines().filter(is_new).map(|line| format!("a file on {}: {line}", server.name)).collect();
    *before = after;
    new
}
