//! Environment blocks: `name=value` texts, each closed by a zero, sorted by name, and one more zero.

use thiserror::Error;

/// The most UTF-16 units of a block. Windows itself has no limit since Vista; programs that copy variables have.
pub const UNITS_MAX: usize = 1 << 20;
/// The most units of one `name=value` (`SetEnvironmentVariableW`).
pub const VARIABLE_UNITS_MAX: usize = 32_767;

/// Why there is no block for some variables.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum EnvironmentError {
    /// A name can't be one.
    #[error("{name:?} can't be the name of a variable")]
    Name {
        /// The name.
        name: String,
    },
    /// A value has a zero in it.
    #[error("the variable {name} has a zero character in its value")]
    Zero {
        /// The name.
        name: String,
    },
    /// A variable is too long.
    #[error(
        "the variable {name} has {units} characters, and Windows takes at most {VARIABLE_UNITS_MAX}"
    )]
    TooLong {
        /// The name.
        name: String,
        /// How long it is with its name, in UTF-16 units.
        units: usize,
    },
    /// All together are too long.
    #[error("all variables together have more than {UNITS_MAX} characters")]
    TooMuch,
}

/// Answers the block of these variables. Of names that differ in case only the last counts, as there is one such variable.
///
/// # Errors
/// When there is none.
pub fn block(variables: &[(String, String)]) -> Result<Vec<u16>, EnvironmentError> {
    let mut sorted: Vec<(Vec<u16>, Vec<u16>)> = Vec::with_capacity(variables.len());
    for (name, value) in variables {
        check(name, value)?;
        let text: Vec<u16> = format!("{name}={value}").encode_utf16().collect();
        if text.len() > VARIABLE_UNITS_MAX {
            let (name, units) = (name.clone(), text.len());
            return Err(EnvironmentError::TooLong { name, units });
        }
        let key = upper(name);
        match sorted.binary_search_by(|(known, _)| known.cmp(&key)) {
            Ok(at) => sorted[at].1 = text,
            Err(at) => sorted.insert(at, (key, text)),
        }
    }
    let mut block = Vec::new();
    for (_, text) in sorted {
        block.extend(text);
        block.push(0);
    }
    if block.is_empty() {
        block.push(0);
    }
    block.push(0);
    if block.len() > UNITS_MAX {
        return Err(EnvironmentError::TooMuch);
    }
    Ok(block)
}

/// Answers the variables of a block, as [`block`] makes it and the system does; what is no text is shown with marks in its place.
/// The system's own that begin with `=` (a directory for each drive) are left out.
pub fn split(block: &[u16]) -> Vec<(String, String)> {
    let texts = block.split(|it| *it == 0).take_while(|it| !it.is_empty());
    texts
        .filter_map(|text| {
            let text = String::from_utf16_lossy(text);
            let (name, value) = text.split_once('=')?;
            (!name.is_empty()).then(|| (name.to_owned(), value.to_owned()))
        })
        .collect()
}

fn check(name: &str, value: &str) -> Result<(), EnvironmentError> {
    let name = name.to_owned();
    if name.is_empty() || name.contains(['=', '\0']) {
        return Err(EnvironmentError::Name { name });
    }
    if value.contains('\0') {
        return Err(EnvironmentError::Zero { name });
    }
    Ok(())
}

/// Answers what a name is sorted and known by.
fn upper(name: &str) -> Vec<u16> {
    name.to_uppercase().encode_utf16().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(variables: &[(&str, &str)]) -> Result<String, EnvironmentError> {
        let variables: Vec<(String, String)> = variables
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
            .collect();
        Ok(String::from_utf16(&block(&variables)?).expect("text"))
    }

    #[test]
    fn variables_are_sorted_and_each_is_there_once() {
        let all = [("b", "1"), ("Path", "x"), ("A", "é"), ("PATH", "y")];
        assert_eq!(said(&all).expect("a block"), "A=é\0b=1\0PATH=y\0\0");
        assert_eq!(said(&[]).expect("a block"), "\0\0");
    }

    #[test]
    fn a_block_is_taken_apart_up_to_its_end() {
        let text = "=C:=C:\\x\0A=1\0b=x=y\0\0c=never\0";
        let units: Vec<u16> = text.encode_utf16().collect();
        let pair = |name: &str, value: &str| (name.to_owned(), value.to_owned());
        assert_eq!(split(&units), [pair("A", "1"), pair("b", "x=y")]);
        let made = block(&split(&units)).expect("a block");
        assert_eq!(split(&made), split(&units));
        assert_eq!(split(&[]), []);
    }

    #[test]
    fn what_is_no_variable_is_refused() {
        for name in ["", "a=b", "a\0"] {
            let error = said(&[(name, "x")]).expect_err("refused");
            assert!(matches!(error, EnvironmentError::Name { .. }), "{error}");
        }
        let zero = said(&[("a", "x\0B=1")]);
        assert!(matches!(zero, Err(EnvironmentError::Zero { .. })));
        let long = "x".repeat(VARIABLE_UNITS_MAX);
        assert!(said(&[("a", &long[2..])]).is_ok());
        let error = said(&[("a", &long[1..])]).expect_err("too long");
        assert!(error.to_string().contains("at most 32767"), "{error}");
        let names: Vec<String> = (0..40).map(|it| format!("v{it}")).collect();
        let many: Vec<(&str, &str)> = names.iter().map(|it| (it.as_str(), &long[9..])).collect();
        assert_eq!(said(&many), Err(EnvironmentError::TooMuch));
    }
}
