//! What MariaDB tells in another way.

use super::*;

/// Makes a server one of MariaDB: `server_id applied:received binlog_state`. Without `:received` it has received no more than it has applied.
fn become_mariadb(seen: &mut Observation, words: &str) {
    let mut words = words.split(' ');
    let server_id = words.next().unwrap().parse().unwrap();
    let numbers = words.next().unwrap();
    let (applied, received) = numbers.split_once(':').unwrap_or((numbers, numbers));
    let parsed = |text| Some(Position::parse(Engine::MariaDb, text).unwrap());
    seen.engine = Engine::MariaDb;
    seen.server_id = server_id;
    (seen.sample.applied, seen.sample.written, seen.received) = (parsed(applied), parsed(applied), parsed(received));
    seen.binlog_state = words.next().map(|state| state.parse().unwrap());
}

/// A replica of MariaDB.
fn mariadb(words: &str) -> Observation {
    let world = world("a", "a=w b=r>a+").with('b', |seen| become_mariadb(seen, words));
    world.view.servers[1].seen.as_deref().unwrap().clone()
}

#[test]
fn of_mariadb_a_greater_number_of_another_server_is_not_more() {
    use crate::order::{Order, compare};
    let check =
        |mine: &str, theirs: &str, expect| assert_eq!(compare(&mariadb(mine), &mariadb(theirs)), expect, "{mine} | {theirs}");
    check("2 0-1-12", "3 0-1-12", Order::Equal);
    check("2 0-1-12", "3 0-1-11", Order::Ahead);
    check("2 0-1-11", "3 0-1-12", Order::Behind);
    check("2 0-1-11:0-1-13", "3 0-1-12", Order::Ahead);
    // Server 2 has gone its own way, unless the log of server 1 has what it wrote.
    check("1 0-1-150 0-1-150", "2 0-2-120 0-1-100,0-2-120", Order::Apart);
    check("1 0-1-150 0-1-150,0-2-119", "2 0-2-120 0-1-100,0-2-120", Order::Apart);
    check("1 0-1-150 0-1-150,0-2-120", "2 0-2-120 0-1-100,0-2-120", Order::Ahead);
    // What it has received may have it.
    check("3 0-1-100:0-1-150 0-1-100", "2 0-2-120 0-1-100,0-2-120", Order::Unclear);
    // Its own last one is in its log, whenever that was asked for.
    check("1 0-1-10 0-1-10", "2 0-1-12 0-1-12", Order::Equal);
    // Every domain counts.
    check("2 0-1-12,1-1-5", "3 0-1-12", Order::Ahead);
    check("2 0-1-12,1-1-5", "3 0-1-13", Order::Apart);
    check("2 0-1-12,1-1-5 0-1-12,1-1-5", "3 0-4-11,1-1-5 0-4-11,1-1-5", Order::Apart);
}

#[test]
fn what_a_server_of_mariadb_has_written_itself_is_not_asked_of_another() {
    use crate::order::contains_but_own;
    let check = |mine: &str, theirs: &str, expect| {
        assert_eq!(contains_but_own(&mariadb(mine), &mariadb(theirs)), expect, "{mine} | {theirs}");
    };
    check("2 0-1-12 0-1-12", "3 0-3-13 0-1-12,0-3-13", true);
    check("2 0-1-12 0-1-12", "3 0-3-14 0-1-13,0-3-14", false);
    check("2 0-1-12", "3 0-3-13 0-1-12,0-3-13", true);
    check("2 0-1-12 0-1-12", "3 0-3-13 0-1-12,0-3-13,0-4-11", false);
}

#[test]
fn a_replica_of_mariadb_with_writes_of_its_own_is_not_promoted() {
    let promoted = |b: &str, c: &str| {
        let change = |words: &str| {
            let words = words.to_owned();
            move |seen: &mut Observation| become_mariadb(seen, &words)
        };
        world("a!", "a=w! b=r>a. c=r>a.").with('a', change("1 0-1-10 0-1-10")).with('b', change(b)).with('c', change(c)).shown()
    };
    assert_eq!(promoted("2 0-1-10 0-1-10", "3 0-1-10 0-1-10"), "promoting fenced:a detach:b");
    assert_eq!(promoted("2 0-1-10 0-1-10,0-2-6", "3 0-1-10 0-1-10,0-2-5"), "promoting fenced:a detach:c");
    // It was the primary once, and the others have what it wrote then.
    assert_eq!(promoted("2 0-1-10 0-1-10,0-2-5", "3 0-1-10 0-1-10,0-2-5"), "promoting fenced:a detach:b");
    assert_eq!(promoted("2 0-1-10 0-1-10,0-2-5", "3 0-2-5"), "promoting fenced:a detach:b");
    // Whose histories differ for certain need not be compared.
    let apart = world("a!", "a=w! b=r>a. c=rN>a. d=rN>a.")
        .with('b', |seen| become_mariadb(seen, "2 0-1-100:0-1-160 0-1-100"))
        .with('c', |seen| become_mariadb(seen, "3 0-1-100,1-9-5 0-1-100,1-9-5"))
        .with('d', |seen| become_mariadb(seen, "4 0-5-120 0-5-120"));
    check_world(&apart, "split_history");
    // Before they can be compared one must apply what it has received.
    assert_eq!(promoted("2 0-1-8:0-1-10 0-1-8", "3 0-4-9 0-1-7,0-4-9"), "promoting fenced:a drain:b");
}
