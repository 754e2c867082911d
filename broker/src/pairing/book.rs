//! Who waits to be paired. Kept in memory only, bounded, and never listed: whoever does not have the whole code learns
//! nothing, and may not guess often.

use std::collections::HashMap;
use std::collections::VecDeque;
use std::net::SocketAddr;

use inkwire_protocol::ids::{AccountId, Sha256Digest};
use inkwire_protocol::limits::{
    MAX_PENDING_PAIRINGS, MAX_PENDING_PAIRINGS_PER_ADDRESS, PAIRING_LIFETIME, PAIRING_TRIES_PER_MINUTE,
};

use super::code::Code;
use crate::addresses::subscriber;

const MINUTE_MS: u64 = 60_000;

/// Somebody who waits.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Applicant {
    /// Its Ed25519 public key; it has proved to hold the private one.
    pub(crate) public_key: [u8; 32],
    /// The PC's name, as it says.
    pub(crate) hostname: String,
    /// Operating system and architecture, as it says.
    pub(crate) os: String,
    /// The agent's version, as it says.
    pub(crate) version: String,
    /// Where the broker sees it.
    pub(crate) observed: SocketAddr,
}

impl Applicant {
    /// SHA-256 of the public key: what both sides show.
    pub(crate) fn fingerprint(&self) -> Sha256Digest {
        Sha256Digest::of(&self.public_key)
    }
}

/// No room for one more.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Full {
    /// In all.
    #[error("too many agents wait to be paired: try again later")]
    Everywhere,
    /// From this address.
    #[error("too many agents at this address wait to be paired: approve or end some of them first")]
    Address,
    /// The code is in use; another draw of chance will do.
    #[error("the code is in use: try again")]
    Taken,
}

/// Why a code opens nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Denied {
    /// Too many wrong ones.
    #[error("too many wrong codes: wait a minute")]
    TooManyTries {
        /// Until the next try.
        retry_after_s: u64,
    },
    /// Nobody waits under it (any more).
    #[error("nobody waits under this code: it may have expired; look at what the agent shows now")]
    Unknown,
    /// The key is not the one that was shown.
    #[error("the fingerprint is not that of the agent that waits under this code: compare them again")]
    OtherKey,
}

/// All who wait. `A` is how each is told.
#[derive(Debug)]
pub(crate) struct Book<A> {
    waiting: HashMap<Code, Entry<A>>,
    /// Instants of wrong tries, by account.
    wrong: HashMap<AccountId, VecDeque<u64>>,
}

#[derive(Debug)]
struct Entry<A> {
    applicant: Applicant,
    answer: A,
    expires_ms: u64,
}

impl<A> Default for Book<A> {
    fn default() -> Self {
        Self { waiting: HashMap::new(), wrong: HashMap::new() }
    }
}

impl<A> Book<A> {
    /// Lets somebody wait under `code` for [`PAIRING_LIFETIME`].
    pub(crate) fn begin(
        &mut self,
        code: Code,
        applicant: Applicant,
        answer: A,
        now_ms: u64,
    ) -> Result<(), Full> {
        self.forget_expired(now_ms);
        if self.waiting.len() >= MAX_PENDING_PAIRINGS {
            return Err(Full::Everywhere);
        }
        let from = subscriber(applicant.observed.ip());
        let same = self.waiting.values().filter(|entry| subscriber(entry.applicant.observed.ip()) == from);
        if same.count() >= MAX_PENDING_PAIRINGS_PER_ADDRESS {
            return Err(Full::Address);
        }
        if self.waiting.contains_key(&code) {
            return Err(Full::Taken);
        }
        let expires_ms = now_ms + PAIRING_LIFETIME.as_millis() as u64;
        self.waiting.insert(code, Entry { applicant, answer, expires_ms });
        Ok(())
    }

    /// Somebody has gone away.
    pub(crate) fn forget(&mut self, code: Code) {
        self.waiting.remove(&code);
    }

    /// Who waits under the code, and for how many seconds more.
    pub(crate) fn show(
        &mut self,
        account: AccountId,
        code: &str,
        now_ms: u64,
    ) -> Result<(&Applicant, u64), Denied> {
        let code = self.find(account, code, now_ms)?;
        let entry = self.waiting.get(&code).ok_or(Denied::Unknown)?;
        Ok((&entry.applicant, (entry.expires_ms - now_ms).div_ceil(1000)))
    }

    /// Takes out who waits under the code, if it holds exactly this key.
    pub(crate) fn approve(
        &mut self,
        account: AccountId,
        code: &str,
        fingerprint: &Sha256Digest,
        now_ms: u64,
    ) -> Result<(Applicant, A), Denied> {
        let code = self.find(account, code, now_ms)?;
        let entry = self.waiting.remove(&code).ok_or(Denied::Unknown)?;
        if entry.applicant.fingerprint() != *fingerprint {
            self.waiting.insert(code, entry);
            self.count_wrong(account, now_ms);
            return Err(Denied::OtherKey);
        }
        Ok((entry.applicant, entry.answer))
    }

