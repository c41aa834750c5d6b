//! Reads `workers.toml`: which sections there are, and every mistake in them.

use crate::findings::Finding;
use crate::hosts::HostPattern;
use crate::keys::{is_local_only, judge, nearest_key};
use crate::limits::{FILE_BYTES_MAX, FINDINGS_MAX, INHERITED_MAX, NAME_BYTES_MAX, SECTIONS_MAX};
use crate::place::{Lines, Place};
use crate::worker::Key as Known;
use crate::{check, value};
use std::collections::BTreeMap;
use std::fmt;
use tessera_requirements::nearest;
use toml::Spanned;
use toml::de::{DeTable, DeValue};

/// The key of a section that names its templates.
pub(crate) const INHERITS: &str = "inherits";
/// What may stand at the top of the file.
const TOP: [&str; 6] = ["default", "linux", "windows", "macos", "template", "host"];

/// A kind of system.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Platform {
    /// Linux.
    Linux,
    /// Windows.
    Windows,
    /// macOS.
    Macos,
}

impl Platform {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Linux, Self::Windows, Self::Macos];

    /// Answers the word for it: what a host says of itself as `host.os`.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Linux => "linux",
            Self::Windows => "windows",
            Self::Macos => "macos",
        }
    }

    /// Reads its word.
    #[must_use]
    pub fn of_word(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|it| it.word() == word)
    }
}

/// What a section is for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Kind {
    /// `[default]`: every host.
    Default,
    /// `[linux]`, `[windows]`, `[macos]`: every host of that system.
    Platform(Platform),
    /// `[template.NAME]`: who inherits it.
    Template(String),
    /// `[host.NAME]`, `[host."NAME[1-9]"]`: these hosts.
    Host(HostPattern),
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Default => f.write_str("[default]"),
            Self::Platform(platform) => write!(f, "[{}]", platform.word()),
            Self::Template(name) => write!(f, "[template.{}]", value::key(name)),
            Self::Host(hosts) => write!(f, "[host.{}]", value::key(&hosts.to_string())),
        }
    }
}

/// A section.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Section {
    /// What it is for.
    pub kind: Kind,
    /// Where it begins.
    pub place: Place,
    /// The templates that it inherits, in order, and where they are named.
    pub inherits: Vec<(String, Place)>,
    /// Its own values.
    pub values: BTreeMap<String, Setting>,
}

/// A value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Setting {
    /// As TOML, on one line.
    pub value: String,
    /// Where its key stands.
    pub place: Place,
}

/// What `workers.toml` says.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Workers {
    /// The sections in the order of the file.
    pub(crate) sections: Vec<Section>,
    /// Where each template is among them.
    templates: BTreeMap<String, usize>,
}

impl Workers {
    /// Reads a file. It can be used if none of the findings is an error.
    #[must_use]
    pub fn read(text: &str) -> (Self, Vec<Finding>) {
        let lines = Lines::new(text);
        let mut reader = Reader {
            lines: &lines,
            findings: Vec::new(),
            sections: Vec::new(),
        };
        if text.len() > FILE_BYTES_MAX {
            let said = format!("the file is longer than {FILE_BYTES_MAX} bytes");
            return (Self::default(), vec![Finding::error(lines.place(0), said)]);
        }
        match DeTable::parse(text) {
            Ok(table) => reader.top(table.get_ref()),
            Err(bad) => {
                let at = bad.span().map_or(0, |span| span.start);
                let said = bad.message().trim().replace('\n', "; ");
                reader.findings.push(Finding::error(lines.place(at), said));
            }
        }
        let Reader {
            mut findings,
            mut sections,
            ..
        } = reader;
        sections.sort_by_key(|section| section.place);
        let name = |(n, section): (usize, &Section)| match &section.kind {
            Kind::Template(name) => Some((name.clone(), n)),
            Kind::Default | Kind::Platform(_) | Kind::Host(_) => None,
        };
        let templates = sections.iter().enumerate().filter_map(name).collect();
        let workers = Self {
            sections,
            templates,
        };
        let is_understood = findings.is_empty();
        findings.extend(check::whole(&workers, is_understood));
        findings.sort_by_key(|finding| (finding.place, !finding.is_error));
        findings.truncate(FINDINGS_MAX);
        (workers, findings)
    }

    /// Answers the sections in the order of the file.
    #[must_use]
    pub fn sections(&self) -> &[Section] {
        &self.sections
    }

    pub(crate) fn template(&self, name: &str) -> Option<&Section> {
        self.sections.get(*self.templates.get(name)?)
    }
}

struct Reader<'a> {
    lines: &'a Lines<'a>,
    findings: Vec<Finding>,
    sections: Vec<Section>,
}

type Key<'a> = Spanned<std::borrow::Cow<'a, str>>;

