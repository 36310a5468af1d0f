//! Owns the cutting of a large update into several that can be applied one after the other.

use bytes::Bytes;

use crate::lib0::write_var_uint;
use crate::room::update::parse::Parsed;
use crate::room::update::walk::Walk;

/// Cuts a valid update into valid updates of about `chunk_bytes` each.
///
/// Applied in order they give the same document, and none refers to a later one. Blocks are not
/// cut: one that is larger than `chunk_bytes` travels alone. The delete set goes whole into the
/// last update. An update that is not valid, or that is small enough, comes back as it is.
#[must_use]
pub fn split(update: &[u8], chunk_bytes: usize) -> Vec<Bytes> {
    if update.len() <= chunk_bytes {
        return vec![Bytes::copy_from_slice(update)];
    }
    let mut parsed = Parsed::default();
    if parsed.read(update).is_err() {
        return vec![Bytes::copy_from_slice(update)];
    }
    let mut chunks = Vec::new();
    let mut chunk = Chunk::new(&parsed, update);
    let mut walk = Walk::new(&parsed);
    loop {
        match walk.next() {
            Ok(None) => break,
            Ok(Some((section, block))) => {
                let bytes = chunk.block_bytes(section, block.from);
                if chunk.bytes > 0 && chunk.bytes + bytes > chunk_bytes {
                    chunks.push(chunk.finish(&[0]));
                }
                chunk.add(section, bytes);
            }
            Err(_) => return vec![Bytes::copy_from_slice(update)],
        }
    }
    chunks.push(chunk.finish(&update[parsed.deletes_from..]));
    chunks
}

/// An update in the making: consecutive blocks of some clients.
struct Chunk<'p, 'a> {
    parsed: &'p Parsed<'a>,
    update: &'p [u8],
    /// Per section, the blocks that earlier chunks have and those up to this one.
    taken: Vec<(u32, u32)>,
    /// The sections that this chunk has blocks of.
    used: Vec<usize>,
    bytes: usize,
}

impl<'p, 'a> Chunk<'p, 'a> {
    fn new(parsed: &'p Parsed<'a>, update: &'p [u8]) -> Self {
        let taken = parsed
            .sections
            .iter()
            .map(|section| (section.first, section.first))
            .collect();
        Self {
            parsed,
            update,
            taken,
            used: Vec::new(),
            bytes: 0,
        }
    }

    /// How many bytes the section's next block takes, which begins at `from`.
    fn block_bytes(&self, section: usize, from: u32) -> usize {
        let next = self.taken[section].1 + 1;
        (self.begin(section, next) - from) as usize
    }

    fn add(&mut self, section: usize, bytes: usize) {
        let (from, to) = &mut self.taken[section];
        if from == to {
            self.used.push(section);
        }
        *to += 1;
        self.bytes += bytes;
    }

    /// Where the bytes of a section's block begin; for the one after the last, where the section
    /// ends.
    fn begin(&self, section: usize, block: u32) -> u32 {
        let section = &self.parsed.sections[section];
        if block == section.last {
            section.until
        } else {
            self.parsed.blocks[block as usize].from
        }
    }

    fn finish(&mut self, deletes: &[u8]) -> Bytes {
        let mut used = std::mem::take(&mut self.used);
        used.sort_unstable_by_key(|at| std::cmp::Reverse(self.parsed.sections[*at].client));
        let mut out = Vec::with_capacity(self.bytes + used.len() * 16 + deletes.len() + 8);
        write_var_uint(&mut out, used.len() as u64);
        for at in used {
            let (from, to) = self.taken[at];
            write_var_uint(&mut out, u64::from(to - from));
            write_var_uint(&mut out, self.parsed.sections[at].client);
            write_var_uint(&mut out, u64::from(self.parsed.blocks[from as usize].clock));
            let bytes = self.begin(at, from) as usize..self.begin(at, to) as usize;
            out.extend_from_slice(&self.update[bytes]);
            self.taken[at].0 = to;
        }
        out.extend_from_slice(deletes);
        self.bytes = 0;
        out.into()
    }
}
