//! Base64 for join strings and fingerprints (RFC 4648 section 5, without padding: one text per value) and for PEM.

const URL: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
const STANDARD: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
/// Bytes of one line of PEM, which prints 64 characters.
const PEM_LINE_BYTES: usize = 48;

/// Answers the text of 32 bytes, 43 characters.
pub(crate) fn encode(bytes: &[u8; 32]) -> String {
    letters(bytes, URL)
}

/// Prints a certificate in PEM form.
pub(crate) fn certificate_pem(der: &[u8]) -> String {
    let mut text = String::from("-----BEGIN CERTIFICATE-----\n");
    for line in der.chunks(PEM_LINE_BYTES) {
        text.push_str(&letters(line, STANDARD));
        text.push_str(["", "==", "="][line.len() % 3]);
        text.push('\n');
    }
    text.push_str("-----END CERTIFICATE-----\n");
    text
}

/// Answers the letters of some bytes, without padding.
fn letters(bytes: &[u8], alphabet: &[u8; 64]) -> String {
    let mut text = String::with_capacity(bytes.len().div_ceil(3) * 4);
    for group in bytes.chunks(3) {
        let word = group
            .iter()
            .fold(0u32, |word, byte| word << 8 | u32::from(*byte))
            << (8 * (3 - group.len()));
        for place in 0..=group.len() {
            let index = word >> (18 - 6 * place) & 63;
            text.push(char::from(alphabet[index as usize]));
        }
    }
    text
}

/// Answers the 32 bytes of a text, if it is exactly what [`encode`] prints.
pub(crate) fn decode(text: &str) -> Option<[u8; 32]> {
    if text.len() != 43 {
        return None;
    }
    let mut bytes = [0u8; 32];
    let (mut word, mut bits, mut place) = (0u32, 0u32, 0usize);
    for byte in text.bytes() {
        let value = URL.iter().position(|letter| *letter == byte)?;
        word = word << 6 | u32::try_from(value).ok()?;
        bits += 6;
        if bits >= 8 {
            bits -= 8;
            *bytes.get_mut(place)? = u8::try_from(word >> bits & 0xff).ok()?;
            place += 1;
            word &= (1 << bits) - 1;
        }
    }
    (word == 0).then_some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn printed_bytes_parse_back(bytes: [u8; 32]) {
            prop_assert_eq!(decode(&encode(&bytes)), Some(bytes));
        }

        #[test]
        fn any_text_has_at_most_one_meaning(text in "[A-Za-z0-9_-]{43}") {
            if let Some(bytes) = decode(&text) {
                prop_assert_eq!(encode(&bytes), text);
            }
        }
    }

    #[test]
    fn wrong_texts_are_refused() {
        for bad in [
            "",
            "A",
            &"A".repeat(42),
            &"A".repeat(44),
            &"+".repeat(43),
            &"é".repeat(43),
        ] {
            assert_eq!(decode(bad), None, "{bad} was accepted");
        }
        assert_eq!(encode(&[0xff; 32]).len(), 43);
    }

    #[test]
    fn pem_is_what_others_read() {
        use rustls::pki_types::{CertificateDer, pem::PemObject as _};
        for length in [0, 1, 2, 3, 47, 48, 49, 1000] {
            let der: Vec<u8> = (0..=255).cycle().take(length).collect();
            let read = CertificateDer::from_pem_slice(certificate_pem(&der).as_bytes()).unwrap();
            assert_eq!(&*read, der);
        }
    }
}
