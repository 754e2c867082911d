//! Facts within the protocol's bounds, whatever a device said. Pure.

use inkwire_protocol::limits::{MAX_LIST_ITEMS, MAX_NAME_CHARS};
use inkwire_protocol::message::{Fact, clip};

/// Cuts words, keywords and lists to what a broker takes: a fact that is refused would come again for ever.
pub(super) fn bounded(fact: Fact) -> Fact {
    match fact {
        Fact::Corrupt { detail } => Fact::Corrupt { detail: clip(&detail).to_owned() },
        Fact::Stopped { reasons, detail } => {
            let reasons = reasons.iter().take(MAX_LIST_ITEMS).map(|reason| keyword(reason)).collect();
            Fact::Stopped { reasons, detail: clip(&detail).to_owned() }
        }
        Fact::Completed { witness, delivered_bytes, sha256, detail } => {
            let detail = detail.map(|detail| clip(&detail).to_owned());
            Fact::Completed { witness, delivered_bytes, sha256, detail }
        }
        Fact::Aborted { reason, detail } => {
            Fact::Aborted { reason: keyword(&reason), detail: clip(&detail).to_owned() }
        }
        Fact::Uncertain { reason, detail, delivered_bytes } => {
            let detail = clip(&detail).to_owned();
            Fact::Uncertain { reason: keyword(&reason), detail, delivered_bytes }
        }
        Fact::Spooled | Fact::Printing | Fact::Held | Fact::Canceled | Fact::Expired => fact,
    }
}

fn keyword(text: &str) -> String {
    text.chars().take(MAX_NAME_CHARS).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_device_says_at_length_is_cut() {
        let (reasons, detail) = (vec!["x".repeat(9_999); 9_999], "ü".repeat(9_999));
        let Fact::Stopped { reasons, detail } = bounded(Fact::Stopped { reasons, detail }) else {
            panic!("another fact");
        };
        assert!(reasons.len() == MAX_LIST_ITEMS && reasons[0].len() == MAX_NAME_CHARS);
        assert_eq!(detail.chars().count(), 1024);
    }
}
