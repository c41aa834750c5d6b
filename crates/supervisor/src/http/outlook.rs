//! What can be told at submission about a job that no host would run: better then than when somebody wonders.

use super::App;
use tessera_engine::supervisor::{Engine, Host};
use tessera_model::{HostState, Identity, JobSpec, UserName};

/// The account that no host becomes.
const ROOT: &str = "root";

/// Answers what will keep a job from running as things stand: nothing when a host would take it, or when none is
/// connected that could tell. It asks the core, and so only for a job of which there is reason to doubt.
pub(super) async fn warnings(app: &App, owner: UserName, spec: &JobSpec) -> Vec<String> {
    if owner.as_str() != ROOT {
        return Vec::new();
    }
    let (hosts, omithosts) = (spec.hosts.clone(), spec.omithosts.clone());
    let found = app.core.read(move |view| {
        let is_meant = |host: &&Host| {
            let name = &host.facts.name;
            (hosts.is_empty() || hosts.contains(name)) && !omithosts.contains(name)
        };
        nobody_takes(view.engine, is_meant, owner.as_str()).then(|| said(&owner))
    });
    // Without an answer the submission itself will say what is wrong.
    found.await.ok().flatten().into_iter().collect()
}

fn said(owner: &UserName) -> String {
    format!(
        "it will wait: no connected host runs jobs as {owner}; submit as an ordinary user, or have a host in mode proxy"
    )
}

fn nobody_takes(engine: &Engine, is_meant: impl Fn(&&Host) -> bool, owner: &str) -> bool {
    let mut up = engine
        .hosts()
        .filter(|host| matches!(host.state, HostState::Up))
        .filter(is_meant)
        .peekable();
    up.peek().is_some() && up.all(|host| refuses(host, owner))
}

fn refuses(host: &Host, owner: &str) -> bool {
    let identity = &host.facts.identity;
    let account = identity.account_for(owner);
    let is_root = matches!(identity, Identity::User) && account == ROOT;
    is_root || !identity.admits(owner) || host.refusals().any(|(refused, _)| refused == account)
}
