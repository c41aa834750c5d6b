//! Slots that hosts keep for GPUs which nobody has, and the judge of it. The judge adds up what is on a host when something was placed
//! there; of how the engine chooses hosts it knows nothing.

use crate::client::GPUS_MAX;
use crate::host::Host;
use crate::tally::Tally;
use std::collections::BTreeMap;
use tessera_engine::supervisor::{Effect, Engine, Output};
use tessera_model::gpu::{GPU_SLOTS, GPUS};
use tessera_model::{HostId, Taken};

/// Slots that each host keeps for a GPU, and what some say while their configuration is another.
const EACH: u32 = 1;
const EACH_CHANGED: u32 = 2;

/// Gives a host the slots that it keeps beside those that it has, so that all jobs without GPUs find room.
pub(crate) fn keep_some(host: &mut Host) {
    host.gpu_slots = EACH;
    host.slots += EACH * u32::try_from(GPUS_MAX).unwrap_or(0);
}

/// Answers how many a host says that it keeps for each.
pub(crate) fn said(host: &Host) -> u32 {
    match (host.gpu_slots, host.is_changed, host.id.0[0]) {
        (0, ..) => 0,
        (_, true, 1) => EACH_CHANGED,
        (_, true, _) => 0,
        (each, false, _) => each,
    }
}

/// The supervisor has handled an input.
///
/// # Errors
/// When something without a GPU was placed where too little is left beside it for the GPUs that nobody has.
pub(crate) fn handled(tally: &mut Tally, engine: &Engine, output: &Output) -> Result<(), String> {
    let mut placed: BTreeMap<HostId, Vec<&Taken>> = BTreeMap::new();
    for effect in &output.effects {
        if let Effect::Start { host, order, .. } = effect {
            placed.entry(*host).or_default().push(&order.taken);
        }
    }
    for (id, starts) in placed {
        let Some(host) = engine.host(id) else {
            return Err(format!("something is placed on {id}, which is not there"));
        };
        let each = host.facts.properties.get(GPU_SLOTS);
        let each: u64 = each.and_then(|it| it.parse().ok()).unwrap_or(0);
        let open = u64::from(host.open_slots());
        let (mut used, mut gpus) = (u64::from(host.used()), host.used_of(GPUS));
        // The last first, as each found the host.
        for taken in starts.into_iter().rev() {
            let own = taken.amounts.get(GPUS).copied().unwrap_or(0);
            let kept = (each * GPUS_MAX.saturating_sub(gpus)).min(open);
            if own == 0 && !taken.is_alone && kept > 0 {
                if used + kept > open {
                    let name = &host.facts.name;
                    return Err(format!(
                        "{name} keeps {kept} of {open} slots for GPUs, and with what was placed there {used} are in use"
                    ));
                }
                tally.add("seen: placed beside slots kept for GPUs");
            }
            used -= u64::from(taken.slots).min(used);
            gpus -= own.min(gpus);
            let kept = (each * GPUS_MAX.saturating_sub(gpus)).min(open);
            if own > 0 && used + u64::from(taken.slots) + kept > open {
                tally.add("seen: slots kept for GPUs go to who has some");
            }
        }
    }
    Ok(())
}
