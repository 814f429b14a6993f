//! A fake MySQL for the monitor to look at.

use std::net::SocketAddr;

use monitor::{Address, MonitoredServer};
use testkit::Answer;

const VARIABLES: [(&str, &str); 10] = [
    ("read_only", "0"),
    ("offline_mode", "0"),
    ("log_bin", "1"),
    ("gtid_mode", "ON"),
    ("gtid_executed", ""),
    ("super_read_only", "0"),
    ("server_id", "1"),
    ("server_uuid", "3e11fa47-71ca-11e1-9e33-c80aa9429564"),
    ("sql_mode", ""),
    ("version", "9.7.4"),
];

/// What a primary says to a look.
#[allow(dead_code, reason = "each test file uses its part")]
pub(crate) fn look_at_primary(sql: &str) -> Answer {
    let (names, values): (Vec<&str>, Vec<&str>) = VARIABLES.into_iter().unzip();
    match sql {
        sql if sql.starts_with("SHOW REPLICA STATUS") => Answer::rows(&["Source_Host"], &[]),
        sql if sql.contains("version_comment") => Answer::rows(&["version", "version_comment"], &[&["9.7.4", "for a test"]]),
        _ => Answer::rows(&names, &[&values]),
    }
}

/// The server at this address.
pub(crate) fn target(address: SocketAddr) -> MonitoredServer {
    let host = address.ip().to_string();
    let replication = Address { host: host.clone(), port: address.port() };
    MonitoredServer {
        id: topology::ServerId(0),
        name: "a".into(),
        host,
        port: address.port(),
        replication,
        share: topology::Share::default(),
    }
}
