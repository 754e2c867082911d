//! Pure: IPP requests (RFC 8011 section 4) as bytes.

use bytes::Bytes;
use ipp::attribute::IppAttribute;
use ipp::model::{DelimiterTag, IppVersion, Operation};
use ipp::parser::IppParseError;
use ipp::request::IppRequestResponse;
use ipp::value::IppValue;

/// Who prints, for the printer's own records; the owner of our jobs at a CUPS queue.
const USER: &str = "inkwire";

/// A request that is being put together.
pub(super) struct Request {
    message: IppRequestResponse,
    /// The first thing that could not be said.
    problem: Option<IppParseError>,
}

impl Request {
    /// A request to a printer or queue, on behalf of [`USER`].
    pub(super) fn to(printer_uri: &str, version: u16, operation: Operation) -> Result<Self, IppParseError> {
        let message = IppRequestResponse::new(IppVersion(version), operation, None)?;
        let request = Self { message, problem: None };
        Ok(request.put("printer-uri", IppValue::new_uri(printer_uri)))
    }

    /// About a job of that printer.
    pub(super) fn job(self, id: i32) -> Self {
        self.put("job-id", Ok(IppValue::Integer(id))).user()
    }

    pub(super) fn user(self) -> Self {
        self.name("requesting-user-name", USER)
    }

    /// A name, cut to 255 octets.
    pub(super) fn name(self, name: &str, text: &str) -> Self {
        let cut = (0..=255.min(text.len())).rev().find(|at| text.is_char_boundary(*at)).unwrap_or(0);
        self.put(name, IppValue::new_name_without_language(text.get(..cut).unwrap_or_default()))
    }

    pub(super) fn keyword(self, name: &str, keyword: &str) -> Self {
        self.put(name, IppValue::new_keyword(keyword))
    }

    pub(super) fn asks(self, names: &[&str]) -> Self {
        let keywords: Result<Vec<_>, _> = names.iter().map(|name| IppValue::new_keyword(*name)).collect();
        self.put("requested-attributes", keywords.map(IppValue::Array))
    }

    pub(super) fn format(self, format: &str) -> Self {
        self.put("document-format", IppValue::new_mime_media_type(format))
    }

    pub(super) fn boolean(self, name: &str, value: bool) -> Self {
        self.put(name, Ok(IppValue::Boolean(value)))
    }

    pub(super) fn integer(self, name: &str, value: i32) -> Self {
        self.put(name, Ok(IppValue::Integer(value)))
    }

    /// Job Template attributes.
    pub(super) fn template(mut self, attributes: Vec<IppAttribute>) -> Self {
        for attribute in attributes {
            self.message.attributes_mut().add(DelimiterTag::JobAttributes, attribute);
        }
        self
    }

    pub(super) fn encode(self) -> Result<Bytes, IppParseError> {
        self.problem.map_or_else(|| Ok(self.message.to_bytes()), Err)
    }

    fn put(mut self, name: &str, value: Result<IppValue, IppParseError>) -> Self {
        match value.and_then(|value| IppAttribute::with_name(name, value)) {
            Ok(attribute) => self.message.attributes_mut().add(DelimiterTag::OperationAttributes, attribute),
            Err(error) => {
                self.problem.get_or_insert(error);
            }
        }
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_target_comes_third_and_the_job_fourth() {
        let request = Request::to("ipp://p/ipp/print", 0x0200, Operation::CancelJob).unwrap();
        let bytes = request.user().job(7).encode().unwrap();
        assert_eq!(bytes[..8], [2, 0, 0, 8, 0, 0, 0, 1]);
        let at = |what: &[u8]| bytes.windows(what.len()).position(|window| window == what).unwrap();
        assert!(at(b"attributes-charset") < at(b"attributes-natural-language"));
        assert!(at(b"attributes-natural-language") < at(b"printer-uri"));
        assert!(at(b"printer-uri") < at(b"job-id") && at(b"job-id") < at(b"requesting-user-name"));
    }

    #[test]
    fn what_cannot_be_said_is_an_error() {
        let request = Request::to("ipp://p/", 0x0200, Operation::PrintJob).unwrap();
        assert!(request.format(&"x".repeat(400)).encode().is_err());
    }
}
