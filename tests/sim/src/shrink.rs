//! A failing story, made short: steps that are not needed for it are left out.

use crate::Verdict;
use crate::story::Story;

/// The shortest story found within `tries` plays that breaks the same rule, and what it comes to.
pub fn shrink(story: &Story, tries: u32, play: impl Fn(&Story) -> Verdict) -> (Story, Verdict) {
    let mut best = (story.clone(), play(story));
    let Some(rule) = best.1.broken().map(|(rule, _)| rule) else { return best };
    let mut tries = tries;
    // Halves first, then quarters, down to single steps.
    let mut size = best.0.steps.len().div_ceil(2).max(1);
    loop {
        let mut at = 0;
        let mut shorter = false;
        while at < best.0.steps.len() && tries > 0 {
            tries -= 1;
            let mut candidate = best.0.clone();
            let end = (at + size).min(candidate.steps.len());
            candidate.steps.drain(at..end);
            let verdict = play(&candidate);
            if verdict.broken().is_some_and(|(broken, _)| broken == rule) {
                best = (candidate, verdict);
                shorter = true;
            } else {
                at += size;
            }
        }
        if tries == 0 || (size == 1 && !shorter) {
            return best;
        }
        size = (size / 2).max(1);
    }
}
