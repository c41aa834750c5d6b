//! Turns what Qube!'s files say into sections and values of ours.

use super::conf::{Entry, Value, What};
use super::{File, Left};
use crate::hosts::HostPattern;
use crate::keys::{is_local_only, judge, nearest_key};
use crate::read::Platform;
use crate::value;
use crate::worker::Key;
use std::collections::{BTreeMap, BTreeSet};

/// Keys whose values are lists.
const LISTS: &[&str] = &["worker_groups"];
/// Keys whose values are lists of which each entry is judged alone.
const PAIRS: &[&str] = &["worker_properties", "worker_resources"];
/// How deep sections may inherit.
const DEPTH_MAX: usize = 16;
/// Characters of a name that is repeated.
const SHOWN_MAX: usize = 60;
/// Sections that are taken from all files together.
const SECTIONS_MAX: usize = crate::limits::SECTIONS_MAX;
/// Values that are copied for sections that can't inherit here, altogether.
const COPIED_MAX: usize = 10_000;

/// What people ask when something is missing; a key that ends in `_` stands for all that begin so.
const WHY: &[(&str, &str)] = &[
    (
        "proxy_password",
        "passwords are in no file: tessera credential register keeps them sealed (docs/credentials.md)",
    ),
    (
        "worker_drive_map",
        "drives are in the launcher's policy of each Windows host (docs/windows.md)",
    ),
    (
        "worker_host_domain",
        "the launcher's policy of a Windows host says where an account's name counts (docs/windows.md)",
    ),
    (
        "supervisor_",
        "it is the supervisor's, whose own file is supervisor.toml",
    ),
    (
        "database_",
        "it is the supervisor's, whose own file is supervisor.toml",
    ),
    (
        "mail_",
        "it is the supervisor's, whose own file is supervisor.toml",
    ),
    ("client_", "it is for people who submit"),
];

/// Where a section goes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Place {
    Default,
    Platform(Platform),
    Template(String),
    Host(HostPattern),
}

/// A section of ours.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Section {
    pub(super) place: Place,
    pub(super) at: Origin,
    pub(super) inherits: Vec<String>,
    pub(super) values: BTreeMap<String, String>,
}

/// A line of a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Origin {
    pub(super) file: String,
    pub(super) line: usize,
}

/// A section of Qube!'s.
struct Raw {
    name: String,
    at: Origin,
    inherits: Vec<String>,
    values: Vec<(String, Value, Origin)>,
}

/// Collects what the files say.
#[derive(Default)]
pub(super) struct Made {
    raw: Vec<Raw>,
    /// Names that `[global_config]` calls templates.
    templates: BTreeSet<String>,
    left: Vec<Left>,
}

impl Made {
    fn leave(&mut self, at: &Origin, what: &str, why: impl Into<String>) {
        self.left.push(Left {
            file: at.file.clone(),
            line: at.line,
            what: shown(what),
            why: why.into(),
        });
    }

    /// Adds a file. Values before the first section, as all of `qb.conf`, are for every host.
    pub(super) fn add(&mut self, file: &File<'_>, entries: Vec<Entry>) {
        let origin = |line: usize| Origin {
            file: file.name.to_owned(),
            line,
        };
        let mut current = Raw::new("default", origin(1), Vec::new());
        let mut is_first = true;
        for Entry { line, what } in entries {
            let at = origin(line);
            match what {
                What::Section { name, inherits } => {
                    is_first = false;
                    let next = Raw::new(&name, at, inherits);
                    self.keep(std::mem::replace(&mut current, next));
                }
                What::Value(key, value) => {
                    if is_first && current.values.is_empty() {
                        current.at = at.clone();
                    }
                    current.values.push((key, value, at));
                }
                What::Unreadable => {
                    let why = "it is neither a section nor key = value";
                    self.leave(&at, "this line", why);
                }
            }
        }
        self.keep(current);
    }

