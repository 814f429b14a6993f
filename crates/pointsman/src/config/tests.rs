use ::admin::Source;

use super::*;

const SMALLEST: &str = r#"
[[servers]]
name = "db1"
address = "127.0.0.1:3306"

[monitor]
user = "m"
password = "p"

[[users]]
name = "app"
password = "p"
"#;

fn mistakes(text: &str) -> Vec<String> {
    Config::parse(text).expect_err("this configuration has mistakes")
}

#[test]
fn the_smallest_configuration_has_all_defaults() {
    let config = Config::parse(SMALLEST).expect("good");
    assert_eq!(config.listen.to_string(), "127.0.0.1:6033");
    assert_eq!(config.routing.max_lag, Duration::from_secs(1));
    assert_eq!(config.routing.hold_writes, Duration::from_secs(10));
    assert_eq!(config.limits, frontend::Limits::default());
    assert_eq!(config.servers[0].share, Share::default());
}

#[test]
fn compression_is_named_by_its_algorithms() {
    let with = |more: &str| Config::parse(&format!("{more}\n{SMALLEST}"));
    let config = with("").expect("good");
    assert!(config.client_compression.zlib && config.client_compression.zstd);
    assert_eq!(config.server_compression, backend::ServerCompression::Off);
    let config = with("listen.compression = ['zlib']\nserver_compression.algorithm = 'zstd'").expect("good");
    assert!(config.client_compression.zlib && !config.client_compression.zstd);
    assert_eq!(config.server_compression, backend::ServerCompression::Zstd);
    let config = with("listen.compression = []").expect("good");
    assert_eq!(config.client_compression, frontend::ClientCompression::default());
    for wrong in ["listen.compression = ['gzip']", "listen.compression = 'zlib'", "server_compression.algorithm = 'lz4'"] {
        assert_eq!(with(wrong).expect_err("a mistake").len(), 1, "{wrong}");
    }
}

#[test]
fn a_socket_has_permissions_in_octal() {
    let with = |more: &str| Config::parse(&format!("{more}\n{SMALLEST}"));
    assert_eq!(with("listen.socket_mode = '0600'").expect("good").socket, None);
    for (text, mode) in [("", 0o777), ("listen.socket_mode = '0660'", 0o660), ("listen.socket_mode = '600'", 0o600)] {
        let socket = with(&format!("listen.socket = '/run/p.sock'\n{text}")).expect("good").socket.expect("a socket");
        assert_eq!((socket.path.to_str(), socket.mode), (Some("/run/p.sock"), mode));
    }
    for wrong in ["'0888'", "'rw'", "'1777'", "'+77'", "''", "600"] {
        assert_eq!(with(&format!("listen.socket_mode = {wrong}")).expect_err("a mistake").len(), 1, "{wrong}");
    }
}

#[test]
fn a_connection_for_any_client_cannot_name_one() {
    let with = |more: &str| Config::parse(&format!("{more}\n{SMALLEST}"));
    assert!(!with("").expect("good").security.server_proxy_protocol);
    assert!(with("security.server_proxy_protocol = true").expect("good").security.server_proxy_protocol);
    let user = "[[users]]\nname = 'warm'\npassword = 'x'\nwarm_server_connections = 1";
    let mistakes = mistakes(&format!("security.server_proxy_protocol = true\n{SMALLEST}\n{user}"));
    assert!(mistakes[0].contains("exclude each other"), "{mistakes:?}");
}

#[test]
fn proxy_networks_are_networks_or_addresses() {
    let with = |more: &str| Config::parse(&format!("{more}\n{SMALLEST}"));
    assert_eq!(*with("").expect("good").proxy_networks, []);
    let config = with("listen.proxy_networks = ['10.0.0.0/8', '::1']").expect("good");
    assert_eq!(*config.proxy_networks, ["10.0.0.0/8".parse().unwrap(), "::1/128".parse().unwrap()]);
    assert!(mistakes(&format!("listen.proxy_networks = ['*']\n{SMALLEST}"))[0].contains("\"*\" is no network"));
}

