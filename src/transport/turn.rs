//! Owns whose turn it is among the rooms of a socket, so that none waits for ever behind another.

/// The place after the one that was served last.
#[derive(Debug, Default)]
pub struct Turn(usize);

impl Turn {
    /// The next of `count` places that is one; the search goes round.
    pub fn next(&mut self, count: usize, is_one: impl Fn(usize) -> bool) -> Option<usize> {
        let mut places = (0..count).map(|step| (self.0 + step) % count);
        let place = places.find(|&place| is_one(place))?;
        self.0 = place + 1;
        Some(place)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn jw2_each_has_its_turn() {
        let mut turn = Turn::default();
        let mut next = |count| turn.next(count, |place| place != 1);
        let served: Vec<_> = (0..4).map(|_| next(4)).collect();
        assert_eq!(served, [Some(0), Some(2), Some(3), Some(0)]);
        assert_eq!(next(1), Some(0));
        assert_eq!(next(0), None);
    }
}
