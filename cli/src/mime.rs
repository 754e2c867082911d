//! What a document is: by its first bytes where they are telling, else by its file's name.

use std::path::Path;

/// How many bytes of a document are looked at.
pub(crate) const HEAD_BYTES: usize = 1024;

/// Beginnings that only one format has.
const MAGIC: &[(&[u8], &str)] = &[
    (b"%PDF-", "application/pdf"),
    (b"%!PS", "application/postscript"),
    (b"\x89PNG\r\n\x1a\n", "image/png"),
    (b"\xff\xd8\xff", "image/jpeg"),
    (b"GIF8", "image/gif"),
    (b"II*\0", "image/tiff"),
    (b"MM\0*", "image/tiff"),
    (b"UNIRAST\0", "image/urf"),
    (b"RaS2", "image/pwg-raster"),
    (b"\x1b%-12345X", "application/vnd.hp-pcl"),
    (b"\x1bE", "application/vnd.hp-pcl"),
    (b"\x1b@", "application/vnd.escpos"),
    (b"^XA", "application/vnd.zebra-zpl"),
    (b"~DG", "application/vnd.zebra-zpl"),
];

/// Endings, where the beginning says nothing.
const ENDINGS: &[(&str, &str)] = &[
    ("pdf", "application/pdf"),
    ("ps", "application/postscript"),
    ("png", "image/png"),
    ("jpg", "image/jpeg"),
    ("jpeg", "image/jpeg"),
    ("gif", "image/gif"),
    ("tif", "image/tiff"),
    ("tiff", "image/tiff"),
    ("urf", "image/urf"),
    ("pwg", "image/pwg-raster"),
    ("pcl", "application/vnd.hp-pcl"),
    ("zpl", "application/vnd.zebra-zpl"),
    ("epl", "application/vnd.zebra-epl"),
    ("escpos", "application/vnd.escpos"),
    ("txt", "text/plain"),
    ("html", "text/html"),
    ("csv", "text/csv"),
];

/// The MIME type of a document that begins with `head`; the printer's own bytes where nothing is known.
pub(crate) fn of(path: &Path, head: &[u8]) -> &'static str {
    // ZPL may begin with blank lines.
    let text = head.trim_ascii_start();
    let by_magic = MAGIC.iter().find(|(magic, _)| head.starts_with(magic) || text.starts_with(magic));
    let ending = path.extension().and_then(|ending| ending.to_str()).map(str::to_ascii_lowercase);
    let by_ending =
        || ENDINGS.iter().find(|(known, _)| ending.as_deref() == Some(known)).map(|(_, format)| *format);
    by_magic.map(|(_, format)| *format).or_else(by_ending).unwrap_or("application/octet-stream")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_beginning_outranks_the_name() {
        let of = |name: &str, head: &[u8]| of(Path::new(name), head);
        assert_eq!(of("x.txt", b"%PDF-1.7"), "application/pdf");
        assert_eq!(of("x", b"\n ^XA^FDhello^XZ"), "application/vnd.zebra-zpl");
        assert_eq!(of("x.prn", b"\x1b@hello"), "application/vnd.escpos");
        assert_eq!(of("photo.JPG", b"\xff\xd8\xff\xe0"), "image/jpeg");
        assert_eq!(of("notes.TXT", b"hello"), "text/plain");
        assert_eq!(of("strange", b"hello"), "application/octet-stream");
    }
}
