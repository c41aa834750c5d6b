//! The farm's modes of maintenance.

use crate::out::{Look, Tone, text};
use tessera_api::types::FarmModes;

/// Prints the modes that are set, one a line.
#[must_use]
pub fn modes(look: &Look, modes: &FarmModes) -> String {
    if modes.modes.is_empty() {
        return "the farm takes submissions and starts jobs; no mode is set\n".to_owned();
    }
    let line = |text: &str| format!("{}\n", look.paint(Tone::Warn, &text::safe(text)));
    modes.modes.iter().map(|mode| line(&mode.text)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use tessera_api::types::FarmMode;

    #[test]
    fn each_mode_is_a_line_that_harms_no_terminal() {
        let look = Look {
            width: None,
            colour: false,
            now_ms: 0,
            zone: jiff::tz::TimeZone::UTC,
        };
        let mode = |text: &str| FarmMode {
            text: text.to_owned(),
            ..FarmMode::default()
        };
        let all = FarmModes {
            modes: vec![mode("the farm starts nothing"), mode("a\u{1b}[31mb")],
        };
        let printed = modes(&look, &all);
        assert_eq!(printed.lines().count(), 2);
        assert!(printed.starts_with("the farm starts nothing\n") && !printed.contains('\u{1b}'));
        assert!(modes(&look, &FarmModes::default()).contains("no mode is set"));
    }
}
