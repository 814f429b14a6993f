//! Connections of clients, to servers, and of replicas to their source are encrypted if they are to be; what must be is never in clear.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "test code")]

use std::sync::Arc;

use e2e::failover::EXPECTED;
use e2e::mysql_async::prelude::Queryable as _;
use e2e::mysql_async::{Conn, Error, SslOpts};
use e2e::tls::{Authority, TestFile, believing};
use e2e::{APP, Cluster, Engine, Proxy, Start, clients, eventually, mariadb_version, promptly, unique};

e2e::suite! {
    Together: [
        drivers_of_several_kinds_use_it,
        it_is_offered_by_itself_and_taken_by_choice,
        a_client_that_verifies_trusts_the_certificate_that_the_password_vouches_for,
        the_whole_password_can_be_asked_for,
        a_certificate_is_verified_and_replaced_while_clients_are_there,
        a_renewed_certificate_counts_by_itself,
        clients_can_be_asked_for_certificates,
        who_must_use_it_is_refused_without_it,
        idle_clients_need_little_memory,
        a_server_that_offers_none_is_used_in_clear_only_where_that_is_allowed,
        the_certificates_that_a_server_makes_for_itself_can_be_verified,
    ],
    OwnCluster: [
        what_must_be_encrypted_is_on_every_connection,
    ],
}

/// By which a former primary is made a replica.
const ACCOUNT: &str = "failover = { user = 'replication', password = 'replication' }";

/// Logs in over TLS.
async fn try_client(proxy: &Proxy, tls: SslOpts) -> Result<Conn, Error> {
    promptly("a login", Conn::new(proxy.options().ssl_opts(tls))).await
}

async fn client(proxy: &Proxy, tls: SslOpts) -> Conn {
    try_client(proxy, tls).await.expect("the application can log in over TLS")
}

fn code(error: &Error) -> u16 {
    match error {
        Error::Server(error) => error.code,
        other => panic!("no server's error: {other}"),
    }
}

/// The cipher of the server connection that answers.
async fn cipher(client: &mut Conn) -> String {
    let row: (String, String) = client.query_first("SHOW SESSION STATUS LIKE 'Ssl_cipher'").await.unwrap().unwrap();
    row.1
}

// --- Clients ---

async fn drivers_of_several_kinds_use_it(cluster: Arc<Cluster>) {
    let proxy = Proxy::start(&cluster).await;
    let said = clients::python("tls_client.py", &proxy, &unique("tls"), &[]).await;
    assert!(said.status.success() && said.output().trim() == "good", "{}{}", said.output(), said.errors());
    proxy.finish().await;
}

async fn it_is_offered_by_itself_and_taken_by_choice(cluster: Arc<Cluster>) {
    let proxy = Proxy::start(&cluster).await;
    let mut plain = proxy.client().await;
    let mut encrypted = client(&proxy, believing()).await;
    for client in [&mut plain, &mut encrypted] {
        for length in [10_u32, 20_000, 5_000_000] {
            let answer: Option<String> = client.query_first(format!("SELECT REPEAT('ab', {length})")).await.unwrap();
            assert_eq!(answer.unwrap(), "ab".repeat(length as usize));
            let sent = "x".repeat(length as usize);
            let answer: Option<String> = client.exec_first("SELECT ?", (&sent,)).await.unwrap();
            assert!(answer.unwrap() == sent);
        }
    }
    // A certificate that nobody knows proves nothing.
    let error = try_client(&proxy, SslOpts::default()).await.unwrap_err();
    assert!(error.to_string().contains("UnknownIssuer"), "{error}");
    plain.disconnect().await.unwrap();
    encrypted.disconnect().await.unwrap();
    proxy.finish().await;
    let off = Start::before(&cluster).config("listen.tls = 'off'").start().await;
    assert!(try_client(&off, believing()).await.unwrap_err().to_string().contains("SSL"));
    off.client().await.disconnect().await.unwrap();
    off.finish().await;
}

