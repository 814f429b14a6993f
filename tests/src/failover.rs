//! What the tests of failover and switchover have in common.

use std::time::Duration;

use mysql_async::prelude::Queryable as _;
use serde_json::Value;

use crate::writers::follows;
use crate::{Cluster, Proxy, Server, eventually};

/// The primary is replaced without being asked, as often as it takes.
pub const AUTOMATIC: &str = "failover = { durability = 'auto', user = 'replication', password = 'replication', cooldown = '0s' }";

/// A server that does not say within this time whether it takes writes is frozen or cut off.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(10);

/// What the log may say when a primary is replaced.
pub const EXPECTED: [&str; 15] = [
    "server is down",
    "there is no primary to write to",
    "no primary:",
    "lost a server during a statement",
    "an acknowledgement was not passed on",
    "no connection for a statement",
    "cannot read the definitions",
    "cannot stop",
    "does not answer",
    "monitor::executor",
    "came back writable",
    "accepts writes",
    "has transactions that the primary does not have",
    "a step failed",
    "no primary was found",
];

impl Cluster {
    /// The server of this name.
    pub fn server(&self, name: &str) -> &Server {
        self.servers.iter().find(|server| server.name == name).expect("a server of the cluster")
    }

    /// The primary, once a proxy has one that is not `old`.
    pub async fn next_primary(&self, proxy: &Proxy, old: &Server) -> &Server {
        eventually(&format!("a primary instead of {}", old.name), async || {
            Some(self.server(&proxy.primary().await.filter(|name| *name != old.name)?))
        })
        .await
    }

    /// The primary, once a proxy has one.
    pub async fn present_primary(&self, proxy: &Proxy) -> &Server {
        eventually("a primary", async || Some(self.server(&proxy.primary().await?))).await
    }

    /// Waits until everybody else follows the primary, which alone takes writes.
    pub async fn wait_until_all_follow(&self, primary: &Server) {
        for server in self.servers.iter().filter(|server| server.name != primary.name) {
            eventually(&format!("{} to follow {}", server.name, primary.name), async || {
                (follows(server, primary).await && !server.is_writable().await).then_some(())
            })
            .await;
        }
        assert!(primary.is_writable().await, "{} takes no writes", primary.name);
    }

    /// The same, and the proxy has seen it: then it would switch over to any of them.
    pub async fn wait_until_all_are_seen_to_follow(&self, proxy: &Proxy, primary: &Server) {
        self.wait_until_all_follow(primary).await;
        eventually(&format!("{} to be seen as the primary of all", primary.name), async || {
            let (_, status) = proxy.ask(&["status", "--json"]).await;
            let status: Value = serde_json::from_str(&status).ok()?;
            let follows =
                |its: &&Value| its["follows"] == *primary.name && its["receiving"] == "running" && its["applying"] == "running";
            let replicas = status["servers"].as_array()?.iter().filter(follows).count();
            (status["finding"] == "healthy" && replicas == self.servers.len() - 1).then_some(())
        })
        .await;
    }

    /// The same, where a former primary may have transactions that no other server has: then it stays out.
    pub async fn wait_until_all_follow_but_diverged(&self, proxy: &Proxy, primary: &Server, old: &Server) {
        for server in self.servers.iter().filter(|server| server.name != primary.name) {
            if server.name == old.name {
                self.wait_until_it_follows_or_diverged(proxy, primary, server).await;
            } else {
                eventually(&format!("{} to follow {}", server.name, primary.name), async || {
                    follows(server, primary).await.then_some(())
                })
                .await;
            }
        }
    }

    /// Waits until it follows the primary, or the proxy says that it has what the primary lacks.
    pub async fn wait_until_it_follows_or_diverged(&self, proxy: &Proxy, primary: &Server, server: &Server) {
        eventually(&format!("{} to follow {}, or to stay out", server.name, primary.name), async || {
            (is_diverged(proxy, server).await || follows(server, primary).await).then_some(())
        })
        .await;
    }
}

async fn is_diverged(proxy: &Proxy, server: &Server) -> bool {
    let (_, status) = proxy.ask(&["status", "--json"]).await;
    let status: Value = serde_json::from_str(&status).unwrap_or_default();
    let servers = status["servers"].as_array().into_iter().flatten();
    servers.into_iter().any(|its| its["name"] == *server.name && its["diverged"].is_string())
}

impl Server {
    /// Whether it takes writes, as it says itself; no, if it does not answer.
    pub async fn is_writable(&self) -> bool {
        let asking = async {
            let mut admin = self.try_admin().await.ok()?;
            let read_only = admin.query_first::<bool, _>("SELECT @@global.read_only").await.ok()?;
            let _ = admin.disconnect().await;
            read_only
        };
        tokio::time::timeout(ANSWER_TIMEOUT, asking).await.ok().flatten() == Some(false)
    }
}
