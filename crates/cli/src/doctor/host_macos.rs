//! This host: who asks, the agent of the worker, the folder of the farm.

use super::{Finding, Place, state};
use crate::local::install::look_at_agent;
use crate::local::is_root;
use crate::run::Context;

/// Looks at this host.
pub(super) fn look(place: &Place, context: &Context) -> Vec<Finding> {
    let mut findings = vec![account()];
    if !is_root() {
        findings.push(agent(context));
    }
    findings.extend(state::look(&place.state));
    findings
}

fn account() -> Finding {
    if is_root() {
        return Finding::note("account", "root: a worker would refuse to start so")
            .mend("run it as the person whose desktop it is, without sudo");
    }
    Finding::good("account", "an ordinary user")
}

fn agent(context: &Context) -> Finding {
    let install = "tessera worker install --mode desktop";
    match look_at_agent(context) {
        Ok((false, _)) => Finding::note("log-in", "no worker starts when you log in").mend(install),
        Ok((true, true)) => Finding::good("log-in", "the worker starts when you log in, and runs"),
        Ok((true, false)) => Finding::bad("log-in", "the worker is installed, and does not run").mend(
            "tail ~/Library/Logs/tessera.worker.log; launchctl print gui/$(id -u)/tessera.worker",
        ),
        Err(error) => Finding::bad("log-in", error.message),
    }
}