/// The reference as it is, then with every default uncommented: both must say the same. Rules are an example and have no default.
#[test]
fn the_reference_documents_every_key_with_its_true_default() {
    let reference = include_str!("../../../../config/pointsman.toml");
    let uncommented: String = reference
        .lines()
        .map(|line| match line.strip_prefix('#') {
            Some("[[rules]]") => "[[rules]]",
            Some(rest)
                if rest.split_once(" = ").is_some_and(|(key, _)| key.chars().all(|c| c.is_ascii_lowercase() || c == '_')) =>
            {
                rest
            }
            _ => line,
        })
        .filter(|line| !line.starts_with("threads"))
        .collect::<Vec<_>>()
        .join("\n");
    assert_ne!(uncommented, reference);
    let mut plain = Config::parse(reference).expect("the reference is good");
    let mut explicit = Config::parse(&uncommented).expect("its defaults are good");
    assert_eq!(explicit.rules.len(), 1);
    explicit.rules.clear();
    // As settings, they differ only in where they are from.
    let (from_defaults, from_file) = (std::mem::take(&mut plain.settings), std::mem::take(&mut explicit.settings));
    let value = |setting: &Setting| (setting.name.clone(), setting.value.clone());
    let from_file: Vec<_> = from_file.iter().filter(|setting| !setting.name.starts_with("rules.")).map(value).collect();
    assert_eq!(from_defaults.iter().map(value).collect::<Vec<_>>(), from_file);
    assert_eq!(format!("{plain:?}"), format!("{explicit:?}"));
}

#[test]
fn settings_are_shown_as_the_file_would_have_them_and_secrets_are_not() {
    let text = format!(
        "listen.socket_mode = '0660'\nlimits = {{ max_packet = '512KiB', local_infile = '1000' }}\ntimeouts.drain = '90s'\n{SMALLEST}\n\
         [[rules]]\nname = 'r'\nnetwork = '10.0.0.0/8'\ntable = ['a.b', 'c']\nclass = 'read'\ntarget = 'replica'\n\
         [admin]\ntoken = 'do not show this one'\n[failover]\nuser = 'r'\npassword = 'nor this one'\n"
    );
    let settings = Config::parse(&text).expect("good").settings;
    let check = |name: &str, expected: Option<&str>, source: Source| {
        let setting = settings.iter().find(|setting| setting.name == name).unwrap_or_else(|| panic!("{name} is missing"));
        assert_eq!((setting.value.as_deref(), setting.source), (expected, source), "{name}");
    };
    check("listen.socket_mode", Some("0660"), Source::File);
    check("limits.max_packet", Some("512KiB"), Source::File);
    check("limits.local_infile", Some("1000"), Source::File);
    check("limits.address_connections", None, Source::Default);
    check("servers.db1.replication_address", Some("127.0.0.1:3306"), Source::Default);
    check("limits.held_bytes", Some("64MiB"), Source::Default);
    check("timeouts.drain", Some("1m30s"), Source::File);
    check("timeouts.handshake", Some("10s"), Source::Default);
    check("routing.balance", Some("observed"), Source::Default);
    check("servers.db1.address", Some("127.0.0.1:3306"), Source::File);
    check("servers.db1.state", Some("active"), Source::Default);
    check("servers.db1.server_connections", None, Source::Default);
    check("users.app.password", Some("(not shown)"), Source::File);
    check("rules.r.network", Some("[\"10.0.0.0/8\"]"), Source::File);
    check("rules.r.table", Some("[\"a.b\",\"c\"]"), Source::File);
    check("rules.r.class", Some("read"), Source::File);
    check("admin.token", Some("(not shown)"), Source::File);
    check("failover.password", Some("(not shown)"), Source::File);
    check("listen.compression", Some("[\"zlib\",\"zstd\"]"), Source::Default);
    let shown = format!("{settings:?}");
    for secret in ["do not show", "nor this"] {
        assert!(!shown.contains(secret));
    }
    let names: std::collections::BTreeSet<_> = settings.iter().map(|setting| &setting.name).collect();
    assert_eq!(names.len(), settings.len(), "each once");
}

#[test]
fn all_mistakes_are_reported_at_once_with_their_lines() {
    let text = r#"
[listen]
adress = "127.0.0.1:1"

[[servers]]
name = "db1"
address = "nowhere"
weight = "heavy"

[monitor]
user = "m"
password = "a"
password_env = "B"
interval = 250

[routing]
max_lag = "1 fortnight"
"#;
    let told = mistakes(text);
    for expected in [
        "line 3: [listen]: unknown key adress; did you mean address?",
        "line 7: [[servers]] address: \"nowhere\" is no \"host:port\"",
        "line 8: [[servers]] weight:",
        "give only one of password, password_file, password_env",
        "line 14: [monitor] interval:",
        "line 17: [routing] max_lag:",
        "there is no [[users]]",
    ] {
        assert!(told.iter().any(|mistake| mistake.contains(expected)), "{expected:?} is not in {told:#?}");
    }
}

