//! The log: one line for every change that a human may want to know, none for what stays the same.

use topology::{Health, Role, Server, ServerState, Snapshot};
use tracing::{error, info, warn};

/// Logs what is different in `after`.
pub(crate) fn log(before: &Snapshot, after: &Snapshot) {
    for new in &after.servers {
        match before.server(new.id) {
            Some(old) => log_server(old, new),
            None => log_server(&Server::new(new.id, new.name.clone(), new.address.clone(), new.weight), new),
        }
    }
    if before.primary != after.primary {
        if let Some(primary) = after.primary_server() {
            info!(server = %primary.name, address = %primary.address, "writes go to this primary");
        } else if before.is_closing {
            info!("writes wait for the next primary");
        } else {
            error!("there is no primary to write to");
        }
    }
    for warning in after.warnings.iter().filter(|warning| !before.warnings.contains(warning)) {
        // During a switchover it is normal that no server takes writes.
        if before.is_closing {
            info!("{warning}");
        } else {
            warn!("{warning}");
        }
    }
    for warning in before.warnings.iter().filter(|warning| !after.warnings.contains(warning)) {
        info!("no longer: {warning}");
    }
}

fn log_server(old: &Server, new: &Server) {
    log_health(old, new);
    log_silence(old, new);
    log_role(old, new);
}

fn log_health(old: &Server, new: &Server) {
    match (&old.health, &new.health) {
        (old, new) if old == new => {}
        (_, Health::Up) => info!(
            server = %new.name,
            address = %new.address,
            version = new.version_text.as_deref().unwrap_or("unknown"),
            "server is up"
        ),
        (Health::Down { .. }, Health::Down { why }) => info!(server = %new.name, %why, "server is still down"),
        (_, Health::Down { why }) if new.state == ServerState::Maintenance => {
            info!(server = %new.name, address = %new.address, %why, "server in maintenance is down");
        }
        (_, Health::Down { why }) => warn!(server = %new.name, address = %new.address, %why, "server is down"),
        (_, Health::Unknown) => {}
    }
}

fn log_silence(old: &Server, new: &Server) {
    match (old.silent_since, new.silent_since) {
        (None, Some(since)) => {
            info!(server = %new.name, silent_for = ?since.elapsed(), "server has fallen silent: it answers neither looks nor logins");
        }
        (Some(since), None) => info!(server = %new.name, silent_for = ?since.elapsed(), "server has answered again"),
        _ => {}
    }
}

fn log_role(old: &Server, new: &Server) {
    if old.role == new.role {
        return;
    }
    if new.role == Role::Stray && new.is_up() {
        error!(server = %new.name, from = %old.role, "server accepts writes, but is not the primary: it gets no traffic");
    } else {
        info!(server = %new.name, from = %old.role, to = %new.role, "server has a new role");
    }
}
