//! Which ready jobs come before one on a host; for `why`.

use super::{AFTER_ALL, Demands, Host, InTurn, OUTSIDE, Place, Planner};
use tessera_model::JobId;

/// A job that comes before another one on a host.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ahead {
    /// Which.
    pub job: JobId,
    /// By how much it is nearer to the host's cluster.
    pub nearer: usize,
    /// The share that it is of, when it comes first, being as near, since that one has less for its weight.
    pub by_share: Option<usize>,
}

impl Planner {
    /// Answers the ready jobs that come before one of a class on a host, the first of them. Only those of classes that the host suits and
    /// `can` serve, and that `fits` lets there.
    #[must_use]
    pub fn before(
        &self,
        (class, place): (usize, Place),
        host: &Host,
        limit: usize,
        can: impl Fn(&Demands) -> bool,
        fits: impl Fn(JobId) -> bool,
    ) -> Vec<Ahead> {
        let turn = |class: usize, place: Place| {
            let class = &self.classes[class];
            self.turn_of(self.stand(class, host.traits(), place))
        };
        let own = turn(class, place);
        let mut ahead: Vec<(InTurn, usize)> = Vec::new();
        for number in self.active().chain(self.second.classes()) {
            let class = &self.classes[number];
            let first = class.ready.first().map(|first| turn(number, *first));
            let Some((distance, part, _)) = first.filter(|it| *it < own) else {
                continue;
            };
            if !host.suits(&class.demands) || !can(&class.demands) {
                continue;
            }
            let turns = class.ready.iter().map(|place| (distance, part, *place));
            let before = turns.take_while(|turn| *turn < own);
            let before = before.filter(|(.., (_, _, job))| fits(*job)).take(limit);
            ahead.extend(before.map(|turn| (turn, class.share)));
        }
        ahead.sort_unstable();
        // A job with items of either size stands in two classes.
        ahead.dedup();
        ahead.truncate(limit);
        let of = |((distance, part, (_, _, job)), share): (InTurn, usize)| Ahead {
            job,
            // Whatever is primary comes before what is secondary, however near.
            nearer: match own.0 {
                AFTER_ALL => 0,
                own => own - distance,
            },
            by_share: Some(share)
                .filter(|share| *share != OUTSIDE && distance == own.0 && part < own.1),
        };
        ahead.into_iter().map(of).collect()
    }
}
