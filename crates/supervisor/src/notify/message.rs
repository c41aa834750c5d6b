//! What receivers read: a sentence for people, a document for programs.
//!
//! The document is a promise: fields are added, never changed, unless `format` moves.

use super::cause::Kind;
use super::digest::{Subject, Summary};
use serde::{Deserialize, Serialize};

/// The format number of [`Document`].
const FORMAT: u32 = 1;
/// Characters of a sentence.
const SENTENCE_CHARS_MAX: usize = 4_000;

/// The farm as receivers know it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct FarmName {
    /// Its id.
    pub(crate) id: String,
    /// Its name.
    pub(crate) name: String,
}

/// A summary on its way, with the name by which receivers know it again.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Message {
    /// The same at every try, and no other message's.
    pub(crate) id: String,
    /// What it says.
    #[serde(flatten)]
    pub(crate) summary: Summary,
}

#[derive(Debug, Serialize)]
struct Document<'a> {
    format: u32,
    id: &'a str,
    farm: &'a FarmName,
    channel: &'a str,
    kind: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    user: Option<&'a str>,
    count: u64,
    first_ms: i64,
    last_ms: i64,
    text: String,
    about: &'a [Subject],
    others: u64,
}

impl Message {
    /// Prints it as JSON.
    pub(crate) fn json(&self, farm: &FarmName, channel: &str) -> Vec<u8> {
        let summary = &self.summary;
        let document = Document {
            format: FORMAT,
            id: &self.id,
            farm,
            channel,
            kind: summary.cause.kind.word(),
            user: summary.cause.user.as_deref(),
            count: summary.count,
            first_ms: summary.first_ms,
            last_ms: summary.last_ms,
            text: self.sentence(),
            about: &summary.about,
            others: summary.others,
        };
        serde_json::to_vec(&document).unwrap_or_default()
    }

    /// Says it in one line: what, then which.
    pub(crate) fn sentence(&self) -> String {
        let what = self.headline();
        let summary = &self.summary;
        let kind = summary.cause.kind;
        let named: Vec<String> = summary.about.iter().map(|it| named(kind, it)).collect();
        let named: Vec<String> = named.into_iter().filter(|it| !it.is_empty()).collect();
        let mut sentence = if named.is_empty() {
            what
        } else {
            format!("{what}: {}", named.join(", "))
        };
        if summary.others > 0 {
            sentence.push_str(&format!(" and {} more", summary.others));
        }
        super::cause::clean(&sentence, SENTENCE_CHARS_MAX)
    }

    /// Says it in lines: what, then which, one a line.
    pub(crate) fn lines(&self) -> Vec<String> {
        let summary = &self.summary;
        let line = |text: String| super::cause::clean(&text, SENTENCE_CHARS_MAX);
        let mut lines = vec![line(self.headline()), String::new()];
        for subject in &summary.about {
            lines.push(line(format!("  {}", named(summary.cause.kind, subject))));
        }
        if summary.others > 0 {
            lines.push(format!("  and {} more", summary.others));
        }
        lines
    }

    /// Says what happened, and how often.
    pub(crate) fn headline(&self) -> String {
        let summary = &self.summary;
        let of = summary.cause.user.as_ref();
        let of = of.map(|user| format!(" of {user}")).unwrap_or_default();
        let different = (summary.about.len() as u64).saturating_add(summary.others);
        let is_one = different == 1;
        let say = |one: &str, many: &str| {
            if is_one {
                one.replace('@', &of)
            } else {
                format!("{different} {}", many.replace('@', &of))
            }
        };
        match summary.cause.kind {
            Kind::Done => say("a job@ is done", "jobs@ are done"),
            Kind::Failed => say("a job@ failed", "jobs@ failed"),
            Kind::Killed => say("a job@ was killed", "jobs@ were killed"),
            Kind::Blocked => say("a job@ is blocked", "jobs@ are blocked"),
            Kind::Stranded => say(
                "a job@ waits in vain (tessera why says for what)",
                "jobs@ wait in vain (tessera why says for what)",
            ),
            Kind::BadLogin => say(
                "a job@ waits in badlogin (tessera why says for what)",
                "jobs@ wait in badlogin (tessera why says for what)",
            ),
            Kind::FrameFailed if summary.count == 1 => format!("a frame{of} failed"),
            Kind::FrameFailed => format!("{} frames{of} failed", summary.count),
            Kind::HostLost => say("a host was lost", "hosts were lost"),
            Kind::HostPanic => say("a host takes no work", "hosts take no work"),
            Kind::FarmFull => "the farm is full".to_owned(),
            Kind::FarmIdle => "the farm is idle".to_owned(),
            Kind::Missed => "some things that happened can't be told any more".to_owned(),
            Kind::Test => "this is a test".to_owned(),
        }
    }
}

