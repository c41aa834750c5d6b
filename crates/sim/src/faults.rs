//! What goes wrong in the world, and what people do in it.

use crate::world::{Bug, Event, World};
use tessera_engine::worker;
use tessera_model::msg::LaunchKey;

impl World {
    pub(crate) fn client_acts(&mut self) {
        let calm = self.is_calm();
        let mut client = std::mem::take(&mut self.client);
        let requests = client.act(
            &mut self.rng,
            self.supervisor.as_ref().map(|s| &s.engine),
            calm,
        );
        self.client = client;
        for request in requests {
            self.request(request);
        }
        self.flood();
        let delay = self.rng.between(50, if calm { 2_000 } else { 20_000 });
        self.at(delay, Event::Client);
    }

    pub(crate) fn fault(&mut self) -> Result<(), String> {
        if self.is_calm() {
            self.change_back();
            return Ok(());
        }
        let delay = self.rng.between(100, 40_000);
        self.at(delay, Event::Fault);
        let index = usize::try_from(self.rng.below(self.hosts.len() as u64)).unwrap_or(0);
        match self.rng.below(13) {
            0 | 1 => {
                self.tally.add("fault: connection cut");
                self.cut(index);
            }
            2 => {
                self.tally.add("fault: partition");
                let long = self.rng.between(1_000, 200_000);
                self.hosts[index].cut_until = self.now + long;
                self.cut(index);
            }
            3 => {
                self.tally.add("fault: worker crash");
                self.worker_down(index);
            }
            4 | 5 => self.shepherd_crash(index),
            6 => self.starter_lost(index),
            7 => self.power_cut(index),
            8 => {
                self.tally.add("fault: wall clock step");
                let step = i64::try_from(self.rng.below(7_200_000)).unwrap_or(0) - 3_600_000;
                self.wall_step += step;
            }
            9 => {
                self.tally.add("fault: launcher crash");
                let down = self.rng.between(100, 20_000);
                self.hosts[index].launcher_down_until = self.now + down;
            }
            10 => {
                self.tally.add("fault: spool full");
                let full = self.rng.between(100, 60_000);
                self.hosts[index].spool_full_until = self.now + full;
            }
            11 => {
                self.hosts[index].is_changed ^= true;
                self.says_again(index);
            }
            _ => {
                if self.supervisor.is_some() {
                    self.tally.add("crash: supervisor idle");
                    self.supervisor_down();
                }
            }
        }
        Ok(())
    }

    /// A host's worker says what it is now, if it is connected; else it does when it is.
    fn says_again(&mut self, host: usize) {
        self.hosts[host].changed_at = self.now;
        if let Some(session) = self.hosts[host].session {
            self.at(1, Event::HelloAgain { host, session });
        }
    }

    /// Gives all hosts what they had: every job must find one that suits it in the end.
    fn change_back(&mut self) {
        for host in 0..self.hosts.len() {
            if std::mem::take(&mut self.hosts[host].is_changed) {
                self.tally.add("a changed host is as before");
                self.says_again(host);
            }
        }
    }

    pub(crate) fn some_launch(&mut self, index: usize) -> Option<LaunchKey> {
        let keys: Vec<LaunchKey> = self.hosts[index].shepherds.keys().copied().collect();
        self.rng.pick(&keys).copied()
    }

    pub(crate) fn shepherd_crash(&mut self, index: usize) {
        let Some(key) = self.some_launch(index) else {
            return;
        };
        self.tally.add("fault: shepherd crash");
        if self.plan.bug == Some(Bug::LossIsProof) {
            // What ran goes on without a shepherd: nobody swept.
            self.checker
                .leave_running(index, key, self.hosts[index].shepherds.get(&key));
        }
        self.hosts[index].shepherds.remove(&key);
        self.tell(index, 1, worker::Input::ShepherdLost(key));
    }

    pub(crate) fn starter_lost(&mut self, index: usize) {
        let Some(key) = self.some_launch(index) else {
            return;
        };
        self.tally.add("fault: starter lost");
        if let Some(shepherd) = self.hosts[index].shepherds.get_mut(&key) {
            shepherd.has_lost_starter = true;
        }
        self.tell(index, 1, worker::Input::StarterLost(key));
    }

    pub(crate) fn power_cut(&mut self, index: usize) {
        self.tally.add("fault: power cut");
        self.hosts[index].shepherds.clear();
        self.worker_down(index);
    }
}
