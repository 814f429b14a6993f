//! Until when a certificate counts. rustls says of its own only that there is one.

use std::time::{Duration, SystemTime};

use super::certificates;

/// When the first certificate of a PEM file ends: the own one, or one that leads to its root. `None` if none of them can be read.
pub fn expires_at(pem: &[u8]) -> Option<SystemTime> {
    let ends = certificates(pem).ok()?.into_iter().filter_map(|certificate| {
        let (_, read) = x509_parser::parse_x509_certificate(&certificate).ok()?;
        // One that ended before 1970 has ended in any case.
        let seconds = u64::try_from(read.validity().not_after.timestamp()).unwrap_or_default();
        SystemTime::UNIX_EPOCH.checked_add(Duration::from_secs(seconds))
    });
    ends.min()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn certificate(year: i32) -> String {
        let key = rcgen::KeyPair::generate().expect("a key");
        let mut params = rcgen::CertificateParams::new(["a".to_owned()]).expect("parameters");
        params.not_after = rcgen::date_time_ymd(year, 1, 1);
        params.self_signed(&key).expect("a certificate").pem()
    }

    #[test]
    fn the_first_to_end_counts() {
        let at = |seconds| Some(SystemTime::UNIX_EPOCH + Duration::from_secs(seconds));
        assert_eq!(expires_at(certificate(2030).as_bytes()), at(1_893_456_000));
        assert_eq!(expires_at(format!("{}{}", certificate(2030), certificate(2029)).as_bytes()), at(1_861_920_000));
        assert_eq!(expires_at(certificate(1960).as_bytes()), at(0));
    }

    #[test]
    fn what_is_no_certificate_has_no_end() {
        assert_eq!(expires_at(b""), None);
        assert_eq!(expires_at(b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"), None);
    }
}
