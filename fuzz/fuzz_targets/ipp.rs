//! What a printer answers.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| inkwire_fuzz::printers::ipp::answer(bytes));
