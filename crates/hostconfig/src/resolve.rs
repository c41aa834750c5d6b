//! What holds for a host, and where each value is from.

use crate::check::chain;
use crate::place::Place;
use crate::read::{Kind, Platform, Section, Workers};
use crate::value;
use std::collections::BTreeMap;
use std::fmt;

/// What `workers.toml` sets for one host.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Settings {
    /// By key.
    pub values: BTreeMap<String, Source>,
}

/// A value and where it is from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Source {
    /// As TOML, on one line.
    pub value: String,
    /// Where it is from.
    pub from: From,
    /// The values that it overrides, the strongest first.
    pub over: Vec<(String, From)>,
}

/// Where a value is from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct From {
    /// The place of its key.
    pub place: Place,
    /// The section that it stands in, as it is written.
    pub section: String,
    /// The section of the host that inherits that one, if it is a template.
    pub inherited_by: Option<String>,
}

impl fmt::Display for From {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {}, {}", self.place.line, self.section)?;
        match &self.inherited_by {
            Some(by) => write!(f, ", inherited by {by}"),
            None => Ok(()),
        }
    }
}

impl Settings {
    /// Prints the values as the worker's own reader takes them.
    #[must_use]
    pub fn to_toml(&self) -> String {
        let line =
            |(key, source): (&String, &Source)| format!("{} = {}\n", value::key(key), source.value);
        self.values.iter().map(line).collect()
    }
}

impl Workers {
    /// Answers what holds for a host: `[default]`, then its platform's section, then each section that it is in, in the order of the
    /// file, with the templates of that section before the section's own values. What comes later overrides.
    #[must_use]
    pub fn of_host(&self, host: &str, platform: Option<Platform>) -> Settings {
        let mut settings = Settings::default();
        let general = [Some(Kind::Default), platform.map(Kind::Platform)];
        for kind in general.into_iter().flatten() {
            for section in self.sections.iter().filter(|section| section.kind == kind) {
                settings.add(section, section);
            }
        }
        for section in self.of_this_host(host) {
            // A circle is an error of the file, and such a file is not used.
            for part in chain(self, section).unwrap_or_default() {
                settings.add(part, section);
            }
        }
        settings
    }

    /// Answers what the sections that are for hosts set of a key, by themselves or by what they inherit, in the order in which they
    /// come to hold. Two files that answer alike set it alike for every host there could be.
    #[must_use]
    pub fn everywhere(&self, key: &str) -> Vec<(String, String)> {
        let rank = |section: &Section| match section.kind {
            Kind::Default => Some(0),
            Kind::Platform(_) => Some(1),
            Kind::Host(_) => Some(2),
            Kind::Template(_) => None,
        };
        let mut found = Vec::new();
        for section in &self.sections {
            let Some(rank) = rank(section) else { continue };
            let parts = chain(self, section).unwrap_or_default();
            let set = parts.iter().rev().find_map(|part| part.values.get(key));
            if let Some(set) = set {
                found.push((rank, section.kind.to_string(), set.value.clone()));
            }
        }
        // Stable: sections of hosts keep the order of the file.
        found.sort_by_key(|(rank, ..)| *rank);
        let named = found.into_iter();
        named.map(|(_, section, value)| (section, value)).collect()
    }

    /// Says whether a section of its own, or a range, names a host.
    #[must_use]
    pub fn names(&self, host: &str) -> bool {
        self.of_this_host(host).next().is_some()
    }

    fn of_this_host<'a>(&'a self, host: &'a str) -> impl Iterator<Item = &'a Section> {
        let is_its = move |section: &&Section| match &section.kind {
            Kind::Host(hosts) => hosts.matches(host),
            Kind::Default | Kind::Platform(_) | Kind::Template(_) => false,
        };
        self.sections.iter().filter(is_its)
    }
}

impl Settings {
    /// Adds the values of a section that `by` has or inherits; they override what is there.
    fn add(&mut self, section: &Section, by: &Section) {
        for (key, setting) in &section.values {
            let from = From {
                place: setting.place,
                section: section.kind.to_string(),
                inherited_by: (section.kind != by.kind).then(|| by.kind.to_string()),
            };
            let mut over = Vec::new();
            if let Some(old) = self.values.remove(key) {
                over.push((old.value, old.from));
                over.extend(old.over);
            }
            let source = Source {
                value: setting.value.clone(),
                from,
                over,
            };
            self.values.insert(key.clone(), source);
        }
    }
}
