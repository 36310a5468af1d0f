//! Owns the grammar of a Yjs update, v1: bytes in, blocks and delete ranges out.
//! Knows no document: everything here can be said of the bytes alone.

use rustc_hash::{FxHashMap, FxHashSet};
use smallvec::SmallVec;

use crate::lib0::Reader;
use crate::room::index::{CLOCK_MAX, ClockRange, Kind};
use crate::room::update::Rejected;
use crate::room::update::value::{check_json, skip_any};

const HAS_ORIGIN: u8 = 0x80;
const HAS_RIGHT_ORIGIN: u8 = 0x40;
const HAS_KEY: u8 = 0x20;
const CONTENT: u8 = 0x1f;

/// Up to this many clients are searched one by one.
const CLIENTS_FEW: usize = 8;

/// One item's id.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Id {
    pub(super) client: u64,
    pub(super) clock: u32,
}

/// What a block says about its parent.
#[derive(Debug, Clone, Copy)]
pub(super) enum Parent<'a> {
    /// That of its origins.
    Inherited,
    Root(&'a str),
    Type(Id),
}

/// What a block holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Content {
    /// Nothing: the block is collected and has no place.
    Gone,
    Deleted,
    Binary,
    String,
    Embed,
    Format,
    Any,
    Type(Kind),
}

/// An item or a collected stretch.
#[derive(Debug, Clone, Copy)]
pub(super) struct Block<'a> {
    pub(super) clock: u32,
    pub(super) length: u32,
    pub(super) content: Content,
    pub(super) origin: Option<Id>,
    pub(super) right_origin: Option<Id>,
    pub(super) parent: Parent<'a>,
    pub(super) key: Option<&'a str>,
    /// Where its bytes begin; they end where the next block's begin.
    pub(super) from: u32,
}

impl Block<'_> {
    pub(super) fn end(&self) -> u32 {
        self.clock + self.length
    }
}

/// The blocks of one client: consecutive clocks.
#[derive(Debug, Clone)]
pub(super) struct Section {
    pub(super) client: u64,
    pub(super) start: u32,
    pub(super) end: u32,
    /// Its blocks, by number.
    pub(super) first: u32,
    pub(super) last: u32,
    /// Where the bytes of its last block end.
    pub(super) until: u32,
}

/// An update that is well-formed by itself.
#[derive(Debug, Default)]
pub(super) struct Parsed<'a> {
    pub(super) sections: SmallVec<[Section; 1]>,
    pub(super) blocks: SmallVec<[Block<'a>; 1]>,
    pub(super) deletes: SmallVec<[ClockRange; 1]>,
    /// Where the delete set's bytes begin.
    pub(super) deletes_from: usize,
    /// Sections by client, when they are many.
    by_client: FxHashMap<u64, u32>,
}

impl<'a> Parsed<'a> {
    /// Reads a whole update into an empty one. In place: a typed character is judged faster than
    /// this is moved.
    pub(super) fn read(&mut self, bytes: &'a [u8]) -> Result<(), Rejected> {
        if u32::try_from(bytes.len()).is_err() {
            return Err(Rejected::Malformed("update larger than 4 GiB"));
        }
        let mut reader = Reader::new(bytes);
        // A section has a count, a client, a clock and a block of at least two bytes.
        let sections = reader.count(5)?;
        for _ in 0..sections {
            self.section(&mut reader)?;
        }
        check_once(self.sections.iter().map(|section| section.client), sections)?;
        if sections > CLIENTS_FEW {
            let numbered = self.sections.iter().zip(0..);
            self.by_client = numbered.map(|(section, at)| (section.client, at)).collect();
        }
        self.deletes_from = reader.position();
        self.delete_set(&mut reader)?;
        if !reader.is_empty() {
            return Err(Rejected::Malformed("bytes after the delete set"));
        }
        Ok(())
    }

    /// The number of the section of `client`.
    #[inline]
    pub(super) fn section_of(&self, client: u64) -> Option<usize> {
        if self.sections.len() > CLIENTS_FEW {
            return self.by_client.get(&client).map(|at| *at as usize);
        }
        self.sections
            .iter()
            .position(|section| section.client == client)
    }

    fn section(&mut self, reader: &mut Reader<'a>) -> Result<(), Rejected> {
        let count = reader.count(2)?;
        if count == 0 {
            return Err(Rejected::Malformed("client without blocks"));
        }
        let client = reader.var_uint()?;
        let start = clock(reader)?;
        let first = self.blocks.len() as u32;
        let mut end = start;
        for _ in 0..count {
            let block = block(reader, end)?;
            end = block.end();
            self.blocks.push(block);
        }
        let (last, until) = (self.blocks.len() as u32, reader.position() as u32);
        self.sections.push(Section {
            client,
            start,
            end,
            first,
            last,
            until,
        });
        Ok(())
    }

    fn delete_set(&mut self, reader: &mut Reader<'a>) -> Result<(), Rejected> {
        let clients = reader.count(2)?;
        let mut seen: SmallVec<[u64; CLIENTS_FEW]> = SmallVec::new();
        for _ in 0..clients {
            let client = reader.var_uint()?;
            seen.push(client);
            // Yjs reads a client without ranges, so it is let through.
            let count = reader.count(2)?;
            let mut least = 0;
            for _ in 0..count {
                let start = clock(reader)?;
                let end = advance(start, reader.var_uint()?)?;
                if start < least {
                    return Err(Rejected::Malformed("delete ranges out of order"));
                }
                least = end;
                self.deletes.push(ClockRange { client, start, end });
            }
        }
        check_once(seen.iter().copied(), clients)
    }
}

