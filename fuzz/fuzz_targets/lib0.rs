//! Reads any bytes as lib0 values and as a state vector: nothing may panic or allocate beyond the
//! bytes.
#![no_main]

use libfuzzer_sys::fuzz_target;
use roundtable::lib0::Reader;
use roundtable::room::index::StateVector;

fuzz_target!(|bytes: &[u8]| {
    let Some((choices, bytes)) = bytes.split_first_chunk::<8>() else { return };
    let mut reader = Reader::new(bytes);
    for choice in choices {
        let is_read = match choice % 7 {
            0 => reader.byte().is_ok(),
            1 => reader.var_uint().is_ok(),
            2 => reader.var_int().is_ok(),
            3 => reader.buffer().is_ok(),
            4 => reader.string().is_ok(),
            5 => reader.take(usize::from(*choice)).is_ok(),
            _ => reader.count(usize::from(*choice).max(1)).is_ok(),
        };
        assert!(reader.position() + reader.remaining() == bytes.len());
        if !is_read {
            break;
        }
    }
    if let Ok(vector) = StateVector::parse(bytes) {
        assert_eq!(StateVector::parse(&vector.encode()), Ok(vector));
    }
});
