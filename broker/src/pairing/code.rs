//! The code that a person carries from a PC to the broker: 40 bits in Crockford's base32, `7KQ2-M9XD`.

use std::fmt;
use std::str::FromStr;

/// Without I, L, O and U: what looks alike is read alike.
const ALPHABET: &[u8; 32] = b"0123456789ABCDEFGHJKMNPQRSTVWXYZ";

/// A pairing code.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Code(u64);

/// Text that is no code.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a pairing code: type all eight characters that the agent shows, such as `7KQ2-M9XD`")]
pub(crate) struct NotACode;

impl Code {
    /// Takes 40 random bits from the caller, who owns chance.
    pub(crate) fn from_random(random: [u8; 5]) -> Self {
        Self(random.iter().fold(0, |code, &byte| code << 8 | u64::from(byte)))
    }
}

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for place in 0..8 {
            if place == 4 {
                f.write_str("-")?;
            }
            let digit = self.0 >> (35 - 5 * place) & 31;
            write!(f, "{}", char::from(ALPHABET[digit as usize]))?;
        }
        Ok(())
    }
}

impl fmt::Debug for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Code(masked)")
    }
}

impl FromStr for Code {
    type Err = NotACode;

    fn from_str(text: &str) -> Result<Self, NotACode> {
        let mut digits = 0;
        let mut code = 0;
        for c in text.chars().filter(|c| !c.is_whitespace() && *c != '-') {
            let c = match c.to_ascii_uppercase() {
                'I' | 'L' => '1',
                'O' => '0',
                c => c,
            };
            let digit = ALPHABET.iter().position(|&have| char::from(have) == c).ok_or(NotACode)?;
            digits += 1;
            if digits > 8 {
                return Err(NotACode);
            }
            code = code << 5 | digit as u64;
        }
        if digits == 8 { Ok(Self(code)) } else { Err(NotACode) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_code_survives_a_persons_hand() {
        let code = Code::from_random([0x39, 0xee, 0x2a, 0x26, 0xcd]);
        let text = code.to_string();
        assert_eq!((text.len(), &text[4..5]), (9, "-"));
        for typed in [
            text.clone(),
            text.to_lowercase(),
            text.replace('-', ""),
            format!(" {} ", text.replace('-', " - ")),
        ] {
            assert_eq!(typed.parse(), Ok(code), "{typed}");
        }
        assert_eq!("oil0-0000".parse::<Code>(), "0110-0000".parse());
    }

    #[test]
    fn anything_else_is_no_code() {
        for text in ["", "7KQ2-M9X", "7KQ2-M9XDD", "7KQ2-M9XU", "7KQ2_M9XD", "日本語日本語日本"] {
            assert_eq!(text.parse::<Code>(), Err(NotACode), "{text}");
        }
    }
}
