//! A studio's founding record, and the root key's encrypted backup.

use chacha20poly1305::aead::{Aead, KeyInit};
use chacha20poly1305::{Key, XChaCha20Poly1305, XNonce};
use weft_protocol::certificate::{Certificate, Role, Statement};
use weft_protocol::ids::{NodeId, StudioId};
use weft_protocol::sign::{KeyPair, Signer};
use weft_protocol::time::Unix;

pub use weft_protocol::wire::gate::{Sealed, Studio};

/// How long a certificate of an admin lives. The root's key, which alone renews it, is needed for
/// that: long, so that it isn't needed often.
pub const ADMIN_LIFE: std::time::Duration = std::time::Duration::from_secs(10 * 365 * 24 * 3600);
/// How long a member's certificate lives; any admin's node renews it from half of that on.
pub const MEMBER_LIFE: std::time::Duration = std::time::Duration::from_secs(365 * 24 * 3600);

/// The key did not open what was sealed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("that is not the recovery key of this studio; nothing was changed")]
pub struct WrongKey;

/// Seals 32 bytes. The key is random, never a person's password, so one hash derives from it.
///
/// # Errors
/// When the system gives no randomness.
pub fn seal(secret: &[u8; 32], key: &[u8]) -> Result<Sealed, getrandom::Error> {
    let mut nonce = [0; 24];
    getrandom::fill(&mut nonce)?;
    let cipher = cipher(key);
    // Sealing 32 bytes fails only past the cipher's limit of 256 GiB.
    let bytes = cipher.encrypt(&XNonce::from(nonce), &secret[..]).unwrap_or_default();
    Ok(Sealed { nonce, bytes })
}

/// Opens what was sealed.
///
/// # Errors
/// [`WrongKey`].
pub fn unseal(sealed: &Sealed, key: &[u8]) -> Result<[u8; 32], WrongKey> {
    let opened = cipher(key).decrypt(&XNonce::from(sealed.nonce), &sealed.bytes[..]);
    opened.ok().and_then(|bytes| bytes.try_into().ok()).ok_or(WrongKey)
}

fn cipher(key: &[u8]) -> XChaCha20Poly1305 {
    XChaCha20Poly1305::new(&Key::from(blake3::derive_key("weft sealed secret 1", key)))
}

/// A recovery key as people write it down: eight groups of five letters and digits (Crockford's
/// base 32, which leaves out those that look alike).
#[must_use]
pub fn write_recovery_key(key: &[u8; 25]) -> String {
    let text = alphabet().encode(key);
    let groups: Vec<&str> = (0..8).map(|n| &text[n * 5..n * 5 + 5]).collect();
    groups.join("-")
}

/// Reads a recovery key, forgiving case, spaces, dashes and look-alikes.
///
/// # Errors
/// [`WrongKey`] when it can't be one.
pub fn read_recovery_key(text: &str) -> Result<[u8; 25], WrongKey> {
    let plain: String = text
        .chars()
        .filter(|c| !c.is_whitespace() && *c != '-')
        .map(|c| match c.to_ascii_uppercase() {
            'O' => '0',
            'I' | 'L' => '1',
            other => other,
        })
        .collect();
    let bytes = alphabet().decode(plain.as_bytes()).map_err(|_| WrongKey)?;
    bytes.try_into().map_err(|_| WrongKey)
}

fn alphabet() -> data_encoding::Encoding {
    let mut specification = data_encoding::Specification::new();
    specification.symbols.push_str("0123456789ABCDEFGHJKMNPQRSTVWXYZ");
    // The alphabet is a constant with 32 distinct symbols, so it always is a valid one; the
    // fallback differs only in its symbols.
    specification.encoding().unwrap_or(data_encoding::BASE32_NOPAD)
}

/// Signs a certificate.
#[must_use]
pub fn certify(
    studio: StudioId,
    issuer: &KeyPair,
    subject: NodeId,
    role: Role,
    name: &str,
    now: Unix,
) -> Certificate {
    let life = if role == Role::Admin { ADMIN_LIFE } else { MEMBER_LIFE };
    let statement = Statement {
        studio,
        subject,
        issuer: issuer.author(),
        role,
        name: name.to_owned(),
        issued: now,
        expires: now + life,
    };
    Certificate::sign(statement, issuer)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_recovery_key_opens_the_backup() {
        let sealed = seal(&[5; 32], b"key").unwrap();
        assert_eq!(unseal(&sealed, b"key"), Ok([5; 32]));
        assert_eq!(unseal(&sealed, b"other"), Err(WrongKey));
    }

    #[test]
    fn people_may_write_the_recovery_key_sloppily() {
        let key = [0x9d; 25];
        let text = write_recovery_key(&key);
        assert_eq!(text.len(), 47);
        assert_eq!(read_recovery_key(&text), Ok(key));
        let sloppy = text.to_lowercase().replace('-', " ").replace('0', "o").replace('1', "l");
        assert_eq!(read_recovery_key(&sloppy), Ok(key));
        assert_eq!(read_recovery_key(&text[..46]), Err(WrongKey));
        assert_eq!(read_recovery_key("€"), Err(WrongKey));
    }
}