    /// Keeps a section of which there may be an earlier one with the same name.
    fn keep(&mut self, mut section: Raw) {
        if section.name == "global_config" {
            return self.global(&section);
        }
        let is_empty = section.values.is_empty() && section.inherits.is_empty();
        if is_empty && section.name == "default" {
            return;
        }
        if let Some(n) = self.raw.iter().position(|it| it.name == section.name) {
            let earlier = self.raw.remove(n);
            if is_general(&section.name).is_none() {
                self.joined(&section, &earlier.at);
            }
            let values = std::mem::take(&mut section.values);
            section.values = earlier.values;
            section.values.extend(values);
            let inherits = std::mem::take(&mut section.inherits);
            section.inherits = earlier.inherits;
            section.inherits.extend(inherits);
        }
        if self.raw.len() == SECTIONS_MAX {
            let what = format!("[{}]", section.name);
            return self.leave(
                &section.at,
                &what,
                format!("more than {SECTIONS_MAX} sections"),
            );
        }
        self.raw.push(section);
    }

    /// Says that two sections for the same are one here.
    fn joined(&mut self, section: &Raw, earlier: &Origin) {
        let Origin { file, line } = earlier;
        let what = format!("[{}]", section.name);
        let why =
            format!("joined with the section in line {line} of {file}, at the place of this one");
        self.leave(&section.at, &what, why);
    }

    fn global(&mut self, section: &Raw) {
        for (key, value, at) in &section.values {
            match (key.as_str(), value) {
                ("templates", Value::Plain(names)) => {
                    let names = names
                        .split([',', ' '])
                        .map(str::trim)
                        .filter(|it| !it.is_empty());
                    self.templates.extend(names.map(str::to_owned));
                }
                ("non_existent", _) => {
                    self.leave(at, key, "not needed: no name is looked up");
                }
                _ => self.leave(at, key, "[global_config] has no counterpart"),
            }
        }
    }

    /// Answers the sections, and all that is left over.
    pub(super) fn finish(mut self) -> (Vec<Section>, Vec<Left>) {
        let raw = std::mem::take(&mut self.raw);
        let inherited: BTreeSet<&str> = raw
            .iter()
            .flat_map(|it| it.inherits.iter().map(String::as_str))
            .collect();
        let mut sections: Vec<Section> = Vec::new();
        let mut copied = 0;
        for section in &raw {
            let Some(place) = self.place(section, &inherited) else {
                continue;
            };
            let mut made = Section {
                place,
                at: section.at.clone(),
                inherits: Vec::new(),
                values: BTreeMap::new(),
            };
            let known = self.inherited(section, &raw);
            match &made.place {
                // These can't inherit here, so they get the values themselves.
                Place::Default | Place::Platform(_) => {
                    for part in chain(&known, &raw) {
                        copied += part.values.len();
                        if copied <= COPIED_MAX {
                            self.values(part, &raw, &mut made);
                        }
                    }
                }
                Place::Template(_) | Place::Host(_) => {
                    made.inherits = known.iter().map(|it| it.name.clone()).collect();
                }
            }
            self.values(section, &raw, &mut made);
            // Names of hosts differ in the case of their letters at times, and are the same hosts.
            if let Some(n) = sections.iter().position(|it| it.place == made.place) {
                let earlier = sections.remove(n);
                self.joined(section, &earlier.at);
                made.inherits.splice(0..0, earlier.inherits);
                for (key, value) in earlier.values {
                    made.values.entry(key).or_insert(value);
                }
            }
            made.inherits.dedup();
            if made.inherits.len() > crate::limits::INHERITED_MAX {
                made.inherits.truncate(crate::limits::INHERITED_MAX);
                let what = format!("[{}]", section.name);
                let why = "it inherits too many templates; the last are left out";
                self.leave(&section.at, &what, why);
            }
            sections.push(made);
        }
        let lines = |left: &Left| (left.file.clone(), left.line);
        self.left.sort_by_key(lines);
        (sections, self.left)
    }

