//! Owns Postgres for tests: a server of this process, or the one that the process is run beside,
//! and a database for each test.
//!
//! The server is a child of `scripts/with-postgres.sh` and lives as long as this process holds the
//! child's standard input: however the process ends, the server is stopped and its files go.

use std::io::{BufRead, BufReader, Read};
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;

use sqlx::{AssertSqlSafe, ConnectOptions, Connection, PgConnection, postgres::PgConnectOptions};

const SCRIPT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/scripts/with-postgres.sh");

/// A server, and the program that stops and starts it.
pub(crate) struct Server {
    url: String,
    control: String,
    /// Ends the server with its standard input.
    _child: Child,
}

/// A database of one test; dropped with it.
pub(crate) struct Database {
    server: String,
    name: String,
}

impl Server {
    /// Starts a server that nobody else uses.
    pub(crate) fn start() -> Self {
        let tell = "echo \"$ROUNDTABLE_TEST_POSTGRES\"; echo \"$ROUNDTABLE_TEST_POSTGRES_CTL\"";
        let mut child = Command::new(SCRIPT)
            .args(["sh", "-c", &format!("{tell}; cat >/dev/null")])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("scripts/with-postgres.sh runs");
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let mut line = || lines.next().and_then(Result::ok);
        match (line(), line()) {
            (Some(url), Some(control)) => Self {
                url,
                control,
                _child: child,
            },
            _ => {
                let mut said = String::new();
                child
                    .stderr
                    .take()
                    .unwrap()
                    .read_to_string(&mut said)
                    .unwrap();
                panic!("no Postgres for tests: {said}");
            }
        }
    }

    /// Stops the server, or starts it again.
    pub(crate) fn control(&self, what: &str) {
        let status = Command::new(&self.control)
            .arg(what)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .status()
            .unwrap();
        assert!(status.success(), "pg_ctl {what}");
    }

    /// A new database on this server.
    pub(crate) async fn database(&self) -> Database {
        Database::create(&self.url).await
    }
}

impl Database {
    /// A new database on the server that this process is run beside, or on its own.
    pub(crate) async fn fresh() -> Self {
        static OWN: OnceLock<Server> = OnceLock::new();
        match std::env::var("ROUNDTABLE_TEST_POSTGRES") {
            Ok(url) => Self::create(&url).await,
            Err(_) => Self::create(&OWN.get_or_init(Server::start).url).await,
        }
    }

    async fn create(server: &str) -> Self {
        let name = format!("test_{}", uuid::Uuid::new_v4().simple());
        run(server, format!("CREATE DATABASE {name}")).await;
        Self {
            server: server.to_owned(),
            name,
        }
    }

    /// The URL of this database.
    pub(crate) fn url(&self) -> String {
        let (server, _) = self.server.rsplit_once('/').unwrap();
        format!("{server}/{}", self.name)
    }

    /// A connection beside the store's.
    pub(crate) async fn connect(&self) -> PgConnection {
        let options: PgConnectOptions = self.url().parse().unwrap();
        options.connect().await.unwrap()
    }
}

impl Drop for Database {
    /// The test's runtime cannot be waited on from here, so the thread has one of its own. A server
    /// that is gone takes its databases with it.
    fn drop(&mut self) {
        let (server, name) = (self.server.clone(), self.name.clone());
        let dropping = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build();
            runtime.unwrap().block_on(async {
                if let Ok(mut connection) = PgConnection::connect(&server).await {
                    let text = format!("DROP DATABASE IF EXISTS {name} WITH (FORCE)");
                    let dropped = sqlx::raw_sql(AssertSqlSafe(text)).execute(&mut connection);
                    drop(dropped.await);
                }
            });
        });
        drop(dropping.join());
    }
}

async fn run(url: &str, text: String) {
    let mut connection = PgConnection::connect(url).await.unwrap();
    sqlx::raw_sql(AssertSqlSafe(text))
        .execute(&mut connection)
        .await
        .unwrap();
    connection.close().await.unwrap();
}
