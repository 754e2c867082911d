//! Documents to print: made ones of any size, and real ones that others made.

use std::path::PathBuf;

/// Bytes that look random, differ for every seed and compress badly; quick to make, the same every time.
pub fn noise(seed: u64, bytes: usize) -> Vec<u8> {
    let mut state = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1;
    let mut out = Vec::with_capacity(bytes + 8);
    while out.len() < bytes {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        out.extend_from_slice(&state.to_le_bytes());
    }
    out.truncate(bytes);
    out
}

/// A shipping label in ZPL, different for every number.
pub fn zpl(number: u64) -> Vec<u8> {
    format!(
        "^XA\n^CF0,60\n^FO50,50^FDParcel {number}^FS\n^BY3,2,120\n^FO50,140^BCN,120,Y,N,N^FD{number:012}^FS\n^XZ\n"
    )
    .into_bytes()
}

/// A till receipt in ESC/POS, different for every number.
pub fn escpos(number: u64) -> Vec<u8> {
    let mut out = b"\x1b@\x1ba\x01".to_vec();
    out.extend_from_slice(format!("RECEIPT {number}\n\x1ba\x00").as_bytes());
    for line in 0..20 {
        out.extend_from_slice(
            format!("item {line:>3} .............. {:>7}.00\n", number % 97 + line).as_bytes(),
        );
    }
    out.extend_from_slice(b"\n\n\n\x1dV\x42\x00");
    out
}

/// The PDFs that Debian's cups-filters installs.
pub fn foreign_pdfs() -> Vec<PathBuf> {
    let mut found: Vec<PathBuf> = std::fs::read_dir("/usr/share/cups/data")
        .into_iter()
        .flatten()
        .flatten()
        .map(|entry| entry.path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "pdf"))
        .collect();
    found.sort();
    assert!(
        !found.is_empty(),
        "no PDF in /usr/share/cups/data: install cups-filters (`cargo xtask test` does as root)"
    );
    found
}
