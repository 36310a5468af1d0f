//! Owns composition: start, serve, drain. And the commands that work on a store without serving.

pub mod access;
pub mod clock;
pub mod config;
mod offline;
mod probe;
mod quarantine;
pub mod redact;
pub mod telemetry;

use std::io::Write;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use metrics_exporter_prometheus::PrometheusHandle;
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

pub use offline::{Checked, check, export, import, migrate};
pub use probe::probe;
pub use quarantine::quarantine;

use self::clock::Clock;
use self::config::Settings;
use crate::auth::Secret;
use crate::hub::{self, Hub};
use crate::ids::Now;
use crate::store::{self, Store};
use crate::transport::door::Door;
use crate::transport::{self, App, listener};

/// Readiness is red for so long before anything else happens: load balancers look about once a
/// second.
const READINESS_LEAD_MS: u64 = 1_000;

/// Histograms are folded this often, or they grow until they are read.
const METRICS_UPKEEP_MS: u64 = 5_000;

/// What is older than its retention is forgotten this often.
const FORGET_MS: u64 = 60 * 60 * 1_000;

impl hub::Clock for Clock {
    fn now(&self) -> Now {
        Clock::now(self)
    }

    fn random(&self) -> u128 {
        // Two UUIDs: each has six fixed bits, in different halves.
        self.uuid_v4().as_u128() ^ self.uuid_v4().as_u128().rotate_left(64)
    }
}

/// Runs the server until it is told to stop and has drained.
///
/// # Errors
///
/// When the server cannot start, or what it holds cannot be made durable in time.
pub async fn serve(settings: Settings) -> anyhow::Result<()> {
    let clock = Clock::system();
    let metrics = telemetry::install_metrics()?;
    let access = access::open(&settings, clock).await?;
    let store = open_store(&settings).await?;
    let limits = Arc::new(settings.limits.clone());
    let listener = listener::listen(settings.listen)
        .with_context(|| format!("listen on {}", settings.listen))?;
    let address = listener.local_addr().context("learn the address")?;
    // Last of what may fail: a start that fails is no death.
    let (crash, dead) = probe::open_crash_journal(&settings, clock)?;
    let hub = Hub::after(&dead, store, Arc::new(clock), limits.clone(), crash.clone());

    let judging = tokio::spawn(probe::judge(hub.clone(), dead, settings.clone()));
    let upkeep = tokio::spawn(upkeep(metrics.clone(), hub.clone()));
    let connections = TaskTracker::new();
    let stop = CancellationToken::new();
    let app = App {
        hub: hub.clone(),
        auth: access.auth,
        door: Arc::new(Door::new(&limits)),
        origins: Arc::new(settings.origins.clone()),
        metrics,
        connections: connections.clone(),
        has_demo: settings.demo,
    };
    let router = transport::router(app);
    let accepting = tokio::spawn(listener::accept(
        listener,
        router,
        limits.clone(),
        stop.clone(),
        connections.clone(),
    ));
    greet(address, &settings, access.admin_token.as_ref())?;
    told_to_stop().await?;
    tracing::info!("told to stop: draining");
    let drained = drain(
        &hub,
        &stop,
        &connections,
        Duration::from_millis(limits.drain_ms),
    )
    .await;
    accepting.abort();
    upkeep.abort();
    judging.abort();
    crash.end();
    anyhow::ensure!(
        drained,
        "drain in time: some changes are not durable, and were not acked"
    );
    tracing::info!("drained");
    Ok(())
}

/// Opens the store that the settings name and brings its tables up to date.
async fn open_store(settings: &Settings) -> anyhow::Result<Arc<dyn Store>> {
    let store = store::open(settings.database_url.expose())
        .await
        .context("open the database")?;
    store
        .migrate()
        .await
        .context("bring the tables up to date")?;
    Ok(store)
}

/// Readiness goes red first; then nothing more is accepted; then rooms end once all they hold is
/// durable, and tell their clients when to return. Returns whether everything was done in time.
async fn drain(
    hub: &Hub,
    stop: &CancellationToken,
    connections: &TaskTracker,
    within: Duration,
) -> bool {
    let lead = Duration::from_millis(READINESS_LEAD_MS).min(within / 4);
    hub.leave();
    tokio::time::sleep(lead).await;
    stop.cancel();
    let is_durable = hub.drain((within - lead) * 3 / 4).await;
    connections.close();
    // Who does not take its goodbye in time is left behind: nothing of its is lost.
    let _ = tokio::time::timeout((within - lead) / 4, connections.wait()).await;
    is_durable
}

async fn told_to_stop() -> anyhow::Result<()> {
    let mut terminate = signal(SignalKind::terminate()).context("listen for SIGTERM")?;
    let mut interrupt = signal(SignalKind::interrupt()).context("listen for SIGINT")?;
    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
    Ok(())
}

async fn upkeep(metrics: PrometheusHandle, hub: Hub) {
    let mut forget_at = hub.now().mono;
    loop {
        hub.count_quarantined().await;
        hub.inbox().cleanup();
        let now = hub.now().mono;
        if now >= forget_at {
            forget_at = now.plus(FORGET_MS);
            // A failure is counted and logged where it happens; the next round does it.
            let _ = hub.forget_audit().await;
        }
        tokio::time::sleep(Duration::from_millis(METRICS_UPKEEP_MS)).await;
        metrics.run_upkeep();
    }
}

/// Says where the server is and how to connect, ready to be pasted.
fn greet(
    address: SocketAddr,
    settings: &Settings,
    admin_token: Option<&Secret>,
) -> anyhow::Result<()> {
    let mut out = std::io::stdout().lock();
    let params = if settings.dev {
        ""
    } else {
        ", { params: { token } }"
    };
    let mut lines = vec![
        format!("Roundtable listens on http://{address}"),
        String::new(),
        "  Connect a Yjs client:".into(),
        format!("    new WebsocketProvider('ws://{address}/ws', 'my-room', doc{params})"),
    ];
    if settings.demo {
        lines.push(String::new());
        lines.push("  Or open a table to share, in a browser:".into());
        lines.push(format!("    http://{address}/"));
    }
    if let Some(token) = admin_token {
        lines.push(String::new());
        lines.push("  An admin token, good for a day (--dev):".into());
        lines.push(format!("    {}", token.expose()));
    }
    writeln!(out, "{}\n", lines.join("\n")).context("print the address")?;
    out.flush().context("print the address")
}
