//! What of the journal people are told of.

use crate::core::View;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use tessera_engine::supervisor::items::ItemCore;
use tessera_engine::supervisor::kind;
use tessera_model::state::ItemStatus;
use tessera_model::{Action, HostId, ItemIndex, JobId, JobMail, JobWebhooks, MailWhen, WorkStatus};
use tessera_store::JournalRow;

/// Characters of a name that are told; the rest is left out.
const NAME_CHARS: usize = 120;
/// Characters of a reason that are told.
const TEXT_CHARS: usize = 300;

/// What is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Kind {
    /// A job is complete.
    Done,
    /// A job failed.
    Failed,
    /// A job was killed.
    Killed,
    /// A job is held until somebody unblocks it.
    Blocked,
    /// Something of a job waits for what can't come any more.
    Stranded,
    /// A job waits for its user's identity to be put right.
    #[serde(rename = "badlogin")]
    BadLogin,
    /// An item of a job failed, and no retry is left.
    FrameFailed,
    /// A host was away for longer than `worker_lost_timeout`.
    HostLost,
    /// A host takes no work because something is wrong with it, or because the farm locked it for what fails there.
    HostPanic,
    /// Every slot is taken, and work waits.
    FarmFull,
    /// Nothing runs and nothing waits.
    FarmIdle,
    /// Something happened that can't be told any more. Told on every channel.
    Missed,
    /// Somebody tries a channel. Told when asked for.
    Test,
}

impl Kind {
    /// Those that a channel can be told of.
    pub(crate) const CHOICES: [Self; 11] = [
        Self::Done,
        Self::Failed,
        Self::Killed,
        Self::Blocked,
        Self::Stranded,
        Self::BadLogin,
        Self::FrameFailed,
        Self::HostLost,
        Self::HostPanic,
        Self::FarmFull,
        Self::FarmIdle,
    ];

    /// Answers its word.
    pub(crate) fn word(self) -> &'static str {
        match self {
            Self::Done => "done",
            Self::Failed => "failed",
            Self::Killed => "killed",
            Self::Blocked => "blocked",
            Self::Stranded => "stranded",
            Self::BadLogin => "badlogin",
            Self::FrameFailed => "frame_failed",
            Self::HostLost => "host_lost",
            Self::HostPanic => "host_panic",
            Self::FarmFull => "farm_full",
            Self::FarmIdle => "farm_idle",
            Self::Missed => "missed",
            Self::Test => "test",
        }
    }

    /// Says whether it is about a job, and so about somebody.
    pub(crate) fn is_of_a_job(self) -> bool {
        match self {
            Self::Done
            | Self::Failed
            | Self::Killed
            | Self::Blocked
            | Self::Stranded
            | Self::BadLogin
            | Self::FrameFailed => true,
            Self::HostLost
            | Self::HostPanic
            | Self::FarmFull
            | Self::FarmIdle
            | Self::Missed
            | Self::Test => false,
        }
    }

    /// Answers the word by which people ask for mail about it.
    pub(crate) fn mail_when(self) -> Option<MailWhen> {
        MailWhen::of_word(self.word()).filter(|_| self.is_of_a_job())
    }

    /// Answers what a line of the journal means, if people are told of such.
    pub(crate) fn of(row: &JournalRow) -> Option<Self> {
        match row.kind.as_str() {
            kind::JOB_STATUS => match row.text.as_str() {
                "complete" => Some(Self::Done),
                "failed" => Some(Self::Failed),
                "killed" => Some(Self::Killed),
                "blocked" => Some(Self::Blocked),
                "badlogin" => Some(Self::BadLogin),
                _ => None,
            },
            kind::ITEM_ENDED => {
                let core = row.cell.and_then(ItemCore::unpack)?;
                (core.status == ItemStatus::Failed).then_some(Self::FrameFailed)
            }
            kind::JOB_STRANDED => Some(Self::Stranded),
            kind::HOST_DOWN => Some(Self::HostLost),
            kind::HOST_PANIC | kind::HOST_WRANGLED => Some(Self::HostPanic),
            _ => None,
        }
    }
}

/// Answers who declared a job, or something of it, failed, when a line of the journal says that.
pub(crate) fn declared_failed(row: &JournalRow) -> Option<(u64, &str)> {
    let is_fail = row.text.strip_prefix(Action::Fail.word());
    let is_fail = row.kind == kind::JOB_ACTION && is_fail.is_some_and(|it| it.starts_with(' '));
    row.job.zip(row.actor.as_deref()).filter(|_| is_fail)
}

/// One thing that happened. Its texts are bounded and hold no control characters.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Fact {
    /// What.
    pub(crate) kind: Kind,
    /// When, in milliseconds since 1970.
    pub(crate) at_ms: i64,
    /// Whose.
    pub(crate) user: Option<String>,
    /// Of which job.
    pub(crate) job: Option<u64>,
    /// The name of the job.
    pub(crate) name: String,
    /// On which host.
    pub(crate) host: Option<String>,
    /// Which frame.
    pub(crate) frame: Option<String>,
    /// Why, in words.
    pub(crate) text: String,
    /// The address that its user chose for it.
    pub(crate) to: Option<String>,
}

