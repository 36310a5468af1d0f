//! Owns the judgement of an update against a document: every reference known, every place sound.
//! Stages what the update adds; writes nothing.

use rustc_hash::FxHashSet;
use smallvec::SmallVec;

use crate::room::index::{
    Addition, ClockRange, Deletion, History, Holds, Index, Level, Place, Run, SEQUENCE, Shape,
    Target, run_at, run_at_recent,
};
use crate::room::update::parse::{Block, Content, Id, Parent, Parsed, Section};
use crate::room::update::stage::{Stage, Staged};
use crate::room::update::walk::Walk;
use crate::room::update::{Author, Rejected};

/// Judges one update.
pub(super) struct Resolver<'i, 'p, 's, 'a> {
    index: &'i Index,
    parsed: &'p Parsed<'a>,
    author: Author,
    progress: SmallVec<[Progress<'i>; 1]>,
    stage: Stage<'i, 'p, 's, 'a>,
    /// What is touched, once that is much.
    targets_seen: FxHashSet<Target>,
    /// The origin that was looked up last: an overwrite deletes it.
    origin: Option<(Id, Spot)>,
}

/// How far a section has come.
struct Progress<'i> {
    history: Option<&'i History>,
    /// Up to where the index knows the client.
    known: u32,
    /// Up to where blocks are known or staged.
    end: u32,
    runs: SmallVec<[Run; 1]>,
}

/// What a reference leads to.
#[derive(Clone, Copy)]
struct Spot {
    place: Place,
    holds: Holds,
    /// The number of its run, among the known or the staged ones.
    run: usize,
}

impl<'i, 'p, 's, 'a> Resolver<'i, 'p, 's, 'a> {
    /// Begins with nothing staged.
    pub(super) fn new(
        index: &'i Index,
        parsed: &'p Parsed<'a>,
        author: Author,
        staged: &'s mut Staged,
    ) -> Self {
        Self {
            index,
            parsed,
            author,
            progress: SmallVec::new(),
            stage: Stage::new(index, parsed, staged),
            targets_seen: FxHashSet::default(),
            origin: None,
        }
    }

    /// Goes through all blocks and delete ranges; what they add is in `staged` after that.
    pub(super) fn run(&mut self) -> Result<(), Rejected> {
        for section in &self.parsed.sections {
            self.begin(section)?;
        }
        if let [section] = &self.parsed.sections[..] {
            // The blocks of one client are in order as they stand.
            let known = self.progress[0].known;
            let blocks = &self.parsed.blocks[section.first as usize..];
            for block in blocks.iter().filter(|block| block.end() > known) {
                self.block(0, block)?;
            }
        } else {
            self.walk()?;
        }
        for range in &self.parsed.deletes {
            self.delete(*range)?;
        }
        for (section, progress) in self.parsed.sections.iter().zip(&mut self.progress) {
            if progress.end > progress.known {
                let (client, end) = (section.client, progress.end);
                let runs = std::mem::take(&mut progress.runs);
                self.stage
                    .staged
                    .additions
                    .push(Addition { client, end, runs });
            }
        }
        Ok(())
    }

    fn walk(&mut self) -> Result<(), Rejected> {
        let mut walk = Walk::new(self.parsed);
        while let Some((section, block)) = walk.next()? {
            if block.end() > self.progress[section].known {
                self.block(section, block)?;
            }
        }
        Ok(())
    }

    /// Checks that a section goes on where the index ends, and that its client may say so.
    fn begin(&mut self, section: &Section) -> Result<(), Rejected> {
        let index = self.index;
        let history = index.histories.get(&section.client);
        let known = history.map_or(0, |history| history.clock);
        if section.start > known {
            return Err(missing(index, section.client, known));
        }
        if section.end > known {
            if known < index.former.clock(section.client) {
                return Err(Rejected::Former);
            }
            if self.author == Author::Client && index.reserved == Some(section.client) {
                return Err(Rejected::Forged);
            }
        }
        self.progress.push(Progress {
            history,
            known,
            end: known,
            runs: SmallVec::new(),
        });
        Ok(())
    }

