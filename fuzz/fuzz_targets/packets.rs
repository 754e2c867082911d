//! Binary messages.
#![no_main]

use inkwire_protocol::limits::PACKET_HEADER_BYTES;
use inkwire_protocol::packet::{Header, PacketError};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    match Header::decode(bytes) {
        Ok((header, data)) => assert_eq!([&header.encode()[..], data].concat(), bytes),
        // No fuzzer guesses a checksum: the same packet with the right one is a packet.
        Err(PacketError::Checksum { actual, .. }) => {
            let mut mended = bytes.to_vec();
            mended[12..16].copy_from_slice(&actual.to_be_bytes());
            let (header, data) = Header::decode(&mended).expect("its checksum is right now");
            assert_eq!(data, &bytes[PACKET_HEADER_BYTES..]);
            assert_eq!(header.encode(), mended[..PACKET_HEADER_BYTES]);
        }
        Err(_) => {}
    }
});
