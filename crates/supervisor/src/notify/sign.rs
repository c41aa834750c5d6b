//! Signs messages by the Standard Webhooks convention (symmetric, `v1`), so that receivers find libraries for it.
//!
//! HMAC-SHA256 over `ID.SECONDS.BODY`. The receiver refuses what is signed for a time far from now, and ids that it has seen:
//! then nobody who reads a message can play it back.

use aws_lc_rs::hmac;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use std::fmt;
use std::sync::Arc;

/// What a secret begins with.
const PREFIX: &str = "whsec_";
/// Fewest and most bytes of a secret.
const SECRET_BYTES: (usize, usize) = (24, 64);

/// A secret that the farm and a receiver share.
#[derive(Clone)]
pub(crate) struct Secret {
    bytes: Arc<[u8]>,
}

impl Secret {
    /// Reads `whsec_` and base64.
    ///
    /// # Errors
    /// How it must look; never what it is.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        let (least, most) = SECRET_BYTES;
        let encoded = text.strip_prefix(PREFIX);
        let bytes = encoded.and_then(|encoded| STANDARD.decode(encoded).ok());
        bytes
            .filter(|bytes| (least..=most).contains(&bytes.len()))
            .map(|bytes| Self {
                bytes: bytes.into(),
            })
            .ok_or_else(|| {
                format!(
                    "it must be one line: whsec_ and {least} to {most} random bytes in base64 (as `openssl rand -base64 32` \
                     prints them)"
                )
            })
    }

    /// Answers the value of the header `webhook-signature`.
    pub(crate) fn sign(&self, id: &str, seconds: i64, body: &[u8]) -> String {
        let key = hmac::Key::new(hmac::HMAC_SHA256, &self.bytes);
        let mut context = hmac::Context::with_key(&key);
        context.update(format!("{id}.{seconds}.").as_bytes());
        context.update(body);
        format!("v1,{}", STANDARD.encode(context.sign()))
    }
}

impl PartialEq for Secret {
    fn eq(&self, other: &Self) -> bool {
        subtle::ConstantTimeEq::ct_eq(&*self.bytes, &*other.bytes).into()
    }
}

impl Eq for Secret {}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The example of the convention's own libraries.
    #[test]
    fn the_signature_is_the_conventions() {
        let secret = Secret::parse("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw").expect("a secret");
        let signed = secret.sign(
            "msg_p5jXN8AQM9LWM0D4loKWxJek",
            1_614_265_330,
            b"{\"test\": 2432232314}",
        );
        assert_eq!(signed, "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=");
    }

    #[test]
    fn id_time_and_body_are_all_signed() {
        let secret = Secret::parse("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw").expect("a secret");
        let signed = secret.sign("a", 1, b"x");
        for other in [
            secret.sign("b", 1, b"x"),
            secret.sign("a", 2, b"x"),
            secret.sign("a", 1, b"y"),
        ] {
            assert_ne!(signed, other);
        }
    }

    #[test]
    fn what_is_no_secret_is_refused_without_being_shown() {
        for bad in [
            "",
            "whsec_",
            "hunter2",
            "whsec_aHVudGVyMg==",
            "MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
        ] {
            let said = Secret::parse(bad).expect_err(bad);
            assert!(
                bad.is_empty() || bad == PREFIX || !said.contains(bad),
                "{said}"
            );
        }
    }
}
