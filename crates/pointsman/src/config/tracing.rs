//! `[tracing]`: sampled statements as spans of OpenTelemetry.

use admin::Collector;
use frontend::SpanSampling;

use super::reader::Section;

/// `[tracing]`.
#[derive(Debug)]
pub(crate) struct Tracing {
    /// Where spans go. `None`: nowhere.
    pub(crate) collector: Option<Collector>,
    /// Of the statements without a parent; 0 to 1.
    pub(crate) share: f64,
    /// Most statements that are sampled in a second.
    pub(crate) per_second: u32,
}

impl Tracing {
    pub(super) fn read(mut section: Section<'_>) -> Self {
        let endpoint = section.optional::<Option<String>>("endpoint", None);
        let service = section.optional("service_name", "pointsman".to_owned());
        let share = section.optional("share", 0.01);
        let per_second = section.positive("spans_per_second", 1000);
        let parsed = endpoint.as_deref().map(|endpoint| collector(endpoint, service));
        if let Some(None) = parsed {
            section.complain(
                "endpoint must be that of a collector's OTLP receiver for HTTP, without TLS: \"http://127.0.0.1:4318\"; a collector on this host passes \
                 spans on by TLS",
            );
        }
        if !(0.0..=1.0).contains(&share) {
            section.complain("share must be between 0 and 1");
        }
        section.finish();
        let per_second = u32::try_from(per_second).unwrap_or(u32::MAX);
        Self { collector: parsed.flatten(), share, per_second }
    }

    /// Which statements are exported.
    pub(crate) fn sampling(&self) -> Option<SpanSampling> {
        self.collector.as_ref().map(|_| SpanSampling::new(self.share, self.per_second))
    }
}

/// By `http://HOST[:PORT][/PATH]`, as `OTEL_EXPORTER_OTLP_ENDPOINT` has it.
fn collector(endpoint: &str, service: String) -> Option<Collector> {
    let rest = endpoint.strip_prefix("http://")?;
    let (authority, path) = rest.split_once('/').unwrap_or((rest, ""));
    let host = authority.rsplit_once(':').filter(|(host, _)| !host.contains(':') || host.ends_with(']'));
    let (host, port) = host.map_or((authority, Some(4318)), |(host, port)| (host, port.parse::<u16>().ok()));
    let is_printable = endpoint.bytes().all(|byte| byte.is_ascii_graphic());
    let is_good = !host.is_empty() && !host.contains('@') && is_printable;
    let path = format!("/{}/v1/traces", path.trim_matches('/')).replace("//", "/");
    let authority = format!("{host}:{}", port?);
    is_good.then_some(Collector { authority, path, service })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_endpoint_is_that_of_otlp_over_http() {
        let read =
            |text: &str| collector(text, String::new()).map(|collector| format!("{} {}", collector.authority, collector.path));
        let check = |text: &str, expected: &str| assert_eq!(read(text).as_deref(), Some(expected), "{text}");
        check("http://127.0.0.1:4318", "127.0.0.1:4318 /v1/traces");
        check("http://collector/", "collector:4318 /v1/traces");
        check("http://[::1]:9/otlp/", "[::1]:9 /otlp/v1/traces");
        check("http://[::1]", "[::1]:4318 /v1/traces");
        for bad in [
            "",
            "127.0.0.1:4318",
            "https://collector",
            "http://",
            "http://:1",
            "http://a:b",
            "http://a:70000",
            "http://u:p@a:1",
            "http://a b",
        ] {
            assert_eq!(read(bad), None, "{bad}");
        }
    }
}