fn check_once(clients: impl Iterator<Item = u64> + Clone, count: usize) -> Result<(), Rejected> {
    let is_once = if count <= CLIENTS_FEW {
        let mut rest = clients;
        loop {
            match rest.next() {
                None => break true,
                Some(client) if rest.clone().any(|other| other == client) => break false,
                Some(_) => {}
            }
        }
    } else {
        let mut seen = FxHashSet::default();
        clients.into_iter().all(|client| seen.insert(client))
    };
    if is_once {
        Ok(())
    } else {
        Err(Rejected::Malformed("client twice in an update"))
    }
}

fn block<'a>(reader: &mut Reader<'a>, clock: u32) -> Result<Block<'a>, Rejected> {
    let from = reader.position() as u32;
    let info = reader.byte()?;
    let mut block = Block {
        clock,
        length: 1,
        content: Content::Gone,
        origin: None,
        right_origin: None,
        parent: Parent::Inherited,
        key: None,
        from,
    };
    if info & CONTENT != 0 {
        if info & HAS_ORIGIN != 0 {
            block.origin = Some(id(reader)?);
        }
        if info & HAS_RIGHT_ORIGIN != 0 {
            block.right_origin = Some(id(reader)?);
        }
        if info & (HAS_ORIGIN | HAS_RIGHT_ORIGIN) == 0 {
            block.parent = parent(reader)?;
            if info & HAS_KEY != 0 {
                block.key = Some(reader.string()?);
            }
        }
    } else if info != 0 {
        return Err(Rejected::Malformed("collected block with origins"));
    }
    let length;
    (block.content, length) = content(reader, info & CONTENT)?;
    block.length = advance(clock, length)? - clock;
    Ok(block)
}

fn parent<'a>(reader: &mut Reader<'a>) -> Result<Parent<'a>, Rejected> {
    match reader.byte()? {
        0 => Ok(Parent::Type(id(reader)?)),
        1 => Ok(Parent::Root(reader.string()?)),
        _ => Err(Rejected::Malformed("parent neither a root nor an item")),
    }
}

/// Reads over a block's content; answers what it is and how many clocks it takes.
fn content(reader: &mut Reader<'_>, reference: u8) -> Result<(Content, u64), Rejected> {
    Ok(match reference {
        0 => (Content::Gone, reader.var_uint()?),
        1 => (Content::Deleted, reader.var_uint()?),
        2 => return Err(Rejected::Malformed("legacy JSON content")),
        3 => {
            reader.buffer()?;
            (Content::Binary, 1)
        }
        4 => (Content::String, utf16_length(reader.string()?)),
        5 => {
            check_json(reader.string()?)?;
            (Content::Embed, 1)
        }
        6 => {
            reader.string()?;
            check_json(reader.string()?)?;
            (Content::Format, 1)
        }
        7 => (Content::Type(kind(reader)?), 1),
        8 => {
            let count = reader.count(1)?;
            for _ in 0..count {
                skip_any(reader, 0)?;
            }
            (Content::Any, count as u64)
        }
        9 => return Err(Rejected::Malformed("sub-document")),
        10 => return Err(Rejected::Malformed("skipped clocks")),
        _ => return Err(Rejected::Malformed("unknown content")),
    })
}

fn kind(reader: &mut Reader<'_>) -> Result<Kind, Rejected> {
    Ok(match reader.byte()? {
        0 => Kind::Array,
        1 => Kind::Map,
        2 => Kind::Text,
        3 => {
            reader.string()?;
            Kind::XmlElement
        }
        4 => Kind::XmlFragment,
        5 => return Err(Rejected::Malformed("XML hook")),
        6 => Kind::XmlText,
        7 => return Err(Rejected::Malformed("weak link")),
        _ => return Err(Rejected::Malformed("unknown type")),
    })
}

fn utf16_length(text: &str) -> u64 {
    if text.is_ascii() {
        text.len() as u64
    } else {
        text.encode_utf16().count() as u64
    }
}

fn id(reader: &mut Reader<'_>) -> Result<Id, Rejected> {
    Ok(Id {
        client: reader.var_uint()?,
        clock: clock(reader)?,
    })
}

fn clock(reader: &mut Reader<'_>) -> Result<u32, Rejected> {
    match u32::try_from(reader.var_uint()?) {
        Ok(clock) if clock <= CLOCK_MAX => Ok(clock),
        _ => Err(CLOCK_TOO_LARGE),
    }
}

fn advance(clock: u32, length: u64) -> Result<u32, Rejected> {
    if length == 0 {
        return Err(Rejected::Malformed("block or range of no length"));
    }
    match u32::try_from(u64::from(clock).saturating_add(length)) {
        Ok(end) if end <= CLOCK_MAX => Ok(end),
        _ => Err(CLOCK_TOO_LARGE),
    }
}

const CLOCK_TOO_LARGE: Rejected = Rejected::Malformed("clock larger than 2^31 - 1");
