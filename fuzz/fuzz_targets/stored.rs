//! What lies on a disk, and may be damaged, or a newer program's.
#![no_main]

use inkwire_protocol::ids::{AckReceipt, SessionToken, Sha256Digest};
use inkwire_protocol::message::{Fact, Open};
use inkwire_protocol::session::clone::Instances;
use inkwire_protocol::transfer::{Layout, Prefix};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    partial(bytes);
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    drop(text.parse::<AckReceipt>().map(|receipt| assert_eq!(receipt.to_string(), text)));
    drop(text.parse::<SessionToken>().map(|token| assert_eq!(token.reveal(), text)));
    drop(text.parse::<Sha256Digest>().map(|digest| assert!(digest.to_string().eq_ignore_ascii_case(text))));
    let Ok(value) = serde_json::from_str::<serde_json::Value>(text) else { return };
    inkwire_fuzz::printers::ipp::note(&value);
    drop(serde_json::from_value::<Instances>(value.clone()));
    if let Ok(fact) = serde_json::from_value::<Fact>(value.clone()) {
        let form = serde_json::to_value(&fact).expect("a fact has a form");
        assert_eq!(serde_json::from_value::<Fact>(form).ok(), Some(fact));
    }
    if let Ok(open) = serde_json::from_value::<Open>(value) {
        drop(Layout::new(open.bytes, open.packet_bytes));
    }
});

/// A partial document beside its list of checksums.
fn partial(bytes: &[u8]) {
    let Some((head, rest)) = bytes.split_first_chunk::<4>() else { return };
    let size = u64::from(u16::from_be_bytes([head[0], head[1]]));
    let Ok(layout) = Layout::new(size, 1024 + u32::from(head[2])) else { return };
    let (list, data) = rest.split_at(rest.len().min(usize::from(head[3])));
    let mut prefix = Prefix::new(layout, list);
    while let Some(slice) = prefix.due() {
        let start = slice.offset as usize;
        let Some(packet) = data.get(start..start + slice.len as usize) else { break };
        if !prefix.take(packet) {
            break;
        }
    }
    assert!(prefix.next_seq() <= layout.packets());
    assert!(prefix.next_seq() as usize * 4 <= list.len());
}
