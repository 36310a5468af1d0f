//! Owns the CRDT behind a wall: checked bytes in, changes out. Knows nothing of versions or people.

mod records;

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use bytes::Bytes;
use smallvec::SmallVec;
use yrs::updates::decoder::Decode;
use yrs::{
    Array, ClientID, Doc, OffsetKind, Options, Out, ReadTxn, Text, Transact, TransactionMut,
    Update, WriteTxn, XmlFragment,
};

use super::barred::{Barred, Marks};
use super::before::{changes, hold};
use super::entry::Change;
#[cfg(any(test, feature = "fault-injection"))]
use super::fault::{Moment, strike};
use super::index::{ClockRange, Index, RootKind, StateVector};
use super::record::{Cell, Writer, read_cell};
use super::update::{self, Checked, Rejected};

pub use records::{Holds, Written};

/// Stored updates in one transaction. More save nothing, and from a thousand on it gets slower:
/// neighbours are joined only when a transaction ends, and until then every search is longer.
const LOADED_TOGETHER: usize = 64;

/// What an update did to the document.
#[derive(Debug, PartialEq, Eq)]
pub enum Applied {
    /// The document had all of it.
    Nothing,
    /// It has something new.
    Changed(Vec<Change>),
}

/// Why an update was not applied.
#[derive(Debug, PartialEq, Eq)]
pub enum Fault {
    /// The validator refuses it; the document is as it was.
    Rejected(Rejected),
    /// The CRDT failed on it and the document is not to be trusted any more.
    Broken(String),
}

impl From<Rejected> for Fault {
    fn from(rejected: Rejected) -> Self {
        Self::Rejected(rejected)
    }
}

/// One room's document.
#[derive(Debug)]
pub struct Document {
    doc: Doc,
    index: Index,
    /// The whole state, as long as nothing changed since it was encoded.
    state: Option<Bytes>,
    barred: Barred,
}

impl Document {
    /// An empty document that writes under `client` and refuses content of the `former` epochs.
    #[must_use]
    pub fn new(client: u32, former: StateVector) -> Self {
        let mut index = Index::with_former(former);
        index.reserve_client(u64::from(client));
        let doc = Doc::with_options(Options {
            offset_kind: OffsetKind::Utf16,
            ..Options::with_client_id(ClientID::new(u64::from(client)))
        });
        Self {
            doc,
            index,
            state: None,
            barred: Barred::default(),
        }
    }

    /// Keeps updates out that brought the document down before.
    pub fn bar(&mut self, barred: Barred) {
        self.barred = barred;
    }

    /// What an update would add; nothing when it would not be applied.
    #[must_use]
    pub fn marks(&self, bytes: &[u8]) -> Marks {
        update::check(bytes, &self.index)
            .map(|checked| Marks::of(&checked))
            .unwrap_or_default()
    }

    /// Takes stored bytes in: a snapshot, or an update of the log. Derives no changes.
    pub fn load(&mut self, bytes: &[u8]) -> Result<(), Fault> {
        self.load_all([bytes])
    }

