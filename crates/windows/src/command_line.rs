//! Command lines: Windows hands a program one text, which the program takes apart by itself.
//!
//! Nearly all do it as Microsoft's C runtime and `CommandLineToArgvW` do; their rules, as Microsoft documents them: the first
//! word is the program and ends at the next `"` or space; behind it, words end at spaces and tabs outside of quotes; `2n`
//! backslashes before a `"` are `n` and the quote counts, `2n + 1` are `n` and a literal `"`; other backslashes are just
//! themselves.

use thiserror::Error;

/// The most UTF-16 units of a command line, the closing zero among them (`CreateProcessW`).
pub const UNITS_MAX: usize = 32_767;

/// Why there is no command line for some arguments.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum CommandLineError {
    /// There is not even a program.
    #[error("there is no program to run")]
    Empty,
    /// An argument has a zero in it.
    #[error("argument {at} has a zero character in it, which no argument can have")]
    Zero {
        /// Which, from 0.
        at: usize,
    },
    /// The program's name has a quote in it.
    #[error("the program's name has a quote in it, which no name can have")]
    QuoteInName,
    /// It is too long.
    #[error(
        "the command line has {units} characters, and Windows takes at most {UNITS_MAX}; put arguments into a file"
    )]
    TooLong {
        /// How long it is, in UTF-16 units.
        units: usize,
    },
}

/// Answers the command line that is taken apart into these arguments, the program first, with a closing zero.
///
/// # Errors
/// When there is none.
pub fn of(argv: &[impl AsRef<str>]) -> Result<Vec<u16>, CommandLineError> {
    let mut text = String::new();
    for (at, argument) in argv.iter().map(AsRef::as_ref).enumerate() {
        if argument.contains('\0') {
            return Err(CommandLineError::Zero { at });
        }
        if at == 0 {
            if argument.contains('"') {
                return Err(CommandLineError::QuoteInName);
            }
            text.push('"');
            text.push_str(argument);
            text.push('"');
        } else {
            text.push(' ');
            quote(argument, &mut text);
        }
    }
    if text.is_empty() {
        return Err(CommandLineError::Empty);
    }
    let mut units: Vec<u16> = text.encode_utf16().collect();
    units.push(0);
    if units.len() > UNITS_MAX {
        return Err(CommandLineError::TooLong { units: units.len() });
    }
    Ok(units)
}

fn quote(argument: &str, text: &mut String) {
    let is_plain = !argument.is_empty() && !argument.contains([' ', '\t', '\n', '\x0b', '"']);
    if is_plain {
        return text.push_str(argument);
    }
    text.push('"');
    let mut backslashes = 0;
    for letter in argument.chars() {
        match letter {
            '\\' => backslashes += 1,
            '"' => {
                // Twice as many, and one for the quote itself.
                text.extend(std::iter::repeat_n('\\', backslashes + 1));
                backslashes = 0;
            }
            _ => backslashes = 0,
        }
        text.push(letter);
    }
    text.extend(std::iter::repeat_n('\\', backslashes));
    text.push('"');
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Takes a command line apart by the rules above.
    fn split(line: &str) -> Vec<String> {
        let mut letters = line.chars().peekable();
        let mut name = String::new();
        if letters.next_if_eq(&'"').is_some() {
            name.extend(letters.by_ref().take_while(|it| *it != '"'));
        }
        let mut all = vec![name];
        loop {
            while letters.next_if(|it| [' ', '\t'].contains(it)).is_some() {}
            if letters.peek().is_none() {
                return all;
            }
            let (mut word, mut is_quoted) = (String::new(), false);
            while let Some(letter) = letters.next_if(|it| is_quoted || ![' ', '\t'].contains(it)) {
                let mut count = usize::from(letter == '\\');
                if letter == '\\' {
                    while letters.next_if_eq(&'\\').is_some() {
                        count += 1;
                    }
                    if letters.peek() != Some(&'"') {
                        word.extend(std::iter::repeat_n('\\', count));
                        continue;
                    }
                    word.extend(std::iter::repeat_n('\\', count / 2));
                    letters.next();
                }
                match (letter, count % 2) {
                    ('\\', 1) => word.push('"'),
                    ('\\' | '"', _) => is_quoted = !is_quoted,
                    _ => word.push(letter),
                }
            }
            all.push(word);
        }
    }

    fn line(argv: &[&str]) -> String {
        let units = of(argv).expect("a command line");
        let (zero, text) = units.split_last().expect("the closing zero");
        assert_eq!(*zero, 0);
        String::from_utf16(text).expect("text")
    }

    #[test]
    fn arguments_are_quoted_where_they_must_be() {
        for (argv, expected) in [
            (&["a.exe"][..], r#""a.exe""#),
            (
                &[r"C:\my programs\a.exe", "b"],
                r#""C:\my programs\a.exe" b"#,
            ),
            (&["a", ""], r#""a" """#),
            (&["a", "b c"], r#""a" "b c""#),
            (&["a", r"C:\dir\"], r#""a" C:\dir\"#),
            (&["a", r"C:\my dir\"], r#""a" "C:\my dir\\""#),
            (&["a", r#"say "hi""#], r#""a" "say \"hi\"""#),
            (&["a", r#"\""#], r#""a" "\\\"""#),
            (&["a", "%PATH%", "&calc", "^"], r#""a" %PATH% &calc ^"#),
        ] {
            assert_eq!(line(argv), expected);
            assert_eq!(split(expected), argv);
        }
    }

    #[test]
    fn what_can_not_be_said_is_refused() {
        let none: [&str; 0] = [];
        assert_eq!(of(&none), Err(CommandLineError::Empty));
        assert_eq!(of(&["a", "b\0c"]), Err(CommandLineError::Zero { at: 1 }));
        assert_eq!(of(&["a\"b"]), Err(CommandLineError::QuoteInName));
        let long = "x".repeat(UNITS_MAX);
        let error = of(&["a", &long]).expect_err("too long");
        assert!(error.to_string().contains("at most 32767"), "{error}");
        // `"a" ` and the zero are five.
        assert!(of(&["a", &long[..UNITS_MAX - 5]]).is_ok());
        assert!(of(&["a", &long[..UNITS_MAX - 4]]).is_err());
    }

    proptest! {
        #[test]
        fn whatever_is_quoted_is_taken_apart_again(
            name in r#"[^"\x00]{1,20}"#,
            rest in prop::collection::vec(r#"[\\" a\t%é]{0,12}|[^\x00]{0,20}"#, 0..6),
        ) {
            let mut argv = vec![name];
            argv.extend(rest);
            let units = of(&argv).expect("a command line");
            let text = String::from_utf16(&units[..units.len() - 1]).expect("text");
            prop_assert_eq!(split(&text), argv);
        }
    }
}