#[test]
fn invalid_toml_is_reported_with_its_line() {
    let told = mistakes("[listen]\naddress = \n");
    assert!(told[0].starts_with("line 2:"), "{told:?}");
}

#[test]
fn two_servers_of_one_name_are_a_mistake() {
    let text = format!("{SMALLEST}\n[[servers]]\nname = \"db1\"\naddress = \"h:1\"\n");
    assert!(mistakes(&text)[0].contains("two [[servers]] have the name \"db1\""));
}

#[test]
fn a_password_can_come_from_a_file() {
    let path = std::env::temp_dir().join(format!("pointsman-secret-{}", std::process::id()));
    std::fs::write(&path, "s3cret\n").expect("a file");
    let text = SMALLEST.replacen("password = \"p\"", &format!("password_file = {:?}", path.display().to_string()), 1);
    let config = Config::parse(&text);
    std::fs::remove_file(&path).expect("removed");
    assert_eq!(config.expect("good").monitor.account.password, b"s3cret");
}

#[test]
fn a_missing_environment_variable_is_reported_by_name() {
    let text = SMALLEST.replacen("password = \"p\"", "password_env = \"POINTSMAN_TEST_UNSET\"", 1);
    assert!(mistakes(&text)[0].contains("POINTSMAN_TEST_UNSET"));
}

#[test]
fn rules_take_one_value_or_many() {
    let text = format!(
        r#"{SMALLEST}
[[rules]]
name = "reports"
user = "report"
network = ["10.0.0.0/8", "::1"]
table = ["orders", "shop.items"]
class = "read"
target = "db1"
max_lag = "5s"
timeout = "30s"
statements_per_second = 50
"#
    );
    let config = Config::parse(&text).expect("good");
    let rule = &config.rules[0];
    assert_eq!(rule.target, Some(router::Target::Server("db1".into())));
    assert_eq!((rule.timeout, rule.statements_per_second), (Some(Duration::from_secs(30)), Some(50)));
    assert_eq!((rule.when.users.len(), rule.when.networks.len(), rule.when.tables.len()), (1, 2, 2));
    assert_eq!(rule.when.tables[1].schema.as_deref(), Some("shop"));
}

#[test]
fn servers_have_a_share_and_a_bound_of_their_own() {
    let with = |more: &str| SMALLEST.replacen("[[servers]]", &format!("[[servers]]\n{more}"), 1);
    let server = |more: &str| Config::parse(&with(more)).expect("good").servers.remove(0);
    let drained = server("weight = 3\nstate = 'drain'\nserver_connections = 7");
    assert_eq!(drained.share, Share { weight: 3, state: ServerState::Drain });
    assert_eq!((drained.connections_max, server("").connections_max), (Some(7), None));
    for (more, expected) in [
        ("state = 'off'", "\"off\" is no state of a server; there are \"active\", \"backup\", \"drain\", \"maintenance\""),
        ("state = 1", "a state of a server, such as \"active\" or \"drain\""),
        ("server_connections = 0", "server_connections must be at least 1"),
    ] {
        assert!(mistakes(&with(more))[0].contains(expected), "{:?}", mistakes(&with(more)));
    }
}

#[test]
fn reads_are_shared_out_as_configured() {
    let with = |more: &str| format!("{more}\n{SMALLEST}");
    let config =
        Config::parse(&with("routing = { balance = 'random_of_two', slow_start = '3s' }\nejection.share = 0")).expect("good");
    assert_eq!((config.routing.balance, config.routing.slow_start), (router::Balance::RandomOfTwo, Duration::from_secs(3)));
    assert_eq!(config.ejection, EjectionPolicy { share: 0, ..EjectionPolicy::default() });
    let config = Config::parse(&format!("{SMALLEST}\n[[rules]]\nname = 'a'\nbalance = 'latency'")).expect("good");
    assert_eq!(config.rules[0].balance, Some(router::Balance::Latency));
    for (more, expected) in [
        ("routing.balance = 'best'", "`round_robin`, `least_connections`, `observed`, `random_of_two`, `latency`"),
        ("ejection.latency = 1", "latency must be at least 2"),
        ("ejection.share = 101", "share is in per cent"),
        ("ejection.time = '6m'", "time must not be longer than time_max"),
        ("ejection.errors = 101", "errors is in per cent"),
        ("ejection.faults = 1", "unknown key faults"),
    ] {
        assert!(mistakes(&with(more))[0].contains(expected), "{:?}", mistakes(&with(more)));
    }
}