/// MariaDB's "zero-configuration TLS".
async fn a_client_that_verifies_trusts_the_certificate_that_the_password_vouches_for(cluster: Arc<Cluster>) {
    let start = async |plugin: &str| {
        let config = format!("security.default_auth_plugin = '{plugin}'");
        Start::before(&cluster).config(&config).start().await
    };
    // MySQL's own greeting names another one.
    let plugin = if cluster.engine == Engine::MariaDb { "auto" } else { "mysql_native_password" };
    let proxy = start(plugin).await;
    let script = "SELECT 'in'; \\s";
    let said = clients::verifying_command_line(&proxy, (APP, APP), script).await;
    assert!(said.output().starts_with("in\nin\n"), "{}{}", said.output(), said.errors());
    assert!(said.output().contains("SSL:\t\t\tCipher in use is"), "{}", said.output());
    let said = clients::verifying_command_line(&proxy, (APP, "wrong"), script).await;
    assert!(said.errors().contains("ERROR 1045"), "{}", said.errors());
    proxy.finish().await;

    let proxy = start("caching_sha2_password").await;
    let said = clients::verifying_command_line(&proxy, (APP, APP), script).await;
    assert!(said.errors().contains("ERROR 2026"), "{}{}", said.output(), said.errors());
    proxy.finish().await;
}

async fn the_whole_password_can_be_asked_for(cluster: Arc<Cluster>) {
    let proxy = Start::before(&cluster).argument("--force-full-authentication").start().await;
    client(&proxy, believing()).await.disconnect().await.unwrap();
    let wrong = proxy.options().pass(Some("wrong")).ssl_opts(believing());
    assert_eq!(code(&Conn::new(wrong).await.unwrap_err()), 1045);
    let said = clients::python("tls_client.py", &proxy, &unique("tls"), &[]).await;
    assert!(said.status.success() && said.output().trim() == "good", "{}{}", said.output(), said.errors());
    proxy.finish().await;
}

async fn a_certificate_is_verified_and_replaced_while_clients_are_there(cluster: Arc<Cluster>) {
    let (first, second) = (Authority::new(), Authority::new());
    let of_first = first.sign("127.0.0.1");
    let (certificate, key) = (TestFile::new(&of_first.certificate), TestFile::new(&of_first.key));
    let config = format!("listen = {{ tls_certificate = {}, tls_key = {} }}", certificate.toml(), key.toml());
    let mut proxy = Start::before(&cluster).config(&config).start().await;
    let mut lasting = client(&proxy, first.believed()).await;
    let error = try_client(&proxy, second.believed()).await.unwrap_err();
    assert!(error.to_string().contains("UnknownIssuer"), "{error}");

    let of_second = second.sign("127.0.0.1");
    certificate.write(&of_second.certificate);
    // The new certificate with the old key.
    proxy.expect_in_log("the configuration was not reloaded");
    let (is_done, said) = proxy.reload("").await;
    assert!(!is_done && said.contains("tls_certificate, tls_key") && said.contains("cannot be used"), "{said}");
    client(&proxy, first.believed()).await.disconnect().await.unwrap();
    key.write(&of_second.key);
    proxy.hang_up();
    eventually("the new certificate", async || try_client(&proxy, second.believed()).await.ok())
        .await
        .disconnect()
        .await
        .unwrap();
    assert!(try_client(&proxy, first.believed()).await.is_err());
    lasting.query_drop("SELECT 1").await.unwrap();
    lasting.disconnect().await.unwrap();
    proxy.finish().await;
}

async fn a_renewed_certificate_counts_by_itself(cluster: Arc<Cluster>) {
    let (first, second) = (Authority::new(), Authority::new());
    let (of_first, of_second) = (first.sign("127.0.0.1"), second.sign("127.0.0.1"));
    let (certificate, key) = (TestFile::new(&of_first.certificate), TestFile::new(&of_first.key));
    let tls = format!("tls_certificate = {}, tls_key = {}", certificate.toml(), key.toml());
    let proxy = Start::before(&cluster).config(&format!("listen = {{ {tls} }}\nreload.on_change = true")).start().await;
    client(&proxy, first.believed()).await.disconnect().await.unwrap();
    certificate.write(&of_second.certificate);
    key.write(&of_second.key);
    let renewed = eventually("the new certificate", async || try_client(&proxy, second.believed()).await.ok()).await;
    renewed.disconnect().await.unwrap();
    proxy.finish().await;
}

async fn clients_can_be_asked_for_certificates(cluster: Arc<Cluster>) {
    let (ours, theirs) = (Authority::new(), Authority::new());
    let ca = TestFile::new(&ours.pem);
    let with = |authority: &Authority| believing().with_client_identity(Some(authority.sign("client").identity()));
    let config =
        |shown| format!("listen = {{ tls = 'required', tls_client_certificates = '{shown}', tls_client_ca = {} }}", ca.toml());
    let proxy = Start::before(&cluster).config(&config("optional")).at_once().start().await;
    for (tls, is_let_in) in [(with(&ours), true), (with(&theirs), false), (believing(), true)] {
        assert_eq!(try_client(&proxy, tls).await.is_ok(), is_let_in);
    }
    proxy.finish().await;
    let proxy = Start::before(&cluster).config(&config("required")).at_once().start().await;
    for (tls, is_let_in) in [(with(&ours), true), (with(&theirs), false), (believing(), false)] {
        assert_eq!(try_client(&proxy, tls).await.is_ok(), is_let_in);
    }
    proxy.finish().await;
}