    /// Stages a block that is not wholly known.
    fn block(&mut self, section: usize, block: &Block<'a>) -> Result<(), Rejected> {
        let place = self.place(section, block)?;
        let Progress { known, .. } = self.progress[section];
        if block.clock < known && block.content != Content::Gone {
            // The CRDT ties the new part of the block to the known part before it.
            let client = self.parsed.sections[section].client;
            let before = Id {
                client,
                clock: known - 1,
            };
            match self.locate(section, before)?.place {
                known if known == place => {}
                // It came from a peer that had collected it. Who says the new part alone, as it
                // does when asked, ties it to that.
                Place::GONE => return Err(missing(self.index, client, known)),
                _ => return Err(Rejected::Malformed("block in two places")),
            }
        }
        // Of these the CRDT makes one document of what came one by one, and another of the state.
        if block.right_origin.is_some() {
            if place.key != SEQUENCE {
                return Err(Rejected::Malformed("right origin under a key"));
            }
            if block.origin == block.right_origin {
                return Err(Rejected::Malformed("one item as both origins"));
            }
        }
        let mut holds = Holds::Value;
        if !place.is_gone() {
            self.stage.permit(place, block.content, self.author)?;
            holds = self.stage.holds(place, block.content)?;
            self.target(place);
        }
        let run = Run::new(block.clock.max(known), place, holds);
        let progress = &mut self.progress[section];
        progress.end = block.end();
        if !progress
            .runs
            .last()
            .is_some_and(|last| last.goes_on_in(&run))
        {
            progress.runs.push(run);
        }
        Ok(())
    }

    fn place(&mut self, section: usize, block: &Block<'a>) -> Result<Place, Rejected> {
        if block.content == Content::Gone {
            return Ok(Place::GONE);
        }
        let left = block
            .origin
            .map(|id| self.locate(section, id))
            .transpose()?;
        let right = block
            .right_origin
            .map(|id| self.locate(section, id))
            .transpose()?;
        self.origin = block.origin.zip(left);
        match (left, right) {
            (Some(left), Some(right)) if left.place != right.place => {
                Err(Rejected::Malformed("origins in two places"))
            }
            (Some(origin), _) | (None, Some(origin)) => Ok(origin.place),
            (None, None) => self.place_in_parent(section, block),
        }
    }

    fn place_in_parent(&mut self, section: usize, block: &Block<'a>) -> Result<Place, Rejected> {
        let parent = match block.parent {
            Parent::Root(name) => self.stage.root(name),
            Parent::Type(id) => {
                let spot = self.locate(section, id)?;
                match spot.holds {
                    _ if spot.place.is_gone() => return Ok(Place::GONE),
                    Holds::Blank => return Ok(Place::GONE),
                    Holds::Value => return Err(Rejected::Malformed("parent is not a type")),
                    Holds::Node(node) => node,
                }
            }
            Parent::Inherited => return Err(Rejected::Malformed("block without a parent")),
        };
        let key = block.key.map_or(SEQUENCE, |key| self.stage.key(key));
        Ok(Place { parent, key })
    }

    /// Where an id lies that a block of `section` refers to.
    #[inline]
    fn locate(&self, section: usize, id: Id) -> Result<Spot, Rejected> {
        let sections = &self.parsed.sections;
        if sections[section].client == id.client {
            return self.locate_in(section, id);
        }
        if let Some(section) = self.parsed.section_of(id.client) {
            return self.locate_in(section, id);
        }
        match self.index.histories.get(&id.client) {
            Some(history) if id.clock < history.clock => {
                Ok(spot(&history.runs, run_at(&history.runs, id.clock)))
            }
            _ => Err(missing(self.index, id.client, id.clock)),
        }
    }