#[test]
fn a_rule_must_make_sense() {
    let text = format!(
        r#"{SMALLEST}
[[rules]]
name = "a"
user = "report"

[[rules]]
name = "b"
target = "db7"
network = "10.0.0.0/40"
digest = "12"
table = "shop."
class = "delete"
"#
    );
    let told = mistakes(&text);
    for expected in [
        "it asks for nothing: give it a target",
        "line 18: [[rules]]: the target \"db7\" is none of primary, replica and the servers' names",
        "\"10.0.0.0/40\" is no network",
        "\"12\" is no digest",
        "\"shop.\" is no table",
        "[[rules]] class:",
    ] {
        assert!(told.iter().any(|mistake| mistake.contains(expected)), "{expected:?} is not in {told:#?}");
    }
}

#[test]
fn a_user_may_have_bounds_of_its_own() {
    let text = format!(
        "{SMALLEST}server_connections = 50\nwarm_server_connections = 5\n[[users]]\nname = 'other'\npassword = 'p'\n\
         [limits]\nserver_connections = 60\nwaiting = 0\n"
    );
    let config = Config::parse(&text).expect("good");
    let bounds = |user: &User| (user.pooled.server_connections, user.pooled.warm_server_connections);
    assert_eq!(config.users.iter().map(bounds).collect::<Vec<_>>(), [(Some(50), 5), (None, 0)]);
    let PoolLimits { server_connections, idle_server_connections, waiting } = config.pool_limits;
    assert_eq!((server_connections, idle_server_connections, waiting), (60, 60, 0));
}

#[test]
fn connections_that_are_kept_ready_must_have_room() {
    let user = |name: &str, keys: &str| format!("[[users]]\nname = '{name}'\npassword = 'p'\n{keys}\n");
    let (a, b) = (user("a", "warm_server_connections = 30"), user("b", "server_connections = 5\nwarm_server_connections = 6"));
    let told = mistakes(&format!(
        "{SMALLEST}{a}{b}{}[limits]\nserver_connections = 40\nidle_server_connections = 35",
        user("c", "server_connections = 0")
    ));
    for expected in [
        "line 17: [[users]]: warm_server_connections is more than server_connections allows",
        "[[users]]: server_connections must be at least 1",
        "[limits]: warm_server_connections of all [[users]] together is 36, more than idle_server_connections allows",
    ] {
        assert!(told.iter().any(|mistake| mistake.contains(expected)), "{expected:?} is not in {told:#?}");
    }
    assert_eq!(told.len(), 3);
}

#[test]
fn tls_that_does_not_fit_together_is_told() {
    let file = std::env::temp_dir().join(format!("pointsman-no-pem-{}", std::process::id()));
    std::fs::write(&file, "no PEM").expect("a file");
    let path = file.display();
    let files = format!(": {path} and {path}: ");
    let cases = [
        ("listen.tls_certificate = 'a.pem'".to_owned(), "give both of tls_certificate and tls_key, or none"),
        (format!("listen = {{ tls_certificate = '{path}', tls_key = '{path}' }}"), "there is no certificate in PEM"),
        ("listen = { tls_certificate = '/no/file', tls_key = '/no/key' }".to_owned(), "tls_key: /no/key cannot be read"),
        ("listen.tls_client_certificates = 'optional'".to_owned(), "needs tls_client_ca"),
        (format!("listen.tls_client_ca = '{path}'"), "tls_client_ca needs tls_client_certificates"),
        (
            format!("listen = {{ tls_client_certificates = 'required', tls_client_ca = '{path}' }}"),
            "\"required\" needs tls = \"required\"",
        ),
        ("server_tls.mode = 'verify_ca'".to_owned(), "this mode needs ca"),
        (format!("server_tls = {{ mode = 'required', ca = '{path}' }}"), "ca counts only with"),
        (format!("server_tls = {{ mode = 'verify_identity', ca = '{path}' }}"), "there is no certificate in PEM"),
        (
            format!("server_tls = {{ mode = 'required', certificate = '{path}', key = '{path}' }}"),
            "there is no certificate in PEM",
        ),
        (format!("server_tls = {{ mode = 'required', certificate = '{path}', key = '{path}' }}"), files.as_str()),
        (format!("listen = {{ tls_certificate = '{path}', tls_key = '{path}' }}"), files.as_str()),
        ("server_tls.mode = 'verify'".to_owned(), "[server_tls] mode:"),
    ];
    for (toml, expected) in cases {
        let told = mistakes(&format!("{toml}\n{SMALLEST}"));
        assert!(told.iter().any(|mistake| mistake.contains(expected)), "{toml}: {expected:?} is not in {told:#?}");
    }
    let never = SMALLEST.replacen("name = \"app\"", "name = \"app\"\ntls = \"required\"", 1);
    assert!(mistakes(&format!("listen.tls = 'off'\n{never}"))[0].contains("could never log in"));
    assert!(Config::parse(&never).expect("good").users[0].terms.demands_tls);
    std::fs::remove_file(&file).expect("removed");
}