    /// Takes stored updates in, many in one transaction of the CRDT: what one costs at its end is
    /// paid once. After an error the document is not to be used.
    pub fn load_all<'a>(
        &mut self,
        updates: impl IntoIterator<Item = &'a [u8]>,
    ) -> Result<(), Fault> {
        self.state = None;
        let mut updates = updates.into_iter().peekable();
        while updates.peek().is_some() {
            self.load_some(updates.by_ref().take(LOADED_TOGETHER))?;
        }
        Ok(())
    }

    fn load_some<'a>(&mut self, updates: impl Iterator<Item = &'a [u8]>) -> Result<(), Fault> {
        let broken = |error: &dyn fmt::Display| Fault::Broken(error.to_string());
        let mut txn = self.doc.transact_mut();
        for bytes in updates {
            let checked = update::check_state(bytes, &self.index)?;
            define_roots(&mut txn, &checked);
            #[cfg(any(test, feature = "fault-injection"))]
            strike(Moment::Load, bytes).map_err(Fault::Broken)?;
            let update = Update::decode_v1(bytes).map_err(|error| broken(&error))?;
            txn.apply_update(update).map_err(|error| broken(&error))?;
            self.index.accept(checked);
        }
        if txn.has_missing_updates() {
            return Err(Fault::Broken("stored updates leave a gap".into()));
        }
        self.index.lose(lost(&mut txn));
        Ok(())
    }

    /// Applies a client's update, or nothing of it.
    pub fn apply(&mut self, bytes: &[u8]) -> Result<Applied, Fault> {
        if self.barred.is_one(bytes) {
            return Err(Fault::Rejected(Rejected::Barred));
        }
        let checked = update::check(bytes, &self.index)?;
        if checked.is_known() {
            return Ok(Applied::Nothing);
        }
        if self.barred.includes(&checked, &self.index) {
            return Err(Fault::Rejected(Rejected::Barred));
        }
        let Ok(decoded) = Update::decode_v1(bytes) else {
            return Err(Fault::Rejected(Rejected::Malformed("not decodable")));
        };
        let mut txn = self.doc.transact_mut();
        define_roots(&mut txn, &checked);
        let before = hold(&txn, checked.touched(&self.index));
        #[cfg(any(test, feature = "fault-injection"))]
        strike(Moment::Apply, bytes).map_err(Fault::Broken)?;
        txn.apply_update(decoded)
            .map_err(|error| Fault::Broken(error.to_string()))?;
        if txn.has_missing_updates() {
            return Err(Fault::Broken("an accepted update is pending".into()));
        }
        let has_changes = !txn.insert_set().is_empty() || !txn.delete_set().is_empty();
        let applied = if has_changes {
            Applied::Changed(changes(&txn, before))
        } else {
            drop(before);
            Applied::Nothing
        };
        let lost: SmallVec<[ClockRange; 2]> = lost(&mut txn).collect();
        drop(txn);
        self.index.accept(checked);
        self.index.lose(lost);
        if has_changes {
            self.state = None;
        }
        Ok(applied)
    }

    /// Whether the document has all that the update holds.
    pub fn knows(&self, bytes: &[u8]) -> Result<bool, Rejected> {
        Ok(update::check(bytes, &self.index)?.is_known())
    }

    /// Whether the peer holds content of a former epoch.
    #[must_use]
    pub fn is_foreign(&self, state_vector: &StateVector) -> bool {
        self.index.is_foreign(state_vector)
    }

    /// The whole state as one update; encoded once as long as nothing changes.
    pub fn state(&mut self) -> Bytes {
        if let Some(state) = &self.state {
            return state.clone();
        }
        let state = self.encode(&yrs::StateVector::default());
        self.state = Some(state.clone());
        state
    }

    /// What a peer with this state vector lacks, as one update.
    pub fn diff(&mut self, state_vector: &StateVector) -> Bytes {
        if state_vector.is_empty() {
            return self.state();
        }
        let since = state_vector
            .iter()
            .map(|(client, clock)| (ClientID::new(client), clock));
        self.encode(&since.collect())
    }

    fn encode(&self, since: &yrs::StateVector) -> Bytes {
        self.doc.transact().encode_state_as_update_v1(since).into()
    }

    /// What the document has, encoded.
    #[must_use]
    pub fn state_vector(&self) -> Bytes {
        self.index.state_vector()
    }

    /// What the document and the former epochs have, encoded: what the next epoch refuses.
    #[must_use]
    pub fn epitaph(&self) -> Bytes {
        self.index.epitaph()
    }

    /// The document as a JSON object of its roots.
    ///
    /// A sequence with nothing in it is left out: its contents are all that tells what it is, so
    /// the same document loaded from its state could not show it.
    #[must_use]
    pub fn json(&self) -> String {
        let txn = self.doc.transact();
        let roots = self.index.roots().filter_map(|(name, kind)| {
            let (root, length) = match kind {
                RootKind::Map => (Out::YMap(txn.get_map(name.clone())?), None),
                RootKind::Array => {
                    let array = txn.get_array(name.clone())?;
                    let length = array.len(&txn);
                    (Out::YArray(array), Some(length))
                }
                RootKind::Text => {
                    let text = txn.get_text(name.clone())?;
                    let length = text.len(&txn);
                    (Out::YText(text), Some(length))
                }
                RootKind::Xml => {
                    let xml = txn.get_xml_fragment(name.clone())?;
                    let length = xml.len(&txn);
                    (Out::YXmlFragment(xml), Some(length))
                }
            };
            (length != Some(0)).then_some((&**name, root))
        });
        let mut writer = Writer {
            text: String::new(),
            bytes_max: usize::MAX,
        };
        let written = writer.object(roots, |writer, root| writer.out(&txn, &root, 0));
        debug_assert!(written.is_ok(), "the validator bounds the depth");
        writer.text
    }

    /// Each collection and how many records it has.
    #[must_use]
    pub fn collections(&self) -> BTreeMap<Arc<str>, usize> {
        let txn = self.doc.transact();
        let maps = self
            .index
            .roots()
            .filter(|(_, kind)| *kind == RootKind::Map);
        maps.filter_map(|(name, _)| {
            let map = txn.get_map(name.clone())?;
            let records = yrs::Map::iter(&map, &txn)
                .filter(|(_, out)| is_record(out))
                .count();
            (records > 0).then(|| (name.clone(), records))
        })
        .collect()
    }

    /// What a key of a collection holds.
    #[must_use]
    pub fn cell(&self, collection: &Arc<str>, record: &str) -> Cell {
        read_cell(&self.doc.transact(), collection, record)
    }
}

/// Ends a transaction, and says what it deleted: at its end, formats that nothing shows any more.
fn lost<'a>(txn: &'a mut TransactionMut<'_>) -> impl Iterator<Item = ClockRange> + 'a {
    txn.commit();
    txn.delete_set().iter().flat_map(|(client, ranges)| {
        let client = client.get();
        ranges.iter().map(move |range| ClockRange {
            client,
            start: range.start,
            end: range.end,
        })
    })
}

fn define_roots(txn: &mut TransactionMut<'_>, checked: &Checked) {
    for (name, kind) in checked.new_roots() {
        let name = name.clone();
        match kind {
            RootKind::Map => drop(txn.get_or_insert_map(name)),
            RootKind::Array => drop(txn.get_or_insert_array(name)),
            RootKind::Text => drop(txn.get_or_insert_text(name)),
            RootKind::Xml => drop(txn.get_or_insert_xml_fragment(name)),
        }
    }
}

fn is_record(out: &Out) -> bool {
    matches!(out, Out::YMap(_))
}
