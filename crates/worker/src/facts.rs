//! What the host is: properties, amounts, and who jobs run as there.

use std::collections::BTreeMap;

use tessera_model::credential::{CREDENTIAL_ALWAYS, CREDENTIAL_OPTIONAL};
use tessera_model::gpu::{GPU_DEVICES, GPU_MEMORY, GPU_MODEL, GPU_SLOTS, GPUS, Gpus};
use tessera_model::week::LOCK_SCHEDULE_PROPERTY;
use tessera_model::{HostFacts, Identity};

use crate::chain::Capabilities;
use crate::config::ProxyMode;
use crate::credential::{Need, need_of, ways_of};
use crate::desk::Desk;
use crate::diagnose::Findings;
use crate::options::{Settings, cores};
use crate::os;
use crate::zone;

/// What of a host does not change while the worker runs.
#[derive(Debug, Clone, Default)]
pub(crate) struct Hardware {
    properties: BTreeMap<String, String>,
    resources: BTreeMap<String, u64>,
}

impl Hardware {
    /// Looks at the host.
    pub(crate) fn look() -> Self {
        let mut found = Self::default();
        let machine = os::machine();
        let speed = hundreds(machine.processor_speed);
        for (name, value) in [
            ("os", std::env::consts::OS),
            ("architecture", std::env::consts::ARCH),
            ("kernel_version", &machine.kernel_version),
            ("processor_make", &machine.processor_make),
            ("processor_model", &machine.processor_model),
            ("processor_speed", &speed),
        ] {
            found.property(name, value);
        }
        for (name, amount) in [
            ("host.cpus", u64::from(cores())),
            ("host.memory", machine.memory),
            ("host.swap", machine.swap),
        ] {
            found.resources.insert(name.to_owned(), amount);
        }
        found
    }

    fn property(&mut self, name: &str, value: &str) {
        if !value.is_empty() {
            self.properties
                .insert(format!("host.{name}"), value.to_owned());
        }
    }
}

/// Rounds to whole hundreds: the clock moves all the time, and these are what a requirement can ask for.
fn hundreds(mhz: u64) -> String {
    if mhz == 0 {
        String::new()
    } else {
        ((mhz + 50) / 100 * 100).to_string()
    }
}

/// Puts together what the supervisor is told.
pub(crate) fn facts(
    settings: &Settings,
    hardware: &Hardware,
    findings: &Findings,
    desk: &Desk,
) -> HostFacts {
    let mut all = hardware.clone();
    all.property("name", &settings.name);
    let mode = if settings.desktop_user.is_some() {
        "desktop"
    } else {
        "service"
    };
    all.property("worker_mode", mode);
    all.property("proxy_mode", findings.identity.word());
    all.property("tessera_version", env!("CARGO_PKG_VERSION"));
    all.property("description", &settings.config.worker_description);
    all.property("groups", &settings.config.worker_groups.join(","));
    all.property("cluster", &settings.config.worker_cluster.to_string());
    let restrictions = settings.config.worker_restrictions.as_ref();
    let restrictions = restrictions.map_or_else(String::new, ToString::to_string);
    all.property("restrictions", &restrictions);
    let schedule = settings.config.worker_lock_schedule.as_ref();
    let schedule = schedule.map_or_else(String::new, ToString::to_string);
    if let Some(capabilities) = &findings.capabilities {
        identity_properties(&mut all, capabilities);
        if let Some(has) = has_network(capabilities, &findings.identity) {
            all.property("identity.netlogon", if has { "1" } else { "0" });
        }
    }
    gpu_facts(&mut all, settings.config.worker_gpus.or(&findings.gpus));
    all.properties
        .extend(settings.config.worker_properties.clone());
    // What locks the host, and keeps slots of it, are keys of their own.
    all.properties.remove(LOCK_SCHEDULE_PROPERTY);
    all.properties.remove(GPU_SLOTS);
    if settings.config.worker_gpu_slots > 0 {
        all.property("gpu_slots", &settings.config.worker_gpu_slots.to_string());
    }
    all.property("lock_schedule", &schedule);
    all.property("utc_offset", &zone::utc_offset());
    all.resources
        .extend(settings.config.worker_resources.clone());
    HostFacts {
        name: settings.name.clone(),
        slots: settings.slots(),
        properties: all.properties,
        resources: all.resources,
        identity: findings.identity.clone(),
        allows: desk.allows.clone(),
        presence: desk.presence.clone(),
        panic: findings.panic.clone(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
        settings: Some(settings.in_use.clone()),
    }
}

/// Says what the GPUs are; nothing of a host without any.
fn gpu_facts(all: &mut Hardware, gpus: &Gpus) {
    let count = gpus.all().len();
    if count == 0 {
        return;
    }
    let mut set = |name: &str, value: String| all.properties.insert(name.to_owned(), value);
    set(GPU_DEVICES, gpus.to_string());
    set(GPU_MODEL, gpus.models());
    if let Some(memory) = gpus.least_memory() {
        set(GPU_MEMORY, memory.to_string());
    }
    all.resources.insert(GPUS.to_owned(), count as u64);
}

fn identity_properties(all: &mut Hardware, it: &Capabilities) {
    all.property("identity.containment", &it.containment);
    all.property("identity.modes", &it.modes.join(","));
    all.property("identity.proxy_account", &it.proxy_account);
    all.property("identity.uid_min", &it.uid_min.to_string());
    all.property(
        "identity.no_new_privs",
        if it.no_new_privs { "1" } else { "0" },
    );
    all.property("identity.launcher_version", &it.version);
    all.property("identity.limits", &it.limits.join(","));
    all.property("identity.logons", &it.logons.join(" "));
}

/// Says whether who jobs run as here can be told to other machines by their logon, so that they have shares; nothing where that is no
/// question (Linux).
fn has_network(launcher: &Capabilities, identity: &Identity) -> Option<bool> {
    let ways = ways_of(launcher, mode_of(identity)?)?;
    Some(ways.iter().all(|it| matches!(*it, "password" | "gmsa")))
}

/// Answers the word for the mode of a service.
fn mode_of(identity: &Identity) -> Option<&'static str> {
    match identity {
        Identity::User => Some("user"),
        Identity::Proxy(_) => Some("proxy"),
        Identity::Desktop(_) => None,
    }
}

