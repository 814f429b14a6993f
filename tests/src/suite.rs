//! The harness: which servers a test gets, and that they are gone afterwards.
//!
//! Rust's own harness has no place to take shared servers away, as statics are never dropped. This one looks the same from
//! outside (`cargo test -p e2e -- filter`), since libtest-mimic does the talking.

use std::process::ExitCode;
use std::sync::Arc;

use libtest_mimic::{Arguments, Failed, Trial};
use tokio::runtime::Runtime;
use tokio::sync::{OnceCell, RwLock};
use tokio::task::LocalSet;

use crate::cluster::Replication;
use crate::{Cluster, Engine};

/// What a test may do to the servers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Needs {
    /// It leaves them as they are, and runs in parallel with others.
    Together,
    /// It disturbs them, and puts all back in order before it ends. Nothing else runs meanwhile.
    Alone,
    /// It breaks them: they are its own.
    OwnCluster,
    /// The same, with servers whose commits wait for a replica to have received them.
    OwnLosslessCluster,
}

/// A test under way.
pub type Running = std::pin::Pin<Box<dyn Future<Output = ()>>>;

/// One test.
#[derive(Debug, Clone, Copy)]
pub struct Test {
    /// Its claim.
    pub name: &'static str,
    /// Its servers.
    pub needs: Needs,
    /// How it begins.
    pub begin: fn(Arc<Cluster>) -> Running,
}

/// Defines `main` of a test file: `suite! { Together: [a, b], Alone: [c], OwnCluster: [d] }`, after [`Needs`].
#[macro_export]
macro_rules! suite {
    ($($needs:ident: [$($test:ident),* $(,)?]),* $(,)?) => {
        fn main() -> std::process::ExitCode {
            $crate::suite::run(&[$($($crate::suite::Test {
                name: stringify!($test),
                needs: $crate::suite::Needs::$needs,
                begin: |cluster| Box::pin($test(cluster)),
            }),*),*])
        }
    };
}

/// The servers that the tests of one file share.
#[derive(Default)]
struct Shared {
    cluster: OnceCell<Option<Arc<Cluster>>>,
    /// Read by tests that run together, written by one that runs alone.
    turn: RwLock<()>,
}

/// Runs the tests of a file on both engines.
pub fn run(tests: &[Test]) -> ExitCode {
    let runtime =
        Arc::new(tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().expect("a runtime"));
    let mut all_shared = Vec::new();
    let mut trials = Vec::new();
    for engine in Engine::ALL {
        let shared = Arc::new(Shared::default());
        all_shared.push(Arc::clone(&shared));
        for &test in tests {
            let (runtime, shared) = (Arc::clone(&runtime), Arc::clone(&shared));
            trials.push(Trial::test(format!("{}::{}", engine.label(), test.name), move || {
                conduct(&runtime, engine, &shared, test)
            }));
        }
    }
    let conclusion = libtest_mimic::run(&Arguments::from_args(), trials);
    runtime.block_on(async {
        for shared in all_shared {
            if let Some(cluster) = Arc::into_inner(shared).and_then(|shared| shared.cluster.into_inner().flatten()) {
                remove(cluster).await;
            }
        }
    });
    conclusion.exit_code()
}

fn conduct(runtime: &Runtime, engine: Engine, shared: &Shared, test: Test) -> Result<(), Failed> {
    runtime.block_on(async {
        match test.needs {
            Needs::Together => {
                let _turn = shared.turn.read().await;
                perform(test, shared.cluster(engine).await?).await
            }
            Needs::Alone => {
                let _turn = shared.turn.write().await;
                perform(test, shared.cluster(engine).await?).await
            }
            Needs::OwnCluster => perform_alone(test, Cluster::start(engine).await.map_err(in_full)?).await,
            Needs::OwnLosslessCluster => {
                perform_alone(test, Cluster::start_with(engine, Replication::Lossless).await.map_err(in_full)?).await
            }
        }
    })
}

/// With all its causes.
#[expect(clippy::needless_pass_by_value, reason = "for map_err")]
fn in_full(error: anyhow::Error) -> String {
    format!("{error:#}")
}

async fn perform_alone(test: Test, cluster: Cluster) -> Result<(), Failed> {
    let cluster = Arc::new(cluster);
    let outcome = perform(test, Arc::clone(&cluster)).await;
    remove(cluster).await;
    outcome
}

impl Shared {
    async fn cluster(&self, engine: Engine) -> Result<Arc<Cluster>, Failed> {
        let start = || async {
            let started = Cluster::start(engine).await;
            started.map(Arc::new).inspect_err(|error| eprintln!("no {} servers: {error:#}", engine.label())).ok()
        };
        self.cluster.get_or_init(start).await.clone().ok_or_else(|| "the servers did not start".into())
    }
}

/// Runs a test as a task, so that its panic ends nothing but itself; a local one, since hardly any test's future is `Send`.
async fn perform(test: Test, cluster: Arc<Cluster>) -> Result<(), Failed> {
    let local = LocalSet::new();
    let task = local.spawn_local((test.begin)(cluster));
    match local.run_until(task).await {
        Ok(()) => Ok(()),
        Err(error) => match error.try_into_panic() {
            Ok(panic) => Err(message(panic.as_ref()).into()),
            Err(error) => Err(error.into()),
        },
    }
}

fn message(panic: &(dyn std::any::Any + Send)) -> String {
    let text = panic.downcast_ref::<String>().cloned();
    text.or_else(|| panic.downcast_ref::<&str>().map(|&text| text.to_owned())).unwrap_or_else(|| "it panicked".to_owned())
}

async fn remove(cluster: Arc<Cluster>) {
    match Arc::into_inner(cluster) {
        Some(cluster) => cluster.remove().await,
        None => eprintln!("a test has kept its servers"),
    }
}
