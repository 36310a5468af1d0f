//! Owns what the server says of itself: log lines, and metrics as [`crate::metric`] names them.

use metrics_exporter_prometheus::{BuildError, Matcher, PrometheusBuilder, PrometheusHandle};
use tracing::{Level, Metadata, Subscriber};
use tracing_subscriber::filter::{FilterExt, LevelFilter, filter_fn};
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::layer::{Layer, SubscriberExt};
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{EnvFilter, Registry};

use super::config::{LogFormat, Settings};
use crate::metric::{self, Kind};

/// Why the server cannot speak of itself.
#[derive(Debug, thiserror::Error)]
pub enum TelemetryError {
    /// The filter is none: [`is_filter`] was not asked.
    #[error("read the log filter")]
    Filter(#[source] tracing_subscriber::filter::ParseError),
    /// Something else in the process has taken the place.
    #[error("install the log")]
    Log(#[source] tracing_subscriber::util::TryInitError),
    /// Metrics are exported already, or cannot be.
    #[error("install the metrics")]
    Metrics(#[source] BuildError),
}

/// Begins to write log lines to standard error; standard output is for what commands print.
///
/// # Errors
///
/// When the filter is wrong, or the process logs already.
pub fn install_log(settings: &Settings) -> Result<(), TelemetryError> {
    let log = log(settings.log_format, &settings.log, std::io::stderr)?;
    log.try_init().map_err(TelemetryError::Log)
}

/// Whether `text` says which log lines to write: a level, or `module=level`, with commas between.
#[must_use]
pub fn is_filter(text: &str) -> bool {
    EnvFilter::try_new(text).is_ok()
}

/// Begins to count. The handle renders what `/metrics` answers.
///
/// Somebody has to call its `run_upkeep` every few seconds, or histograms grow until rendered.
///
/// # Errors
///
/// When the process counts already.
pub fn install_metrics() -> Result<PrometheusHandle, TelemetryError> {
    let handle = exporter()?
        .install_recorder()
        .map_err(TelemetryError::Metrics)?;
    describe();
    Ok(handle)
}

fn exporter() -> Result<PrometheusBuilder, TelemetryError> {
    metric::ALL
        .iter()
        .try_fold(PrometheusBuilder::new(), |exporter, metric| {
            match metric.kind {
                Kind::Counter | Kind::Gauge => Ok(exporter),
                Kind::Histogram(bounds) => exporter
                    .set_buckets_for_metric(Matcher::Full(metric.name.into()), bounds)
                    .map_err(TelemetryError::Metrics),
            }
        })
}

fn describe() {
    for metric in metric::ALL {
        match metric.kind {
            Kind::Counter => metrics::describe_counter!(metric.name, metric.unit, metric.help),
            Kind::Gauge => metrics::describe_gauge!(metric.name, metric.unit, metric.help),
            Kind::Histogram(_) => {
                metrics::describe_histogram!(metric.name, metric.unit, metric.help);
            }
        }
    }
}

fn log<W>(
    format: LogFormat,
    filter: &str,
    writer: W,
) -> Result<impl Subscriber + Send + Sync, TelemetryError>
where
    W: for<'w> MakeWriter<'w> + Send + Sync + 'static,
{
    let filter = EnvFilter::try_new(filter).map_err(TelemetryError::Filter)?;
    let lines = tracing_subscriber::fmt::layer().with_writer(writer);
    let lines: Box<dyn Layer<Registry> + Send + Sync> = match format {
        LogFormat::Text => Box::new(lines.with_ansi(false)),
        LogFormat::Json => Box::new(lines.json().flatten_event(true)),
    };
    // With the hint, what no filter wants is not even looked at.
    let of_libraries = filter_fn(is_ours_or_grave).with_max_level_hint(LevelFilter::TRACE);
    Ok(tracing_subscriber::registry().with(lines.with_filter(filter.and(of_libraries))))
}

/// Below a warning only our own modules are heard, whatever the filter says: libraries write
/// headers, URLs and statements there, and those have tokens and people's data.
fn is_ours_or_grave(event: &Metadata<'_>) -> bool {
    let target = event.target();
    let is_ours = target == "roundtable" || target.starts_with("roundtable::");
    is_ours || *event.level() <= Level::WARN
}

#[cfg(test)]
mod tests {
    use std::io::Write;
    use std::sync::{Arc, Mutex};

    use super::*;

    #[derive(Clone, Default)]
    struct Lines(Arc<Mutex<Vec<u8>>>);

    impl Write for Lines {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0.lock().unwrap().extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    fn logged(format: LogFormat, filter: &str, speak: impl FnOnce()) -> String {
        let lines = Lines::default();
        let writer = lines.clone();
        let log = log(format, filter, move || writer.clone()).unwrap();
        tracing::subscriber::with_default(log, speak);
        let written = lines.0.lock().unwrap().clone();
        String::from_utf8(written).unwrap()
    }

    fn speak() {
        tracing::info!(target: "roundtable::hub", room = "a", "ours info");
        tracing::trace!(target: "roundtable", "ours trace");
        tracing::trace!(target: "hyper::proto", "theirs trace");
        tracing::info!(target: "sqlx::query", "theirs info");
        tracing::info!(target: "roundtable_evil", "theirs too");
        tracing::warn!(target: "rustls", "theirs warn");
    }

    #[test]
    fn cf8_libraries_are_heard_from_warn_on_whatever_the_filter_says() {
        for filter in ["trace", "trace,hyper=trace,hyper::proto=trace,sqlx=trace"] {
            let lines = logged(LogFormat::Text, filter, speak);
            assert!(
                lines.contains("ours info") && lines.contains("ours trace"),
                "{lines}"
            );
            assert!(lines.contains("theirs warn"), "{lines}");
            for unheard in ["theirs trace", "theirs info", "theirs too"] {
                assert!(!lines.contains(unheard), "{lines}");
            }
        }
    }

    #[test]
    fn cf8_the_filter_says_what_is_heard_of_ours() {
        let lines = logged(LogFormat::Text, "info", speak);
        assert!(
            lines.contains("ours info") && !lines.contains("ours trace"),
            "{lines}"
        );
        let lines = logged(LogFormat::Text, "error,roundtable::hub=info", speak);
        assert!(
            lines.contains("ours info") && !lines.contains("theirs warn"),
            "{lines}"
        );
        assert!(log(LogFormat::Text, "roundtable=loud", std::io::sink).is_err());
    }

    #[test]
    fn cf8_json_lines_are_one_object_each() {
        let lines = logged(LogFormat::Json, "info", speak);
        let first: serde_json::Value = serde_json::from_str(lines.lines().next().unwrap()).unwrap();
        assert_eq!(
            (&first["level"], &first["message"], &first["room"]),
            (&"INFO".into(), &"ours info".into(), &"a".into())
        );
    }

    #[test]
    fn every_metric_is_exported_under_its_name_with_its_help() {
        let recorder = exporter().unwrap().build_recorder();
        let handle = recorder.handle();
        metrics::with_local_recorder(&recorder, || {
            describe();
            for metric in metric::ALL {
                match metric.kind {
                    Kind::Counter => metrics::counter!(metric.name).increment(1),
                    Kind::Gauge => metrics::gauge!(metric.name).set(1.0),
                    Kind::Histogram(_) => metrics::histogram!(metric.name).record(0.003),
                }
            }
        });
        let page = handle.render();
        for metric in metric::ALL {
            assert!(
                page.contains(&format!("# HELP {} {}", metric.name, metric.help)),
                "{page}"
            );
        }
        assert!(page.contains("roundtable_append_duration_seconds_bucket{le=\"0.005\"} 1"));
    }
}