/// Answers what the supervisor is told of registered passwords: whether this host needs one to become whom jobs run as here, or
/// uses one where there is one.
pub(crate) fn credential_word(findings: &Findings) -> Option<&'static str> {
    let mode = mode_of(&findings.identity)?;
    match need_of(findings.capabilities.as_ref()?, mode) {
        Need::Always => Some(CREDENTIAL_ALWAYS),
        Need::Optional => Some(CREDENTIAL_OPTIONAL),
        Need::None => None,
    }
}

/// Answers as whom jobs run beside a launcher: its policy has the last word, the worker's configuration only narrows.
///
/// The error says why nobody can.
pub(crate) fn service_identity(
    launcher: &Capabilities,
    wanted: Option<ProxyMode>,
    proxy_account: Option<&str>,
) -> Result<Identity, String> {
    let allows = |mode: ProxyMode| launcher.modes.iter().any(|it| it == mode.word());
    let mode = wanted.unwrap_or(if allows(ProxyMode::User) {
        ProxyMode::User
    } else {
        ProxyMode::Proxy
    });
    if !allows(mode) {
        return Err(format!(
            "proxy_execution_mode = {} is not among the modes of the launcher's policy ({}); change one of them",
            mode.word(),
            launcher.modes.join(", ")
        ));
    }
    match mode {
        ProxyMode::User => Ok(Identity::User),
        ProxyMode::Proxy => proxy_identity(launcher, proxy_account),
    }
}

fn proxy_identity(launcher: &Capabilities, wanted: Option<&str>) -> Result<Identity, String> {
    let account = &launcher.proxy_account;
    match wanted {
        Some(wanted) if wanted != account => Err(format!(
            "proxy_account = {wanted} is not that of the launcher's policy ({account}); make them the same"
        )),
        _ if !launcher.proxy_problem.is_empty() => Err(format!(
            "the proxy account {account} can't be used: {}",
            launcher.proxy_problem
        )),
        _ => Ok(Identity::Proxy(account.clone())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn launcher(modes: &[&str], problem: &str) -> Capabilities {
        Capabilities {
            modes: modes.iter().map(|&it| it.to_owned()).collect(),
            proxy_account: "tessera-job".to_owned(),
            proxy_problem: problem.to_owned(),
            ..Capabilities::default()
        }
    }

    #[test]
    fn what_passwords_are_for_and_who_has_shares_is_said_of_the_mode_that_counts() {
        let (user, proxy) = (Identity::User, Identity::Proxy("tessera-job".to_owned()));
        let said = |logons: &[&str], identity: &Identity| {
            let findings = Findings {
                identity: identity.clone(),
                capabilities: Some(Capabilities {
                    logons: logons.iter().map(|&it| it.to_owned()).collect(),
                    ..launcher(&["proxy", "user"], "")
                }),
                ..Findings::default()
            };
            let launcher = findings.capabilities.as_ref().expect("there");
            (
                credential_word(&findings),
                has_network(launcher, &findings.identity),
            )
        };
        let mixed = ["proxy=dynamic", "user=password"];
        assert_eq!(said(&mixed, &user), (Some("1"), Some(true)));
        assert_eq!(said(&mixed, &proxy), (None, Some(false)));
        let both = ["proxy=gmsa", "user=password,s4u"];
        assert_eq!(said(&both, &user), (Some("optional"), Some(false)));
        assert_eq!(said(&both, &proxy), (None, Some(true)));
        assert_eq!(said(&["user=s4u"], &user), (None, Some(false)));
        let desktop = Identity::Desktop("mia".to_owned());
        assert_eq!(said(&mixed, &desktop), (None, None));
        assert_eq!(said(&[], &user), (None, None), "Linux");
    }

    #[test]
    fn configuration_narrows_what_the_launcher_allows() {
        let both = launcher(&["proxy", "user"], "");
        let proxy = Identity::Proxy("tessera-job".to_owned());
        let only_proxy = launcher(&["proxy"], "");
        let ask = service_identity;
        assert_eq!(ask(&both, None, None), Ok(Identity::User));
        assert_eq!(ask(&both, Some(ProxyMode::Proxy), None), Ok(proxy.clone()));
        assert_eq!(
            ask(&both, Some(ProxyMode::Proxy), Some("tessera-job")),
            Ok(proxy.clone())
        );
        assert_eq!(ask(&only_proxy, None, None), Ok(proxy));
        assert!(ask(&only_proxy, Some(ProxyMode::User), None).is_err());
        assert!(ask(&both, Some(ProxyMode::Proxy), Some("other")).is_err());
        assert!(ask(&launcher(&["proxy"], "no such account"), None, None).is_err());
        assert!(ask(&launcher(&[], ""), None, None).is_err());
    }

    #[test]
    fn the_host_is_described() {
        let found = Hardware::look();
        assert_eq!(found.properties["host.os"], std::env::consts::OS);
        assert!(found.resources["host.cpus"] > 0);
        assert!(found.resources["host.memory"] > 0);
        assert_eq!(
            (hundreds(2445), hundreds(0)),
            ("2400".to_owned(), String::new())
        );
    }
}
