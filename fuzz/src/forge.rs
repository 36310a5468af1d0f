//! Owns updates that are well-formed and that no client makes: their clients, clocks, origins,
//! parents and deletions are chosen at will, close to what the document has.

use std::collections::BTreeMap;

use roundtable::lib0::{write_buffer, write_string, write_var_uint};
use roundtable::room::index::StateVector;

use super::script::Script;

/// Whose blocks are referred to and deleted: those of the base, the server, nobody, and of authors.
pub const CLIENTS: [u64; 8] = [1, 2, 7, 900, u32::MAX as u64, 301, 302, 303];

/// Whose blocks are made. Authors are not among them: a client whose blocks somebody else made has
/// another document than all others, and that is not for a server to heal.
const FORGED: usize = 5;

/// Roots that a base or a peer has, and a new one.
const ROOTS: [&str; 6] = ["tasks", "text", "list", "xml", "notes", ""];
const KEYS: [&str; 6] = ["t0", "t1", "name", "note", "tags", "\u{0}"];
const TEXTS: [&str; 6] = ["a", "hello", "é", "😀", "a😀b", ""];
const JSON: [&str; 6] = ["true", "null", "{\"a\":[1]}", "\"😀\"", "1e9", "{"];

/// Flags of a block's first byte.
const HAS_ORIGIN: u8 = 0x80;
const HAS_RIGHT_ORIGIN: u8 = 0x40;
const HAS_KEY: u8 = 0x20;

/// An update against a document that has `known`.
pub fn forge(script: &mut Script<'_>, known: &StateVector) -> Vec<u8> {
    let clocks = CLIENTS.map(|client| (client, known.clock(client)));
    let mut forge = Forge {
        out: Vec::new(),
        clocks: clocks.into_iter().collect(),
    };
    let sections = script.below(3);
    write_var_uint(&mut forge.out, sections as u64);
    let first = script.below(FORGED);
    for at in 0..sections {
        forge.section(script, CLIENTS[(first + at) % FORGED]);
    }
    forge.delete_set(script);
    forge.out
}

struct Forge {
    out: Vec<u8>,
    /// What the document has, and then what the update adds.
    clocks: BTreeMap<u64, u32>,
}

impl Forge {
    fn section(&mut self, script: &mut Script<'_>, client: u64) {
        let known = self.clocks[&client];
        let start = match script.below(16) {
            0 => known + 1,
            1 => known.saturating_sub(1),
            2 => 0,
            _ => known,
        };
        let count = 1 + script.below(4);
        write_var_uint(&mut self.out, count as u64);
        write_var_uint(&mut self.out, client);
        write_var_uint(&mut self.out, u64::from(start));
        let mut next = start;
        for _ in 0..count {
            next = next.saturating_add(self.block(script));
            self.clocks.insert(client, next);
        }
    }

    /// Answers how many clocks the block takes.
    fn block(&mut self, script: &mut Script<'_>) -> u32 {
        let content = script.pick(&[0, 1, 3, 4, 4, 4, 5, 6, 7, 7, 7, 8, 8, 8, 9, 10]);
        let place = script.byte();
        if content == 0 || content == 10 {
            self.out.push(content);
            return self.length(script);
        }
        let origins = place & (HAS_ORIGIN | HAS_RIGHT_ORIGIN);
        self.out.push(content | (place & 0xe0));
        if origins & HAS_ORIGIN != 0 {
            self.id(script);
        }
        if origins & HAS_RIGHT_ORIGIN != 0 {
            self.id(script);
        }
        if origins == 0 {
            if place & 1 == 0 {
                self.out.push(1);
                write_string(&mut self.out, script.pick(&ROOTS));
            } else {
                self.out.push(0);
                self.id(script);
            }
            if place & HAS_KEY != 0 {
                write_string(&mut self.out, script.pick(&KEYS));
            }
        }
        self.content(script, content)
    }

    fn content(&mut self, script: &mut Script<'_>, content: u8) -> u32 {
        match content {
            1 => return self.length(script),
            3 => write_buffer(&mut self.out, &[script.byte()]),
            4 => {
                let text = script.pick(&TEXTS);
                write_string(&mut self.out, text);
                return text.encode_utf16().count() as u32;
            }
            5 => write_string(&mut self.out, script.pick(&JSON)),
            6 => {
                write_string(&mut self.out, script.pick(&KEYS));
                write_string(&mut self.out, script.pick(&JSON));
            }
            7 => {
                let kind = script.pick(&[0, 1, 1, 2, 3, 4, 6, 5]);
                self.out.push(kind);
                if kind == 3 || kind == 5 {
                    write_string(&mut self.out, script.pick(&["p", "", "a b"]));
                }
            }
            8 => {
                let count = script.below(4);
                write_var_uint(&mut self.out, count as u64);
                for _ in 0..count {
                    self.any(script, 0);
                }
                return count as u32;
            }
            _ => {
                write_string(&mut self.out, "guid");
                self.any(script, 0);
            }
        }
        1
    }

    fn any(&mut self, script: &mut Script<'_>, depth: usize) {
        let kind = script.pick(&[127, 126, 125, 124, 123, 122, 121, 120, 119, 118, 117, 116]);
        self.out.push(kind);
        match kind {
            125 => self.out.push(script.byte() & 0x7f),
            124 => self.out.extend([script.byte(), 0xc0, script.byte(), 1]),
            122 | 123 => self
                .out
                .extend([script.byte(), 0xf0, 0, 0, 0, 0, 0, script.byte()]),
            119 => write_string(&mut self.out, script.pick(&TEXTS)),
            116 => write_buffer(&mut self.out, &[script.byte()]),
            117 | 118 => {
                let count = if depth < 4 { script.below(3) } else { 0 };
                write_var_uint(&mut self.out, count as u64);
                for _ in 0..count {
                    if kind == 118 {
                        write_string(&mut self.out, script.pick(&KEYS));
                    }
                    self.any(script, depth + 1);
                }
            }
            _ => {}
        }
    }

    fn delete_set(&mut self, script: &mut Script<'_>) {
        let clients = script.below(3);
        let first = script.below(CLIENTS.len());
        write_var_uint(&mut self.out, clients as u64);
        for at in 0..clients {
            let client = CLIENTS[(first + at) % CLIENTS.len()];
            let count = script.below(3);
            write_var_uint(&mut self.out, client);
            write_var_uint(&mut self.out, count as u64);
            let mut from = 0;
            for _ in 0..count {
                from += script.below(8) as u64;
                write_var_uint(&mut self.out, from);
                from += u64::from(self.length(script));
            }
        }
    }

    fn length(&mut self, script: &mut Script<'_>) -> u32 {
        let length = match script.byte() {
            255 => i32::MAX as u32 - 9,
            254 => 0,
            byte => 1 + u32::from(byte % 6),
        };
        write_var_uint(&mut self.out, u64::from(length));
        length
    }

    /// Somewhere in what a client has.
    fn id(&mut self, script: &mut Script<'_>) {
        let client = script.pick(&CLIENTS);
        let clock = self.clocks[&client];
        let near = match script.byte() {
            255 => clock,
            254 => 0,
            byte => u32::from(byte) % clock.max(1),
        };
        write_var_uint(&mut self.out, client);
        write_var_uint(&mut self.out, u64::from(near));
    }
}