    fn place(&mut self, section: &Raw, inherited: &BTreeSet<&str>) -> Option<Place> {
        let what = format!("[{}]", section.name);
        match is_general(&section.name) {
            Some(Some(place)) => return Some(place),
            Some(None) => {
                self.leave(&section.at, &what, "no worker runs on that system");
                return None;
            }
            None => {}
        }
        let is_named = self.templates.contains(&section.name);
        if is_named || inherited.contains(section.name.as_str()) {
            if section.name.len() > crate::limits::NAME_BYTES_MAX {
                self.leave(&section.at, &what, "its name is too long");
                return None;
            }
            if !is_named {
                let why = "taken for a template, since others inherit it; if it is a host as well, add a [host.…] that inherits it";
                self.leave(&section.at, &what, why);
            }
            return Some(Place::Template(section.name.clone()));
        }
        match section.name.parse::<HostPattern>() {
            Ok(hosts) => Some(Place::Host(hosts)),
            Err(bad) => {
                self.leave(&section.at, &what, bad.to_string());
                None
            }
        }
    }

    /// Answers the sections that one inherits; only those before it count.
    fn inherited<'r>(&mut self, section: &Raw, raw: &'r [Raw]) -> Vec<&'r Raw> {
        let mut known: Vec<&Raw> = Vec::new();
        for name in &section.inherits {
            if is_general(name).is_some() {
                continue;
            }
            match before(section, raw).iter().find(|it| it.name == *name) {
                Some(found) => {
                    known.retain(|it| it.name != found.name);
                    known.push(found);
                }
                None => {
                    let why = format!(
                        "it inherits {}, which is not defined before it",
                        shown(name)
                    );
                    self.leave(&section.at, &format!("[{}]", section.name), why);
                }
            }
        }
        known
    }

    /// Adds the values of a section, as ours.
    fn values(&mut self, section: &Raw, raw: &[Raw], made: &mut Section) {
        for (key, value, at) in &section.values {
            match self.value(section, key, value, raw, made, at) {
                Ok(value) => _ = made.values.insert(key.clone(), value),
                Err(why) => self.leave(at, key, why),
            }
        }
    }

    fn value(
        &mut self,
        section: &Raw,
        key: &str,
        value: &Value,
        raw: &[Raw],
        made: &Section,
        at: &Origin,
    ) -> Result<String, String> {
        let known = Key::of_name(key);
        if let (None, Some(why)) = (known, why(key)) {
            return Err(why.to_owned());
        }
        if is_local_only(key) {
            return Err(own(key).to_owned());
        }
        let Some(known) = known else {
            let near = nearest_key(key).map(|near| format!("; did you mean {near}?"));
            return Err(format!(
                "it has no counterpart here{}",
                near.unwrap_or_default()
            ));
        };
        let text = match value {
            Value::Block(lines) if key == "worker_path_map" => {
                return self.path_map(known, lines, at);
            }
            Value::Block(_) => return Err("a value in braces can't be carried over".to_owned()),
            Value::Plain(text) => expanded(text, section, raw, &made.place)?,
        };
        if PAIRS.contains(&key) {
            return self.pairs(known, &text, at);
        }
        let candidates = if LISTS.contains(&key) {
            vec![value::list(&entries(&text))]
        } else {
            let number = text.parse::<i64>().ok().map(|number| number.to_string());
            let is_word = matches!(text.as_str(), "true" | "false").then(|| text.clone());
            let all = [number, is_word, Some(value::quoted(&text))];
            all.into_iter().flatten().collect()
        };
        let mut wanted = String::new();
        for candidate in candidates {
            match judge(known, &candidate) {
                Ok(()) => return Ok(candidate),
                // What is said of the value as it looks is the better reason.
                Err(why) if wanted.is_empty() => why.clone_into(&mut wanted),
                Err(_) => {}
            }
        }
        Err(format!("here it must be {wanted}"))
    }

    /// Takes the entries of a list that can be taken.
    fn pairs(&mut self, key: &Key, text: &str, at: &Origin) -> Result<String, String> {
        let mut taken: Vec<&str> = Vec::new();
        for entry in entries(text) {
            match judge(key, &value::list(&[entry])) {
                Ok(()) => taken.push(entry),
                Err(wanted) => {
                    let name = entry.split('=').next().unwrap_or_default();
                    let why = format!("{} is left out: here it must be {wanted}", shown(name));
                    self.leave(at, key.name, why);
                }
            }
        }
        let list = value::list(&taken);
        match judge(key, &list) {
            Ok(()) if !taken.is_empty() || entries(text).is_empty() => Ok(list),
            Ok(()) => Err("nothing of it can be taken".to_owned()),
            Err(wanted) => Err(format!("here it must be {wanted}")),
        }
    }

    /// Reads lines such as `"from" = "to"` or `"from" : "to",`.
    fn path_map(&mut self, key: &Key, lines: &[String], at: &Origin) -> Result<String, String> {
        let mut taken: Vec<String> = Vec::new();
        for text in lines {
            let pair = pair(text).map(|(from, to)| value::list(&[from, to]));
            let pair = pair.filter(|it| judge(key, &format!("[{it}]")).is_ok());
            match pair {
                Some(pair) => taken.push(pair),
                None => {
                    let why = format!(
                        "{} is left out: it is no pair of absolute paths",
                        shown(text)
                    );
                    self.leave(at, "worker_path_map", why);
                }
            }
        }
        let map = format!("[{}]", taken.join(", "));
        match judge(key, &map) {
            Ok(()) if !taken.is_empty() => {
                let why = "carried over for desktops; a service takes path_map of the launcher's policy on its host (docs/paths.md)";
                self.leave(at, "worker_path_map", why);
                Ok(map)
            }
            Ok(()) => Err("nothing of it can be taken".to_owned()),
            Err(wanted) => Err(format!("here it must be {wanted}")),
        }
    }
}