impl Fact {
    /// Makes one about the farm.
    pub(crate) fn of_farm(kind: Kind, at_ms: i64, text: String) -> Self {
        Self {
            kind,
            at_ms,
            user: None,
            job: None,
            name: String::new(),
            host: None,
            frame: None,
            text,
            to: None,
        }
    }

    /// Makes one of a line of the journal.
    pub(crate) fn of(
        kind: Kind,
        row: &JournalRow,
        jobs: &BTreeMap<u64, KnownJob>,
        host_name: impl FnOnce(HostId) -> String,
    ) -> Self {
        let known = row.job.and_then(|id| jobs.get(&id));
        // The text of a change of state is the state's word: nothing that the kind doesn't say.
        let text = match kind {
            Kind::FrameFailed | Kind::Stranded | Kind::HostLost | Kind::HostPanic => {
                clean(&row.text, TEXT_CHARS)
            }
            Kind::Failed => known.map(|job| job.failure.clone()).unwrap_or_default(),
            Kind::Blocked => known.map(|job| job.blame.clone()).unwrap_or_default(),
            _ => String::new(),
        };
        Self {
            kind,
            at_ms: row.at_ms,
            user: known.map(|job| job.owner.clone()),
            job: row.job,
            name: known.map(|job| job.name.clone()).unwrap_or_default(),
            host: row.host.map(|id| clean(&host_name(HostId(id)), NAME_CHARS)),
            frame: row.item.map(|item| {
                let named = known.and_then(|job| job.frames.get(&item).cloned());
                named.unwrap_or_else(|| format!("#{item}"))
            }),
            text,
            to: None,
        }
    }
}

/// What is known of a job beside the journal.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct KnownJob {
    owner: String,
    name: String,
    frames: BTreeMap<u32, String>,
    /// Why it failed, where that is no matter of its frames.
    failure: String,
    /// Why the farm blocked it, where nobody did.
    blame: String,
    /// Whether something of it is held until somebody unblocks it.
    is_held: bool,
    /// The mail that it asks for.
    pub(crate) mail: Option<JobMail>,
    /// The webhooks that it asks for.
    webhooks: JobWebhooks,
}

impl KnownJob {
    /// Says whether people are told of something about it. Of one that only waits for others, and is shown blocked for that, there is
    /// nothing to do for anybody.
    pub(crate) fn is_worth(&self, kind: Kind) -> bool {
        kind != Kind::Blocked || self.is_held
    }

    /// Says whether it asks to be told of over a channel.
    pub(crate) fn asks_for(&self, channel: &str, kind: Kind) -> bool {
        let on = self
            .webhooks
            .iter()
            .find(|(name, _)| name.as_str() == channel);
        on.zip(kind.mail_when())
            .is_some_and(|((_, on), when)| on.contains(&when))
    }

    /// Names who declared it failed.
    pub(crate) fn declared_by(&mut self, who: &str) {
        self.failure = clean(&format!("{who} declared it failed"), TEXT_CHARS);
    }
}

/// Looks up the jobs and items that lines of the journal are about; jobs that are gone are left out.
pub(crate) fn known_jobs(view: &View<'_>, items: &[(u64, Option<u32>)]) -> BTreeMap<u64, KnownJob> {
    let mut known: BTreeMap<u64, KnownJob> = BTreeMap::new();
    for (id, item) in items {
        let Some(job) = view.engine.job(JobId(*id)) else {
            continue;
        };
        let entry = known.entry(*id).or_insert_with(|| KnownJob {
            owner: job.owner.to_string(),
            name: clean(&job.spec.name, NAME_CHARS),
            frames: BTreeMap::new(),
            failure: view
                .engine
                .why_failed(job)
                .map(|why| clean(&why, TEXT_CHARS))
                .unwrap_or_default(),
            blame: view
                .engine
                .why_blamed(job)
                .map(|why| clean(&format!("{why}; tessera why {id} says more"), TEXT_CHARS))
                .unwrap_or_default(),
            is_held: job.items().count(ItemStatus::Blocked) > 0
                || job.instances_in(WorkStatus::Blocked) > 0,
            mail: job.spec.mail.clone(),
            webhooks: job.spec.webhooks.clone(),
        });
        if let Some(item) = item {
            let name = clean(&job.spec.item_name(ItemIndex(*item)), NAME_CHARS);
            entry.frames.insert(*item, name);
        }
    }
    known
}

/// Cuts a text, and puts a mark for each character that would steer a terminal, a mail's headers or the order of reading.
pub(crate) fn clean(text: &str, most: usize) -> String {
    let harmless = |c: char| {
        let steers = c.is_control()
            || matches!(c, '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{feff}');
        if steers { '\u{fffd}' } else { c }
    };
    let mut cleaned: String = text.chars().take(most).map(harmless).collect();
    if text.chars().nth(most).is_some() {
        cleaned.push('…');
    }
    cleaned
}

#[cfg(test)]
mod tests {
    use super::*;
    use tessera_model::Attempt;

    fn row(kind: &str, text: &str) -> JournalRow {
        JournalRow {
            kind: kind.into(),
            text: text.into(),
            job: Some(7),
            ..JournalRow::default()
        }
    }

