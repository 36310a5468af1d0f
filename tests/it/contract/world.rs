//! Owns the rules of opening, migrating, reopening, and of databases that fail or are followed.

use std::sync::Arc;
use std::time::Duration;

use roundtable::ids::Version;
use roundtable::store::{self, Appended, Failure, Patience, Store};
use sqlx::postgres::PgListener;
use sqlx::{ConnectOptions, Connection, SqliteConnection};

use super::{ALL, World, append, epoch, on_every_store, room, row};
use crate::support::postgres::{Database, Server};

on_every_store![
    st17_reopening_keeps_everything,
    st18_migrating_again_and_from_several_at_once_is_safe,
    st24_a_database_that_hangs_is_unavailable_and_works_when_it_goes_on,
    st26_rows_that_are_missing_are_told_and_not_read_around,
];

/// Short, as some calls here are made to run out of it.
const SHORT: Patience = Patience {
    connect: Duration::from_millis(300),
    call: Duration::from_millis(300),
    upkeep: Duration::from_secs(30),
};

async fn st17_reopening_keeps_everything(world: &World) {
    let store = world.open().await;
    store.append(&[append("a", epoch(1), 0, 3)]).await.unwrap();
    drop(store);
    let store = world.open().await;
    let rows = store
        .read(&room("a"), epoch(1), Version::ZERO, ALL)
        .await
        .unwrap();
    assert_eq!(rows, [row(1), row(2), row(3)]);
    assert_eq!(
        store.append(&[append("a", epoch(1), 3, 1)]).await.unwrap(),
        [Appended::Kept]
    );
}

async fn st18_migrating_again_and_from_several_at_once_is_safe(world: &World) {
    let mut tasks = tokio::task::JoinSet::new();
    for _ in 0..4 {
        let url = world.url();
        tasks.spawn(async move {
            let store = store::open(&url).await?;
            store.migrate().await?;
            store.migrate().await
        });
    }
    assert_eq!(tasks.join_all().await, vec![Ok(()); 4]);
    let store = world.open().await;
    assert_eq!(
        store.append(&[append("a", epoch(1), 0, 1)]).await.unwrap(),
        [Appended::Kept]
    );
}

async fn st24_a_database_that_hangs_is_unavailable_and_works_when_it_goes_on(world: &World) {
    world
        .open()
        .await
        .append(&[append("a", epoch(1), 0, 1)])
        .await
        .unwrap();
    let next = [append("a", epoch(1), 1, 1)];
    let store = match world {
        World::Memory(_) => return,
        World::Sqlite(_) | World::Postgres(_) => {
            store::open_with(&world.url(), SHORT).await.unwrap()
        }
    };
    let tried = match world {
        World::Memory(_) => return,
        World::Sqlite(_) => {
            let mut other = sqlite(world).await;
            let _holding = other.begin_with("BEGIN IMMEDIATE").await.unwrap();
            store.append(&next).await
        }
        World::Postgres(database) => {
            let mut other = database.connect().await;
            let mut holding = other.begin().await.unwrap();
            let lock = sqlx::raw_sql("LOCK TABLE rooms");
            lock.execute(&mut *holding).await.unwrap();
            store.append(&next).await
        }
    };
    assert!(matches!(tried, Err(Failure::Unavailable(_))), "{tried:?}");
    assert_eq!(store.append(&next).await, Ok(vec![Appended::Kept]));
    let rows = store
        .read(&room("a"), epoch(1), Version::ZERO, ALL)
        .await
        .unwrap();
    assert_eq!(rows, [row(1), row(2)]);
}

async fn st26_rows_that_are_missing_are_told_and_not_read_around(world: &World) {
    let store = world.open().await;
    store.append(&[append("a", epoch(1), 0, 5)]).await.unwrap();
    let damage = "DELETE FROM log WHERE version = 3";
    match world {
        World::Memory(_) => return,
        World::Sqlite(_) => {
            sqlx::raw_sql(damage)
                .execute(&mut sqlite(world).await)
                .await
                .unwrap();
        }
        World::Postgres(database) => {
            sqlx::raw_sql(damage)
                .execute(&mut database.connect().await)
                .await
                .unwrap();
        }
    }
    for after in [0, 1, 2] {
        let read = store.read(&room("a"), epoch(1), Version(after), ALL).await;
        assert!(
            matches!(read, Err(Failure::Corrupt(_))),
            "after {after}: {read:?}"
        );
    }
    assert_eq!(
        store
            .read(&room("a"), epoch(1), Version(3), ALL)
            .await
            .unwrap()
            .len(),
        2
    );
}

#[tokio::test]
async fn st24_a_server_that_never_answers_is_unavailable() {
    // The kernel takes the connection, and nobody ever reads from it.
    let silent = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!(
        "postgres://someone:secret@{}/rooms",
        silent.local_addr().unwrap()
    );
    let opened = store::open_with(&url, SHORT).await.map(|_| ());
    assert!(matches!(&opened, Err(Failure::Unavailable(why)) if !why.contains("secret")));
}

