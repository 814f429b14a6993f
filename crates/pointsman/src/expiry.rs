//! Certificates of the configuration that are about to end. Clients that verify them would be turned away from one moment to the next.

use std::time::{Duration, SystemTime};

use admin::Certificate;

use crate::config::Config;

/// Between two warnings of the same certificate.
pub(crate) const INTERVAL: Duration = Duration::from_hours(24);

const DAY: u64 = 24 * 60 * 60;

/// Logs each certificate that ends within `log.certificate_expiry`.
pub(crate) fn warn(config: &Config) {
    for Ending { certificate: Certificate { key, path, .. }, left } in endings(config, SystemTime::now()) {
        let file = path.display();
        if let Some(left) = left {
            let days = left.as_secs() / DAY;
            tracing::warn!(
                certificate = key,
                %file,
                days,
                "a certificate is about to end; a new one in its file is read by itself, or by `pointsman reload`"
            );
        } else {
            tracing::warn!(certificate = key, %file, "a certificate has ended: who verifies it refuses the connection");
        }
    }
}

/// A certificate that ends soon, or has ended.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Ending<'a> {
    certificate: &'a Certificate,
    /// `None`: it has ended.
    pub(crate) left: Option<Duration>,
}

impl std::fmt::Display for Ending<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Certificate { key, path, .. } = self.certificate;
        write!(f, "{key}: the certificate in {} ", path.display())?;
        match self.left {
            Some(left) => write!(f, "ends in {} days; put a new one into its file", left.as_secs() / DAY),
            None => write!(f, "has ended: who verifies it refuses the connection; put a new one into its file"),
        }
    }
}

/// Those that end within `log.certificate_expiry`.
pub(crate) fn endings(config: &Config, now: SystemTime) -> Vec<Ending<'_>> {
    ending(&config.certificates, config.log.certificate_expiry, now)
}

fn ending(certificates: &[Certificate], within: Duration, now: SystemTime) -> Vec<Ending<'_>> {
    let left = |certificate: &Certificate| certificate.expires.duration_since(now).ok();
    let all = certificates.iter().map(|certificate| Ending { certificate, left: left(certificate) });
    all.filter(|ending| !within.is_zero() && ending.left.is_none_or(|left| left <= within)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_ends_soon_or_has_ended_is_named_with_its_file() {
        let now = SystemTime::UNIX_EPOCH + Duration::from_hours(1000);
        let (hour, week) = (Duration::from_hours(1), Duration::from_hours(7 * 24));
        let certificate = |key: &str, expires| Certificate { key: key.to_owned(), path: format!("/{key}.pem").into(), expires };
        let certificates =
            [certificate("late", now + 2 * week), certificate("soon", now + hour), certificate("ended", now - hour)];
        let said = |within| ending(&certificates, within, now).iter().map(ToString::to_string).collect::<Vec<_>>();
        let soon = "soon: the certificate in /soon.pem ends in 0 days; put a new one into its file";
        let ended =
            "ended: the certificate in /ended.pem has ended: who verifies it refuses the connection; put a new one into its file";
        assert_eq!(said(week), [soon, ended]);
        assert_eq!(said(2 * week).len(), 3);
        assert_eq!(said(Duration::ZERO), [""; 0]);
    }
}
