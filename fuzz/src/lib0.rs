//! Owns the target `lib0`: any bytes as lib0 values and as a state vector. Nothing panics, nothing
//! is read twice or beyond the end, and what is written reads back.

use roundtable::lib0::{Reader, write_buffer, write_var_uint};
use roundtable::room::index::StateVector;

/// The first eight bytes choose what is read of the rest.
pub fn run(input: &[u8]) {
    let Some((choices, bytes)) = input.split_first_chunk::<8>() else {
        return;
    };
    let mut reader = Reader::new(bytes);
    for choice in choices {
        let before = reader.position();
        let is_read = read(&mut reader, *choice);
        assert_eq!(reader.position() + reader.remaining(), bytes.len());
        if !is_read {
            break;
        }
        assert!(reader.position() > before || choice % 7 == 5);
    }
    if let Ok(vector) = StateVector::parse(bytes) {
        let encoded = vector.encode();
        assert_eq!(StateVector::parse(&encoded), Ok(vector));
    }
}

fn read(reader: &mut Reader<'_>, choice: u8) -> bool {
    match choice % 7 {
        0 => reader.byte().is_ok(),
        1 => {
            let Ok(value) = reader.var_uint() else {
                return false;
            };
            let mut written = Vec::new();
            write_var_uint(&mut written, value);
            assert_eq!(Reader::new(&written).var_uint(), Ok(value));
            true
        }
        2 => reader.var_int().is_ok(),
        3 => {
            let Ok(value) = reader.buffer() else {
                return false;
            };
            let mut written = Vec::new();
            write_buffer(&mut written, value);
            assert_eq!(Reader::new(&written).buffer(), Ok(value));
            true
        }
        4 => reader.string().is_ok(),
        5 => reader.take(usize::from(choice)).is_ok(),
        _ => {
            let entry_bytes = usize::from(choice).max(1);
            let count = reader.count(entry_bytes);
            count.is_ok_and(|count| {
                assert!(count * entry_bytes <= reader.remaining());
                true
            })
        }
    }
}