    fn find(&mut self, account: AccountId, text: &str, now_ms: u64) -> Result<Code, Denied> {
        self.forget_expired(now_ms);
        if let Some(wrong) = self.wrong.get(&account)
            && wrong.len() >= PAIRING_TRIES_PER_MINUTE as usize
        {
            let oldest = wrong.front().copied().unwrap_or(now_ms);
            let retry_after_s = (oldest + MINUTE_MS).saturating_sub(now_ms).div_ceil(1000);
            return Err(Denied::TooManyTries { retry_after_s });
        }
        match text.parse::<Code>() {
            Ok(code) if self.waiting.contains_key(&code) => Ok(code),
            _ => {
                self.count_wrong(account, now_ms);
                Err(Denied::Unknown)
            }
        }
    }

    fn count_wrong(&mut self, account: AccountId, now_ms: u64) {
        self.wrong.entry(account).or_default().push_back(now_ms);
    }

    fn forget_expired(&mut self, now_ms: u64) {
        self.waiting.retain(|_, entry| entry.expires_ms > now_ms);
        self.wrong.retain(|_, tries| {
            tries.retain(|at| at + MINUTE_MS > now_ms);
            !tries.is_empty()
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: u64 = 1_000_000;

    fn applicant(key: u8, from: &str) -> Applicant {
        Applicant {
            public_key: [key; 32],
            hostname: "till".into(),
            os: "linux-x86_64".into(),
            version: "0.1.0".into(),
            observed: from.parse().unwrap(),
        }
    }

    fn code(n: u8) -> Code {
        Code::from_random([0, 0, 0, 0, n])
    }

    fn account(n: u128) -> AccountId {
        AccountId::from_uuid(uuid::Uuid::from_u128(n))
    }

    #[test]
    fn exactly_the_key_that_was_shown_is_approved_once() {
        let mut book = Book::default();
        book.begin(code(1), applicant(1, "192.0.2.1:5"), "answer", NOW).unwrap();
        let text = code(1).to_string();
        let (shown, left) = book.show(account(1), &text, NOW + 1).unwrap();
        assert_eq!((shown.hostname.as_str(), left), ("till", 600));
        let right = shown.fingerprint();
        let other = applicant(2, "192.0.2.1:5").fingerprint();
        assert_eq!(book.approve(account(1), &text, &other, NOW), Err(Denied::OtherKey));
        assert_eq!(book.approve(account(1), &text, &right, NOW).unwrap().1, "answer");
        assert_eq!(book.approve(account(1), &text, &right, NOW), Err(Denied::Unknown));
    }

    #[test]
    fn guessing_is_slow_and_costs_only_the_guesser() {
        let mut book = Book::default();
        book.begin(code(1), applicant(1, "192.0.2.1:5"), (), NOW).unwrap();
        for _ in 0..PAIRING_TRIES_PER_MINUTE {
            assert_eq!(book.show(account(1), "0000-0000", NOW), Err(Denied::Unknown));
        }
        let right = code(1).to_string();
        let denied = Err(Denied::TooManyTries { retry_after_s: 60 });
        assert_eq!(book.show(account(1), &right, NOW), denied);
        assert!(book.show(account(2), &right, NOW).is_ok());
        assert!(book.show(account(1), &right, NOW + MINUTE_MS).is_ok());
    }

    #[test]
    fn they_are_forgotten_in_time() {
        let mut book = Book::default();
        book.begin(code(1), applicant(1, "192.0.2.1:5"), (), NOW).unwrap();
        let end = NOW + PAIRING_LIFETIME.as_millis() as u64;
        assert!(book.show(account(1), &code(1).to_string(), end - 1).is_ok());
        assert!(book.show(account(1), &code(1).to_string(), end).is_err());
    }

    #[test]
    fn an_address_and_the_world_have_so_many_places() {
        let mut book = Book::default();
        for n in 0..MAX_PENDING_PAIRINGS_PER_ADDRESS as u8 {
            book.begin(code(n), applicant(n, &format!("[2001:db8::{n}]:5")), (), NOW).unwrap();
        }
        assert_eq!(book.begin(code(99), applicant(9, "[2001:db8::99]:5"), (), NOW), Err(Full::Address));
        assert_eq!(book.begin(code(0), applicant(9, "192.0.2.1:5"), (), NOW), Err(Full::Taken));
        book.forget(code(0));
        assert_eq!(book.begin(code(0), applicant(9, "[2001:db8::99]:5"), (), NOW), Ok(()));
        for n in book.waiting.len()..MAX_PENDING_PAIRINGS {
            let from = format!("198.{}.{}.1:5", n / 256, n % 256);
            let draw = Code::from_random([1, 0, 0, (n / 256) as u8, (n % 256) as u8]);
            book.begin(draw, applicant(1, &from), (), NOW).unwrap();
        }
        assert_eq!(book.begin(code(77), applicant(1, "203.0.113.1:5"), (), NOW), Err(Full::Everywhere));
    }
}