async fn who_must_use_it_is_refused_without_it(cluster: Arc<Cluster>) {
    let proxy = Start::before(&cluster).config("listen.tls = 'required'").at_once().start().await;
    assert_eq!(code(&Conn::new(proxy.options()).await.unwrap_err()), 3159);
    assert_eq!(code(&Conn::new(proxy.options().user(Some("nobody"))).await.unwrap_err()), 3159);
    client(&proxy, believing()).await.disconnect().await.unwrap();
    proxy.finish().await;

    let users = format!("users = [{{ name = '{APP}', password = '{APP}', tls = 'required' }}]");
    let mut proxy = Start::before(&cluster).config(&users).at_once().start().await;
    let refused = |error: Error| match error {
        Error::Server(error) => (error.code, error.state, error.message.replace("nobody", APP)),
        other => panic!("{other}"),
    };
    let right = refused(Conn::new(proxy.options()).await.unwrap_err());
    let wrong = refused(Conn::new(proxy.options().pass(Some("wrong"))).await.unwrap_err());
    let nobody = refused(Conn::new(proxy.options().user(Some("nobody"))).await.unwrap_err());
    assert_eq!(right.0, 1045);
    assert!(right == wrong && right == nobody, "{right:?}, {wrong:?}, {nobody:?}");
    let mut lasting = client(&proxy, believing()).await;
    // It counts from the next login on.
    let (is_done, said) = proxy.reload(&users.replace("required", "optional")).await;
    assert!(is_done, "{said}");
    let mut plain = proxy.client().await;
    let (is_done, said) = proxy.reload(&users).await;
    assert!(is_done, "{said}");
    for client in [&mut lasting, &mut plain] {
        client.query_drop("SELECT 1").await.unwrap();
    }
    assert_eq!(refused(Conn::new(proxy.options()).await.unwrap_err()).0, 1045);
    lasting.disconnect().await.unwrap();
    plain.disconnect().await.unwrap();
    proxy.finish().await;
}

async fn idle_clients_need_little_memory(cluster: Arc<Cluster>) {
    const CLIENTS: u64 = 300;
    const EACH_MAX: u64 = 20 * 1024;
    let proxy = Start::before(&cluster).config("routing.pooling = 'transaction'\ntimeouts.session_idle = '100ms'").start().await;
    let connect = async |count: u64| {
        let mut clients = Vec::new();
        for _ in 0..count {
            let mut client = client(&proxy, believing()).await;
            client.query_drop("SELECT 1").await.unwrap();
            clients.push(client);
        }
        clients
    };
    // What is allocated once for all is there afterwards.
    let warm = connect(CLIENTS / 3).await;
    let before = proxy.resident_bytes();
    let idle = connect(CLIENTS).await;
    let each = proxy.resident_bytes().saturating_sub(before) / CLIENTS;
    assert!(each <= EACH_MAX, "{each} bytes");
    drop((warm, idle));
    proxy.finish().await;
}

// --- Servers ---

async fn a_server_that_offers_none_is_used_in_clear_only_where_that_is_allowed(cluster: Arc<Cluster>) {
    let proxy = Start::before(&cluster).config("server_tls.mode = 'preferred'").start().await;
    let mut client = proxy.client().await;
    // MariaDB 10.11 has no certificate here, MySQL always one, and so has MariaDB from 11.4 on.
    let has_none = cluster.engine == Engine::MariaDb && mariadb_version() == "10.11";
    assert_eq!(cipher(&mut client).await.is_empty(), has_none);
    client.disconnect().await.unwrap();
    proxy.finish().await;
    if has_none {
        let mut proxy =
            Start::before(&cluster).config("server_tls.mode = 'required'\nrouting.hold_writes = '0s'").at_once().start().await;
        proxy.expect_in_log("the server offers no TLS");
        proxy.expect_in_log("no primary was found");
        proxy.expect_finding("nobody_writable");
        let mut client = proxy.client().await;
        client.query_drop("SELECT 1").await.unwrap_err();
        client.disconnect().await.unwrap();
        proxy.finish().await;
    }
}

