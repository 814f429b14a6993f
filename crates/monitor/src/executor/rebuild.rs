//! Replacing a server's data by a copy of the primary's, because a person asks for it.
//!
//! MySQL only (manual 7.6.7 "The Clone Plugin"): the server copies from the primary and stops; its service manager starts it again. It comes back
//! writable and without a source, has what the primary has, and is made a replica like any former primary. MariaDB has nothing like it: there it is
//! `mariadb-backup`, run on the machine itself.

use std::time::Duration;

use tokio::sync::oneshot;
use topology::{ClusterView, Engine, ServerId};

use super::requests::server_named;
use super::{Executor, record};
use crate::actor::Work;
use crate::journal::{Event, Outcome};

/// Copying takes as long as the data is large.
const COPY_MAX: Duration = Duration::from_hours(24);

impl Executor {
    /// Begins a rebuild, if possible. The answer comes when the copy is complete.
    pub(crate) fn rebuild(&self, view: &ClusterView, server: &str, reply: oneshot::Sender<Result<String, String>>) {
        let (id, donor) = match preflight(view, server) {
            Ok(found) => found,
            Err(why) => {
                // The asker may have gone.
                let _ = reply.send(Err(why));
                return;
            }
        };
        let (Some(actor), Some(address)) = (self.servers.actor(id).cloned(), self.servers.address(donor).cloned()) else {
            return;
        };
        let (recorder, server) = (self.recorder.clone(), server.to_owned());
        tracing::warn!(server, from = %address, "a server's data is replaced by a copy of the primary's");
        tokio::spawn(async move {
            let begin = tokio::time::Instant::now();
            let done = actor.execute(Work::Clone(address), COPY_MAX).await;
            let outcome = match &done {
                Ok(_) => Outcome::Done,
                Err(failure) => Outcome::Failed(failure.why.to_string()),
            };
            let event =
                Event::Step { step: "rebuild", server: server.clone(), detail: String::new(), took: begin.elapsed(), outcome };
            record(&*recorder, event);
            let _ = reply.send(match done {
                Ok(_) => Ok(format!(
                    "{server} has a copy of the primary's data and has ended itself to use it; once it runs again it becomes a replica"
                )),
                Err(failure) => Err(format!("{server} was not rebuilt: {}", failure.why)),
            });
        });
    }
}

fn preflight(view: &ClusterView, wanted: &str) -> Result<(ServerId, ServerId), String> {
    let server = server_named(view, wanted)?;
    let Some(primary) = view.primary else { return Err("there is no primary to copy from".to_owned()) };
    if server.id == primary {
        return Err(format!("{wanted} is the primary: its data is what the others are rebuilt from"));
    }
    match server.seen.as_ref().map(|seen| seen.engine) {
        Some(Engine::MySql) if server.is_reachable() => Ok((server.id, primary)),
        Some(Engine::MySql) => Err(format!("{wanted} does not answer: start it first")),
        Some(Engine::MariaDb) => Err(format!(
            "MariaDB cannot copy itself: on the machine of {wanted}, stop the server, empty its data directory, and run \
             mariadb-backup --backup against the primary, --prepare and --move-back; set gtid_slave_pos from its \
             mariadb_backup_binlog_info and start it; it is made a replica then"
        )),
        None => Err(format!("{wanted} was never seen: start it first")),
    }
}
