//! A frontend between raw clients and scripted servers. The servers' roles are given, since no monitor looks at them.

use std::sync::Arc;
use std::time::{Duration, Instant};

use backend::{Account, PoolSettings, Target};
use classifier::Classifier;
use frontend::{Accounts, Frontend, Limits, Running, Runtime};
use router::{Policy, Rule};
use testkit::fake::{Call, Character};
use testkit::{Action, Answer, FakeServer, LoginAs, RawClient};
use topology::{Engine, Health, Published, Role, Server, ServerId, Snapshot};

/// The first server is the primary, the others are replicas without lag.
pub struct Setup {
    pub servers: Vec<FakeServer>,
    pub running: Running,
}

/// A server that answers reads with its own name and everything else with OK.
pub async fn server(name: &'static str) -> FakeServer {
    scripted(move |call| usual(name, call)).await
}

/// The usual answer of a server of that name.
pub fn usual(name: &str, call: Call<'_>) -> Vec<Action> {
    let sql = call.sql().to_ascii_lowercase();
    let is_read = sql.rsplit("*/").next().is_some_and(|sql| sql.trim_start().starts_with("select"));
    vec![Action::Answer(if is_read { Answer::rows(&["server"], &[&[name]]) } else { Answer::ok() })]
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
        Self::configured(servers, limits, server_connections, Vec::new())
    }

    pub fn with_rules(servers: Vec<FakeServer>, rules: Vec<Rule>) -> Self {
        Self::configured(servers, Limits::default(), 10, rules)
    }

    fn configured(servers: Vec<FakeServer>, limits: Limits, server_connections: usize, rules: Vec<Rule>) -> Self {
        let snapshot = snapshot(servers.len());
        let targets =
            servers.iter().map(|server| Target { host: server.address().ip().to_string(), port: server.address().port() });
        let frontend = Frontend {
            listen: ([127, 0, 0, 1], 0).into(),
            runtime: Runtime::WorkerPerCore(1),
            limits,
            pools: PoolSettings {
                servers: targets.collect(),
                server_connections,
                connect_timeout: Duration::from_secs(5),
                lease_timeout: Duration::from_millis(100),
                idle_timeout: Duration::from_mins(1),
            },
            policy: Policy { max_lag: Duration::from_secs(1), reads_own_writes: true },
            accounts: Accounts::new([Account { user: b"app".to_vec(), password: b"secret".to_vec() }]),
            rules,
            classifier: Arc::new(Classifier::new(classifier::Limits::default())),
            servers: Published::fixed(snapshot),
            force_full_authentication: false,
        };
        Self { servers, running: frontend.start().expect("a port") }
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
    Snapshot { generation: 1, servers: (0..count).map(server).collect(), primary: Some(ServerId(0)), warnings: Vec::new() }
}