    fn locate_in(&self, section: usize, id: Id) -> Result<Spot, Rejected> {
        let progress = &self.progress[section];
        if let Some(history) = progress.history
            && id.clock < history.clock
        {
            Ok(spot(&history.runs, run_at(&history.runs, id.clock)))
        } else if id.clock < progress.end {
            Ok(spot(
                &progress.runs,
                run_at_recent(&progress.runs, id.clock),
            ))
        } else if id.clock < self.parsed.sections[section].end {
            Err(Rejected::Malformed("block that needs a later one"))
        } else {
            Err(missing(self.index, id.client, id.clock))
        }
    }

    fn delete(&mut self, range: ClockRange) -> Result<(), Rejected> {
        let section = self.parsed.section_of(range.client);
        let history = match section {
            Some(section) => self.progress[section].history,
            None => self.index.histories.get(&range.client),
        };
        let clock = history.map_or(0, |history| history.clock);
        let end = section.map_or(clock, |section| self.progress[section].end);
        if range.end > end {
            return Err(missing(self.index, range.client, end));
        }
        let known = history.filter(|history| range.start < history.clock);
        let known = known.map(|history| (history, self.run_of(history, range)));
        let mut alive: SmallVec<[(u32, u32); 4]> = SmallVec::new();
        match known {
            Some((history, run)) => {
                history.alive(run, range.start, range.end, |from, to| {
                    alive.push((from, to))
                });
            }
            None => alive.push((range.start, range.end)),
        }
        if alive.is_empty() {
            return Ok(());
        }
        let run = known.map_or(usize::MAX, |(_, run)| run);
        self.stage.staged.deletions.push(Deletion { range, run });
        if self.author == Author::Store {
            return Ok(());
        }
        for (from, to) in alive {
            if let Some((history, run)) = known {
                for place in places(&history.runs[run..], from, to.min(history.clock)) {
                    self.target(place);
                }
            }
            if let Some(section) = section {
                let runs = std::mem::take(&mut self.progress[section].runs);
                for place in places(&runs, from.max(clock), to) {
                    self.target(place);
                }
                self.progress[section].runs = runs;
            }
        }
        Ok(())
    }

    /// The number of the known run in which a range begins.
    fn run_of(&self, history: &History, range: ClockRange) -> usize {
        match self.origin {
            Some((id, spot)) if (id.client, id.clock) == (range.client, range.start) => spot.run,
            _ => run_at(&history.runs, range.start),
        }
    }

    fn target(&mut self, place: Place) {
        if self.author == Author::Store || place.is_gone() {
            return;
        }
        let node = self.stage.node(place.parent);
        let shape = match node.level {
            Level::Root => self.stage.shape(node.target.root),
            Level::Record | Level::Within => Shape::Unknown,
        };
        let target = node.target(place.key, shape);
        let targets = &mut self.stage.staged.targets;
        if targets.len() < TARGETS_FEW {
            if !targets.contains(&target) {
                targets.push(target);
            }
        } else if targets.last() != Some(&target) {
            if self.targets_seen.is_empty() {
                self.targets_seen.extend(targets.iter().copied());
            }
            if self.targets_seen.insert(target) {
                targets.push(target);
            }
        }
    }
}

/// Up to this many targets are searched one by one.
const TARGETS_FEW: usize = 16;

fn spot(runs: &[Run], run: usize) -> Spot {
    Spot {
        place: runs[run].place(),
        holds: runs[run].holds(),
        run,
    }
}

/// The places of the clocks `from..to`.
fn places(runs: &[Run], from: u32, to: u32) -> impl Iterator<Item = Place> {
    let first = match runs.get(1) {
        Some(second) if second.clock <= from => runs.partition_point(|run| run.clock <= from) - 1,
        _ => 0,
    };
    let runs = if from < to { &runs[first..] } else { &[] };
    runs.iter()
        .take_while(move |run| run.clock < to)
        .map(Run::place)
}

fn missing(index: &Index, client: u64, clock: u32) -> Rejected {
    if clock < index.former.clock(client) {
        Rejected::Former
    } else {
        Rejected::Gap
    }
}
