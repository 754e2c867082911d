//! Reads IPP answers (RFC 8010) so that no printer can hurt the agent with odd bytes.

use std::io::Cursor;
use std::panic::{AssertUnwindSafe, catch_unwind};

use bytes::Bytes;
use ipp::attribute::{IppAttributeGroup, IppAttributes};
use ipp::model::DelimiterTag;
use ipp::parser::IppParser;
use ipp::reader::IppReader;
use ipp::value::IppValue;

use super::values;
use crate::printers::limits::{IPP_ANSWER_BYTES, IPP_DEPTH};

/// Version, status and request id.
const HEADER_BYTES: usize = 8;
const END_OF_ATTRIBUTES: u8 = 0x03;
const LAST_DELIMITER: u8 = 0x0f;
const BEGIN_COLLECTION: u8 = 0x34;
const END_COLLECTION: u8 = 0x37;

/// Bytes that are not an IPP answer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(super) enum DecodeError {
    #[error("an IPP answer of more than {IPP_ANSWER_BYTES} bytes")]
    TooLarge,
    #[error("an IPP answer with collections nested deeper than {IPP_DEPTH}")]
    TooDeep,
    #[error("not an IPP answer: {0}")]
    Malformed(String),
    #[error("not an IPP answer: its bytes made the decoder panic")]
    Panicked,
}

/// A decoded answer.
#[derive(Debug, Clone)]
pub(super) struct Answer {
    /// The status code, RFC 8011 appendix B.
    pub(super) status: u16,
    attributes: IppAttributes,
}

impl Answer {
    pub(super) fn is_ok(&self) -> bool {
        self.status < 0x0100
    }

    /// The first group of a kind.
    pub(super) fn group(&self, tag: DelimiterTag) -> Option<&IppAttributeGroup> {
        self.attributes.first_of(tag)
    }

    /// All groups of a kind.
    pub(super) fn groups(&self, tag: DelimiterTag) -> impl Iterator<Item = &IppAttributeGroup> {
        self.attributes.groups_of(tag)
    }

    /// `status-message`, or the code.
    pub(super) fn message(&self) -> String {
        let words = self
            .group(DelimiterTag::OperationAttributes)
            .and_then(|group| values::text(group, "status-message"));
        let keyword = super::status::keyword(self.status);
        words.map_or_else(|| keyword.to_owned(), |words| format!("{keyword}: {words}"))
    }
}

/// Decodes an answer. Whatever the bytes are, this returns.
///
/// The decoder of the `ipp` crate has been seen to panic on odd bytes, and what it nests without limit would overflow the
/// stack when it is dropped, which nothing can catch. So the nesting is checked first and a panic becomes an error here,
/// the only place that calls the decoder. Nothing that it may have left half done survives: it owns all it touches.
pub(super) fn decode(bytes: Bytes) -> Result<Answer, DecodeError> {
    if bytes.len() > IPP_ANSWER_BYTES {
        return Err(DecodeError::TooLarge);
    }
    if deepest(&bytes) > IPP_DEPTH {
        return Err(DecodeError::TooDeep);
    }
    let parse = move || IppParser::new(IppReader::new(Cursor::new(bytes))).parse_parts();
    match catch_unwind(AssertUnwindSafe(parse)) {
        Ok(Ok((header, attributes, _))) => {
            Ok(Answer { status: header.operation_or_status.cast_unsigned(), attributes })
        }
        Ok(Err(error)) => Err(DecodeError::Malformed(error.to_string())),
        Err(_) => Err(DecodeError::Panicked),
    }
}

/// How deep collections are nested: a walk over tags and lengths. Bytes that end early are left to the decoder.
fn deepest(bytes: &[u8]) -> usize {
    let mut rest = bytes.get(HEADER_BYTES..).unwrap_or_default();
    let (mut depth, mut deepest) = (0_usize, 0);
    while let Some((&tag, after)) = rest.split_first() {
        rest = match tag {
            END_OF_ATTRIBUTES => break,
            0..=LAST_DELIMITER => after,
            _ => {
                depth = match tag {
                    BEGIN_COLLECTION => depth + 1,
                    END_COLLECTION => depth.saturating_sub(1),
                    _ => depth,
                };
                deepest = deepest.max(depth);
                match skip_field(after).and_then(skip_field) {
                    Some(rest) => rest,
                    None => break,
                }
            }
        };
    }
    deepest
}

/// Past a length of two bytes and as many bytes.
fn skip_field(bytes: &[u8]) -> Option<&[u8]> {
    let (length, rest) = bytes.split_first_chunk::<2>()?;
    rest.get(usize::from(u16::from_be_bytes(*length))..)
}