/// Names a job, a host or a reason, with the first example.
fn named(kind: Kind, subject: &Subject) -> String {
    let mut parts = Vec::new();
    if let Some(job) = subject.job {
        parts.push(job.to_string());
        parts.push(subject.name.clone());
    } else if let Some(host) = &subject.host {
        parts.push(host.clone());
    } else {
        return subject.text.clone();
    }
    let mut example = Vec::new();
    if kind == Kind::FrameFailed {
        if subject.count > 1 {
            example.push(format!("{} frames, for instance", subject.count));
        }
        example.extend(subject.frame.as_ref().map(|frame| format!("frame {frame}")));
        example.extend(subject.host.as_ref().map(|host| format!("on {host}")));
    } else if subject.count > 1 {
        example.push(format!("{} times", subject.count));
    }
    let mut example = example.join(" ");
    if !subject.text.is_empty() {
        let colon = if example.is_empty() { "" } else { ": " };
        example = format!("{example}{colon}{}", subject.text);
    }
    if !example.is_empty() {
        parts.push(format!("({example})"));
    }
    parts.retain(|part| !part.is_empty());
    parts.join(" ")
}

#[cfg(test)]
mod tests {
    use super::super::cause::Fact;
    use super::super::digest::Cause;
    use super::*;

    fn message(facts: Vec<Fact>) -> Message {
        let cause = Cause {
            kind: facts[0].kind,
            user: facts[0].user.clone(),
            to: None,
        };
        let mut summary = Summary::new(cause, facts[0].at_ms);
        facts.into_iter().for_each(|fact| summary.add(fact));
        Message {
            id: "msg_1".into(),
            summary,
        }
    }

    fn of_job(kind: Kind, job: u64, name: &str) -> Fact {
        Fact {
            user: Some("mia".into()),
            job: Some(job),
            name: name.into(),
            ..Fact::of_farm(kind, 5, String::new())
        }
    }

    fn frame(number: u32) -> Fact {
        Fact {
            host: Some("rnd001".into()),
            frame: Some(number.to_string()),
            text: "exit 3".into(),
            ..of_job(Kind::FrameFailed, 7, "comp")
        }
    }

    fn lost(host: String) -> Fact {
        Fact {
            host: Some(host),
            ..Fact::of_farm(Kind::HostLost, 5, String::new())
        }
    }

    #[test]
    fn sentences_say_what_and_which() {
        let cases = [
            (
                vec![of_job(Kind::Failed, 7, "comp")],
                "a job of mia failed: 7 comp".to_owned(),
            ),
            (
                vec![of_job(Kind::Done, 7, "comp"), of_job(Kind::Done, 8, "")],
                "2 jobs of mia are done: 7 comp, 8".to_owned(),
            ),
            (
                vec![frame(1)],
                "a frame of mia failed: 7 comp (frame 1 on rnd001: exit 3)".to_owned(),
            ),
            (
                (1..=10_000).map(frame).collect(),
                "10000 frames of mia failed: 7 comp (10000 frames, for instance frame 1 on rnd001: exit 3)"
                    .to_owned(),
            ),
            (
                (0..12).map(|n| lost(format!("h{n}"))).collect(),
                "12 hosts were lost: h0, h1, h2, h3, h4, h5, h6, h7, h8, h9 and 2 more".to_owned(),
            ),
            (
                vec![Fact::of_farm(Kind::FarmFull, 5, "12 slots, 3 jobs wait".into())],
                "the farm is full: 12 slots, 3 jobs wait".to_owned(),
            ),
        ];
        for (facts, expected) in cases {
            assert_eq!(message(facts).sentence(), expected);
        }
    }

    #[test]
    fn the_document_is_what_was_promised() {
        let farm = FarmName {
            id: "f".into(),
            name: "north".into(),
        };
        let made = message(vec![frame(4)]).json(&farm, "chat");
        assert_eq!(
            String::from_utf8_lossy(&made),
            r#"{"format":1,"id":"msg_1","farm":{"id":"f","name":"north"},"channel":"chat","kind":"frame_failed","user":"mia","count":1,"first_ms":5,"last_ms":5,"text":"a frame of mia failed: 7 comp (frame 4 on rnd001: exit 3)","about":[{"job":7,"name":"comp","host":"rnd001","frame":"4","text":"exit 3","count":1}],"others":0}"#
        );
    }

    #[test]
    fn a_message_is_kept_as_it_is() {
        let kept = message(vec![of_job(Kind::Blocked, 3, "x")]);
        let text = serde_json::to_string(&kept).expect("JSON");
        assert_eq!(serde_json::from_str::<Message>(&text).ok(), Some(kept));
    }
}
