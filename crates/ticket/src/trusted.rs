//! What a launcher is told once, in files that only the system's administrator can write: whose it is, and whom it believes.

use ed25519_dalek::VerifyingKey;

/// The most dispatch keys.
const KEYS_MAX: usize = 8;

/// Reads the id of a farm or a host: 32 hexadecimal digits, with or without dashes. Returns the digits, too.
pub fn parse_id(text: &str) -> Option<(String, [u8; 16])> {
    let digits = text.trim().replace('-', "");
    let id = hex(&digits)?;
    Some((digits, id))
}

/// Reads the list of dispatch keys: lines of 64 hexadecimal digits, one at least; empty ones and comments are passed over.
pub fn parse_dispatch_keys(text: &str) -> Option<Vec<VerifyingKey>> {
    let lines = text.lines().map(str::trim);
    let lines = lines.filter(|it| !it.is_empty() && !it.starts_with('#'));
    let one = |line: &str| VerifyingKey::from_bytes(&hex(line)?).ok();
    let keys: Vec<VerifyingKey> = lines.map(one).collect::<Option<_>>()?;
    (!keys.is_empty() && keys.len() <= KEYS_MAX).then_some(keys)
}

/// Reads exactly `N` bytes in hexadecimal.
fn hex<const N: usize>(text: &str) -> Option<[u8; N]> {
    if text.len() != 2 * N || !text.bytes().all(|it| it.is_ascii_hexdigit()) {
        return None;
    }
    let mut bytes = [0; N];
    for (byte, at) in bytes.iter_mut().zip((0..).step_by(2)) {
        *byte = u8::from_str_radix(text.get(at..at + 2)?, 16).ok()?;
    }
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use ed25519_dalek::SigningKey;

    #[test]
    fn an_id_has_32_digits() {
        let id = parse_id("01234567-0123-0123-0123-0123456789Ab\n").expect("an id");
        assert_eq!(id.0, "012345670123012301230123456789Ab");
        assert_eq!((id.1[0], id.1[15]), (0x01, 0xab));
        for text in [
            "",
            "zz",
            "0123456701230123012301234567890",
            "+1234567012301230123012345678900",
        ] {
            assert_eq!(parse_id(text), None, "{text}");
        }
    }

    #[test]
    fn a_list_of_keys_is_whole_and_short() {
        let key = SigningKey::from_bytes(&[7; 32]).verifying_key();
        let digits: String = key
            .as_bytes()
            .iter()
            .map(|it| format!("{it:02x}"))
            .collect();
        let found = parse_dispatch_keys(&format!("# keys\n\n {digits} \n{digits}"));
        assert_eq!(found, Some(vec![key, key]));
        let too_many = format!("{digits}\n").repeat(KEYS_MAX + 1);
        for text in ["", "# none", "01", &format!("{digits}\n01"), &too_many] {
            assert_eq!(parse_dispatch_keys(text), None, "{text}");
        }
    }
}
