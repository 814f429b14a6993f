//! Reloads the configuration while Pointsman runs: on SIGHUP, by `pointsman reload`, or because the file has changed.
//!
//! The file is read as a whole, and a mistake in it, or a change that cannot be made now, leaves everything as it was. Some keys are read only at the
//! start; a change of one of these is reported, and the rest takes effect.

use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::path::PathBuf;
use std::sync::Arc;

use admin::{AdminTls, Certificate, Setting};
use frontend::Running;
use tokio::sync::watch;
use topology::ServerId;

use crate::config::{Config, Server};
use crate::expiry;
use crate::settings::{failover_settings, frontend_settings, monitor_settings, pool_settings};

/// The configuration in force, and the parts that use it.
pub(crate) struct Reloader<'r> {
    path: PathBuf,
    config: Config,
    /// The keys that are read only at the start, as they were then.
    fixed: Vec<(&'static str, String)>,
    /// The next unused server number.
    next_id: u16,
    control: monitor::Control,
    running: &'r Running,
    /// Where the admin API looks the settings up.
    published: watch::Sender<Arc<[Setting]>>,
    /// Where it looks up until when they count.
    certificates: watch::Sender<Arc<[Certificate]>>,
    /// That of the admin addresses since the start.
    admin_tls: Option<AdminTls>,
    /// What they were at the start.
    settings_at_start: Vec<Setting>,
}

impl<'r> Reloader<'r> {
    pub(crate) fn new(
        path: PathBuf,
        config: Config,
        control: monitor::Control,
        running: &'r Running,
        published: watch::Sender<Arc<[Setting]>>,
        certificates: watch::Sender<Arc<[Certificate]>>,
    ) -> Self {
        let next_id = u16::try_from(config.servers.len()).unwrap_or(u16::MAX);
        let (fixed, settings_at_start) = (fixed(&config), config.settings.clone());
        let admin_tls = config.admin.tls.clone();
        Self { path, config, fixed, next_id, control, running, published, certificates, admin_tls, settings_at_start }
    }

    /// The servers of the configuration in force.
    pub(crate) fn servers(&self) -> &[Server] {
        &self.config.servers
    }

    /// Whether the configuration is read again when its file changes.
    pub(crate) fn watches_file(&self) -> bool {
        self.config.reload_on_change
    }

    /// What has to be read again when it changes: the configuration file, and the certificates and keys that it names.
    pub(crate) fn files(&self) -> Vec<PathBuf> {
        std::iter::once(&self.path).chain(&self.config.tls_files).cloned().collect()
    }

    /// Logs certificates that are about to end.
    pub(crate) fn warn_of_expiry(&self) {
        expiry::warn(&self.config);
    }

    /// Reads the file and applies it, or returns why not.
    pub(crate) async fn reload(&mut self) -> Result<String, String> {
        let outcome = self.try_reload().await;
        match &outcome {
            Ok(done) => tracing::info!("{done}"),
            Err(why) => tracing::error!("the configuration was not reloaded, nothing has changed: {why}"),
        }
        outcome
    }

    async fn try_reload(&mut self) -> Result<String, String> {
        let mut config = Config::load(&self.path).map_err(|invalid| invalid.to_string())?;
        config.server_tls.following(&self.config.server_tls);
        let mut next_id = self.next_id;
        number(&mut config.servers, &self.config.servers, &mut next_id)?;
        // A new server can be connected to before the snapshot names it, and a removed one until the snapshot no longer does.
        let before = pool_settings(&self.config);
        let mut meanwhile = pool_settings(&config);
        let gone = before.servers.iter().filter(|pooled| config.servers.iter().all(|server| server.id != pooled.id));
        meanwhile.servers.extend(gone.cloned());
        self.running.reload_pools(meanwhile);
        let changed = self.control.reload(monitor_settings(&config), failover_settings(&config)).await;
        if let Err(why) = changed.map_err(|ended| ended.to_string()).and_then(|changed| changed) {
            self.running.reload_pools(before);
            return Err(why);
        }
        self.running.reload_pools(pool_settings(&config));
        self.running.reload(frontend_settings(&config));
        if let (Some(tls), Some(newer)) = (&self.admin_tls, &config.admin.tls) {
            tls.renew(newer);
        }
        self.next_id = next_id;
        let done = self.described(&config);
        self.published
            .send_replace(in_force(&config.settings, &self.settings_at_start, &until_restart(&self.fixed, &config)).into());
        self.certificates.send_replace(config.certificates.as_slice().into());
        self.config = config;
        self.warn_of_expiry();
        Ok(done)
    }

