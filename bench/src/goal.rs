//! What a figure must reach. Pure.

use serde::Serialize;

/// Whether the issue is open while it is missed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Kind {
    Must,
    Aim,
}

/// Which side of the bound is good.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Side {
    AtLeast,
    AtMost,
}

/// A bound on ours, or on the ratio of ours to a peer's.
#[derive(Debug, Clone)]
pub(crate) struct Goal {
    kind: Kind,
    side: Side,
    bound: f64,
    peer: Option<&'static str>,
}

/// A goal that was held against what was measured.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(crate) struct Judged {
    pub(crate) text: String,
    pub(crate) kind: Kind,
    /// None where the peer was not measured.
    pub(crate) met: Option<bool>,
}

impl Goal {
    pub(crate) const fn ours(kind: Kind, side: Side, bound: f64) -> Self {
        Self { kind, side, bound, peer: None }
    }

    pub(crate) const fn ratio(kind: Kind, peer: &'static str, side: Side, bound: f64) -> Self {
        Self { kind, side, bound, peer: Some(peer) }
    }

    /// `ratio` gives ours divided by a peer's.
    pub(crate) fn judge(&self, ours: f64, unit: &str, ratio: impl Fn(&str) -> Option<f64>) -> Judged {
        let value = self.peer.map_or(Some(ours), ratio);
        let met = value.map(|value| match self.side {
            Side::AtLeast => value >= self.bound,
            Side::AtMost => value <= self.bound,
        });
        let side = match self.side {
            Side::AtLeast => "≥",
            Side::AtMost => "≤",
        };
        let text = match self.peer {
            Some(peer) => format!("{side} {} × {peer}", self.bound),
            None => format!("{side} {} {unit}", self.bound).trim_end().to_owned(),
        };
        Judged { text, kind: self.kind, met }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bounds_are_met_on_their_side_only() {
        let ratio = |peer: &str| (peer == "nats").then_some(1.5);
        let goal = Goal::ratio(Kind::Must, "nats", Side::AtLeast, 1.2);
        let judged = goal.judge(3.0, "1/s", ratio);
        assert_eq!(judged, Judged { text: "≥ 1.2 × nats".into(), kind: Kind::Must, met: Some(true) });
        assert_eq!(Goal::ratio(Kind::Aim, "nats", Side::AtMost, 1.2).judge(3.0, "", ratio).met, Some(false));
        assert_eq!(Goal::ratio(Kind::Aim, "cups", Side::AtLeast, 1.0).judge(3.0, "", ratio).met, None);
        assert_eq!(Goal::ours(Kind::Must, Side::AtMost, 3.0).judge(3.0, "ms", ratio).met, Some(true));
    }
}
