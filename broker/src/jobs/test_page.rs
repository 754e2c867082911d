//! A page that shows that a printer prints, in a format that it takes. Pure.

use inkwire_protocol::printer::PrinterInfo;
use pdf_writer::{Content, Finish as _, Name, Pdf, Rect, Ref, Str};

/// What is on the page.
#[derive(Debug)]
pub(super) struct Facts<'a> {
    pub(super) printer: &'a str,
    pub(super) agent: &'a str,
    /// When, in words.
    pub(super) when: &'a str,
}

/// Writes these lines in a printer's language.
type Make = fn(&[String]) -> Vec<u8>;

/// A4, in points.
const PAGE: (f32, f32) = (595.0, 842.0);

/// A test page for the printer; none where it names no format that one can be made in.
pub(super) fn for_printer(printer: &PrinterInfo, facts: &Facts<'_>) -> Option<(&'static str, Vec<u8>)> {
    // Named, and not only by "anything": bytes in the wrong language make a label printer spit paper.
    let names = |format: &str| printer.formats.iter().any(|have| essence(have).eq_ignore_ascii_case(format));
    let lines = lines(facts);
    let known: [(&'static str, Make); 7] = [
        ("application/pdf", pdf),
        ("application/vnd.zebra-zpl", zpl),
        ("application/zpl", zpl),
        ("application/vnd.escpos", escpos),
        ("application/vnd.epson.escpos", escpos),
        ("application/escpos", escpos),
        ("text/plain", text),
    ];
    known.into_iter().find(|(format, _)| names(format)).map(|(format, make)| (format, make(&lines)))
}

fn essence(mime: &str) -> &str {
    mime.split(';').next().unwrap_or_default().trim()
}

/// ASCII only: no printer's code page has a say in whether the page is readable.
fn lines(facts: &Facts<'_>) -> Vec<String> {
    let plain = |text: &str| -> String {
        text.chars().map(|c| if c.is_ascii_graphic() || c == ' ' { c } else { '?' }).take(60).collect()
    };
    vec![
        "Inkwire test page".to_owned(),
        format!("printer  {}", plain(facts.printer)),
        format!("agent    {}", plain(facts.agent)),
        format!("made     {}", plain(facts.when)),
        "If you can read this, the way from broker to paper works.".to_owned(),
    ]
}

fn text(lines: &[String]) -> Vec<u8> {
    let mut page = lines.join("\r\n");
    page.push_str("\r\n\x0c");
    page.into_bytes()
}

fn zpl(lines: &[String]) -> Vec<u8> {
    let mut label = "^XA^CI28".to_owned();
    for (at, line) in (0..).zip(lines) {
        // `^FH` takes `_XX` for any byte, so that no text is taken for a command.
        let safe: String = line
            .bytes()
            .map(|b| if b.is_ascii_alphanumeric() { char::from(b).to_string() } else { format!("_{b:02X}") })
            .collect();
        label.push_str(&format!("^FO30,{}^A0N,28,24^FH^FD{safe}^FS", 40 + at * 40));
    }
    label.push_str("^XZ");
    label.into_bytes()
}

fn escpos(lines: &[String]) -> Vec<u8> {
    let mut receipt = b"\x1b@".to_vec();
    for line in lines {
        receipt.extend(line.as_bytes());
        receipt.push(b'\n');
    }
    // Feed, and cut where there is a cutter.
    receipt.extend(b"\x1bd\x04\x1dV\x42\x00");
    receipt
}

fn pdf(lines: &[String]) -> Vec<u8> {
    let (catalog, tree, page, font, contents) =
        (Ref::new(1), Ref::new(2), Ref::new(3), Ref::new(4), Ref::new(5));
    let name = Name(b"F1");
    let mut pdf = Pdf::new();
    pdf.catalog(catalog).pages(tree);
    pdf.pages(tree).kids([page]).count(1);
    let mut sheet = pdf.page(page);
    sheet.media_box(Rect::new(0.0, 0.0, PAGE.0, PAGE.1)).parent(tree).contents(contents);
    sheet.resources().fonts().pair(name, font);
    sheet.finish();
    pdf.type1_font(font).base_font(Name(b"Courier"));
    let mut content = Content::new();
    // A frame near the edges shows what the printer cuts off.
    content.rect(20.0, 20.0, PAGE.0 - 40.0, PAGE.1 - 40.0).stroke();
    for (at, line) in lines.iter().enumerate() {
        let size = if at == 0 { 24.0 } else { 12.0 };
        let below = if at == 0 { 0.0 } else { 30.0 + 20.0 * at as f32 };
        content.begin_text().set_font(name, size).next_line(60.0, PAGE.1 - 100.0 - below);
        content.show(Str(line.as_bytes())).end_text();
    }
    pdf.stream(contents, &content.finish());
    pdf.finish()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn page(formats: &[&str]) -> Option<(&'static str, Vec<u8>)> {
        let printer = serde_json::from_value(
            json!({ "number": 1, "name": "p", "backend": "socket", "formats": formats }),
        );
        let facts = Facts { printer: "K\u{fc}che ^XZ", agent: "till", when: "today" };
        for_printer(&printer.unwrap(), &facts)
    }

    #[test]
    fn the_format_is_one_that_the_printer_names() {
        let format = |formats: &[&str]| page(formats).map(|page| page.0);
        assert_eq!(format(&["image/urf", "application/pdf"]), Some("application/pdf"));
        assert_eq!(format(&["application/vnd.zebra-zpl"]), Some("application/vnd.zebra-zpl"));
        assert_eq!(format(&["text/plain; charset=utf-8"]), Some("text/plain"));
        assert_eq!(format(&["application/octet-stream"]), None);
    }

    #[test]
    fn names_steer_nothing() {
        let (_, label) = page(&["application/zpl"]).unwrap();
        let label = String::from_utf8(label).unwrap();
        assert_eq!(label.matches("^XZ").count(), 1, "{label}");
        let (_, receipt) = page(&["application/vnd.escpos"]).unwrap();
        assert!(receipt.starts_with(b"\x1b@Inkwire") && receipt.windows(2).any(|at| at == b"K?"));
    }

    #[test]
    fn the_pdf_has_its_lines() {
        let (_, pdf) = page(&["application/pdf"]).unwrap();
        let text = String::from_utf8_lossy(&pdf);
        assert!(text.starts_with("%PDF-") && text.trim_end().ends_with("%%EOF"));
        assert!(text.contains("(Inkwire test page)") && text.contains("/Courier"), "{text}");
    }
}