#[test]
fn what_is_open_to_other_machines_needs_a_token() {
    let with = |admin: &str| Config::parse(&format!("{SMALLEST}[admin]\n{admin}\n"));
    let check = |admin: &str, expected: &str| {
        let told = with(admin).expect_err("a mistake");
        assert!(told.len() == 1 && told[0].contains(expected), "{admin}: {told:?}");
    };
    check("address = '0.0.0.0:6034'", "give a token");
    check("address = '[::]:6034'", "give a token");
    check("address = '127.0.0.1:6034'\ntoken = 'short'", "shorter than 16");
    check("token_file = '/nowhere'\naddress = '127.0.0.1:1'", "cannot be read");
    check("address = '0.0.0.0:6034'\ntls = 'required'", "give a token");
    check("address = '127.0.0.1:6034'\ntls_client_ca = '/no/file'", "need tls = \"required\"");
    check("address = '127.0.0.1:6034'\ntls = 'required'\ntls_key = '/no/file'", "give both of tls_certificate and tls_key");
    assert!(with("address = '127.0.0.1:6034'\ntls = 'required'").expect("good").admin.tls.is_some());
    let good = with("address = '127.0.0.1:6034'").expect("good");
    assert!(good.admin.token.is_none() && good.admin.address.is_some());
    assert!(with("address = '0.0.0.0:6034'\ntoken = '0123456789abcdef'").expect("good").admin.token.is_some());
}

#[test]
fn a_login_waits_for_less_time_than_it_may_take() {
    for (more, expected) in [
        ("timeouts.failed_login_delay_max = '10s'", "failed_login_delay_max must be shorter than handshake"),
        ("timeouts.failed_login_delay = '5s'", "failed_login_delay must not be longer than failed_login_delay_max"),
    ] {
        let told = mistakes(&format!("{more}\n{SMALLEST}"));
        assert!(told.len() == 1 && told[0].contains(expected), "{more}: {told:?}");
    }
    assert!(Config::parse(&format!("timeouts.failed_login_delay = '0s'\n{SMALLEST}")).is_ok());
    let short = Config::parse(&format!("timeouts.handshake = '400ms'\n{SMALLEST}")).expect("good").limits;
    let delays = (short.failed_login_delay.as_millis(), short.failed_login_delay_max.as_millis());
    assert_eq!(delays, (200, 200));
}

#[test]
fn the_firewall_and_the_terms_of_users_are_read() {
    let text = format!(
        "{SMALLEST}networks = '10.0.0.0/8'\nclient_connections = 3\nstatements_per_second = 7\n\
         [firewall]\nallow = ['10.0.0.0/8', '::1']\ndeny = '10.1.2.3'\nrejection = 'error'\n"
    );
    let config = Config::parse(&text).expect("good");
    let terms = &config.users[0].terms;
    assert_eq!((terms.networks.len(), terms.client_connections, terms.statements_per_second), (1, Some(3), Some(7)));
    let frontend::Firewall { allow, deny, tells } = &config.firewall;
    assert_eq!((allow.len(), deny.len(), *tells), (2, 1, true));
    let none = mistakes(&format!("{SMALLEST}client_connections = 0\n[firewall]\nrejection = 'drop'\n"));
    assert!(none.len() == 2 && none[0].contains("at least 1"), "{none:?}");
}
