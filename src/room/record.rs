//! Owns how collections, records and fields are read out of the Yjs document, as canonical JSON,
//! bounded.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::sync::Arc;

use yrs::{Any, Array, GetString, Map, MapPrelim, Number, Out, ReadTxn, Text, TransactionMut};
use yrs::{WriteTxn, XmlFragment};

use super::entry::{Change, ChangeKind, FieldChange, Json, Value};

/// Values are told whole up to so many bytes, so that an edit of a long text costs what one of a
/// short text does.
pub const VALUE_BYTES_MAX: usize = 4_096;

/// The deepest nesting that is read; the validator lets nothing deeper in.
const DEPTH_MAX: usize = 256;

/// What a key of a root map holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Cell {
    /// Nothing.
    Absent,
    /// A record: its fields by name.
    Record(BTreeMap<Arc<str>, Value>),
    /// Something else.
    Plain,
}

/// A write to one record.
#[derive(Debug, Clone, Copy)]
pub enum Write<'a> {
    /// The record is made, with these fields.
    Make(&'a BTreeMap<Arc<str>, Json>),
    /// Fields of one that is there are set, and removed.
    Set(&'a BTreeMap<Arc<str>, Json>, &'a BTreeSet<Arc<str>>),
    /// The record is taken away.
    Delete,
}

/// Writes to a record of a root map.
pub fn write_record(txn: &mut TransactionMut<'_>, root: &Arc<str>, record: &str, write: Write<'_>) {
    let collection = txn.get_or_insert_map(root.clone());
    match write {
        Write::Make(fields) => {
            let fields = fields
                .iter()
                .map(|(name, value)| (name.clone(), any_of(value)));
            collection.insert(txn, record, fields.collect::<MapPrelim>());
        }
        Write::Set(fields, unset) => {
            let Some(Out::YMap(map)) = collection.get(txn, record) else {
                return;
            };
            for (name, value) in fields {
                map.insert(txn, name.clone(), any_of(value));
            }
            for name in unset {
                map.remove(txn, name);
            }
        }
        Write::Delete => drop(collection.remove(txn, record)),
    }
}

/// A value as the CRDT keeps it: large integers are floats there, as in JavaScript.
fn any_of(value: &Json) -> Any {
    fn of(value: serde_json::Value) -> Any {
        match value {
            serde_json::Value::Null => Any::Null,
            serde_json::Value::Bool(is) => Any::Bool(is),
            serde_json::Value::Number(number) => match number.as_i64() {
                Some(int) if int.unsigned_abs() < 1 << 53 => Any::Number(Number::Int(int)),
                _ => Any::Number(Number::Float(number.as_f64().unwrap_or(f64::NAN))),
            },
            serde_json::Value::String(text) => Any::String(text.into()),
            serde_json::Value::Array(items) => items.into_iter().map(of).collect::<Vec<_>>().into(),
            serde_json::Value::Object(items) => {
                let items = items.into_iter().map(|(key, item)| (key, of(item)));
                items.collect::<std::collections::HashMap<_, _>>().into()
            }
        }
    }
    serde_json::from_str(&value.0).map_or(Any::Null, of)
}

/// The canonical text of a JSON value, as the document reads once it is written.
///
/// # Errors
///
/// It is nested deeper than any that is kept.
pub fn canonical(value: &serde_json::Value) -> Result<Json, &'static str> {
    let mut writer = Writer {
        text: String::new(),
        bytes_max: usize::MAX,
    };
    let text = Json(value.to_string().into());
    writer
        .any(&any_of(&text), 0)
        .map_err(|TooLong| "a value is nested too deep")?;
    Ok(Json(writer.text.into()))
}

/// A value is over its bound.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TooLong;

/// Reads a key of a root map.
pub fn read_cell<T: ReadTxn>(txn: &T, root: &Arc<str>, record: &str) -> Cell {
    match txn
        .get_map(root.clone())
        .and_then(|map| map.get(txn, record))
    {
        None | Some(Out::Any(Any::Undefined)) => Cell::Absent,
        Some(Out::YMap(map)) => {
            let fields = map.iter(txn).filter(|(_, value)| is_there(value));
            Cell::Record(
                fields
                    .map(|(k, v)| (k.into(), read_value(txn, &v)))
                    .collect(),
            )
        }
        Some(_) => Cell::Plain,
    }
}

