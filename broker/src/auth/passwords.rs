//! Passwords: argon2id, on threads of their own, few at once, and as slow for unknown people as for known ones.

use std::sync::Arc;

use argon2::Argon2;
use argon2::password_hash::phc::PasswordHash as Phc;
use argon2::password_hash::{PasswordHasher as _, PasswordVerifier as _};
use inkwire_protocol::app::{Problem, ProblemKind};
use rand::Rng as _;
use tokio::sync::Semaphore;
use zeroize::Zeroizing;

use crate::limits::{MAX_PASSWORD_CHARS, MIN_PASSWORD_CHARS, PASSWORDS_AT_ONCE};
use crate::store::PasswordHash;

/// Each check costs 19 MiB and some tens of milliseconds of one core, on purpose (OWASP: argon2id, m = 19 MiB, t = 2, p = 1, which
/// are the library's own).
#[derive(Debug)]
pub(crate) struct Passwords {
    places: Arc<Semaphore>,
    /// A hash that no password matches: what is checked for who is not there.
    nobody: PasswordHash,
}

impl Passwords {
    /// Hashes one random password, so that the first stranger costs what every later one costs.
    pub(crate) fn new() -> Result<Self, Problem> {
        let mut random = Zeroizing::new([0; 32]);
        rand::rng().fill_bytes(&mut random[..]);
        Ok(Self { places: Arc::new(Semaphore::new(PASSWORDS_AT_ONCE)), nobody: hash(&random[..])? })
    }

    /// What is kept of a new password; refuses short and endless ones.
    pub(crate) async fn hash(&self, password: &str) -> Result<PasswordHash, Problem> {
        let chars = password.chars().count();
        if !(MIN_PASSWORD_CHARS..=MAX_PASSWORD_CHARS).contains(&chars) {
            let detail = format!("a password has {MIN_PASSWORD_CHARS} to {MAX_PASSWORD_CHARS} characters");
            return Err(ProblemKind::InvalidParams.because(detail).at("/password"));
        }
        let password = Zeroizing::new(password.as_bytes().to_vec());
        self.work(move || hash(&password)).await?
    }

    /// Whether this is the password. `kept` is none for who is unknown or has none: it takes as long.
    pub(crate) async fn is_right(
        &self,
        password: &str,
        kept: Option<&PasswordHash>,
    ) -> Result<bool, Problem> {
        if password.chars().count() > MAX_PASSWORD_CHARS {
            return Ok(false);
        }
        let known = kept.is_some();
        let kept = kept.unwrap_or(&self.nobody).clone();
        let password = Zeroizing::new(password.as_bytes().to_vec());
        let matches = self.work(move || matches(&password, &kept)).await?;
        Ok(matches && known)
    }

    async fn work<T: Send + 'static>(&self, work: impl FnOnce() -> T + Send + 'static) -> Result<T, Problem> {
        let failed = || ProblemKind::Internal.because("the password could not be checked");
        let place = self.places.clone().acquire_owned().await.map_err(|_| failed())?;
        let done = tokio::task::spawn_blocking(move || {
            let done = work();
            drop(place);
            done
        });
        done.await.map_err(|_| failed())
    }
}

fn hash(password: &[u8]) -> Result<PasswordHash, Problem> {
    let mut salt = [0; 16];
    rand::rng().fill_bytes(&mut salt);
    let hashed = Argon2::default().hash_password_with_salt(password, &salt);
    hashed.map(|phc| PasswordHash(phc.to_string())).map_err(|error| {
        tracing::error!(%error, "a password could not be hashed");
        ProblemKind::Internal.because("the password could not be hashed: see the broker's log")
    })
}

fn matches(password: &[u8], kept: &PasswordHash) -> bool {
    match Phc::new(&kept.0) {
        Ok(phc) => Argon2::default().verify_password(password, &phc).is_ok(),
        Err(error) => {
            tracing::error!(%error, "a stored password hash cannot be read");
            false
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn only_the_right_password_of_a_known_person_is_right() {
        let passwords = Passwords::new().unwrap();
        let kept = passwords.hash("correct horse battery").await.unwrap();
        assert!(kept.0.starts_with("$argon2id$v=19$m=19456,t=2,p=1$"), "{}", kept.0);
        assert_ne!(kept, passwords.hash("correct horse battery").await.unwrap());
        assert!(passwords.is_right("correct horse battery", Some(&kept)).await.unwrap());
        assert!(!passwords.is_right("correct horse batterz", Some(&kept)).await.unwrap());
        assert!(!passwords.is_right("correct horse battery", None).await.unwrap());
        assert_eq!(format!("{kept:?}"), "PasswordHash(masked)");
    }

    #[tokio::test]
    async fn short_and_endless_ones_are_refused() {
        let passwords = Passwords::new().unwrap();
        assert_eq!(passwords.hash("short").await.unwrap_err().pointer.as_deref(), Some("/password"));
        assert!(passwords.hash(&"x".repeat(257)).await.is_err());
        assert!(passwords.hash(&"ü".repeat(10)).await.is_ok());
    }
}
