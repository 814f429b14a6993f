use super::*;

fn fields(pairs: &[(&str, &str)]) -> Fields {
    Fields(pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value != "NULL").then(|| (*value).to_owned()))).collect())
}

fn with(fields: &Fields, column: &str, value: &str) -> Fields {
    let mut changed = fields.clone();
    changed.0.retain(|(name, _)| name != column);
    changed.0.push((column.to_owned(), (value != "NULL").then(|| value.to_owned())));
    changed
}

const UUID: &str = "3e11fa47-71ca-11e1-9e33-c80aa9429562";

fn mysql() -> Fields {
    fields(&[
        ("read_only", "1"),
        ("offline_mode", "0"),
        ("log_bin", "1"),
        ("gtid_mode", "ON"),
        ("gtid_executed", "3e11fa47-71ca-11e1-9e33-c80aa9429562:1-10,\n3e11fa47-71ca-11e1-9e33-c80aa9429563:1"),
        ("super_read_only", "1"),
        ("server_id", "2"),
        ("server_uuid", "3e11fa47-71ca-11e1-9e33-c80aa9429564"),
        ("sql_mode", "STRICT_TRANS_TABLES"),
        ("version", "9.7.4"),
    ])
}

fn mysql_channel() -> Fields {
    fields(&[
        ("Replica_IO_State", "Waiting for source to send event"),
        ("Source_Host", "primary"),
        ("Source_Port", "3307"),
        ("Replica_IO_Running", "Yes"),
        ("Replica_SQL_Running", "Yes"),
        ("Seconds_Behind_Source", "0"),
        ("Last_IO_Error", ""),
        ("Last_SQL_Error", ""),
        ("Source_UUID", UUID),
        ("Retrieved_Gtid_Set", "3e11fa47-71ca-11e1-9e33-c80aa9429562:9-12"),
    ])
}

fn mariadb() -> Fields {
    fields(&[
        ("read_only", "0"),
        ("log_bin", "1"),
        ("gtid_binlog_pos", "0-1-12"),
        ("gtid_slave_pos", "0-1-10"),
        ("gtid_binlog_state", "0-1-12,0-2-9"),
        ("log_slave_updates", "1"),
        ("server_id", "2"),
        ("sql_mode", ""),
        ("version", "10.11.19-MariaDB-log"),
    ])
}

fn mariadb_channel() -> Fields {
    fields(&[
        ("Connection_name", ""),
        ("Master_Host", "primary"),
        ("Master_Port", "3306"),
        ("Slave_IO_Running", "Connecting"),
        ("Slave_SQL_Running", "No"),
        ("Seconds_Behind_Master", "NULL"),
        ("Last_IO_Error", "cannot connect"),
        ("Last_SQL_Error", "duplicate key"),
        ("Master_Server_Id", "1"),
        ("Gtid_IO_Pos", "0-1-11"),
    ])
}

fn look(engine: Engine, fields: &Fields, channels: &[Fields]) -> Observation {
    Reader::new(engine).observation(Instant::now(), fields, channels).unwrap()
}

fn shown(position: Option<&Position>) -> Option<String> {
    position.map(ToString::to_string)
}

#[test]
fn a_mysql_replica_is_read() {
    let seen = look(Engine::MySql, &mysql(), &[mysql_channel()]);
    assert!(seen.sample.read_only && seen.super_read_only && !seen.sample.offline);
    assert_eq!(seen.version, Some(Version { major: 9, minor: 7, patch: 4 }));
    assert_eq!(seen.server_uuid.map(|uuid| uuid.to_string()).as_deref(), Some("3e11fa47-71ca-11e1-9e33-c80aa9429564"));
    assert_eq!((seen.server_id, &*seen.sql_mode), (2, "STRICT_TRANS_TABLES"));
    assert_eq!(shown(seen.sample.applied.as_ref()), Some(format!("{UUID}:1-10,3e11fa47-71ca-11e1-9e33-c80aa9429563:1")));
    assert_eq!(shown(seen.received.as_ref()), Some(format!("{UUID}:1-12,3e11fa47-71ca-11e1-9e33-c80aa9429563:1")));
    assert_eq!(
        seen.channels,
        [Replication {
            io: ThreadState::Running,
            applier: ThreadState::Running,
            source: Some("primary:3307".into()),
            source_id: Some(SourceId::Uuid(UUID.parse().unwrap())),
            seconds_behind: Some(0),
            ..Replication::default()
        }]
    );
}

#[test]
fn a_mariadb_replica_is_read() {
    let seen = look(Engine::MariaDb, &mariadb(), &[mariadb_channel()]);
    assert!(!seen.sample.read_only);
    assert_eq!(shown(seen.sample.written.as_ref()).as_deref(), Some("0-1-12"));
    assert_eq!(shown(seen.sample.applied.as_ref()).as_deref(), Some("0-1-10"));
    assert_eq!(shown(seen.received.as_ref()).as_deref(), Some("0-1-11"));
    assert_eq!(
        seen.channels,
        [Replication {
            io: ThreadState::Connecting,
            applier: ThreadState::Stopped,
            source: Some("primary:3306".into()),
            source_id: Some(SourceId::ServerId(1)),
            last_error: Some("cannot connect; duplicate key".into()),
            ..Replication::default()
        }]
    );
}