async fn the_certificates_that_a_server_makes_for_itself_can_be_verified(cluster: Arc<Cluster>) {
    if cluster.engine == Engine::MariaDb {
        return;
    }
    let mut authorities = String::new();
    for server in &cluster.servers {
        authorities += &server.read_file("/var/lib/mysql/data/ca.pem").await;
    }
    let ca = TestFile::new(&authorities);
    let config = |mode: &str| format!("server_tls = {{ mode = '{mode}', ca = {} }}", ca.toml());
    let proxy = Start::before(&cluster).config(&config("verify_ca")).start().await;
    let mut client = proxy.client().await;
    assert!(!cipher(&mut client).await.is_empty());
    client.disconnect().await.unwrap();
    proxy.finish().await;
    // They are for no name at all.
    refuses_the_servers(&cluster, &config("verify_identity"), "not valid for").await;
    let other = TestFile::new(&Authority::new().pem);
    refuses_the_servers(&cluster, &format!("server_tls = {{ mode = 'verify_ca', ca = {} }}", other.toml()), "UnknownIssuer")
        .await;
}

/// Pointsman believes none of the servers, and says why.
async fn refuses_the_servers(cluster: &Cluster, config: &str, why: &'static str) {
    let config = format!("{config}\nrouting.hold_writes = '0s'");
    let mut proxy = Start::before(cluster).config(&config).at_once().start().await;
    proxy.expect_in_log("the server is not believed");
    proxy.expect_in_log("no primary was found");
    proxy.expect_finding("nobody_writable");
    assert!(proxy.log().iter().any(|line| line.text.contains(why)), "{why:?} is not in the log");
    proxy.client().await.query_drop("SELECT 1").await.unwrap_err();
    proxy.finish().await;
}

/// With servers that let nobody in without TLS, and certificates of the test's own: sessions, the monitor, a switchover, and replication after it.
async fn what_must_be_encrypted_is_on_every_connection(cluster: Arc<Cluster>) {
    let authority = Authority::new();
    for server in &cluster.servers {
        let signed = authority.sign("127.0.0.1");
        for (name, text) in [("ca", &authority.pem), ("cert", &signed.certificate), ("key", &signed.key)] {
            server.append_to_file(&format!("/etc/mysql/{name}.pem"), text).await;
        }
        let section = "\n[mysqld]\nssl_ca = /etc/mysql/ca.pem\nssl_cert = /etc/mysql/cert.pem\nssl_key = /etc/mysql/key.pem\n";
        server.append_to_file("/etc/mysql/my.cnf", section).await;
        server.shut_down().await;
        server.start().await;
    }
    cluster.wait_for_replicas().await;
    // The connections of the replicas stay as they are, in clear, until they follow another source.
    let (before, after) = match cluster.engine {
        Engine::MySql => ("SET GLOBAL super_read_only = 0;", "; SET GLOBAL super_read_only = @@global.read_only"),
        Engine::MariaDb => ("", ""),
    };
    for server in &cluster.servers {
        let demands = "ALTER USER monitor@'%' REQUIRE SSL; ALTER USER replication@'%' REQUIRE SSL";
        server.run(format!("SET sql_log_bin = 0; {before} {demands} {after}")).await;
    }
    cluster.prepare("ALTER USER app@'%' REQUIRE SSL").await;
    let ca = TestFile::new(&authority.pem);
    let config = |mode: &str| format!("{ACCOUNT}\nserver_tls = {{ mode = '{mode}', ca = {} }}", ca.toml());
    for mode in ["verify_ca", "verify_identity"] {
        let mut proxy = Start::before(&cluster).config(&config(mode)).start().await;
        let mut client = proxy.client().await;
        assert!(!cipher(&mut client).await.is_empty());
        client.disconnect().await.unwrap();
        if mode == "verify_identity" {
            switches_over(&mut proxy, &cluster).await;
        }
        proxy.finish_with(&EXPECTED).await;
    }
}

async fn switches_over(proxy: &mut Proxy, cluster: &Cluster) {
    let (is_done, said) = promptly("a switchover", proxy.ask(&["switchover", "--to", "db2"])).await;
    assert!(is_done, "{said}");
    let mut client = proxy.client().await;
    let table = unique("after");
    client.query_drop(format!("CREATE TABLE {table} (id INT)")).await.unwrap();
    client.disconnect().await.unwrap();
    // It comes to the others only over TLS.
    for server in [&cluster.servers[0], &cluster.servers[2]] {
        eventually(&format!("{table} on {}", server.name), async || {
            let sql = format!("SELECT COUNT(*) FROM information_schema.tables WHERE table_name = '{table}'");
            (server.rows::<u32>(sql, ()).await == [1]).then_some(())
        })
        .await;
    }
}