impl Raw {
    fn new(name: &str, at: Origin, inherits: Vec<String>) -> Self {
        Self {
            name: name.to_owned(),
            at,
            inherits,
            values: Vec::new(),
        }
    }

    /// Answers the value that holds of those that it has itself, if it is on one line.
    fn own(&self, key: &str) -> Option<&str> {
        match self.values.iter().rev().find(|(known, ..)| known == key) {
            Some((_, Value::Plain(text), _)) => Some(text),
            _ => None,
        }
    }
}

/// Answers what a section is for that isn't one of hosts or a template; an inner nothing for a system without workers.
fn is_general(name: &str) -> Option<Option<Place>> {
    match name {
        "default" => Some(Some(Place::Default)),
        "linux" => Some(Some(Place::Platform(Platform::Linux))),
        "winnt" => Some(Some(Place::Platform(Platform::Windows))),
        "osx" => Some(Some(Place::Platform(Platform::Macos))),
        "irix" => Some(None),
        _ => None,
    }
}

fn why(key: &str) -> Option<&'static str> {
    let is_it = |known: &str| match known.ends_with('_') {
        true => key.starts_with(known),
        false => key == known,
    };
    WHY.iter()
        .find(|(known, _)| is_it(known))
        .map(|(_, why)| *why)
}

/// Says why a key is not for the file of all workers.
fn own(key: &str) -> &'static str {
    match key {
        "proxy_account" | "proxy_execution_mode" => {
            "whom jobs become on a host only that host says: its launcher's policy, and its own worker.toml within that"
        }
        _ => "it is for one host: write it into that host's own worker.toml",
    }
}

fn before<'r>(section: &Raw, raw: &'r [Raw]) -> &'r [Raw] {
    let end = raw.iter().position(|it| it.name == section.name);
    &raw[..end.unwrap_or(raw.len())]
}

