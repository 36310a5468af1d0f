//! Tests of JSON readers: exact however far behind they fall, and told who is here.

use serde_json::Value as Json;
use serde_json::value::RawValue;

use super::*;
use crate::hub::reader::{Reader, Since};
use crate::room::presence::Appearance;
use crate::wire::notice::Notice;
use crate::wire::operations::read_operation;

/// A hub in which one message for readers is held at a time.
fn forgetful(store: &Arc<Memory>) -> Hub {
    let limits = Limits {
        told_bytes_max: 1,
        ..Limits::default()
    };
    Hub::new(store.clone(), clock(), Arc::new(limits))
}

async fn write(hub: &Hub, n: u64) {
    let text = format!(
        r#"{{"opId":"{n}","type":"upsert","collection":"c","recordId":"r","fields":{{"n":{n}}}}}"#
    );
    let raw: &RawValue = serde_json::from_str(&text).expect("JSON");
    let operation = read_operation(raw, String::new).expect("an operation");
    let pushed = hub.push(&room("a"), grant(), None, vec![operation]).await;
    assert_eq!(pushed.expect("judged").position.version, Version(n));
}

async fn appear(hub: &Hub, state: &'static str) {
    let appearance = Appearance {
        device: Some("tab".into()),
        state: Some(Bytes::from_static(state.as_bytes())),
        lease_ms: Some(30_000),
    };
    let appeared = hub.appear(&room("a"), grant(), appearance).await;
    appeared.expect("taken");
}

async fn reader(hub: &Hub, since: u64) -> Reader {
    let entered = hub.reader(&room("a"), grant(), None).await;
    let mut reader = entered.map_err(|denial| format!("{denial:?}")).expect("in");
    reader.subscribe(None, Since::Seen(None, Version(since)));
    reader
}

/// All that a reader is told until it has everything.
async fn told(hub: &Hub, reader: &mut Reader) -> Vec<Json> {
    let mut notices: Vec<Notice> = Vec::new();
    loop {
        while reader.is_behind() {
            let caught_up = reader.catch_up(hub, grant()).await.expect("answered");
            reader.arrive(&caught_up);
            notices.extend(caught_up.notices);
        }
        let before = notices.len();
        reader.hear(usize::MAX, &mut notices);
        if notices.len() == before && !reader.is_behind() {
            let read = |notice: &Notice| serde_json::from_slice(&notice.payload()).expect("JSON");
            return notices.iter().map(read).collect();
        }
    }
}

fn versions(told: &[Json]) -> Vec<u64> {
    let events = told.iter().filter(|it| it["type"] == "changes");
    let events = events.flat_map(|it| it["events"].as_array().expect("a list"));
    events
        .filter_map(|event| event["version"].as_u64())
        .collect()
}

#[tokio::test(start_paused = true)]
async fn jw25_a_reader_that_falls_behind_again_and_again_hears_every_version_once() {
    let hub = forgetful(&Arc::new(Memory::open()));
    let mut quick = reader(&hub, 0).await;
    let mut slow = reader(&hub, 0).await;
    let (mut by_quick, mut by_slow) = (Vec::new(), Vec::new());
    for n in 1..=40 {
        write(&hub, n).await;
        by_quick.extend(versions(&told(&hub, &mut quick).await));
        if n % 7 == 0 {
            by_slow.extend(versions(&told(&hub, &mut slow).await));
        }
    }
    by_slow.extend(versions(&told(&hub, &mut slow).await));
    let all: Vec<u64> = (1..=40).collect();
    assert_eq!((by_quick, by_slow), (all.clone(), all));
}

#[tokio::test(start_paused = true)]
async fn jw29_a_reader_begins_so_many_versions_before_the_head_or_as_many_as_there_are() {
    let hub = forgetful(&Arc::new(Memory::open()));
    let mut reader = reader(&hub, 0).await;
    reader.subscribe(None, Since::Recent(5));
    let empty = told(&hub, &mut reader).await;
    assert_eq!(
        (&empty[0]["version"], &empty[0]["head"]),
        (&0.into(), &0.into())
    );
    for n in 1..=3 {
        write(&hub, n).await;
    }
    for (count, expected) in [(0, vec![]), (2, vec![2, 3]), (9, vec![1, 2, 3])] {
        reader.subscribe(None, Since::Recent(count));
        let told = told(&hub, &mut reader).await;
        assert_eq!(told[0]["type"], "subscribed");
        assert_eq!(told[0].get("document"), None);
        assert_eq!(versions(&told), expected);
    }
}

#[tokio::test(start_paused = true)]
async fn jw26_a_reader_that_missed_presence_is_told_anew_who_is_here() {
    let hub = forgetful(&Arc::new(Memory::open()));
    let mut reader = reader(&hub, 0).await;
    let begun = told(&hub, &mut reader).await;
    assert_eq!(begun[0]["users"], Json::Array(Vec::new()));
    // What it missed of versions alone does not begin it anew.
    write(&hub, 1).await;
    write(&hub, 2).await;
    let kinds = |told: &[Json]| -> Vec<_> {
        let kinds = told
            .iter()
            .map(|it| it["type"].as_str().unwrap_or_default());
        kinds.map(str::to_owned).collect()
    };
    assert_eq!(kinds(&told(&hub, &mut reader).await), ["changes"]);
    appear(&hub, r#"{"x":1}"#).await;
    write(&hub, 3).await;
    let anew = told(&hub, &mut reader).await;
    assert_eq!(kinds(&anew), ["subscribed", "changes"]);
    assert_eq!(anew[0]["recovery"], "replay");
    assert_eq!(anew[0]["users"][0]["state"]["x"], 1);
    assert_eq!(told(&hub, &mut reader).await, Vec::<Json>::new());
}
