//! The demo's document: a real PDF of several pages with text, drawings and pictures, made here and now.
//!
//! Each page carries a picture as uncompressed pixels. That is what makes the document long enough to be cut in the
//! middle of many windows; nothing is padded.

use pdf_writer::{Content, Finish as _, Name, Pdf, Rect, Ref, Str, TextStr};

/// A4 in points.
const PAGE: (f32, f32) = (595.0, 842.0);
/// Pixels of each page's picture: 3 bytes each, 2.8 MB a page.
const PICTURE: (u32, u32) = (1120, 840);
/// Pages that make more than 20 windows even of the largest size: 87 MB.
pub const PAGES: u32 = 31;

/// Makes a PDF of `pages` pages.
pub fn make_pdf(pages: u32) -> Vec<u8> {
    let mut pdf = Pdf::new();
    let mut last = 0;
    let mut fresh = || {
        last += 1;
        Ref::new(last)
    };
    let (catalog, tree, plain, bold, info) = (fresh(), fresh(), fresh(), fresh(), fresh());
    let sheets: Vec<[Ref; 3]> = (0..pages).map(|_| [fresh(), fresh(), fresh()]).collect();
    pdf.catalog(catalog).pages(tree);
    pdf.document_info(info).title(TextStr("Inkwire: first light")).producer(TextStr("inkwire demo"));
    pdf.pages(tree)
        .kids(sheets.iter().map(|[page, ..]| *page))
        .count(i32::try_from(pages).unwrap_or(i32::MAX));
    pdf.type1_font(plain).base_font(Name(b"Helvetica"));
    pdf.type1_font(bold).base_font(Name(b"Helvetica-Bold"));
    for (number, [page, contents, picture]) in (1..).zip(&sheets) {
        let mut sheet = pdf.page(*page);
        sheet.parent(tree).media_box(Rect::new(0.0, 0.0, PAGE.0, PAGE.1)).contents(*contents);
        let mut resources = sheet.resources();
        resources.fonts().pair(Name(b"F1"), plain).pair(Name(b"F2"), bold);
        resources.x_objects().pair(Name(b"Picture"), *picture);
        resources.finish();
        sheet.finish();
        pdf.stream(*contents, &page_contents(number, pages));
        let pixels = pixels(number);
        let mut image = pdf.image_xobject(*picture, &pixels);
        image.width(PICTURE.0 as i32).height(PICTURE.1 as i32).bits_per_component(8);
        image.color_space().device_rgb();
    }
    pdf.finish()
}

fn page_contents(number: u32, pages: u32) -> Vec<u8> {
    let mut content = Content::new();
    let mut text = |font: &[u8], size: f32, x: f32, y: f32, words: &str| {
        content
            .begin_text()
            .set_font(Name(font), size)
            .next_line(x, y)
            .show(Str(words.as_bytes()))
            .end_text();
    };
    text(b"F2", 28.0, 60.0, 770.0, "Inkwire: first light");
    text(b"F1", 12.0, 60.0, 745.0, "A document that goes on at the packet where it was stopped.");
    text(b"F1", 10.0, 60.0, 40.0, &format!("page {number} of {pages}"));
    content.save_state().transform([475.0, 0.0, 0.0, 356.0, 60.0, 350.0]);
    content.x_object(Name(b"Picture")).restore_state();
    draw_wave(&mut content, number);
    draw_progress(&mut content, number, pages);
    content.finish().to_vec()
}

/// A curve under the picture, another on each page.
fn draw_wave(content: &mut Content, number: u32) {
    content.set_line_width(1.5).set_stroke_rgb(0.1, 0.3, 0.7).move_to(60.0, 220.0);
    for step in 0..6_u8 {
        let x = 60.0 + f32::from(step) * 79.0;
        let swing = 30.0 + (number % 7) as f32 * 8.0;
        content.cubic_to(x + 26.0, 220.0 + swing, x + 52.0, 220.0 - swing, x + 79.0, 220.0);
    }
    content.stroke();
}

/// A bar that is as full as the document is long so far.
fn draw_progress(content: &mut Content, number: u32, pages: u32) {
    content.set_fill_gray(0.85).rect(60.0, 90.0, 475.0, 14.0).fill_nonzero();
    let full = 475.0 * number as f32 / pages.max(1) as f32;
    content.set_fill_rgb(0.1, 0.3, 0.7).rect(60.0, 90.0, full, 14.0).fill_nonzero();
}

/// Rings over a slope with grain: another picture on each page, the same in every run.
fn pixels(number: u32) -> Vec<u8> {
    let (width, height) = PICTURE;
    let mut pixels = Vec::with_capacity((width * height * 3) as usize);
    let mut grain = 0x9E37_79B9_u32 ^ number;
    for y in 0..height {
        for x in 0..width {
            grain ^= grain << 13;
            grain ^= grain >> 17;
            grain ^= grain << 5;
            let (dx, dy) = (x.abs_diff(width / 2), y.abs_diff(height / 2));
            let ring = ((dx * dx + dy * dy) / (400 + number * 150)) & 0xff;
            let noise = grain & 0x1f;
            pixels.push((ring / 2 + noise + 60) as u8);
            pixels.push((x * 200 / width + noise) as u8);
            pixels.push((y * 200 / height + noise + number) as u8);
        }
    }
    pixels
}

#[cfg(test)]
mod tests {
    use super::*;
    use inkwire_client::protocol::limits::MAX_WINDOW_BYTES;

    #[test]
    fn pdfinfo_opens_it_and_counts_its_pages() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("demo.pdf");
        std::fs::write(&path, make_pdf(3)).unwrap();
        let output = std::process::Command::new("pdfinfo").arg(&path).output().unwrap();
        let text = String::from_utf8_lossy(&output.stdout);
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        assert!(output.stderr.is_empty(), "{}", String::from_utf8_lossy(&output.stderr));
        let pages = text.lines().find(|line| line.starts_with("Pages:")).unwrap();
        assert_eq!(pages.split_whitespace().last(), Some("3"), "{text}");
    }

    #[test]
    fn it_is_long_enough_and_the_same_every_time() {
        let one = make_pdf(PAGES);
        assert!(one.len() as u64 > 20 * MAX_WINDOW_BYTES, "{} bytes", one.len());
        assert!(one == make_pdf(PAGES));
    }
}