/// Reads one field of a record; absent, too, when there is no such record.
pub fn read_field<T: ReadTxn>(txn: &T, root: &Arc<str>, record: &str, field: &str) -> Value {
    match txn
        .get_map(root.clone())
        .and_then(|map| map.get(txn, record))
    {
        Some(Out::YMap(map)) => match map.get(txn, field) {
            Some(value) => read_value(txn, &value),
            None => Value::Absent,
        },
        _ => Value::Absent,
    }
}

/// What became of a record whose place in the collection was written.
pub fn record_change(root: &Arc<str>, record: &Arc<str>, old: Cell, new: Cell) -> Option<Change> {
    let (kind, old, new) = match (old, new) {
        (Cell::Record(old), Cell::Record(new)) => (ChangeKind::Update, old, new),
        (Cell::Record(old), Cell::Absent | Cell::Plain) => {
            (ChangeKind::Delete, old, BTreeMap::new())
        }
        (Cell::Absent | Cell::Plain, Cell::Record(new)) => {
            (ChangeKind::Create, BTreeMap::new(), new)
        }
        (Cell::Absent | Cell::Plain, Cell::Absent | Cell::Plain) => return None,
    };
    let mut fields = Vec::new();
    for (field, before) in &old {
        let after = new.get(field).cloned().unwrap_or(Value::Absent);
        if *before != after || after == Value::TooLong {
            fields.push(FieldChange {
                field: field.clone(),
                old: before.clone(),
                new: after,
            });
        }
    }
    for (field, after) in new {
        if !old.contains_key(&field) {
            fields.push(FieldChange {
                field,
                old: Value::Absent,
                new: after,
            });
        }
    }
    if kind == ChangeKind::Update && fields.is_empty() {
        return None;
    }
    Some(Change {
        kind,
        collection: root.clone(),
        record: Some(record.clone()),
        fields,
    })
}

fn read_value<T: ReadTxn>(txn: &T, value: &Out) -> Value {
    read_bounded(txn, value, VALUE_BYTES_MAX)
}

/// Reads a value up to a bound of its own.
pub fn read_bounded<T: ReadTxn>(txn: &T, value: &Out, bytes_max: usize) -> Value {
    if !is_there(value) {
        return Value::Absent;
    }
    let mut writer = Writer {
        text: String::new(),
        bytes_max,
    };
    match writer.out(txn, value, 0) {
        Ok(()) => Value::Json(Json(writer.text.into())),
        Err(TooLong) => Value::TooLong,
    }
}

/// Whether a key says something: `undefined` is as good as no key, as in JavaScript's JSON.
fn is_there(value: &Out) -> bool {
    !matches!(value, Out::Any(Any::Undefined))
}

/// Writes values of the document as canonical JSON, up to a bound.
#[derive(Debug)]
pub struct Writer {
    /// What is written so far.
    pub text: String,
    /// The most bytes that may be written.
    pub bytes_max: usize,
}

impl Writer {
    /// Any value. Text and XML are their strings, as they read.
    pub fn out<T: ReadTxn>(&mut self, txn: &T, value: &Out, depth: usize) -> Result<(), TooLong> {
        if depth > DEPTH_MAX {
            return Err(TooLong);
        }
        match value {
            Out::Any(any) => self.any(any, depth),
            Out::YText(text) => {
                self.bound(text.len(txn) as usize)?;
                self.string(&text.get_string(txn))
            }
            Out::YXmlText(text) => {
                self.bound(text.len(txn) as usize)?;
                self.string(&text.get_string(txn))
            }
            Out::YXmlElement(xml) => {
                self.bound(xml.len(txn) as usize)?;
                self.string(&xml.get_string(txn))
            }
            Out::YXmlFragment(xml) => {
                self.bound(xml.len(txn) as usize)?;
                self.string(&xml.get_string(txn))
            }
            Out::YArray(array) => {
                self.bound(array.len(txn) as usize)?;
                self.sequence(array.iter(txn), |writer, item| {
                    writer.out(txn, &item, depth + 1)
                })
            }
            Out::YMap(map) => {
                self.bound(map.len(txn) as usize)?;
                let items = map.iter(txn).filter(|(_, item)| is_there(item));
                self.object(items, |writer, item| writer.out(txn, &item, depth + 1))
            }
            Out::YDoc(_) | Out::UndefinedRef(_) => self.push("null"),
        }
    }