    #[test]
    fn people_can_ask_for_all_that_happens_to_jobs() {
        for kind in Kind::CHOICES {
            assert_eq!(kind.mail_when().is_some(), kind.is_of_a_job(), "{kind:?}");
        }
        assert_eq!(Kind::Missed.mail_when(), None);
    }

    #[test]
    fn lines_of_the_journal_mean_what_they_say() {
        let cases = [
            ("complete", Some(Kind::Done)),
            ("failed", Some(Kind::Failed)),
            ("killed", Some(Kind::Killed)),
            ("blocked", Some(Kind::Blocked)),
            ("badlogin", Some(Kind::BadLogin)),
            ("running", None),
            ("pending", None),
        ];
        for (word, expected) in cases {
            assert_eq!(Kind::of(&row(kind::JOB_STATUS, word)), expected, "{word}");
            assert_eq!(Kind::of(&row(kind::JOB_ACTION, word)), None, "{word}");
        }
        assert_eq!(Kind::of(&row(kind::HOST_DOWN, "x")), Some(Kind::HostLost));
        assert_eq!(Kind::of(&row(kind::HOST_AWAY, "x")), None);
        // What the farm locked is told once, and what people or calendars lock is not.
        let told = [kind::HOST_PANIC, kind::HOST_WRANGLED].map(|it| Kind::of(&row(it, "x")));
        assert_eq!(told, [Some(Kind::HostPanic); 2]);
        assert_eq!(Kind::of(&row(kind::HOST_LOCKED, "x")), None);
        let stranded = row(
            kind::JOB_STRANDED,
            "it waits for what can't come any more: job 3 (failed)",
        );
        assert_eq!(Kind::of(&stranded), Some(Kind::Stranded));
        let fact = Fact::of(Kind::Stranded, &stranded, &BTreeMap::new(), |_| {
            String::new()
        });
        assert_eq!(fact.text, stranded.text, "what it waits for is told");
    }

    #[test]
    fn what_only_waits_is_nobodys_to_act_on() {
        let waits = KnownJob::default();
        let held = KnownJob {
            is_held: true,
            ..KnownJob::default()
        };
        assert!(!waits.is_worth(Kind::Blocked) && held.is_worth(Kind::Blocked));
        assert!(waits.is_worth(Kind::Stranded) && waits.is_worth(Kind::Failed));
    }

    #[test]
    fn a_job_is_told_of_over_the_channels_that_it_names_and_of_what_it_says() {
        let on = [MailWhen::Failed].into();
        let job = KnownJob {
            webhooks: [("chat".parse().expect("a name"), on)].into(),
            ..KnownJob::default()
        };
        assert!(job.asks_for("chat", Kind::Failed));
        assert!(!job.asks_for("chat", Kind::Done) && !job.asks_for("wall", Kind::Failed));
        assert!(!job.asks_for("chat", Kind::HostLost));
    }

    #[test]
    fn who_declared_something_failed_is_read_off_the_journal() {
        let by = |text: &str| JournalRow {
            actor: Some("tom".into()),
            ..row(kind::JOB_ACTION, text)
        };
        let declared = by("fail 3 items of job 7: 3 items, 0 instances");
        assert_eq!(declared_failed(&declared), Some((7, "tom")));
        assert_eq!(
            declared_failed(&by("kill job 7: 3 items, 1 instances")),
            None
        );
        assert_eq!(declared_failed(&by("failed")), None);
        let nobody = row(kind::JOB_ACTION, "fail job 7: 1 items, 1 instances");
        assert_eq!(declared_failed(&nobody), None);
    }

    #[test]
    fn a_frame_failed_only_when_its_state_says_so() {
        for status in [
            ItemStatus::Pending,
            ItemStatus::Waiting,
            ItemStatus::Complete,
            ItemStatus::Failed,
        ] {
            let core = ItemCore {
                status,
                retries_used: 0,
                ooms: 0,
                growth: 0,
                attempt: Attempt(1),
            };
            let ended = JournalRow {
                cell: Some(core.pack()),
                ..row(kind::ITEM_ENDED, "exit 3")
            };
            let expected = (status == ItemStatus::Failed).then_some(Kind::FrameFailed);
            assert_eq!(Kind::of(&ended), expected, "{status}");
        }
        assert_eq!(Kind::of(&row(kind::ITEM_ENDED, "exit 3")), None);
    }

    #[test]
    fn what_steers_is_marked_and_what_is_long_is_cut() {
        assert_eq!(
            clean("a\r\nBcc: b\u{1b}[2J\u{202e}c", 99),
            "a\u{fffd}\u{fffd}Bcc: b\u{fffd}[2J\u{fffd}c"
        );
        assert_eq!(clean("äöü", 2), "äö…");
        assert_eq!(clean("äö", 2), "äö");
    }

    #[test]
    fn every_kind_is_read_as_it_is_written() {
        for kind in Kind::CHOICES {
            let text = format!("\"{}\"", kind.word());
            assert_eq!(serde_json::from_str::<Kind>(&text).ok(), Some(kind));
        }
    }
}
