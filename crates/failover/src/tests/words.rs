//! What people are told.

use super::*;

#[test]
fn a_finding_says_who_and_what_a_person_can_do() {
    #[track_caller]
    fn check(world: &World, expect: &[&str]) {
        let said = world.decide().0.to_string();
        assert!(expect.iter().all(|words| said.contains(words)), "{said}");
    }
    let as_mariadb = |world: World| world.with('b', |seen| seen.engine = Engine::MariaDb);
    check(&world("a!", "a=r b=r>a+ c=r>a+"), &["SET GLOBAL read_only = OFF on a,"]);
    let held = world("a!", "a=w! b=r>a* c=r>a*").with_durability(Durability::Manual);
    check(&held, &["a is dead", "durability is manual", "pointsman failover"]);
    let nobody = world("a!", "a=w! b=rN>a* c=rD>a*");
    check(&nobody, &["can take over: b: never_promote is set; c: it is delayed on purpose"]);
    check(&world("a!", "a=w! b=r>a* c=r>a+ d=r>a+"), &["c, d still receive from it"]);
    check(&world("a!", "a=w! b=w"), &["a may be lost", "no replica answers"]);
    check(
        &world("a!", "a=w! b=r>a.@12 c=r>a.@11"),
        &["b takes over from a", "its process is gone", "not received by then are lost"],
    );
    check(&world("a!", "a=wK! b=rk>a.@12 c=rk>a.@11"), &["b takes over from a", "every acknowledged write"]);
    let broken = world("a", "a=w b=rsE>a+ c=rs>a+");
    check(&broken, &["b has stopped", "words of the server", "START REPLICA on it"]);
    check(&as_mariadb(broken), &["b has stopped", "words of the server", "START SLAVE on it"]);
    let errant = world("a", "a=w b=rd>a+ c=rs>a+");
    check(&errant, &["b has transactions that a does not have (some)", "CLONE INSTANCE FROM 'user'@'<a>'"]);
    check(&as_mariadb(errant), &["b has transactions that a does not have (some)", "on a, mariadb-backup --backup"]);
    let former = world("a", "a=w b=rd c=rs>a+");
    check(&former, &["mysqlbinlog", "--include-gtids='some'"]);
    assert!(!as_mariadb(former).decide().0.to_string().contains("mysqlbinlog"));
    let mut no_account = world("a", "a=w b=rs c=rs>a+");
    no_account.policy.has_replication_account = false;
    check(&no_account, &["CHANGE REPLICATION SOURCE TO SOURCE_HOST='<a>'"]);
    check(&as_mariadb(no_account), &["CHANGE MASTER TO MASTER_HOST='<a>'"]);
    // It is not known yet whether it may follow.
    let mut unknown = world("a", "a=w b=r c=rs>a+");
    unknown.policy.has_replication_account = false;
    check(&unknown, &["it is compared with a before"]);
}

#[test]
fn how_bad_a_finding_is_tells_whether_writes_go_on() {
    let severity = |before, cluster| world(before, cluster).decide().0.severity().label();
    assert_eq!(severity("a", "a=w b=rs>a+ c=rs>a+"), "info");
    assert_eq!(severity("a", "a=w b=rsE>a+ c=rs>a+"), "warning");
    assert_eq!(severity("a!", "a=wK! b=rk>a* c=-"), "error");
}

#[test]
fn the_doctor_asks_of_each_server_what_its_role_needs() {
    let world = world("a", "a=wk b=rK>a+ c=rk>a+ d=rK e=r>a.")
        .with_settings('b', |its| its.net_timeout = Duration::from_mins(1))
        .with_settings('e', |its| its.net_timeout = Duration::from_mins(1))
        .with('c', |seen| seen.engine = Engine::MariaDb);
    let found = requirements(&world.view, &world.policy);
    let about = |missing: &str| {
        let mut names: Vec<&str> = found.iter().filter(|it| it.missing.contains(missing)).map(|it| &*it.server.name).collect();
        names.dedup();
        names.join("")
    };
    assert_eq!(about("commits do not wait"), "a");
    assert_eq!(about("it does not acknowledge"), "b");
    assert_eq!(about("is not installed"), "e");
    assert_eq!(about("only late that its source"), "b");
    let row_format = found.iter().find(|it| &*it.server.name == "c" && it.missing.contains("binlog_format")).unwrap();
    assert_eq!(row_format.statement, "SET GLOBAL binlog_format = ROW, and in my.cnf");
    let bounded = world.with_durability(Durability::Bounded);
    let found = requirements(&bounded.view, &bounded.policy);
    assert!(found.iter().all(|it| it.promise != Promise::Lossless));
}

#[test]
fn the_doctor_names_what_is_missing_with_the_statement() {
    let world = world("a", "a=wK b=rkG>a+");
    let found = requirements(&world.view, &world.policy);
    let about = |name: &str, missing: &str| found.iter().any(|it| &*it.server.name == name && it.missing.contains(missing));
    assert!(about("b", "it keeps no binary log") && !about("a", "it keeps no binary log"));
    assert!(about("a", "binlog_format is not ROW"));
    assert!(about("a", "the binary log is not on disk"));
    assert!(about("b", "what it acknowledges is not on its disk") && !about("a", "what it acknowledges"));
    assert!(!about("a", "commits do not wait") && !about("b", "does not acknowledge"));
    let sync = found.iter().find(|it| it.statement == "SET PERSIST sync_binlog = 1").unwrap();
    let said = sync.to_string();
    assert!(
        said.starts_with("a: the binary log is not on disk when a commit is answered (needed for no loss when the power fails)"),
        "{said}"
    );
}
