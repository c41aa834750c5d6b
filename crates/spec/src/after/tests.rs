use super::*;
use proptest::prelude::*;
use tessera_model::{FrameRun, Label};

fn printed(text: &str) -> String {
    parse(text)
        .unwrap_or_else(|bad| panic!("{text}: {bad}"))
        .to_string()
}

fn wrong(text: &str) -> (usize, AfterProblem) {
    let bad = parse(text).expect_err(text);
    (bad.place, bad.problem)
}

#[test]
fn what_people_write_prints_in_one_form() {
    for (text, form) in [
        ("12345", "12345"),
        (" 12345:frames ", "12345:frames"),
        ("12:complete", "12"),
        ("12.0:done", "12.0:done"),
        ("12:1-10", "12:1-10"),
        ("12:-5--1:failed", "12:-5--1:failed"),
        ("12:instances:killed", "12:instances:killed"),
        ("1,2,3", "1 && 2 && 3"),
        ("1 and 2 OR 3", "1 && 2 || 3"),
        ("1&&(2||3)", "1 && (2 || 3)"),
        ("(1 && 2) && ((3))", "1 && 2 && 3"),
        ("(1 || 2) || 3", "1 || 2 || 3"),
        ("render:frames || comp-2", "render:frames || comp-2"),
        ("link-complete-job-12", "12"),
        (
            "link-done-work-12,link-failed-subjob-7",
            "12:frames:done && 7:instances:failed",
        ),
        ("LINK-Killed-Job-render-a", "render-a:killed"),
        ("12:1-10:complete && 13", "12:1-10 && 13"),
    ] {
        assert_eq!(printed(text), form, "{text}");
        assert_eq!(printed(form), form);
    }
}

#[test]
fn what_is_wrong_is_told_with_its_place() {
    use AfterProblem as P;
    let frames = P::BadFrames(RangeProblem::NoNumber);
    for (text, place, problem) in [
        ("", 0, P::NoJob),
        ("0", 0, P::BadJob),
        ("12 &&", 5, P::NoJob),
        ("12 13", 3, P::NoSign),
        ("(12", 3, P::Unclosed),
        ("12)", 2, P::NoSign),
        ("12 && ä", 6, P::BadJob),
        ("12.x", 3, P::BadInstance),
        ("12:finished", 3, P::BadPart),
        ("12:", 3, P::BadPart),
        ("12:done:frames", 8, P::Surplus),
        ("12:frames:1-5", 10, P::BadPart),
        ("12:1-5,9", 6, P::CommaAfterFrames),
        ("12:1-x", 3, frames),
        ("link-complete-12", 0, P::BadLink),
        ("link-complete-frame-12", 0, P::BadLink),
        ("link-done-job-0", 14, P::BadJob),
        ("12, info-complete-job-12{}", 4, P::Info),
        ("99999999999999999999999", 0, P::BadJob),
    ] {
        assert_eq!(wrong(text), (place, problem), "{text}");
    }
    let bad = parse("12 && 13:finished").expect_err("no event");
    let said =
        "at character 10 (\"finished\"): neither frames nor complete, failed, killed or done";
    assert_eq!(bad.to_string(), said);
    assert!(bad.hint().contains("12345:frames"));
}

#[test]
fn everything_has_a_bound() {
    let many = vec!["1"; WAITFOR_MAX + 1].join(",");
    assert_eq!(wrong(&many).1, AfterProblem::TooMany);
    let most = vec!["1"; WAITFOR_MAX].join(",");
    assert_eq!(parse(&most).map(|it| it.leaves().len()), Ok(WAITFOR_MAX));
    let nested = |deep: usize| format!("{}1{}", "(".repeat(deep), ")".repeat(deep));
    assert!(parse(&nested(AFTER_DEPTH_MAX)).is_ok());
    assert_eq!(wrong(&nested(AFTER_DEPTH_MAX + 1)).1, AfterProblem::TooDeep);
    let long = " ".repeat(AFTER_BYTES_MAX + 1);
    assert_eq!(wrong(&long), (0, AfterProblem::TooLong));
}

fn some_term() -> impl Strategy<Value = Term> {
    let label = "[a-z][a-z0-9_-]{0,8}".prop_filter_map("no label", |it| it.parse::<Label>().ok());
    let whom = prop_oneof![
        (1..u64::MAX).prop_map(|id| Whom::Job(JobId(id))),
        label.prop_map(Whom::Label)
    ];
    let run =
        (-100i64..100, 1i64..5, 1u32..20, any::<bool>()).prop_map(|(start, step, count, down)| {
            let step = match (count, down) {
                (1, _) => 1,
                (_, true) => -step,
                (_, false) => step,
            };
            FrameRun { start, step, count }
        });
    let part = prop_oneof![
        Just(Part::Whole),
        any::<u32>().prop_map(|no| Part::Instance(InstanceNo(no))),
        run.prop_map(Part::Frames),
        Just(Part::EachFrame),
        Just(Part::EachInstance),
    ];
    let when = proptest::sample::select(When::ALL.to_vec());
    (whom, part, when).prop_map(|(whom, part, when)| Term { whom, part, when })
}

fn some_after() -> impl Strategy<Value = After> {
    some_term()
        .prop_map(Tree::One)
        .prop_recursive(5, 40, 4, |inner| {
            let parts = proptest::collection::vec(inner, 1..4);
            (parts, any::<bool>()).prop_map(|(parts, is_all)| {
                if is_all {
                    Tree::all(parts)
                } else {
                    Tree::any(parts)
                }
            })
        })
}

proptest! {
    #[test]
    fn what_is_printed_reads_back(after in some_after()) {
        prop_assert_eq!(parse(&after.to_string()), Ok(after));
    }

    #[test]
    fn no_text_is_too_much(text in "[0-9a-z:.,()&| -]{0,60}") {
        match parse(&text) {
            Ok(read) => prop_assert_eq!(parse(&read.to_string()), Ok(read)),
            Err(bad) => prop_assert!(bad.place <= text.chars().count()),
        }
    }
}
