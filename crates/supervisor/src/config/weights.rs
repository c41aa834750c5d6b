//! Which clusters share the farm by weight, as it is written: `supervisor_cluster_weights`.

use super::texts;
use std::collections::BTreeMap;
use tessera_engine::supervisor::ClusterWeights;
use tessera_engine::supervisor::weights::{CLUSTER_WEIGHT_MAX, CLUSTER_WEIGHTS_MAX};
use tessera_model::ClusterPath;
use toml::de::DeValue;

/// Characters of a faulty entry that are shown.
const SHOWN_CHARS: usize = 64;

/// Reads `["/showA=3", "/showB=1"]`, or the same in one text.
pub(super) fn read(value: &DeValue<'_>) -> Result<ClusterWeights, String> {
    let wants = || {
        "a list like [\"/showA=3\", \"/showB=1\", \"/=2\"]: clusters, each once, with a whole number (/ is all other jobs)".to_owned()
    };
    let texts = match value {
        DeValue::String(text) => vec![text.to_string()],
        other => texts(other).map_err(|_| wants())?,
    };
    let mut all: BTreeMap<ClusterPath, u32> = BTreeMap::new();
    let pairs = texts.iter().flat_map(|text| text.split(','));
    for pair in pairs.map(str::trim).filter(|pair| !pair.is_empty()) {
        let shown: String = pair.chars().take(SHOWN_CHARS).collect();
        let bad = |why: String| format!("{}; {shown:?}: {why}", wants());
        let (path, weight) = entry(pair).map_err(bad)?;
        if all.insert(path, weight).is_some() {
            return Err(bad("that cluster is named twice".to_owned()));
        }
        // The rest is there whether it is named or not.
        if all.keys().filter(|path| path.depth() > 0).count() > CLUSTER_WEIGHTS_MAX {
            return Err(format!("{}, at most {CLUSTER_WEIGHTS_MAX}", wants()));
        }
    }
    Ok(ClusterWeights::new(all))
}

fn entry(pair: &str) -> Result<(ClusterPath, u32), String> {
    let (path, weight) = pair
        .rsplit_once('=')
        .ok_or("no = between a cluster and its weight")?;
    let path = path.trim().parse::<ClusterPath>();
    let path = path.map_err(|fault| fault.to_string())?;
    let weight = weight.trim().parse().ok();
    let weight = weight.filter(|weight| (1..=CLUSTER_WEIGHT_MAX).contains(weight));
    let weight = weight
        .ok_or_else(|| format!("a weight is a whole number from 1 to {CLUSTER_WEIGHT_MAX}"))?;
    Ok((path, weight))
}

/// Prints them as they are read.
pub(super) fn shown(weights: &ClusterWeights) -> String {
    let all = weights
        .iter()
        .map(|(path, weight)| format!("{path}={weight}"));
    format!("{:?}", all.collect::<Vec<_>>())
}

#[cfg(test)]
mod tests {
    use super::super::Config;
    use super::*;

    #[test]
    fn weights_are_read_or_the_entry_is_named() {
        let read = |text: &str| {
            let config = Config::parse(&format!("supervisor_cluster_weights = {text}"));
            let config = config.map_err(|(_, problem)| problem.to_string());
            config.map(|config| shown(&config.engine.cluster_weights))
        };
        let list = "[\"/=1\", \"/showA=3\", \"/showB=1\"]".to_owned();
        for text in [
            "[\"/showA=3\", \" /showB = 1 \"]",
            "\"/showA=3,/showB/=1,\"",
            &list,
        ] {
            assert_eq!(read(text), Ok(list.clone()), "{text}");
        }
        assert_eq!(read("\"/=7\""), Ok("[\"/=7\"]".to_owned()));
        assert_eq!(read("[]"), Ok("[]".to_owned()));
        for (text, said) in [
            ("3", "must be a list like"),
            ("[3]", "must be a list like"),
            ("\"/a\"", "no = between"),
            ("\"a=3\"", "begins with /"),
            ("\"/a+=3\"", "not '+'"),
            ("\"/a=0\"", "a whole number from 1 to 1000"),
            ("\"/a=1001\"", "a whole number from 1 to 1000"),
            ("\"/a=1.5\"", "a whole number from 1 to 1000"),
            ("\"/a=1,/a/=2\"", "named twice"),
        ] {
            let error = read(text).expect_err(text);
            assert!(error.contains(said), "{error}");
        }
        let many: Vec<String> = (0..=CLUSTER_WEIGHTS_MAX)
            .map(|n| format!("/c{n}=1"))
            .collect();
        assert!(read(&format!("{many:?}")).is_err_and(|it| it.ends_with("at most 256")));
    }
}
