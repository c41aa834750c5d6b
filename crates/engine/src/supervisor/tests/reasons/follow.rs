//! Does what a hint says, as somebody would who copies the command from the screen.

use super::*;
use std::collections::BTreeSet;
use std::sync::Arc;
use tessera_model::reservation::PROCESSORS;
use tessera_model::{More, Requirement, Reservation};

impl World {
    /// Carries out the first command with that verb in a hint: as mia, or as an administrator where only one may.
    #[track_caller]
    pub(in super::super) fn follow(&mut self, hint: &str, verb: &str) {
        let start = format!("tessera {verb} ");
        let at = hint.find(&start).unwrap_or_else(|| panic!("{hint}"));
        let words = words(&hint[at + start.len()..]);
        let target = &words[0];
        let job = || JobId(target.parse().expect("a job"));
        match verb {
            "modify" => self.modify(job(), &words[1..]),
            "unlock" => self.lock(self.number_of(target), false),
            "host remove" => {
                let (by, host) = (person("root"), host(self.number_of(target)));
                let is_forced = false;
                let answer = self.step(Input::RemoveHost {
                    by,
                    host,
                    is_forced,
                });
                assert_eq!(answer, Some(Ok(Answer::Done)));
            }
            word => {
                let action = Action::ALL.into_iter().find(|it| it.word() == word);
                let action = action.expect("a verb");
                self.act_as("root", action, Target::Job(job()))
                    .expect("allowed");
            }
        }
    }

    fn number_of(&self, name: &str) -> u8 {
        let found = self.engine.hosts().find(|it| it.facts.name == name);
        found.expect("a host").id.0[0]
    }

    fn modify(&mut self, job: JobId, words: &[String]) {
        let mut patch = JobPatch::default();
        for option in words.chunks(2) {
            let [name, value] = option else { break };
            let set = || -> BTreeSet<String> {
                let names = value.split(',').filter(|it| !it.is_empty());
                names.map(str::to_owned).collect()
            };
            match name.as_str() {
                "--cluster" => patch.cluster = Some(value.parse().expect("clusters")),
                "--priority" => patch.priority = Some(value.parse().expect("a number")),
                "--cpus" => patch.cpus = Some(value.parse().expect("a number")),
                "--hosts" => patch.hosts = Some(set()),
                "--omithosts" => patch.omithosts = Some(set()),
                "--groups" => patch.groups = Some(set()),
                "--omitgroups" => patch.omitgroups = Some(set()),
                "--reservations" => patch.reservation = Some(reservation(value)),
                "--requirements" => {
                    let asks = Requirement::parse(value).expect("an expression");
                    patch.requirements = Some(Some(Arc::new(asks)));
                }
                _ => break,
            }
        }
        assert_ne!(patch, JobPatch::default(), "{words:?}");
        let (by, patch) = (person("mia"), Box::new(patch));
        let answer = self.step(Input::Modify { by, job, patch });
        assert_eq!(answer, Some(Ok(Answer::Done)));
    }
}

/// Takes a command apart as a shell does, up to what ends it in a sentence.
fn words(text: &str) -> Vec<String> {
    let text = text.split(';').next().unwrap_or_default();
    let bare = |word: &str| word.trim_matches(['"', '\'', ',']).to_owned();
    text.split(' ').map(bare).collect()
}

fn reservation(list: &str) -> Reservation {
    let mut made = Reservation::default();
    for entry in list.split(',') {
        let (name, amount) = entry.split_once('=').expect("NAME=AMOUNT");
        if name == PROCESSORS {
            let least = amount.strip_suffix('+');
            made.slots = least.unwrap_or(amount).parse().expect("a number");
            made.more = least.map_or(More::Nothing, |_| More::Free);
        } else {
            let amount = amount.parse().expect("a number");
            made.amounts.insert(name.to_owned(), amount);
        }
    }
    made
}
