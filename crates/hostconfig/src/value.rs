//! Values as TOML text, printed in one way whatever way they were written in.

use std::fmt::Write as _;
use toml::de::DeValue;

/// Prints a value on one line; nothing when there is a number in it that is none, which the parser of TOML lets pass (`0o`).
pub(crate) fn print(value: &DeValue<'_>) -> Option<String> {
    let mut out = String::new();
    write(&mut out, value)?;
    Some(out)
}

/// Prints a text in quotes, on one line whatever is in it.
pub(crate) fn quoted(text: &str) -> String {
    let mut out = String::from("\"");
    for c in text.chars() {
        match c {
            '"' | '\\' => out.extend(['\\', c]),
            '\n' => out += "\\n",
            '\t' => out += "\\t",
            c if c.is_control() => {
                let _ = write!(out, "\\u{:04X}", u32::from(c));
            }
            c => out.push(c),
        }
    }
    out + "\""
}

/// Prints a list of texts.
pub(crate) fn list<T: AsRef<str>>(texts: &[T]) -> String {
    let texts: Vec<String> = texts.iter().map(|it| quoted(it.as_ref())).collect();
    format!("[{}]", texts.join(", "))
}

/// Prints a key, in quotes where it needs them.
pub(crate) fn key(name: &str) -> String {
    let is_bare = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-');
    if !name.is_empty() && name.bytes().all(is_bare) {
        name.to_owned()
    } else {
        quoted(name)
    }
}

fn write(out: &mut String, value: &DeValue<'_>) -> Option<()> {
    match value {
        DeValue::String(text) => *out += &quoted(text),
        DeValue::Integer(number) => {
            let number = i64::from_str_radix(number.as_str(), number.radix()).ok()?;
            *out += &number.to_string();
        }
        DeValue::Float(number) => {
            let _is_number: f64 = number.as_str().parse().ok()?;
            *out += number.as_str();
        }
        DeValue::Boolean(is_so) => *out += if *is_so { "true" } else { "false" },
        DeValue::Datetime(time) => *out += &time.to_string(),
        DeValue::Array(entries) => {
            out.push('[');
            for (n, entry) in entries.iter().enumerate() {
                *out += if n > 0 { ", " } else { "" };
                write(out, entry.get_ref())?;
            }
            out.push(']');
        }
        DeValue::Table(table) => {
            out.push('{');
            for (n, (name, entry)) in table.iter().enumerate() {
                *out += if n > 0 { ", " } else { " " };
                *out += &key(name.get_ref());
                *out += " = ";
                write(out, entry.get_ref())?;
            }
            *out += if table.is_empty() { "}" } else { " }" };
        }
    }
    Some(())
}
