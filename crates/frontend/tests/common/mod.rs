//! A frontend between raw clients and scripted servers. The servers' roles are given, since no monitor looks at them.

use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use backend::{Account, PoolSettings, PooledAccount, PooledServer, ServerAddress, ServerTls};
use classifier::Classifier;
use frontend::{Accounts, CausalScope, ClientTls, Frontend, Limits, Pooling, Running, Runtime};
use router::{Policy, Rule};
use testkit::fake::{Call, Character};
use testkit::{Action, Answer, FakeServer, LoginAs, RawClient};
use tokio::sync::watch;
use topology::{Engine, Epoch, Health, Publisher, Role, Server, ServerId, Snapshot, publishing};
use wire::StatusFlags;

/// The first server is the primary, the others are replicas without lag.
pub struct Setup {
    pub servers: Vec<FakeServer>,
    pub running: Running,
    cluster: Mutex<Cluster>,
}

/// What the monitor would publish.
struct Cluster {
    snapshot: Snapshot,
    publisher: Publisher,
    generations: watch::Sender<u64>,
}

/// What can be configured.
#[allow(dead_code, reason = "each test file uses its part")]
pub struct Settings {
    pub limits: Limits,
    pub server_connections: usize,
    pub waiting: usize,
    /// Of the one account.
    pub own_connections: Option<usize>,
    pub warm_connections: usize,
    pub idle_timeout: Duration,
    pub rules: Vec<Rule>,
    pub hold_writes: Duration,
    pub causal_wait: Duration,
    pub balance: router::Balance,
    pub pooling: Pooling,
    pub tls: ClientTls,
    /// Whether the account demands it.
    pub demands_tls: bool,
    pub force_full_authentication: bool,
    pub remembered_login: Option<Duration>,
}

impl Default for Settings {
    fn default() -> Self {
        // Longer than a test's patience: nothing ends by itself.
        Self {
            limits: Limits::default(),
            server_connections: 10,
            waiting: 10_000,
            own_connections: None,
            warm_connections: 0,
            idle_timeout: Duration::from_mins(1),
            rules: Vec::new(),
            hold_writes: Duration::from_hours(1),
            causal_wait: Duration::ZERO,
            balance: router::Balance::RoundRobin,
            pooling: Pooling::default(),
            tls: ClientTls::Off,
            demands_tls: false,
            force_full_authentication: false,
            remembered_login: None,
        }
    }
}

/// A server that answers reads with its own name and everything else with OK.
#[allow(dead_code, reason = "each test file uses its part")]
pub async fn server(name: &'static str) -> FakeServer {
    scripted(move |call| usual(name, call)).await
}

/// The usual answer of a server of that name.
pub fn usual(name: &str, call: Call<'_>) -> Vec<Action> {
    let sql = call.sql().to_ascii_lowercase();
    let is_read = sql.rsplit("*/").next().is_some_and(|sql| sql.trim_start().starts_with("select"));
    vec![Action::Answer(if is_read { Answer::rows(&["server"], &[&[name]]) } else { Answer::ok() })]
}

/// The status flags of an OK.
#[allow(dead_code, reason = "each test file uses its part")]
#[track_caller]
pub fn status(answer: Answer) -> StatusFlags {
    match answer {
        Answer::Ok { status, .. } => status,
        other => unreachable!("not an OK: {other:?}"),
    }
}

