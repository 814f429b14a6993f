//! Whether the monitor's account can do its work on each server: for `pointsman check --connect`, before anything goes live.

use tokio::time::{Instant, timeout};
use topology::{ClusterView, Engine, Report};

use crate::answers::{GlobalPrivileges, Need, Proof, action_needs, needs, quoted_account};
use crate::connection::ServerConnection;
use crate::failure::ProbeError;
use crate::new_cluster;
use crate::settings::{MonitoredServer, Settings};

/// What was found on one server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AccountCheck {
    /// The server's name in the config.
    pub server: String,
    /// Its address in the config.
    pub address: String,
    /// Whose server it is; `None` if it could not be asked.
    pub engine: Option<Engine>,
    /// What keeps the monitor from its work, each with what to do, mostly a `GRANT` to run.
    pub missing: Vec<String>,
    /// Privileges that the account does not need, and the cost of missing ones that are optional.
    pub notes: Vec<String>,
}

/// Logs in to every server, one after the other, and tries what the monitor does. What it does only if it `acts` is checked by reading its grants.
/// Changes nothing.
pub async fn check_accounts(settings: &Settings, acts: bool) -> Vec<AccountCheck> {
    let mut checks = Vec::new();
    for target in &settings.servers {
        checks.push(check_account(target, settings, acts).await);
    }
    checks
}

/// Looks at every server once, one after the other. Changes nothing.
pub async fn look_once(settings: &Settings) -> ClusterView {
    let mut cluster = new_cluster(settings);
    for target in &settings.servers {
        let look = async { ServerConnection::open(target, settings).await?.observe().await };
        let late = ProbeError::ConnectTimeout(settings.connect_timeout);
        let report = match timeout(settings.connect_timeout + settings.query_timeout, look).await.unwrap_or(Err(late)) {
            Ok(observation) => Report::Observed(Box::new(observation)),
            Err(error) => Report::Failed(error.to_failure(&settings.user)),
        };
        cluster.observe(target.id, report, Instant::now().into_std());
    }
    cluster.view()
}

async fn check_account(target: &MonitoredServer, settings: &Settings, acts: bool) -> AccountCheck {
    let mut check = AccountCheck {
        server: target.name.clone(),
        address: target.address(),
        engine: None,
        missing: Vec::new(),
        notes: Vec::new(),
    };
    if let Err(error) = try_all(target, settings, acts, &mut check).await {
        check.missing.push(error.to_failure(&settings.user).why.to_string());
    }
    check
}

async fn try_all(target: &MonitoredServer, settings: &Settings, acts: bool, check: &mut AccountCheck) -> Result<(), ProbeError> {
    let mut connection = ServerConnection::open(target, settings).await?;
    let engine = connection.engine();
    check.engine = Some(engine);
    let limit = settings.query_timeout;
    let account = connection.ask_within(limit, "SELECT CURRENT_USER() AS account").await?;
    let account = quoted_account(account.first().and_then(|row| row.text("account")).unwrap_or(&settings.user));
    let privileges = GlobalPrivileges::read(&connection.ask_within(limit, "SHOW GRANTS").await?);
    let actions = if acts { action_needs(engine) } else { Vec::new() };
    for need in needs(engine).into_iter().chain(actions) {
        if !is_met(&need, &privileges, &mut connection, settings).await? {
            let grant = format!("GRANT {} TO {account};", need.right);
            // One privilege may be needed for two reasons.
            if !check.missing.iter().any(|line| line.starts_with(&grant)) {
                check.missing.push(format!("{grant} -- without it {}", need.lack));
            }
        }
    }
    if check.missing.is_empty() {
        connection.observe().await?;
        note_hidden(&mut connection, settings, check).await?;
    }
    let superfluous = privileges.superfluous();
    if !superfluous.is_empty() {
        check.notes.push(format!("{account} has more than it needs: {} ON *.*", superfluous.join(", ")));
    }
    connection.close().await;
    Ok(())
}

async fn is_met(
    need: &Need,
    privileges: &GlobalPrivileges,
    connection: &mut ServerConnection,
    settings: &Settings,
) -> Result<bool, ProbeError> {
    match need.proof {
        Proof::Named(names) => Ok(privileges.has_one_of(names)),
        Proof::Trial(query) => match connection.ask_within(settings.query_timeout, query).await {
            Ok(_) => Ok(true),
            Err(error) if error.is_denial() => Ok(false),
            Err(error) => Err(error),
        },
    }
}

/// No privilege shows the text of a view without its data, so this is the operator's choice.
async fn note_hidden(connection: &mut ServerConnection, settings: &Settings, check: &mut AccountCheck) -> Result<(), ProbeError> {
    let (_, definitions) = connection.definitions(settings.catalogue_timeout).await?;
    let hidden = definitions.iter().filter(|definition| definition.is_hidden()).count();
    if hidden > 0 {
        check.notes.push(format!(
            "the text of {hidden} views is hidden, so reads of them stay on the primary; GRANT SELECT on a view, or on its schema, \
             shows its text, and also its data"
        ));
    }
    Ok(())
}
