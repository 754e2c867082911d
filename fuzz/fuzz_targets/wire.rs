//! Control messages, both directions, and what is said before an agent is anybody.
#![no_main]

use inkwire_protocol::message::{Control, FromPairing, ToAgent, ToBroker, ToPairing, decode, encode};
use libfuzzer_sys::fuzz_target;

fn both_ways<T: Control + PartialEq + std::fmt::Debug>(text: &str) {
    let Ok(message) = decode::<T>(text) else { return };
    // What was understood can be said again, and means the same, unless it only fitted because of how it was written.
    if let Ok(again) = encode(&message) {
        assert_eq!(decode::<T>(&again).as_ref(), Ok(&message));
    }
}

fuzz_target!(|bytes: &[u8]| {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    both_ways::<ToBroker>(text);
    both_ways::<ToAgent>(text);
    both_ways::<ToPairing>(text);
    both_ways::<FromPairing>(text);
});
