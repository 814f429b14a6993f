//! Metric families, each with all its lines at once.

use std::fmt;
use std::time::Duration;

use frontend::Histogram;
use prometheus_client::encoding::{DescriptorEncoder, EncodeGaugeValue, MetricEncoder, NoLabelSet};
use prometheus_client::metrics::MetricType;

/// A label of one line.
pub(super) type Label = (&'static str, String);

/// Writes one family after the other.
pub(super) struct Writer<'a>(DescriptorEncoder<'a>);

impl<'a> Writer<'a> {
    pub(super) fn new(encoder: DescriptorEncoder<'a>) -> Self {
        Self(encoder)
    }

    /// One value.
    pub(super) fn gauge(&mut self, name: &str, help: &str, value: impl EncodeGaugeValue) -> fmt::Result {
        self.gauges(name, help, [(Vec::new(), value)])
    }

    /// One value for each set of labels.
    pub(super) fn gauges<V: EncodeGaugeValue>(
        &mut self,
        name: &str,
        help: &str,
        lines: impl IntoIterator<Item = (Vec<Label>, V)>,
    ) -> fmt::Result {
        self.family(name, help, MetricType::Gauge, lines, |line, value| line.encode_gauge(&value))
    }

    /// One count for each set of labels. The name gets the suffix `_total`.
    pub(super) fn counters(&mut self, name: &str, help: &str, lines: impl IntoIterator<Item = (Vec<Label>, u64)>) -> fmt::Result {
        self.family(name, help, MetricType::Counter, lines, |line, value| line.encode_counter::<NoLabelSet, _, u64>(&value, None))
    }

    /// One count, of seconds.
    pub(super) fn seconds(&mut self, name: &str, help: &str, value: f64) -> fmt::Result {
        self.family(name, help, MetricType::Counter, [(Vec::new(), value)], |line, value| {
            line.encode_counter::<NoLabelSet, _, u64>(&value, None)
        })
    }

    /// One histogram for each set of labels.
    pub(super) fn histograms<'h>(
        &mut self,
        name: &str,
        help: &str,
        lines: impl IntoIterator<Item = (Vec<Label>, &'h Histogram)>,
    ) -> fmt::Result {
        self.family(name, help, MetricType::Histogram, lines, |line, histogram| {
            let bound = |bound: Option<Duration>| bound.map_or(f64::INFINITY, |bound| bound.as_secs_f64());
            let buckets: Vec<_> = histogram.buckets().map(|(upper, count)| (bound(upper), count)).collect();
            line.encode_histogram::<NoLabelSet>(histogram.sum().as_secs_f64(), histogram.count(), &buckets, None)
        })
    }

    fn family<V>(
        &mut self,
        name: &str,
        help: &str,
        kind: MetricType,
        lines: impl IntoIterator<Item = (Vec<Label>, V)>,
        encode: impl Fn(&mut MetricEncoder<'_>, V) -> fmt::Result,
    ) -> fmt::Result {
        let mut family = self.0.encode_descriptor(name, help, None, kind)?;
        for (labels, value) in lines {
            if labels.is_empty() {
                encode(&mut family, value)?;
            } else {
                encode(&mut family.encode_family(&labels)?, value)?;
            }
        }
        Ok(())
    }
}
