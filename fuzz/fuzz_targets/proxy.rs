//! What a proxy says before and within a connection.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    inkwire_fuzz::listen::proxy(bytes);
    if let Ok(text) = std::str::from_utf8(bytes) {
        inkwire_fuzz::listen::forwarded(text);
    }
});