    /// The result, for people.
    fn described(&self, config: &Config) -> String {
        let names = |servers: &[Server], others: &[Server]| {
            let is_new = |server: &&Server| others.iter().all(|other| other.id != server.id);
            servers.iter().filter(is_new).map(|server| &*server.name).collect::<Vec<_>>().join(", ")
        };
        let mut said = vec![format!("reloaded {}", self.path.display())];
        let lists = [
            ("new servers", names(&config.servers, &self.config.servers)),
            ("servers gone", names(&self.config.servers, &config.servers)),
            ("still as at the start, until the next one", until_restart(&self.fixed, config).join(", ")),
        ];
        said.extend(lists.iter().filter(|(_, list)| !list.is_empty()).map(|(what, list)| format!("{what}: {list}")));
        said.join("; ")
    }
}

/// The keys whose new values wait for the next start.
fn until_restart(at_start: &[(&'static str, String)], config: &Config) -> Vec<&'static str> {
    let changed = fixed(config).into_iter().zip(at_start).filter(|(now, then)| now != *then);
    changed.map(|((key, _), _)| key).collect()
}

/// The settings of a file that was read while the process ran: those that wait for the next start are as they were at the last one.
fn in_force(settings: &[Setting], at_start: &[Setting], waiting: &[&str]) -> Vec<Setting> {
    let setting = |new: &Setting| {
        let former = at_start.iter().find(|former| former.name == new.name).filter(|former| waiting.contains(&&*former.name));
        let Some(former) = former else { return new.clone() };
        Setting { next: Some(new.value.clone().unwrap_or_else(|| "(none)".to_owned())), ..former.clone() }
    };
    settings.iter().map(setting).collect()
}

/// The keys that are read only at the start.
fn fixed(config: &Config) -> Vec<(&'static str, String)> {
    let failover = &config.failover;
    vec![
        ("listen.address", config.listen.to_string()),
        ("listen.socket", format!("{:?}", config.socket.as_ref().map(|socket| &socket.path))),
        ("listen.socket_mode", format!("{:?}", config.socket.as_ref().map(|socket| socket.mode))),
        ("listen.threads", config.threads.to_string()),
        ("limits.digest_cache", config.digest_cache.to_string()),
        ("limits.learned_digests", config.learned_digests.to_string()),
        ("failover.journal", format!("{:?}", failover.journal)),
        ("failover.journal_size", failover.journal_size.to_string()),
        ("failover.before", format!("{:?}", failover.before)),
        ("failover.after", format!("{:?}", failover.after)),
        ("failover.hook_timeout", format!("{:?}", failover.hook_timeout)),
        ("admin.socket", format!("{:?}", config.admin.socket)),
        ("admin.address", format!("{:?}", config.admin.address)),
        ("admin.console", format!("{:?}", config.admin.console)),
        ("admin.token", fingerprint(config.admin.token.as_ref())),
        ("admin.tls", config.admin.tls.is_some().to_string()),
        ("admin.tls_client_ca", config.admin.tls.as_ref().is_some_and(AdminTls::demands_certificates).to_string()),
        ("log.level", format!("{:?}", config.log.level)),
        ("log.format", format!("{:?}", config.log.format)),
        ("tracing.endpoint", format!("{:?}", config.tracing.collector.as_ref().map(|to| (&to.authority, &to.path)))),
        ("tracing.service_name", format!("{:?}", config.tracing.collector.as_ref().map(|to| &to.service))),
    ]
}

/// Differs if the token differs, and does not show it.
fn fingerprint(token: Option<&admin::Token>) -> String {
    let mut hasher = DefaultHasher::new();
    token.hash(&mut hasher);
    hasher.finish().to_string()
}

/// Gives known servers their former numbers, and all others new ones. A server with a known name at another address counts as new.
fn number(servers: &mut [Server], before: &[Server], next: &mut u16) -> Result<(), String> {
    for server in servers {
        let is_same = |known: &&Server| {
            known.name == server.name && known.target == server.target && known.replication == server.replication
        };
        server.id = if let Some(known) = before.iter().find(is_same) {
            known.id
        } else {
            let id = ServerId(*next);
            *next = next.checked_add(1).ok_or("too many servers have come and gone: start Pointsman anew")?;
            id
        };
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use admin::Source;

    use super::*;

    const USUAL: &str = "[monitor]\nuser = 'm'\npassword = 'm'\n[[users]]\nname = 'app'\npassword = 'app'\n";

    fn config(servers: &[(&str, &str)], more: &str) -> Config {
        let server = |(name, address): &(&str, &str)| format!("[[servers]]\nname = '{name}'\naddress = '{address}'\n");
        let servers: String = servers.iter().map(server).collect();
        Config::parse(&format!("{more}\n{USUAL}{servers}")).expect("a good configuration")
    }

    fn ids(config: &Config) -> Vec<u16> {
        config.servers.iter().map(|server| server.id.0).collect()
    }

    #[test]
    fn a_number_always_means_the_same_server() {
        let mut next = 3;
        let first = config(&[("a", "a:1"), ("b", "b:1"), ("c", "c:1")], "");
        let mut second = config(&[("c", "c:1"), ("d", "d:1"), ("a", "a:1")], "");
        number(&mut second.servers, &first.servers, &mut next).unwrap();
        assert_eq!((ids(&second), next), (vec![2, 3, 0], 4));
        // A server that comes back counts as new, and so does one that has moved.
        let mut third = config(&[("a", "elsewhere:1"), ("b", "b:1"), ("c", "c:1")], "");
        number(&mut third.servers, &second.servers, &mut next).unwrap();
        assert_eq!((ids(&third), next), (vec![4, 5, 2], 6));
        let mut last = config(&[("x", "x:1"), ("y", "y:1")], "");
        next = u16::MAX;
        assert!(number(&mut last.servers, &third.servers, &mut next).unwrap_err().contains("start Pointsman anew"));
    }

    #[test]
    fn what_is_read_only_at_the_start_is_named_if_it_has_changed() {
        let servers = [("a", "a:1")];
        let at_start = fixed(&config(&servers, ""));
        assert_eq!(until_restart(&at_start, &config(&servers, "routing.max_lag = '7s'")), [""; 0]);
        let later = "listen.threads = 77\nlog.format = 'json'\nadmin.socket = '/tmp/x'\nadmin.token = '0123456789abcdef'";
        let later = config(&servers, later);
        assert_eq!(until_restart(&at_start, &later), ["listen.threads", "admin.socket", "admin.token", "log.format"]);
    }

    #[test]
    fn a_setting_that_waits_for_the_next_start_is_shown_as_it_is() {
        let servers = [("a", "a:1")];
        let first = config(&servers, "listen.threads = 2\nadmin.token = '0123456789abcdef'");
        let second = config(&servers, "listen.threads = 3\nrouting.max_lag = '7s'");
        let waiting = until_restart(&fixed(&first), &second);
        let settings = in_force(&second.settings, &first.settings, &waiting);
        let check = |name: &str, value: &str, source: Source, next: Option<&str>| {
            let setting = settings.iter().find(|setting| setting.name == name).expect("it is there");
            assert_eq!(
                (setting.value.as_deref(), setting.source, setting.next.as_deref()),
                (Some(value), source, next),
                "{name}"
            );
        };
        check("listen.threads", "2", Source::File, Some("3"));
        check("admin.token", "(not shown)", Source::File, Some("(none)"));
        check("routing.max_lag", "7s", Source::File, None);
        check("limits.waiting", "10000", Source::Default, None);
    }
}
