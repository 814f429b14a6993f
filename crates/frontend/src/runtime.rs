//! The runtimes on which sessions run.

use std::io;

use tokio::runtime::{Builder, EnterGuard};

/// How the sessions are run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Runtime {
    /// This many threads, each with a runtime of its own.
    WorkerPerCore(usize),
    /// One runtime that moves tasks between this many threads.
    MultiThread(usize),
}

impl Runtime {
    /// One for each worker: the first, and the others.
    pub(crate) fn build(self) -> io::Result<(WorkerRuntime, Vec<WorkerRuntime>)> {
        let single = || Builder::new_current_thread().enable_all().build().map(WorkerRuntime::new);
        match self {
            Self::WorkerPerCore(threads) => Ok((single()?, (1..threads).map(|_| single()).collect::<io::Result<_>>()?)),
            Self::MultiThread(threads) => {
                let runtime = Builder::new_multi_thread().worker_threads(threads.max(1)).enable_all().build()?;
                Ok((WorkerRuntime::new(runtime), Vec::new()))
            }
        }
    }
}

/// A runtime that may be dropped on another one, as when the start fails: tokio's own panics there.
#[derive(Debug)]
pub(crate) struct WorkerRuntime(Option<tokio::runtime::Runtime>);

impl WorkerRuntime {
    fn new(runtime: tokio::runtime::Runtime) -> Self {
        Self(Some(runtime))
    }

    /// Sockets that are opened meanwhile are registered with this runtime.
    pub(crate) fn enter(&self) -> Option<EnterGuard<'_>> {
        self.0.as_ref().map(tokio::runtime::Runtime::enter)
    }

    /// Runs it on this thread.
    pub(crate) fn block_on(mut self, work: impl Future<Output = ()>) {
        if let Some(runtime) = self.0.take() {
            runtime.block_on(work);
        }
    }
}

impl Drop for WorkerRuntime {
    fn drop(&mut self) {
        if let Some(runtime) = self.0.take() {
            runtime.shutdown_background();
        }
    }
}
