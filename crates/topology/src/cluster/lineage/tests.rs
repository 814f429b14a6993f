use std::sync::Arc;
use std::time::{Duration, Instant};

use super::*;
use crate::{Engine, Replication, Sample, ThreadState, Uuid};

fn observation(engine: Engine, server_id: u32, applied: &str, written: &str) -> Observation {
    let position = |text: &str| Some(Position::parse(engine, text).unwrap());
    Observation {
        sample: Sample {
            sent_at: Instant::now(),
            read_only: false,
            offline: false,
            written: position(written),
            applied: position(applied),
        },
        engine,
        version: None,
        version_text: "".into(),
        server_uuid: (engine == Engine::MySql).then_some(Uuid(u128::from(server_id))),
        server_id,
        super_read_only: false,
        sql_mode: "".into(),
        binlog_state: None,
        defaults: None,
        binlog_filters: None,
        uptime: Duration::ZERO,
        received: None,
        channels: Vec::new(),
        semi_sync: None,
        settings: Arc::default(),
    }
}

fn channel() -> Replication {
    Replication { io: ThreadState::Running, applier: ThreadState::Running, ..Replication::default() }
}

/// A server is `gtid_slave_pos / gtid_binlog_state`; the primary has the server id 2.
#[track_caller]
fn mariadb(primary: &str, replica: &str, expect: &str) {
    let server = |server_id, text: &str| {
        let (applied, state) = text.split_once('/').unwrap();
        let binlog_state: BinlogState = state.trim().parse().unwrap();
        Observation { binlog_state: Some(binlog_state), ..observation(Engine::MariaDb, server_id, applied, "") }
    };
    let (primary, replica) = (server(2, primary), server(3, replica));
    check(&primary, &replica, expect);
}

#[track_caller]
fn check(primary: &Observation, replica: &Observation, expect: &str) {
    let foreign = Transactions::of(replica).and_then(|all| all.foreign_to(primary));
    assert_eq!(foreign.map(|foreign| foreign.to_string()).unwrap_or_default(), expect, "{primary:?}\n{replica:?}");
}

#[test]
fn mariadb_replicas_on_the_primarys_history_share_it() {
    // Never promoted: all is the primary's own, also what the last look at it did not have yet.
    mariadb("/0-2-100", "0-2-90 / 0-2-90", "");
    mariadb("/0-2-100", "0-2-101 / 0-2-101", "");
    // Promoted after server 1 had written 100: before its first write, and after.
    mariadb("0-1-100 / 0-1-100", "0-1-100 / 0-1-100", "");
    mariadb("0-1-100 / 0-1-100,0-2-120", "0-1-90 / 0-1-90", "");
    mariadb("0-1-100 / 0-1-100,0-2-120", "0-1-100 / 0-1-100", "");
    mariadb("0-1-100 / 0-1-100,0-2-120", "0-2-110 / 0-1-100,0-2-110", "");
    // Promoted twice, with another in between.
    mariadb("0-3-150 / 0-1-100,0-2-170,0-3-150", "0-3-149 / 0-1-100,0-2-120,0-3-149", "");
    // Without log_slave_updates only the position tells what was applied, and the replica logs nothing.
    mariadb("0-1-100 / 0-2-50", "0-1-100 /", "");
    mariadb("0-1-100 / 0-2-50", "0-1-99 /", "");
    mariadb("0-1-100 /", "0-1-100 / 0-1-100", "");
    // A replica that has nothing yet has nothing too much.
    mariadb("0-1-100 / 0-1-100,0-2-120", "/", "");
    // What the replica itself wrote when it was the primary, before the primary's log begins (it was built from a backup).
    mariadb("0-1-100 / 0-1-100,0-2-120", "0-2-110 / 0-3-40,0-1-100,0-2-110", "");
    // Domains that the primary does not have.
    mariadb("/0-2-100", "0-2-100,7-9-5 / 0-2-100,8-3-1", "");
}