pub async fn scripted(script: impl Fn(Call<'_>) -> Vec<Action> + Send + Sync + 'static) -> FakeServer {
    FakeServer::start(Character::default(), script).await
}

#[allow(dead_code, reason = "each test file uses its part")]
impl Setup {
    pub fn new(servers: Vec<FakeServer>) -> Self {
        Self::with_limits(servers, Limits::default(), 10)
    }

    pub fn with_limits(servers: Vec<FakeServer>, limits: Limits, server_connections: usize) -> Self {
        Self::configured(servers, Settings { limits, server_connections, ..Settings::default() })
    }

    pub fn with_rules(servers: Vec<FakeServer>, rules: Vec<Rule>) -> Self {
        Self::configured(servers, Settings { rules, ..Settings::default() })
    }

    pub fn configured(servers: Vec<FakeServer>, settings: Settings) -> Self {
        let Settings { limits, server_connections, waiting, own_connections, .. } = settings;
        let Settings { warm_connections, idle_timeout, rules, hold_writes, causal_wait, balance, pooling, .. } = settings;
        let Settings { tls, demands_tls, force_full_authentication, remembered_login, .. } = settings;
        let account = Arc::new(Account { user: b"app".to_vec(), password: b"secret".to_vec() });
        let accounts = Accounts::new([Arc::clone(&account)], CausalScope::Session);
        let snapshot = snapshot(servers.len());
        let (publisher, published) = publishing(snapshot.clone());
        let (generations, announced) = watch::channel(snapshot.generation);
        let targets =
            servers.iter().map(|server| ServerAddress { host: server.address().ip().to_string(), port: server.address().port() });
        let pooled = |(id, address)| PooledServer { id, address, server_connections: None };
        let frontend = Frontend {
            listen: ([127, 0, 0, 1], 0).into(),
            socket: None,
            inherited: frontend::Inherited::default(),
            runtime: Runtime::WorkerPerCore(1),
            settings: frontend::Settings {
                slow_statement: None,
                spans: None,
                firewall: frontend::Firewall::default(),
                compression: frontend::ClientCompression { zlib: true, zstd: true },
                limits,
                pooling,
                policy: Policy {
                    max_lag: Duration::from_hours(1),
                    reads_own_writes: true,
                    filtered_replicas: false,
                    causal_wait,
                    balancing: router::Balancing { balance, ..router::Balancing::default() },
                    lazy_transactions: false,
                    hold_writes,
                },
                accounts: accounts.with_terms([(&b"app"[..], frontend::AccountTerms { demands_tls, ..Default::default() })]),
                rule_rates: frontend::RuleRates::new(&rules),
                rules: rules.into(),
                server_version: None,
                admin_commands: false,
                binlog_commands: false,
                remembered_login,
                proxy_networks: Arc::default(),
                server_proxy_protocol: false,
                default_auth_plugin: None,
                tls,
            },
            pools: PoolSettings {
                servers: (0..).map(ServerId).zip(targets).map(pooled).collect(),
                server_connections,
                idle_server_connections: server_connections,
                waiting,
                accounts: vec![PooledAccount {
                    account,
                    server_connections: own_connections,
                    warm_server_connections: warm_connections,
                }],
                connect_timeout: Duration::from_secs(5),
                lease_timeout: Duration::from_millis(100),
                idle_timeout,
                public_key_retrieval: true,
                tls: ServerTls::OFF,
                compression: backend::ServerCompression::Off,
            },
            classifier: Arc::new(Classifier::new(classifier::ParseLimits::default())),
            servers: published,
            generations: announced,
            spans: frontend::SpanQueue::new().0,
            force_full_authentication,
        };
        let cluster = Mutex::new(Cluster { snapshot, publisher, generations });
        Self { servers, running: frontend.start().expect("a port"), cluster }
    }

    /// Waits until so many statements wait for a primary.
    pub async fn wait_for_held(&self, count: usize) {
        let held = async {
            while self.running.overview().held() != count {
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
        };
        testkit::within_patience("statements that wait", held).await;
    }

    /// The monitor has seen something.
    pub fn publish(&self, change: impl FnOnce(&mut Snapshot)) {
        let mut cluster = self.cluster.lock().expect("no panic");
        change(&mut cluster.snapshot);
        cluster.snapshot.generation += 1;
        let snapshot = cluster.snapshot.clone();
        let generation = snapshot.generation;
        cluster.publisher.publish(Arc::new(snapshot));
        cluster.generations.send_replace(generation);
    }

    /// What sessions have asked the monitor to look at, once.
    pub fn suspects(&self) -> Vec<topology::ServerId> {
        self.cluster.lock().expect("no panic").publisher.reader().suspects().take().collect()
    }

    /// The primary is fenced or gone, and there is no other yet.
    pub fn lose_primary(&self) {
        self.publish(|snapshot| {
            let server = snapshot.primary.take().expect("a primary");
            snapshot.is_closing = false;
            snapshot.servers[server.index()].health = Health::Down { why: Arc::from("test") };
        });
    }

    /// This server is the primary from now on.
    pub fn promote(&self, index: u16) {
        self.publish(|snapshot| {
            for server in &mut snapshot.servers {
                server.role = if server.id == ServerId(index) { Role::Primary } else { Role::Replica };
            }
            snapshot.servers[usize::from(index)].health = Health::Up;
            snapshot.primary = Some(ServerId(index));
            snapshot.epoch = Epoch(snapshot.epoch.0 + 1);
            snapshot.is_closing = false;
        });
    }

    pub async fn client(&self) -> RawClient {
        self.client_as(&LoginAs::new("app", "secret")).await
    }

    pub async fn client_as(&self, login: &LoginAs) -> RawClient {
        RawClient::login(self.running.address(), login).await.expect("logged in")
    }

    /// The statements that a server has seen, without what Pointsman sends for itself.
    pub fn statements(&self, server: usize) -> Vec<String> {
        let received = self.servers[server].seen().received;
        let texts = received.iter().filter_map(|received| received.sql().map(str::to_owned));
        texts.filter(|sql| !sql.starts_with("SET session_track")).collect()
    }
}

fn snapshot(count: usize) -> Snapshot {
    // Later than any decision of the test: these replicas never lag.
    let fresh = Instant::now() + Duration::from_hours(1);
    let server = |index: usize| Server {
        health: Health::Up,
        role: if index == 0 { Role::Primary } else { Role::Replica },
        engine: Some(Engine::MySql),
        version_text: Some(Arc::from("8.4.0")),
        sql_mode: Some(Arc::from("")),
        fresh_as_of: Some(fresh),
        ..Server::new(ServerId(u16::try_from(index).expect("few")), format!("db{index}"), "fake", 1)
    };
    Snapshot { generation: 1, servers: (0..count).map(server).collect(), primary: Some(ServerId(0)), ..Snapshot::default() }
}