impl Reader<'_> {
    fn place(&self, key: &Key<'_>) -> Place {
        self.lines.place(key.span().start)
    }

    fn error(&mut self, place: Place, text: String, hint: &str) {
        self.findings.push(Finding::error(place, text).hint(hint));
    }

    fn top(&mut self, table: &DeTable<'_>) {
        for (key, value) in table {
            let (name, place) = (key.get_ref().as_ref(), self.place(key));
            let DeValue::Table(inner) = value.get_ref() else {
                self.stray(name, place);
                continue;
            };
            match name {
                "default" => self.section(Kind::Default, place, inner),
                "template" => self.each(inner, "template", |name| {
                    let is_name = |it: &str| (1..=NAME_BYTES_MAX).contains(&it.len());
                    let said = format!("the name of a template has 1 to {NAME_BYTES_MAX} bytes");
                    is_name(name)
                        .then(|| Kind::Template(name.to_owned()))
                        .ok_or(said)
                }),
                "host" => self.each(inner, "host", |name| {
                    name.parse()
                        .map(Kind::Host)
                        .map_err(|bad: crate::HostPatternError| bad.to_string())
                }),
                name => match Platform::of_word(name) {
                    Some(platform) => self.section(Kind::Platform(platform), place, inner),
                    None => self.unknown_section(name, place),
                },
            }
        }
    }

    /// Says of a value outside of all sections where it belongs.
    fn stray(&mut self, name: &str, place: Place) {
        if TOP.contains(&name) {
            let text = format!("{name} is a section, not a value");
            return self.error(
                place,
                text,
                "write [default], [linux], [template.NAME] or [host.NAME]",
            );
        }
        let text = format!("`{}` stands outside of all sections", name.escape_debug());
        self.error(
            place,
            text,
            "put it below [default] if it is for every host",
        );
    }

    fn unknown_section(&mut self, name: &str, place: Place) {
        let shown = name.escape_debug();
        let text = format!("there is no section [{shown}]");
        let hint = match nearest(name, TOP) {
            Some("host" | "template") | None => {
                format!(
                    "a host's is [host.{}], a template's [template.{}]",
                    value::key(name),
                    value::key(name)
                )
            }
            Some(near) => format!(
                "did you mean [{near}]? A host's is [host.{}]",
                value::key(name)
            ),
        };
        self.error(place, text, &hint);
    }

    /// Reads the sections below `[host]` or `[template]`.
    fn each(&mut self, table: &DeTable<'_>, of: &str, kind: impl Fn(&str) -> Result<Kind, String>) {
        for (key, value) in table {
            let (name, place) = (key.get_ref().as_ref(), self.place(key));
            let shown = name.escape_debug();
            let DeValue::Table(inner) = value.get_ref() else {
                let text = format!("`{shown}` stands in [{of}], which has sections only");
                self.error(
                    place,
                    text,
                    &format!("write [{of}.NAME], and the key below it"),
                );
                continue;
            };
            match kind(name) {
                Ok(kind) => self.section(kind, place, inner),
                Err(why) => {
                    let text = format!("[{of}.{shown}]: {why}");
                    let hint = match inner
                        .values()
                        .any(|it| matches!(it.get_ref(), DeValue::Table(_)))
                    {
                        true => format!("a name with a dot needs quotes: [{of}.\"{shown}.…\"]"),
                        false => format!("write [{of}.\"NAME\"]"),
                    };
                    self.error(place, text, &hint);
                }
            }
        }
    }

    fn section(&mut self, kind: Kind, place: Place, table: &DeTable<'_>) {
        if self.sections.len() == SECTIONS_MAX {
            let text = format!("more than {SECTIONS_MAX} sections");
            return self.error(
                place,
                text,
                "use ranges of hosts, such as [host.\"render[001-100]\"]",
            );
        }
        let mut section = Section {
            kind,
            place,
            inherits: Vec::new(),
            values: BTreeMap::new(),
        };
        for (key, value) in table {
            if key.get_ref() == INHERITS {
                section.inherits = self.inherited(&section.kind, self.place(key), value);
            } else if let Some(setting) = self.setting(&section.kind, key, value.get_ref()) {
                section.values.insert(key.get_ref().to_string(), setting);
            }
        }
        self.sections.push(section);
    }

    fn inherited(
        &mut self,
        kind: &Kind,
        place: Place,
        value: &Spanned<DeValue<'_>>,
    ) -> Vec<(String, Place)> {
        if matches!(kind, Kind::Default | Kind::Platform(_)) {
            self.error(
                place,
                format!("{kind} inherits nothing"),
                "hosts and templates do",
            );
            return Vec::new();
        }
        let one = |it: &Spanned<DeValue<'_>>| {
            let name = it.get_ref().as_str()?.to_owned();
            Some((name, self.lines.place(it.span().start)))
        };
        let names: Option<Vec<_>> = match value.get_ref() {
            DeValue::Array(entries) => entries.iter().map(one).collect(),
            _ => one(value).map(|it| vec![it]),
        };
        match names {
            Some(names) if names.len() <= INHERITED_MAX => names,
            _ => {
                let text = format!(
                    "`{INHERITS}` must be a list of at most {INHERITED_MAX} names of templates"
                );
                self.error(place, text, "write inherits = [\"gpu\", \"night\"]");
                Vec::new()
            }
        }
    }

    fn setting(&mut self, kind: &Kind, key: &Key<'_>, value: &DeValue<'_>) -> Option<Setting> {
        let (name, place) = (key.get_ref().as_ref(), self.place(key));
        let shown = name.escape_debug();
        if is_local_only(name) {
            let text = format!("`{shown}` can't be set from here");
            self.error(place, text, "only the host's own worker.toml sets it");
            return None;
        }
        let Some(known) = Known::of_name(name) else {
            let finding = Finding::error(place, format!("there is no key `{shown}` in {kind}"));
            let near = nearest_key(name).map(|near| format!("did you mean `{near}`?"));
            let is_name = matches!(value, DeValue::Table(_))
                && matches!(kind, Kind::Host(_) | Kind::Template(_));
            let dotted = is_name
                .then(|| "a name with a dot in it needs quotes: [host.\"rnd1.lan\"]".to_owned());
            self.findings.push(Finding {
                hint: dotted.or(near),
                ..finding
            });
            return None;
        };
        let Some(value) = value::print(value) else {
            let text = format!("`{name}` has a number in it that is none, or is too large");
            self.findings.push(Finding::error(place, text));
            return None;
        };
        match judge(known, &value) {
            Ok(()) => Some(Setting { value, place }),
            Err(wanted) => {
                self.findings
                    .push(Finding::error(place, format!("`{name}` must be {wanted}")));
                None
            }
        }
    }
}
