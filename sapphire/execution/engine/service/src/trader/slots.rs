//! Which release has which place in the engine.
//!
//! Invariant: a slot once taken belongs to its release until the end of the run. A release takes one when its evidence
//! verifies for the first time, so what was never admitted cannot use them up.

use std::collections::HashMap;

use sapphire_core::orders::ReleaseId;

use crate::entry::SlotTaken;
use crate::events::ReleaseDigest;
use crate::fold::KnownRelease;
use crate::settings::RELEASE_SLOTS;

/// The engine's number of a release without a slot: it has no evidence for it.
pub const NOBODY: ReleaseId = ReleaseId(u16::MAX);

/// Releases by slot.
#[derive(Debug)]
pub struct Slots {
    known: Vec<KnownRelease>,
    places: HashMap<ReleaseDigest, ReleaseId>,
}

impl Slots {
    /// As the journal has them.
    #[must_use]
    pub fn new(known: Vec<KnownRelease>) -> Self {
        let places = known.iter().enumerate().map(|(slot, release)| (release.digest, ReleaseId(slot as u16))).collect();
        Self { known, places }
    }

    /// The slot of a release; [`NOBODY`] for one without.
    pub fn of(&self, digest: &ReleaseDigest) -> ReleaseId {
        self.places.get(digest).copied().unwrap_or(NOBODY)
    }

    /// What seats a release in the next slot; none when all are taken.
    pub fn next(&self, digest: ReleaseDigest, name: &str) -> Option<SlotTaken> {
        let slot = u16::try_from(self.known.len()).ok().filter(|slot| *slot < RELEASE_SLOTS)?;
        Some(SlotTaken { slot, digest, name: name.to_owned() })
    }

    /// Seats it.
    pub fn seat(&mut self, taken: &SlotTaken) {
        self.places.insert(taken.digest, ReleaseId(taken.slot));
        self.known.push(KnownRelease { digest: taken.digest, name: taken.name.clone(), ok: false });
    }

    /// Notes what its evidence is worth now.
    pub fn judge(&mut self, release: ReleaseId, ok: bool) {
        if let Some(known) = self.known.get_mut(usize::from(release.0)) {
            known.ok = ok;
        }
    }

    /// All of them, by slot.
    pub fn known(&self) -> &[KnownRelease] {
        &self.known
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slots_are_taken_in_order_until_there_are_no_more() {
        let mut slots = Slots::new(Vec::new());
        for place in 0..RELEASE_SLOTS {
            let digest = ReleaseDigest([place as u8; 32]);
            assert_eq!(slots.of(&digest), NOBODY);
            let taken = slots.next(digest, "trend").unwrap();
            slots.seat(&taken);
            assert_eq!(slots.of(&digest), ReleaseId(place));
        }
        assert_eq!(slots.next(ReleaseDigest([200; 32]), "one more"), None);
        slots.judge(ReleaseId(3), true);
        assert!(slots.known()[3].ok);
        assert_eq!(Slots::new(slots.known().to_vec()).of(&ReleaseDigest([3; 32])), ReleaseId(3));
    }
}