#[test]
fn mariadb_replicas_beside_the_primarys_history_do_not() {
    let promoted = "0-1-100 / 0-1-100,0-2-120";
    // The former primary had written up to 150: further by number, and nothing like it.
    mariadb(promoted, "0-1-150 / 0-1-150", "0-1-150");
    mariadb(promoted, "0-1-101 / 0-1-101", "0-1-101");
    // It was told to go on from where it was at the promotion, and what it wrote is still there.
    mariadb(promoted, "0-1-100 / 0-1-150", "0-1-150");
    mariadb(promoted, "0-2-120 / 0-1-150,0-2-120", "0-1-150");
    mariadb(promoted, "0-2-200 / 0-1-150,0-2-200", "0-1-150");
    // A replica that had received some of the lost ones.
    mariadb(promoted, "0-1-110 / 0-1-110", "0-1-110");
    mariadb("0-1-100 / 0-2-50", "0-1-110 /", "0-1-110");
    // In one domain of two.
    mariadb("0-1-100,5-1-7 / 0-1-100,5-1-7,0-2-120", "0-2-120,5-1-8 / 0-1-100,0-2-120,5-1-8", "5-1-8");
    // The last that it applied is of a server that the primary has never heard of.
    mariadb(promoted, "0-9-80 / 0-9-80", "0-9-80");
    mariadb("/0-2-100", "0-1-100 / 0-1-100", "0-1-100");
}

#[test]
fn who_follows_several_sources_is_meant_to_have_more() {
    let primary = observation(Engine::MySql, 2, &set(&[(2, "1-10")]), "");
    let mut replica = observation(Engine::MySql, 3, &set(&[(2, "1-10"), (9, "1-5")]), "");
    check(&primary, &replica, &set(&[(9, "1-5")]));
    replica.channels = vec![channel()];
    check(&primary, &replica, &set(&[(9, "1-5")]));
    replica.channels.push(channel());
    check(&primary, &replica, "");
}

fn set(origins: &[(u128, &str)]) -> String {
    origins.iter().map(|(uuid, interval)| format!("{}:{interval}", Uuid(*uuid))).collect::<Vec<_>>().join(",")
}

#[test]
fn mysql_replicas_may_be_ahead_only_with_the_primarys_own_transactions() {
    let primary = observation(Engine::MySql, 2, &set(&[(1, "1-100"), (2, "1-20")]), "");
    for (executed, expect) in [
        (set(&[(1, "1-100"), (2, "1-20")]), String::new()),
        (set(&[(1, "1-90")]), String::new()),
        (set(&[(1, "1-100"), (2, "1-25")]), String::new()),
        (String::new(), String::new()),
        (set(&[(1, "1-150"), (2, "1-20")]), set(&[(1, "101-150")])),
        (set(&[(1, "1-100"), (2, "1-20"), (3, "1")]), set(&[(3, "1")])),
        (format!("{}:1-100:late:1-2", Uuid(1)), format!("{}:late:1-2", Uuid(1))),
        (format!("{}:1-20:late:1-2", Uuid(2)), String::new()),
    ] {
        check(&primary, &observation(Engine::MySql, 3, &executed, ""), &expect);
    }
}

#[test]
fn without_positions_there_is_nothing_to_compare() {
    let primary = observation(Engine::MySql, 2, &set(&[(2, "1-20")]), "");
    let mut replica = observation(Engine::MySql, 3, &set(&[(3, "1")]), "");
    replica.sample.applied = None;
    check(&primary, &replica, "");
    let mut replica = observation(Engine::MySql, 3, &set(&[(3, "1")]), "");
    let unlogged = Observation { sample: Sample { applied: None, ..primary.sample.clone() }, ..primary };
    check(&unlogged, &replica, "");
    replica.engine = Engine::MariaDb;
    check(&observation(Engine::MariaDb, 2, "0-1-1", ""), &replica, "");
}
