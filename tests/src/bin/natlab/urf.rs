//! Apple raster (`image/urf`) as far as to count its whole pages: a file cut short has fewer. Pure.
//!
//! ```text
//!  "UNIRAST\0" pages:u32   then for each page
//!  bits:u8 .. 11 more ..   width:u32 height:u32 dpi:u32 .. 8 more ..   lines
//!  a line: repeat-1:u8, then runs: 0x80 blank to the end | 0..=127 one pixel n+1 times | 129..=255 257-n pixels
//! ```

const FILE_HEADER: usize = 12;
const PAGE_HEADER: usize = 32;

/// How many whole pages there are; none where it is no such file, or ends in the middle of a page. The number in the file's
/// own header is 0 where it was made while pages were still coming.
pub(crate) fn pages(bytes: &[u8]) -> Option<u32> {
    bytes.strip_prefix(b"UNIRAST\0")?;
    let mut rest = bytes.get(FILE_HEADER..)?;
    let mut pages = 0;
    while !rest.is_empty() {
        rest = after_page(rest)?;
        pages += 1;
    }
    Some(pages)
}

fn after_page(bytes: &[u8]) -> Option<&[u8]> {
    let number = |at: usize| Some(u32::from_be_bytes(bytes.get(at..at + 4)?.try_into().ok()?));
    let pixel = usize::from(*bytes.first()?).div_ceil(8);
    let (width, height) = (number(12)?, number(16)?);
    let mut rest = bytes.get(PAGE_HEADER..)?;
    let mut lines = 0;
    while lines < height {
        let (repeat, line) = rest.split_first()?;
        lines += u32::from(*repeat) + 1;
        rest = after_line(line, width, pixel)?;
    }
    (lines == height).then_some(rest)
}

fn after_line(mut bytes: &[u8], width: u32, pixel: usize) -> Option<&[u8]> {
    let mut done = 0;
    while done < width {
        let (code, rest) = bytes.split_first()?;
        let code = *code;
        let (pixels, data) = match code {
            0x80 => (width - done, 0),
            0..=0x7f => (u32::from(code) + 1, pixel),
            0x81..=0xff => (257 - u32::from(code), (257 - usize::from(code)) * pixel),
        };
        done += pixels;
        bytes = rest.get(data..)?;
    }
    (done == width).then_some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(pages: usize) -> Vec<u8> {
        let mut file = b"UNIRAST\0\0\0\0\0".to_vec();
        for _ in 0..pages {
            let mut header = [0; PAGE_HEADER];
            header[0] = 8;
            header[15] = 5;
            header[19] = 4;
            file.extend_from_slice(&header);
            // Two lines: three pixels of one value, two literal ones; then two blank lines.
            file.extend_from_slice(&[1, 2, 0xAA, 0xFF, 1, 2]);
            file.extend_from_slice(&[1, 0x80]);
        }
        file
    }

    #[test]
    fn whole_pages_are_counted() {
        assert_eq!(pages(&file(0)), Some(0));
        assert_eq!(pages(&file(3)), Some(3));
        assert_eq!(pages(b"%PDF-1.7"), None);
    }

    #[test]
    fn a_file_cut_short_is_none_wherever_it_was_cut() {
        let whole = file(2);
        let page = (whole.len() - FILE_HEADER) / 2;
        for end in FILE_HEADER + 1..whole.len() {
            let on_boundary = (end - FILE_HEADER).is_multiple_of(page);
            assert_eq!(pages(&whole[..end]).is_some(), on_boundary, "cut at {end}");
        }
    }
}
