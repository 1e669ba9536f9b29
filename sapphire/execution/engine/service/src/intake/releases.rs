//! The releases that were met, and admission's verdict on each.
//!
//! Invariant: a verdict is sent once, and again only when it has become another. The files are looked at before they
//! are read, so a change in between is seen the next time; a permit that ends is asked again when it does.
//!
//! A release that traded and whose permit is no more keeps the right to reduce: its targets stand, and nothing adds to
//! its exposure. So positions can follow the rule of the release for views that stop.

use crate::clock::wall_ns;
use crate::events::{Intake, ReleaseDigest};
use crate::evidence::{Admission, Fault, Stamp};

use sapphire_core::risk::LimitSet;

/// Releases whose verdict is kept, more than an account has places for.
const KNOWN: usize = 256;

#[derive(Debug)]
struct Known {
    digest: ReleaseDigest,
    stamp: Stamp,
    /// It was let in once, so what it holds may have to be reduced.
    traded: bool,
    name: String,
    verdict: Result<LimitSet, String>,
    /// When the verdict can become another without a change of files, by wall time.
    until_ns: i64,
}

#[derive(Debug)]
pub(super) struct Releases {
    admission: Admission,
    known: Vec<Known>,
}

impl Releases {
    pub(super) fn new(admission: Admission) -> Self {
        Self { admission, known: Vec::new() }
    }

    /// The verdict on each of the releases that traded before.
    pub(super) fn judge(&mut self, traded: &[ReleaseDigest]) -> Vec<Intake> {
        traded.iter().filter_map(|digest| self.met(*digest, true)).collect()
    }

    /// The verdict, if the release is met for the first time.
    pub(super) fn meet(&mut self, digest: ReleaseDigest) -> Option<Intake> {
        self.met(digest, false)
    }

    fn met(&mut self, digest: ReleaseDigest, traded: bool) -> Option<Intake> {
        if self.known.iter().any(|known| known.digest == digest) {
            return None;
        }
        let known = asked(&self.admission, digest, traded);
        let event = known.event();
        if self.known.len() >= KNOWN {
            // What was refused is judged anew if it comes again.
            if let Some(place) = self.known.iter().position(|known| !known.traded && known.verdict.is_err()) {
                self.known.remove(place);
            }
        }
        self.known.push(known);
        Some(event)
    }

    /// The verdicts that have become others, because files have changed or a permit has ended.
    pub(super) fn changed(&mut self) -> Vec<Intake> {
        let (admission, now_ns) = (&self.admission, wall_ns());
        let again = |known: &mut Known| {
            if now_ns < known.until_ns && known.stamp.still(&admission.stamp(&known.digest)) {
                return None;
            }
            let next = asked(admission, known.digest, known.traded || known.verdict.is_ok());
            let before = std::mem::replace(known, next);
            ((&before.name, &before.verdict) != (&known.name, &known.verdict)).then(|| known.event())
        };
        self.known.iter_mut().filter_map(again).collect()
    }
}

impl Known {
    fn event(&self) -> Intake {
        Intake::Release { digest: self.digest, name: self.name.clone(), verdict: self.verdict.clone() }
    }
}

fn asked(admission: &Admission, digest: ReleaseDigest, traded: bool) -> Known {
    let stamp = admission.stamp(&digest);
    let (name, verdict, until_ns) = match admission.verdict(&digest) {
        Ok(admitted) => (admitted.name, Ok(admitted.limits), admitted.valid_until_ns),
        Err(error) => {
            let name = error.name.as_deref().map_or_else(|| digest.to_string()[..12].to_owned(), str::to_owned);
            let why = error.to_string();
            match admission.limits(&digest) {
                Ok((name, limits)) if traded && error.fault == Fault::Closed => {
                    tracing::warn!(release = %digest, %name, %why, "the permit of a release is no more; it may only reduce");
                    (name, Ok(LimitSet { max_exposure_atoms: Some(0), ..limits }), i64::MAX)
                }
                _ => {
                    tracing::warn!(release = %digest, %name, %why, "a release is refused by admission");
                    (name, Err(why), i64::MAX)
                }
            }
        }
    };
    Known { digest, stamp, traded, name, verdict, until_ns }
}
