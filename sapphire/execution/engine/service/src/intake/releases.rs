//! The releases that were met, and the door's verdict on each.
//!
//! Invariant: a verdict is told once, and again only when it has become another. The files are looked at before they are
//! read, so a change in between is seen the next time.

use crate::evidence::{Door, Stamp};
use crate::words::{Intake, ReleaseDigest};

use sapphire_core::risk::Branch;

#[derive(Debug)]
struct Known {
    digest: ReleaseDigest,
    stamp: Stamp,
    name: String,
    verdict: Result<Branch, String>,
}

#[derive(Debug)]
pub(super) struct Releases {
    door: Door,
    unasked: Vec<ReleaseDigest>,
    known: Vec<Known>,
}

impl Releases {
    pub(super) fn new(door: Door, unasked: &[ReleaseDigest]) -> Self {
        Self { door, unasked: unasked.to_vec(), known: Vec::new() }
    }

    /// The verdict on each release that was known before, the first time this is called.
    pub(super) fn unasked(&mut self) -> Vec<Intake> {
        std::mem::take(&mut self.unasked).into_iter().filter_map(|digest| self.meet(digest)).collect()
    }

    /// The verdict, if the release is met for the first time.
    pub(super) fn meet(&mut self, digest: ReleaseDigest) -> Option<Intake> {
        if self.known.iter().any(|known| known.digest == digest) {
            return None;
        }
        let known = asked(&self.door, digest);
        let word = known.word();
        self.known.push(known);
        Some(word)
    }

    /// The verdicts that have become others, because files have changed.
    pub(super) fn changed(&mut self) -> Vec<Intake> {
        let door = &self.door;
        let again = |known: &mut Known| {
            if known.stamp.still(&door.stamp(&known.digest)) {
                return None;
            }
            let before = std::mem::replace(known, asked(door, known.digest));
            ((&before.name, &before.verdict) != (&known.name, &known.verdict)).then(|| known.word())
        };
        self.known.iter_mut().filter_map(again).collect()
    }
}

impl Known {
    fn word(&self) -> Intake {
        Intake::Release { digest: self.digest, name: self.name.clone(), verdict: self.verdict.clone() }
    }
}

fn asked(door: &Door, digest: ReleaseDigest) -> Known {
    let stamp = door.stamp(&digest);
    let (name, verdict) = match door.verdict(&digest) {
        Ok(admitted) => (admitted.name, Ok(admitted.limits)),
        Err(error) => {
            let name = error.name.as_deref().map_or_else(|| digest.to_string()[..12].to_owned(), str::to_owned);
            (name, Err(error.to_string()))
        }
    };
    if let Err(why) = &verdict {
        tracing::warn!(release = %digest, %name, %why, "a release is refused at the door");
    }
    Known { digest, stamp, name, verdict }
}
