//! Owns the stored form of an entry's updates (`docs/PROTOCOLS.md`, "Stored updates").
//!
//! One byte of format (1), the number of updates as a var-uint, then each as a var-buffer.

use bytes::Bytes;

use crate::lib0::{Reader, write_buffer, write_var_uint};

const FORMAT: u8 = 1;

/// Packs the updates of one entry.
#[must_use]
pub fn pack(updates: &[Bytes]) -> Bytes {
    let size: usize = updates.iter().map(|update| update.len() + 5).sum();
    let mut out = Vec::with_capacity(size + 6);
    out.push(FORMAT);
    write_var_uint(&mut out, updates.len() as u64);
    for update in updates {
        write_buffer(&mut out, update);
    }
    out.into()
}

/// Unpacks the updates of one entry, sharing the bytes; says what is wrong with them otherwise.
pub fn unpack(bytes: &Bytes) -> Result<Vec<Bytes>, &'static str> {
    let mut reader = Reader::new(bytes);
    let format = reader.byte().map_err(|error| error.reason())?;
    if format != FORMAT {
        return Err("stored in a format of a later version");
    }
    let count = reader.count(1).map_err(|error| error.reason())?;
    let mut updates = Vec::with_capacity(count);
    for _ in 0..count {
        updates.push(bytes.slice_ref(reader.buffer().map_err(|error| error.reason())?));
    }
    if reader.is_empty() {
        Ok(updates)
    } else {
        Err("bytes after the last update")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ke5_stored_updates_come_back_byte_for_byte() {
        let updates = vec![
            Bytes::from_static(b"one"),
            Bytes::new(),
            vec![7; 300].into(),
        ];
        assert_eq!(unpack(&pack(&updates)), Ok(updates));
        assert_eq!(unpack(&pack(&[])), Ok(Vec::new()));
    }

    #[test]
    fn ke5_what_is_not_in_the_stored_form_is_recognised() {
        assert!(unpack(&Bytes::new()).is_err());
        assert!(unpack(&Bytes::from_static(&[2, 0])).is_err());
        assert!(unpack(&Bytes::from_static(&[1, 1, 5, 0])).is_err());
        assert!(unpack(&Bytes::from_static(&[1, 0, 0])).is_err());
    }
}