    fn any(&mut self, any: &Any, depth: usize) -> Result<(), TooLong> {
        if depth > DEPTH_MAX {
            return Err(TooLong);
        }
        match any {
            Any::Null | Any::Undefined => self.push("null"),
            Any::Bool(true) => self.push("true"),
            Any::Bool(false) => self.push("false"),
            Any::Number(number) => self.number(*number),
            Any::String(text) => self.string(text),
            Any::Buffer(bytes) => {
                self.sequence(bytes.iter(), |writer, byte| writer.push(&byte.to_string()))
            }
            Any::Array(items) => {
                self.sequence(items.iter(), |writer, item| writer.any(item, depth + 1))
            }
            Any::Map(map) => {
                let items = map.iter().filter(|(_, item)| **item != Any::Undefined);
                let items = items.map(|(key, item)| (key.as_str(), item));
                self.object(items, |writer, item| writer.any(item, depth + 1))
            }
        }
    }

    /// A number reads the same whichever way it was written: the CRDT makes floats of large
    /// integers when it encodes a state, also of the largest, which is none.
    fn number(&mut self, number: Number) -> Result<(), TooLong> {
        let float = match number {
            Number::Int(int) if int < i64::MAX => return self.push(&int.to_string()),
            Number::Int(int) => int as f64,
            Number::Float(float) => float,
        };
        if !float.is_finite() {
            return self.push("null");
        }
        if float.fract() == 0.0 && (i64::MIN as f64..i64::MAX as f64).contains(&float) {
            return self.push(&(float as i64).to_string());
        }
        let text = serde_json::to_string(&float).unwrap_or_else(|_| "null".into());
        self.push(text.strip_suffix(".0").unwrap_or(&text))
    }

    /// A string with its quotes.
    pub fn string(&mut self, text: &str) -> Result<(), TooLong> {
        self.bound(text.len())?;
        let quoted = serde_json::to_string(text).map_err(|_| TooLong)?;
        self.push(&quoted)
    }

    fn sequence<I: IntoIterator>(
        &mut self,
        items: I,
        mut write: impl FnMut(&mut Self, I::Item) -> Result<(), TooLong>,
    ) -> Result<(), TooLong> {
        self.push("[")?;
        for (index, item) in items.into_iter().enumerate() {
            if index > 0 {
                self.push(",")?;
            }
            write(self, item)?;
        }
        self.push("]")
    }

    /// An object with its keys in byte order.
    pub fn object<'a, V>(
        &mut self,
        items: impl IntoIterator<Item = (&'a str, V)>,
        mut write: impl FnMut(&mut Self, V) -> Result<(), TooLong>,
    ) -> Result<(), TooLong> {
        let mut items: Vec<(&str, V)> = items.into_iter().collect();
        items.sort_unstable_by_key(|(key, _)| *key);
        self.push("{")?;
        for (index, (key, item)) in items.into_iter().enumerate() {
            if index > 0 {
                self.push(",")?;
            }
            self.string(key)?;
            self.push(":")?;
            write(self, item)?;
        }
        self.push("}")
    }

    fn bound(&self, more: usize) -> Result<(), TooLong> {
        if self.text.len() + more > self.bytes_max {
            Err(TooLong)
        } else {
            Ok(())
        }
    }

    fn push(&mut self, text: &str) -> Result<(), TooLong> {
        self.bound(text.len())?;
        self.text.write_str(text).map_err(|_| TooLong)
    }
}