#[test]
fn a_source_that_was_never_reached_has_no_identity() {
    let channel = with(&mysql_channel(), "Source_UUID", "");
    assert_eq!(look(Engine::MySql, &mysql(), &[channel]).channels[0].source_id, None);
    let channel = with(&mariadb_channel(), "Master_Server_Id", "0");
    assert_eq!(look(Engine::MariaDb, &mariadb(), &[channel]).channels[0].source_id, None);
}

#[test]
fn a_channel_without_a_source_does_not_count() {
    let channel = with(&mariadb_channel(), "Master_Host", "");
    assert_eq!(look(Engine::MariaDb, &mariadb(), &[channel]).channels, []);
}

#[test]
fn a_server_without_gtids_has_no_position() {
    for mode in ["OFF", "OFF_PERMISSIVE"] {
        let seen = look(Engine::MySql, &with(&mysql(), "gtid_mode", mode), &[]);
        assert_eq!((seen.sample.written, seen.sample.applied, seen.received), (None, None, None), "{mode}");
    }
    let seen = look(Engine::MySql, &with(&mysql(), "log_bin", "0"), &[]);
    assert!(seen.sample.written.is_none() && seen.sample.applied.is_some());
    let seen = look(Engine::MariaDb, &with(&mariadb(), "log_bin", "0"), &[]);
    assert!(seen.sample.written.is_none() && seen.sample.applied.is_some());
}

#[test]
fn read_only_has_many_spellings() {
    for (value, expect) in
        [("0", false), ("OFF", false), ("1", true), ("ON", true), ("NO_LOCK", true), ("NO_LOCK_NO_ADMIN", true)]
    {
        let seen = look(Engine::MariaDb, &with(&mariadb(), "read_only", value), &[]);
        assert_eq!(seen.sample.read_only, expect, "{value}");
    }
}

#[test]
fn an_answer_that_lacks_something_is_an_error() {
    for column in ["read_only", "gtid_mode", "gtid_executed", "server_id", "sql_mode", "version"] {
        let got = Reader::new(Engine::MySql).observation(Instant::now(), &with(&mysql(), column, "NULL"), &[]);
        assert!(matches!(got, Err(ProbeError::Missing(name)) if name == column), "{column}: {got:?}");
    }
    let got = Reader::new(Engine::MySql).observation(Instant::now(), &with(&mysql(), "gtid_executed", "0-1-2"), &[]);
    assert!(matches!(got, Err(ProbeError::Position(_))), "{got:?}");
    assert!(Reader::new(Engine::MySql).sample(Instant::now(), &Fields::default()).is_err());
}

#[test]
fn the_same_text_is_read_once() {
    let mut reader = Reader::new(Engine::MySql);
    let first = reader.sample(Instant::now(), &mysql()).unwrap();
    let again = reader.sample(Instant::now(), &mysql()).unwrap();
    assert_eq!(first.applied, again.applied);
    let moved = reader.sample(Instant::now(), &with(&mysql(), "gtid_executed", &format!("{UUID}:1-11"))).unwrap();
    assert_eq!(shown(moved.applied.as_ref()), Some(format!("{UUID}:1-11")));
}

#[test]
fn a_primary_that_did_not_log_what_it_applied_has_it_all_the_same() {
    for (logs_applied, binlog_pos, slave_pos, expect) in [
        ("1", "0-2-12", "0-1-10", "0-2-12"),
        ("0", "0-2-5", "0-1-10", "0-1-10"),
        ("0", "0-2-12", "0-1-10", "0-2-12"),
        ("0", "", "0-1-10,7-7-7", "0-1-10,7-7-7"),
        // After RESET MASTER numbers start again, below the former ones.
        ("1", "0-2-1", "0-1-10", "0-1-10"),
        // Of another source.
        ("1", "0-2-12", "0-1-10,7-7-7", "0-2-12"),
    ] {
        let fields = with(&with(&mariadb(), "gtid_binlog_pos", binlog_pos), "gtid_slave_pos", slave_pos);
        let seen = look(Engine::MariaDb, &with(&fields, "log_slave_updates", logs_applied), &[]);
        assert_eq!(shown(seen.sample.written.as_ref()).as_deref(), Some(expect), "{binlog_pos} {slave_pos}");
        assert_eq!(seen.binlog_state.map(|state| state.to_string()).as_deref(), Some("0-1-12,0-2-9"));
    }
}

#[test]
fn a_channel_names_its_filters() {
    let channel = with(&with(&mysql_channel(), "Replicate_Do_DB", "shop"), "Replicate_Ignore_Table", "");
    assert_eq!(look(Engine::MySql, &mysql(), &[channel]).channels[0].filters.as_deref(), Some("Replicate_Do_DB = shop"));
}
