use super::*;
use crate::submit::SubmissionDraft;
use proptest::prelude::*;

fn read(text: &str) -> Selector {
    text.parse()
        .unwrap_or_else(|error| panic!("{text}: {error}"))
}

fn job(range: Option<&str>, chunk: Option<i64>, partitions: Option<i64>) -> JobSpec {
    let draft = SubmissionDraft {
        command: vec!["true".into()],
        range: range.map(str::to_owned),
        cpus: Some(3),
        chunk,
        partitions,
        ..SubmissionDraft::default()
    };
    draft
        .validate()
        .unwrap_or_else(|errors| panic!("{errors:?}"))
        .spec
}

#[test]
fn each_form_is_read_and_printed() {
    for (text, printed) in [
        ("12345", "12345"),
        ("12345.0", "12345.0"),
        ("12345:5", "12345:5"),
        ("12345:1-10,15", "12345:1-10,15"),
        ("12345:-5", "12345:-5"),
        ("12345#3", "12345#3"),
        ("12345:#3", "12345#3"),
        ("12345#1-3,7", "12345#1-3,7"),
        (" 7 ", "7"),
    ] {
        assert_eq!(read(text).to_string(), printed);
        assert_eq!(read(&read(text).to_string()), read(text));
    }
    assert_eq!(read("12345.2").what, What::Instance(InstanceNo(2)));
}

#[test]
fn nonsense_is_refused_with_a_hint() {
    let bad = [
        "",
        "0",
        "-1",
        "abc",
        "12a",
        "12.",
        "12.x",
        "12.+1",
        "12.-1",
        "12:",
        "12#",
        "12#0",
        "12:#-1",
        "12:1-x",
        "99999999999999999999",
    ];
    for text in bad {
        let error = text.parse::<Selector>().expect_err(text);
        assert!(!error.hint().is_empty() && !error.to_string().is_empty());
    }
}

#[test]
fn frames_and_places_become_items() {
    let indices = |text: &str, spec: &JobSpec| {
        read(text)
            .what
            .items(spec)
            .map(|items| items.iter().map(|i| i.0).collect::<Vec<_>>())
    };
    let single = job(Some("1-20"), None, None);
    assert_eq!(indices("1:1-3,20", &single), Ok(vec![0, 1, 2, 19]));
    assert_eq!(indices("1:20,3-1", &single), Ok(vec![0, 1, 2, 19]));
    assert_eq!(indices("1#1,20", &single), Ok(vec![0, 19]));
    assert_eq!(indices("1:19-22", &single), Err(NotThere::Frame(21)));
    assert_eq!(
        indices("1#21", &single),
        Err(NotThere::Place {
            place: 21,
            items: 20
        })
    );
    assert_eq!(indices("1", &single), Ok(vec![]));
    let chunked = job(Some("1-9x2,20-29"), Some(3), None);
    assert_eq!(indices("1:1,3,5", &chunked), Ok(vec![0]));
    assert_eq!(indices("1:9-9,20", &chunked), Ok(vec![1]));
    assert_eq!(indices("1:2", &chunked), Err(NotThere::Frame(2)));
    let command = job(None, None, None);
    assert_eq!(indices("1:1", &command), Err(NotThere::NoFrames));
    assert_eq!(indices("1#3", &command), Ok(vec![2]));
}

proptest! {
    #[test]
    fn a_frame_selects_the_item_that_covers_it(
        split in prop_oneof![(1_i64..9).prop_map(|n| (Some(n), None)), (1_i64..9).prop_map(|n| (None, Some(n)))],
        start in -20_i64..20, step in 1_i64..4, count in 1_i64..40,
    ) {
        let range = format!("{start}-{}x{step},500-490", start + step * count);
        let spec = job(Some(&range), split.0, split.1);
        let JobKind::CmdRange(agenda) = &spec.kind else { panic!("no agenda") };
        for frame in agenda.runs().iter().flat_map(|run| (0..run.count).map(|n| run.at(n))) {
            let items = read(&format!("1:{frame}")).what.items(&spec);
            prop_assert_eq!(items, Ok(vec![agenda.item_of(frame).expect("covered")]));
        }
    }

    #[test]
    fn any_text_is_read_or_refused(text in "[0-9.:#x, -]{0,30}", bytes in proptest::collection::vec(any::<u8>(), 0..100)) {
        for text in [text, String::from_utf8_lossy(&bytes).into_owned()] {
            if let Ok(selector) = text.parse::<Selector>() {
                prop_assert_eq!(selector.to_string().parse(), Ok(selector));
            }
        }
    }
}
