//! Prints imported sections as `workers.toml`.

use super::convert::{Place, Section};
use crate::value;
use std::fmt::Write as _;

/// Prints them: what is for all hosts first, then templates, then hosts, in the order of the files.
pub(super) fn print(files: &[&str], sections: &[Section]) -> String {
    let mut out = format!("# Imported from {}.\n", one_line(&files.join(" and ")));
    let mut ordered: Vec<&Section> = sections.iter().collect();
    ordered.sort_by_key(|section| rank(&section.place));
    for section in ordered {
        let name = match &section.place {
            Place::Default => "default".to_owned(),
            Place::Platform(platform) => platform.word().to_owned(),
            Place::Template(name) => format!("template.{}", value::key(name)),
            Place::Host(hosts) => format!("host.{}", value::key(&hosts.to_string())),
        };
        let _ = writeln!(
            out,
            "\n[{name}] # {}:{}",
            one_line(&section.at.file),
            section.at.line
        );
        if !section.inherits.is_empty() {
            let _ = writeln!(out, "inherits = {}", value::list(&section.inherits));
        }
        for (key, value) in &section.values {
            let _ = writeln!(out, "{} = {value}", value::key(key));
        }
    }
    out
}

fn rank(place: &Place) -> u8 {
    match place {
        Place::Default => 0,
        Place::Platform(_) => 1,
        Place::Template(_) => 2,
        Place::Host(_) => 3,
    }
}

fn one_line(text: &str) -> String {
    text.chars()
        .map(|c| if c.is_control() { '?' } else { c })
        .collect()
}