#[tokio::test]
async fn st24_postgres_stopped_and_started_again_goes_on() {
    let server = Server::start();
    let database = server.database().await;
    let store = store::open(&database.url()).await.unwrap();
    store.migrate().await.unwrap();
    let first = append("a", epoch(1), 0, 1);
    let second = append("a", epoch(1), 1, 1);
    assert_eq!(store.append(&[first]).await, Ok(vec![Appended::Kept]));
    assert!(store.load(&room("a")).await.is_ok());
    server.control("stop");
    for _ in 0..3 {
        let tried = store.append(std::slice::from_ref(&second)).await;
        assert!(matches!(tried, Err(Failure::Unavailable(_))), "{tried:?}");
        let loaded = store.load(&room("a")).await;
        assert!(matches!(loaded, Err(Failure::Unavailable(_))), "{loaded:?}");
    }
    server.control("start");
    assert_eq!(store.append(&[second]).await, Ok(vec![Appended::Kept]));
    let rows = store
        .read(&room("a"), epoch(1), Version::ZERO, ALL)
        .await
        .unwrap();
    assert_eq!(rows, [row(1), row(2)]);
}

#[tokio::test]
async fn st25_postgres_tells_each_room_and_its_highest_version() {
    let database = Database::fresh().await;
    let store = store::open(&database.url()).await.unwrap();
    store.migrate().await.unwrap();
    let mut listener = PgListener::connect(&database.url()).await.unwrap();
    listener.listen("roundtable_changes").await.unwrap();
    let long = "\"".repeat(255);
    let call = [append("a", epoch(1), 0, 3), append(&long, epoch(2), 0, 1)];
    store.append(&call).await.unwrap();
    // Nothing is told of what is not written.
    store.append(&call).await.unwrap();
    store.append(&[append("a", epoch(1), 3, 1)]).await.unwrap();
    let mut told = Vec::new();
    for _ in 0..3 {
        let notification = listener.recv().await.unwrap();
        let payload: serde_json::Value = serde_json::from_str(notification.payload()).unwrap();
        told.push(payload);
    }
    told[..2].sort_by_key(|payload| payload["version"].as_u64());
    let expected = [
        serde_json::json!({"room": long, "epoch": epoch(2).to_string(), "version": 1}),
        serde_json::json!({"room": "a", "epoch": epoch(1).to_string(), "version": 3}),
        serde_json::json!({"room": "a", "epoch": epoch(1).to_string(), "version": 4}),
    ];
    assert_eq!(told, expected);
}

#[tokio::test]
async fn st49_what_no_index_holds_is_refused_and_not_waited_for() {
    let database = Database::fresh().await;
    let mut connection = database.connect().await;
    let table = sqlx::raw_sql("CREATE TABLE names (name text PRIMARY KEY)");
    table.execute(&mut connection).await.unwrap();
    // Bytes that cannot be compressed, and no disk or queue is full.
    let long =
        "INSERT INTO names SELECT string_agg(md5(n::text), '') FROM generate_series(1, 400) n";
    let error = sqlx::raw_sql(long).execute(&mut connection).await;
    let failure = Failure::from(error.unwrap_err());
    assert!(matches!(failure, Failure::Refused(_)), "{failure:?}");
}

#[tokio::test]
async fn st27_a_url_that_makes_no_sense_is_refused_without_its_password() {
    for url in [
        "",
        "rooms.db",
        "mysql://someone:secret@localhost/rooms",
        "postgres://someone:secret@localhost:port/rooms",
        "postgres://someone:sec/ret@secret:x/rooms",
        "sqlite::memory:",
        "sqlite://?mode=memory",
        "sqlite://",
        "sqlite://rooms.db?what=1",
    ] {
        match store::open(url).await {
            Err(Failure::Refused(why)) => assert!(!why.contains("secret"), "{url}: {why}"),
            Err(other) => panic!("{url}: {other}"),
            Ok(_) => panic!("{url} was opened"),
        }
    }
}

#[tokio::test]
async fn st27_a_database_that_lets_nobody_in_is_unavailable() {
    let database = Database::fresh().await;
    let url = database.url().replace("roundtable@", "nobody:secret@");
    let opened = store::open(&url).await.map(|_| ());
    assert!(
        matches!(&opened, Err(Failure::Unavailable(why)) if !why.contains("secret")),
        "{opened:?}"
    );
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("file");
    std::fs::write(&file, "no folder").unwrap();
    let opened = store::open(&format!("sqlite://{}/rooms.db", file.display()))
        .await
        .map(|_| ());
    assert!(
        matches!(&opened, Err(Failure::Unavailable(_))),
        "{opened:?}"
    );
}

#[tokio::test]
async fn st27_a_store_without_its_tables_says_so() {
    let worlds = [World::sqlite(), World::postgres().await];
    for world in &worlds {
        let store: Arc<dyn Store> = store::open(&world.url()).await.unwrap();
        let pinged = store.ping().await;
        assert!(matches!(pinged, Err(Failure::Corrupt(_))), "{pinged:?}");
    }
}

async fn sqlite(world: &World) -> SqliteConnection {
    let options: sqlx::sqlite::SqliteConnectOptions = world.url().parse().unwrap();
    let mut connection = options.connect().await.unwrap();
    let text = "PRAGMA busy_timeout = 1000";
    sqlx::raw_sql(text).execute(&mut connection).await.unwrap();
    connection
}
