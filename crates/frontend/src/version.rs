//! The server version in the greeting, by which drivers choose their dialect and their features.

use topology::{Engine, Server, Snapshot};

/// While no server has been seen: a version that every driver knows.
const UNSEEN: &str = "8.4.0";

/// MariaDB servers before 11 put this before their version. Some drivers tell them from MySQL by it.
const MARIADB_PREFIX: &str = "5.5.5-";

/// The lowest version of the servers, including those that are down. What a driver enables for it works on each of them, and it stays the same while
/// the servers are upgraded one by one. Only servers of the primary's engine count.
pub(crate) fn greeting_version(snapshot: &Snapshot) -> Vec<u8> {
    let primary = snapshot.primary_server().into_iter().chain(&snapshot.servers);
    let Some(engine) = primary.into_iter().find_map(|server| server.engine) else { return UNSEEN.into() };
    let of_engine = snapshot.servers.iter().filter(|server| server.engine == Some(engine) && server.version_text.is_some());
    match of_engine.min_by_key(|server| server.version).and_then(|server: &Server| server.version_text.as_deref()) {
        Some(text) if engine == Engine::MariaDb && text.starts_with("10.") => [MARIADB_PREFIX, text].concat().into(),
        Some(text) => text.into(),
        None => UNSEEN.into(),
    }
}

#[cfg(test)]
mod tests {
    use topology::{ServerId, Version};

    use super::*;

    /// The first of these servers is the primary.
    #[track_caller]
    fn check(servers: &[(Option<Engine>, &str)], expected: &str) {
        let server = |(id, (engine, version)): (u16, &(Option<Engine>, &str))| Server {
            engine: *engine,
            version: Version::parse(version),
            version_text: engine.map(|_| (*version).into()),
            ..Server::new(ServerId(id), format!("db{id}"), "h:1", 1)
        };
        let servers: Vec<_> = (0..).zip(servers).map(server).collect();
        let primary = servers.first().map(|server| server.id);
        let snapshot = Snapshot { servers, primary, ..Snapshot::default() };
        assert_eq!(String::from_utf8(greeting_version(&snapshot)).unwrap(), expected);
    }

    #[test]
    fn clients_are_told_the_lowest_version_of_the_primary_s_engine() {
        const MYSQL: Option<Engine> = Some(Engine::MySql);
        const MARIADB: Option<Engine> = Some(Engine::MariaDb);
        check(&[], UNSEEN);
        check(&[(None, "")], UNSEEN);
        check(&[(MYSQL, "9.7.4")], "9.7.4");
        check(&[(MYSQL, "9.7.4"), (MYSQL, "9.7.10"), (None, "")], "9.7.4");
        check(&[(MYSQL, "9.10.1"), (MYSQL, "9.7.10-log")], "9.7.10-log");
        check(&[(None, ""), (MYSQL, "8.4.1")], "8.4.1");
        check(&[(MARIADB, "10.11.18-MariaDB")], "5.5.5-10.11.18-MariaDB");
        check(&[(MARIADB, "11.8.2-MariaDB")], "11.8.2-MariaDB");
        check(&[(MARIADB, "11.8.2-MariaDB"), (MYSQL, "8.0.1")], "11.8.2-MariaDB");
    }
}
