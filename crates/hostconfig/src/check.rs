//! What only shows when all sections are looked at together: templates that aren't there, circles, what has no effect.

use crate::findings::Finding;
use crate::limits::{CHAIN_MAX, DEPTH_MAX};
use crate::read::{Kind, Platform, Section, Workers};
use std::collections::{BTreeMap, BTreeSet};
use tessera_model::limits::SETTINGS_BYTES_MAX;
use tessera_requirements::nearest;

/// Looks at all sections together. What has no effect is only told of a file without errors: what was not understood may have one.
pub(crate) fn whole(workers: &Workers, is_understood: bool) -> Vec<Finding> {
    let mut findings = templates(workers);
    findings.extend(too_much(workers));
    if is_understood && findings.iter().all(|it| !it.is_error) {
        findings.extend(unreachable(workers));
        findings.extend(default_without_effect(workers));
    }
    findings
}

/// Finds that a host could be set more than its worker reads: of each key the longest value counts.
fn too_much(workers: &Workers) -> Option<Finding> {
    let mut longest: BTreeMap<&str, usize> = BTreeMap::new();
    for (key, setting) in workers.sections.iter().flat_map(|it| &it.values) {
        let most = longest.entry(key).or_default();
        *most = setting.value.len().max(*most);
    }
    let bytes: usize = longest.iter().map(|(key, value)| key.len() + value).sum();
    let place = workers.sections.first().map(|it| it.place)?;
    (bytes > SETTINGS_BYTES_MAX).then(|| {
        let text = format!(
            "a host could be set {bytes} bytes; its worker reads at most {SETTINGS_BYTES_MAX}"
        );
        Finding::error(place, text).hint("shorten the longest values")
    })
}

fn templates(workers: &Workers) -> Vec<Finding> {
    let mut findings = Vec::new();
    let mut used: BTreeSet<&str> = BTreeSet::new();
    let names: BTreeSet<&str> = workers.sections.iter().filter_map(template_name).collect();
    for section in &workers.sections {
        for (name, place) in &section.inherits {
            used.insert(name);
            if names.contains(name.as_str()) {
                continue;
            }
            let finding = Finding::error(
                *place,
                format!("there is no [template.{}]", name.escape_debug()),
            );
            findings.push(
                match (name.as_str(), nearest(name, names.iter().copied())) {
                    ("default" | "linux" | "windows" | "macos", _) => {
                        finding.hint("every host has [default] and its platform's section already")
                    }
                    (_, Some(near)) => finding.hint(format!("did you mean {near:?}?")),
                    (_, None) => finding.hint("write the template, or leave it out here"),
                },
            );
        }
    }
    for section in &workers.sections {
        if let Err(why) = chain(workers, section) {
            findings.push(Finding::error(
                section.place,
                format!("{} {why}", section.kind),
            ));
        }
        if let Some(name) = template_name(section).filter(|name| !used.contains(name)) {
            let text = format!("nobody inherits [template.{}]", name.escape_debug());
            findings.push(Finding::warning(section.place, text));
        }
    }
    findings
}

fn template_name(section: &Section) -> Option<&str> {
    match &section.kind {
        Kind::Template(name) => Some(name),
        Kind::Default | Kind::Platform(_) | Kind::Host(_) => None,
    }
}

/// Answers the sections that one comes to, the weakest first, itself last.
///
/// # Errors
/// When its templates go round in a circle, or too deep.
pub(crate) fn chain<'a>(
    workers: &'a Workers,
    section: &'a Section,
) -> Result<Vec<&'a Section>, String> {
    let mut found = Vec::new();
    let mut path: Vec<&str> = template_name(section).into_iter().collect();
    walk(workers, section, &mut path, &mut found)?;
    Ok(found)
}

fn walk<'a>(
    workers: &'a Workers,
    section: &'a Section,
    path: &mut Vec<&'a str>,
    found: &mut Vec<&'a Section>,
) -> Result<(), String> {
    for (name, _) in &section.inherits {
        if path.contains(&name.as_str()) {
            let round: Vec<&str> = path.iter().copied().chain([name.as_str()]).collect();
            return Err(format!(
                "inherits in a circle: {}",
                round.join(" from ").escape_debug()
            ));
        }
        if path.len() == DEPTH_MAX {
            return Err(format!("inherits more than {DEPTH_MAX} templates in a row"));
        }
        if let Some(template) = workers.template(name) {
            path.push(name);
            walk(workers, template, path, found)?;
            path.pop();
        }
    }
    if found.len() == CHAIN_MAX {
        return Err(format!(
            "inherits more than {CHAIN_MAX} templates, those of its templates included"
        ));
    }
    found.push(section);
    Ok(())
}

/// Answers the keys that a section sets, its templates' included.
fn keys<'a>(workers: &'a Workers, section: &'a Section) -> BTreeSet<&'a str> {
    let chain = chain(workers, section).unwrap_or_default();
    chain
        .into_iter()
        .flat_map(|it| it.values.keys().map(String::as_str))
        .collect()
}

/// Finds sections of hosts that later ones override in everything.
fn unreachable(workers: &Workers) -> Vec<Finding> {
    let mut findings = Vec::new();
    let hosts = workers
        .sections
        .iter()
        .filter_map(|section| match &section.kind {
            Kind::Host(hosts) => Some((hosts, section, keys(workers, section))),
            Kind::Default | Kind::Platform(_) | Kind::Template(_) => None,
        });
    let hosts: Vec<_> = hosts.collect();
    for (n, (pattern, section, keys)) in hosts.iter().enumerate() {
        if keys.is_empty() {
            let text = format!("{} sets nothing", section.kind);
            findings.push(Finding::warning(section.place, text));
            continue;
        }
        let over = hosts[n + 1..]
            .iter()
            .find(|(later, _, theirs)| theirs.is_superset(keys) && later.covers(pattern));
        if let Some((_, later, _)) = over {
            let text = format!(
                "{} has no effect: {} in line {} sets all of it for all of its hosts",
                section.kind, later.kind, later.place.line
            );
            let hint = "later sections go before earlier ones: put the special ones last";
            findings.push(Finding::warning(section.place, text).hint(hint));
        }
    }
    findings
}

/// Finds values of `[default]` that every platform overrides.
fn default_without_effect(workers: &Workers) -> Vec<Finding> {
    let mut overridden: BTreeMap<&str, usize> = BTreeMap::new();
    for section in &workers.sections {
        if let Kind::Platform(_) = section.kind {
            for key in section.values.keys() {
                *overridden.entry(key).or_default() += 1;
            }
        }
    }
    let default = workers
        .sections
        .iter()
        .filter(|section| section.kind == Kind::Default);
    let values = default.flat_map(|section| &section.values);
    let dead = values.filter(|(key, _)| overridden.get(key.as_str()) == Some(&Platform::ALL.len()));
    dead.map(|(key, setting)| {
        let text = format!("`{key}` of [default] has no effect: all platforms set it");
        Finding::warning(setting.place, text)
    })
    .collect()
}