/// Answers sections and all that they inherit, the weakest first.
fn chain<'r>(sections: &[&'r Raw], raw: &'r [Raw]) -> Vec<&'r Raw> {
    fn walk<'r>(section: &'r Raw, raw: &'r [Raw], depth: usize, found: &mut Vec<&'r Raw>) {
        if depth == DEPTH_MAX || found.len() >= SECTIONS_MAX {
            return;
        }
        // Only what stands before can be inherited, so this ends.
        for name in &section.inherits {
            if let Some(inherited) = before(section, raw).iter().find(|it| it.name == *name) {
                walk(inherited, raw, depth + 1, found);
            }
        }
        found.push(section);
    }
    let mut found = Vec::new();
    for section in sections {
        walk(section, raw, 0, &mut found);
    }
    found
}

fn entries(text: &str) -> Vec<&str> {
    text.split(',')
        .map(str::trim)
        .filter(|it| !it.is_empty())
        .collect()
}

/// Reads one line of a path map.
fn pair(line: &str) -> Option<(String, String)> {
    let line = line.trim().trim_end_matches(',').trim_end();
    let (from, rest) = string(line)?;
    let rest = rest.trim_start();
    let rest = rest.strip_prefix(['=', ':'])?.trim_start();
    let (to, rest) = string(rest)?;
    rest.trim().is_empty().then_some((from, to))
}

/// Reads a text in double quotes, in which backslashes are doubled; answers it and what follows.
fn string(text: &str) -> Option<(String, &str)> {
    let inner = text.strip_prefix('"')?;
    let mut out = String::new();
    let mut letters = inner.char_indices();
    while let Some((at, c)) = letters.next() {
        match c {
            '"' => return Some((out, &inner[at + 1..])),
            '\\' => match letters.next()? {
                (_, c @ ('\\' | '"')) => out.push(c),
                (_, c) => out.extend(['\\', c]),
            },
            c => out.push(c),
        }
    }
    None
}

/// Bytes of a value after its macros.
const EXPANDED_MAX: usize = 4_096;

/// Puts in what the macros of a value stand for: `$_`, `${_}`, `$name.key`, `${name.key}`.
fn expanded(text: &str, section: &Raw, raw: &[Raw], place: &Place) -> Result<String, String> {
    let mut out = String::new();
    let mut rest = text;
    while let Some((before, macros)) = rest.split_once('$') {
        out += before;
        let (name, behind) = match macros.strip_prefix('{') {
            Some(inner) => inner.split_once('}').ok_or("a macro has no end")?,
            None => {
                let is_of_name = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '.');
                macros.split_at(macros.find(|c| !is_of_name(c)).unwrap_or(macros.len()))
            }
        };
        out += &meaning(name, section, raw, place)?;
        if out.len() > EXPANDED_MAX {
            return Err("its macros make it too long".to_owned());
        }
        rest = behind;
    }
    Ok(out + rest)
}

fn meaning(name: &str, section: &Raw, raw: &[Raw], place: &Place) -> Result<String, String> {
    if name == "_" {
        return match place {
            Place::Host(_) if !section.name.contains('[') => Ok(section.name.clone()),
            _ => Err("$_ stands for another name on each host: give each its own value".to_owned()),
        };
    }
    let unknown = || format!("the macro ${} is not known", shown(name));
    let (of, key) = name.split_once('.').ok_or_else(unknown)?;
    let value = before(section, raw)
        .iter()
        .find(|it| it.name == of)
        .and_then(|it| it.own(key));
    match value {
        Some(value) if !value.contains('$') => Ok(value.to_owned()),
        _ => Err(unknown()),
    }
}

/// Cuts a name to what fits into a line, without control characters.
fn shown(text: &str) -> String {
    let letters = text.chars().map(|c| if c.is_control() { '?' } else { c });
    let mut shown: String = letters.take(SHOWN_MAX).collect();
    if text.chars().nth(SHOWN_MAX).is_some() {
        shown.push('…');
    }
    shown
}
