//! The fixed rule that puts an item's frames into a command.

use crate::frames::Chunk;

/// The tokens of one item, as text: what stands in the arguments and in the environment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ItemTokens {
    /// `QB_FRAME_NUMBER`: the first frame of the item.
    pub number: String,
    /// `QB_FRAME_START`: the first frame of the item.
    pub start: String,
    /// `QB_FRAME_END`: the last frame of the item.
    pub end: String,
    /// `QB_FRAME_STEP`: the distance of its frames.
    pub step: String,
    /// `QB_FRAME_RANGE`: its frames in range syntax; never padded.
    pub range: String,
}

impl ItemTokens {
    /// Makes the tokens of a chunk; all but the range are padded with zeros to `padding` digits, after the sign.
    pub fn of(chunk: &Chunk, padding: u8) -> Self {
        let first = padded(chunk.first(), padding);
        Self {
            number: first.clone(),
            start: first,
            end: padded(chunk.last(), padding),
            step: padded(chunk.step(), padding),
            range: chunk.range(),
        }
    }

    /// Returns the tokens with their names.
    pub fn pairs(&self) -> [(&'static str, &str); 5] {
        [
            ("QB_FRAME_NUMBER", &self.number),
            ("QB_FRAME_START", &self.start),
            ("QB_FRAME_END", &self.end),
            ("QB_FRAME_STEP", &self.step),
            ("QB_FRAME_RANGE", &self.range),
        ]
    }
}

/// Pads with zeros after the sign: `7` → `0007`, `-7` → `-0007` (padding 4).
fn padded(number: i64, padding: u8) -> String {
    let sign = if number < 0 { "-" } else { "" };
    format!(
        "{sign}{:0width$}",
        number.unsigned_abs(),
        width = usize::from(padding)
    )
}

/// Replaces each token in one argument, wherever it stands.
///
/// A token behind `$` or `${` is left alone: it is the name of the variable with the same value, and a shell that the job
/// asked for will replace it.
pub fn substitute(argument: &str, tokens: &ItemTokens) -> String {
    let mut out = String::with_capacity(argument.len());
    let mut rest = argument;
    while let Some(at) = rest.find("QB_FRAME_") {
        let (before, found) = rest.split_at(at);
        out.push_str(before);
        let is_variable = before.ends_with('$') || before.ends_with("${");
        let hit = tokens
            .pairs()
            .into_iter()
            .find(|(name, _)| found.starts_with(name));
        let taken = match hit {
            Some((name, value)) if !is_variable => {
                out.push_str(value);
                name.len()
            }
            _ => {
                out.push_str("QB_FRAME_");
                "QB_FRAME_".len()
            }
        };
        rest = &found[taken..];
    }
    out.push_str(rest);
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::frames::FrameRun;

    fn tokens(start: i64, step: i64, count: u32, padding: u8) -> ItemTokens {
        let chunk = Chunk::take(&[FrameRun { start, step, count }], 0, count).unwrap();
        ItemTokens::of(&chunk, padding)
    }

    #[test]
    fn tokens_stand_anywhere_in_an_argument() {
        let it = tokens(1, 1, 5, 0);
        assert_eq!(substitute("-f QB_FRAME_START:QB_FRAME_END", &it), "-f 1:5");
        assert_eq!(substitute("outQB_FRAME_NUMBER.exr", &it), "out1.exr");
        assert_eq!(substitute("QB_FRAME_RANGEQB_FRAME_STEP", &it), "1-51");
        assert_eq!(
            substitute("QB_FRAME_OTHER QB_FRAME_", &it),
            "QB_FRAME_OTHER QB_FRAME_"
        );
        assert_eq!(substitute("größe QB_FRAME_NUMBER ü", &it), "größe 1 ü");
    }

    #[test]
    fn variables_are_left_for_the_shell() {
        let it = tokens(7, 1, 1, 0);
        let text = "echo $QB_FRAME_NUMBER ${QB_FRAME_NUMBER} QB_FRAME_NUMBER";
        assert_eq!(
            substitute(text, &it),
            "echo $QB_FRAME_NUMBER ${QB_FRAME_NUMBER} 7"
        );
    }

    #[test]
    fn padding_comes_after_the_sign_and_never_in_the_range() {
        let it = tokens(-5, 1, 11, 4);
        assert_eq!(
            (&*it.number, &*it.end, &*it.step, &*it.range),
            ("-0005", "0005", "0001", "-5-5")
        );
        assert_eq!(tokens(i64::MIN, 1, 1, 0).number, i64::MIN.to_string());
    }
}