/// The text that is in a value, if it is one with text.
pub(super) fn text_of(value: &IppValue) -> Option<String> {
    match value {
        IppValue::TextWithoutLanguage(text) | IppValue::TextWithLanguage { text, .. } => {
            Some(text.to_string())
        }
        IppValue::NameWithoutLanguage(name) | IppValue::NameWithLanguage { name, .. } => {
            Some(name.to_string())
        }
        IppValue::Keyword(text) | IppValue::MimeMediaType(text) | IppValue::MemberAttrName(text) => {
            Some(text.to_string())
        }
        IppValue::Uri(text) | IppValue::UriScheme(text) => Some(text.to_string()),
        IppValue::Charset(text) | IppValue::NaturalLanguage(text) => Some(text.to_string()),
        IppValue::OctetString(data) | IppValue::NonUtf8 { data, .. } => {
            Some(String::from_utf8_lossy(data).into_owned())
        }
        IppValue::Integer(_)
        | IppValue::Enum(_)
        | IppValue::RangeOfInteger { .. }
        | IppValue::Boolean(_)
        | IppValue::Array(_)
        | IppValue::Collection(_)
        | IppValue::DateTime(_)
        | IppValue::Resolution { .. }
        | IppValue::NoValue
        | IppValue::Other { .. } => None,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// A header, then a printer group.
    fn answer(tail: &[u8]) -> Bytes {
        [&[2, 0, 0, 0, 0, 0, 0, 1, 4][..], tail].concat().into()
    }

    #[test]
    fn nesting_without_limit_is_refused_before_it_is_built() {
        // beg-collection named `a`, then (member name, beg-collection) again and again.
        let mut bytes = vec![0x34, 0, 1, b'a', 0, 0];
        for _ in 0..60_000 {
            bytes.extend([0x4a, 0, 0, 0, 1, b'b', 0x34, 0, 0, 0, 0]);
        }
        for _ in 0..60_001 {
            bytes.extend([0x37, 0, 0, 0, 0]);
        }
        bytes.push(3);
        assert_eq!(decode(answer(&bytes)).unwrap_err(), DecodeError::TooDeep);
    }

    #[test]
    fn too_large_and_cut_off_are_errors() {
        assert_eq!(decode(vec![0; IPP_ANSWER_BYTES + 1].into()).unwrap_err(), DecodeError::TooLarge);
        for bytes in [&[][..], &[2], &[2, 0, 0, 0, 0, 0, 0, 1], b"HTTP/1.1 200 OK\r\n"] {
            assert!(
                matches!(decode(Bytes::copy_from_slice(bytes)), Err(DecodeError::Malformed(_))),
                "{bytes:?}"
            );
        }
    }

    #[test]
    fn status_and_message_are_read() {
        let mut bytes = vec![2, 0, 0x05, 0x07, 0, 0, 0, 1, 1];
        bytes.extend([0x41, 0, 14]);
        bytes.extend(b"status-message");
        bytes.extend([0, 4]);
        bytes.extend(b"wait");
        bytes.push(3);
        let answer = decode(bytes.into()).unwrap();
        assert!(!answer.is_ok());
        assert_eq!(answer.message(), "server-error-busy: wait");
    }

    /// Bytes that look like attributes, so that the fuzz gets past the first tag.
    fn attribute_like() -> impl Strategy<Value = Vec<u8>> {
        let tag = prop_oneof![
            Just(0x34_u8),
            Just(0x37),
            Just(0x4a),
            Just(0x21),
            Just(0x23),
            Just(0x31),
            Just(0x32),
            Just(0x33),
            Just(0x35),
            Just(0x36),
            Just(0x41),
            Just(0x44),
            Just(0x13),
            Just(0x02),
            Just(0x03),
            any::<u8>()
        ];
        let field = proptest::collection::vec(any::<u8>(), 0..12);
        let one = (tag, field.clone(), field, any::<Option<u16>>()).prop_map(|(tag, name, value, lie)| {
            let mut bytes = vec![tag];
            bytes.extend((name.len() as u16).to_be_bytes());
            bytes.extend(name);
            bytes.extend(lie.filter(|lie| lie % 7 == 0).unwrap_or(value.len() as u16).to_be_bytes());
            bytes.extend(value);
            bytes
        });
        proptest::collection::vec(one, 0..40).prop_map(|parts| parts.concat())
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2000))]

        #[test]
        fn no_bytes_panic(tail in attribute_like()) {
            if let Ok(answer) = decode(answer(&tail)) {
                let _ = answer.message();
                let info = crate::printers::ipp::info::Told::of(&answer);
                let _ = format!("{info:?}");
                for group in answer.groups(DelimiterTag::JobAttributes) {
                    let _ = crate::printers::ipp::job::View::of(group);
                }
            }
        }

        #[test]
        fn no_noise_panics(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
            let _ = decode(bytes.into());
        }
    }
}
