use super::*;
use proptest::prelude::*;
use std::collections::HashSet;

fn frames(text: &str) -> Vec<i64> {
    let runs = parse(text).unwrap_or_else(|error| panic!("{error}"));
    runs.iter()
        .flat_map(|run| (0..run.count).map(|place| run.at(place)))
        .collect()
}

#[test]
fn every_form_of_the_syntax_is_read() {
    let cases: &[(&str, &[i64])] = &[
        ("1", &[1]),
        ("-100", &[-100]),
        ("1-5", &[1, 2, 3, 4, 5]),
        ("1-10x3", &[1, 4, 7, 10]),
        ("1-9x3", &[1, 4, 7]),
        ("5-1", &[5, 4, 3, 2, 1]),
        ("10-1x4", &[10, 6, 2]),
        ("2--2", &[2, 1, 0, -1, -2]),
        ("-3--1", &[-3, -2, -1]),
        ("-1--3", &[-1, -2, -3]),
        ("-2-2x2", &[-2, 0, 2]),
        ("7-7", &[7]),
        ("1-2x100", &[1]),
        (" 1 - 3 , 10 - 20 x 5,-4 ", &[1, 2, 3, 10, 15, 20, -4]),
        ("007", &[7]),
        ("-0", &[0]),
    ];
    for (text, expected) in cases {
        assert_eq!(frames(text), *expected, "{text:?}");
    }
    assert_eq!(frames("-100-100").len(), 201);
    assert_eq!(frames("100--10").len(), 111);
}

#[test]
fn singles_join_where_that_reads_naturally() {
    let printed = |text| print(&parse(text).expect("a range"));
    assert_eq!(printed("1,2,3"), "1-3");
    assert_eq!(printed("1,5"), "1,5");
    assert_eq!(printed("3,2"), "3-2");
    assert_eq!(printed("1,5,9,100"), "1-9x4,100");
    assert_eq!(printed("1-5,6,7,20"), "1-5,6-7,20");
    let many: Vec<String> = (0..10_000).map(|n| n.to_string()).collect();
    assert_eq!(printed(&many.join(",")), "0-9999");
}

#[test]
fn a_frame_named_twice_counts_where_it_was_first() {
    assert_eq!(print(&parse("1-10,5-15").expect("a range")), "1-10,11-15");
    assert_eq!(frames("1-10x3,1-10"), [1, 4, 7, 10, 2, 3, 5, 6, 8, 9]);
    assert_eq!(
        print(&parse("2,1-10x3,1-9x2").expect("a range")),
        "2,1-10x3,3-5x2,9"
    );
    assert_eq!(
        print(&parse("2-4,1-9x3,1-10,2-10x4").expect("a range")),
        "2-4,1,7,5-6,8-10"
    );
    assert_eq!(frames("5,5,5"), [5]);
    assert_eq!(frames("1,2,2,3"), [1, 2, 3]);
    assert_eq!(frames("10-1,1-12x2"), [10, 9, 8, 7, 6, 5, 4, 3, 2, 1, 11]);
}

#[test]
fn errors_name_the_place_and_a_way_out() {
    let cases = [
        ("", 0, RangeProblem::Missing),
        ("  ", 2, RangeProblem::Missing),
        ("1,", 2, RangeProblem::Missing),
        ("1,,2", 2, RangeProblem::NoNumber),
        ("1-1o", 3, RangeProblem::Trailing),
        ("1-", 2, RangeProblem::Missing),
        ("a", 0, RangeProblem::NoNumber),
        ("1 2", 2, RangeProblem::Trailing),
        ("1x2", 1, RangeProblem::Trailing),
        ("1-10x0", 5, RangeProblem::Step),
        ("1-10x-2", 5, RangeProblem::Step),
        ("1-10x", 5, RangeProblem::Step),
        ("1--", 3, RangeProblem::Missing),
        ("- 5", 1, RangeProblem::NoNumber),
        ("1–5", 1, RangeProblem::Trailing),
        ("1000000001", 0, RangeProblem::TooFar),
        ("5,-99999999999999999999999", 2, RangeProblem::TooFar),
        ("1-10000001", 0, RangeProblem::TooManyFrames),
        ("1-10000000,20000000", 11, RangeProblem::TooManyFrames),
        ("-1000000000-1000000000", 0, RangeProblem::TooManyFrames),
    ];
    for (text, offset, problem) in cases {
        let error = parse(text).expect_err(text);
        assert_eq!((error.offset, error.problem), (offset, problem), "{text:?}");
        assert!(!error.hint().is_empty());
    }
    let error = parse("1-1o").expect_err("no range");
    assert_eq!(
        error.to_string(),
        "range \"1-1o\", at character 4 ('o'): a comma or the end is expected"
    );
}

#[test]
fn what_is_too_much_is_refused_quickly() {
    let long = "1,".repeat(RANGE_BYTES_MAX);
    assert_eq!(
        parse(&long).map_err(|e| e.problem),
        Err(RangeProblem::TooLong)
    );
    let scattered: Vec<String> = (0..20_000_i64).map(|n| (n * n).to_string()).collect();
    assert_eq!(
        parse(&scattered.join(",")).map_err(|e| e.problem),
        Err(RangeProblem::TooManyRuns)
    );
    let shredded = "1-1000000x2,1-1000000x3,1-1000000x5,1-1000000";
    assert_eq!(
        parse(shredded).map_err(|e| e.problem),
        Err(RangeProblem::TooManyRuns)
    );
    let tangled: Vec<String> = (0..9_000)
        .map(|n| format!("{}-{}x9000", n, n + 9_000_000))
        .collect();
    assert!(parse(&tangled.join(",")).is_err());
}

#[test]
fn a_long_error_keeps_only_the_neighbourhood() {
    let text = format!("{}x,{}", "1,".repeat(500), "2,".repeat(500));
    let error = parse(&text).expect_err("no range");
    assert!(error.text.len() <= RangeError::TEXT_BYTES_MAX);
    assert_eq!(error.text.as_bytes()[error.offset], b'x');
}

fn any_run() -> impl Strategy<Value = FrameRun> {
    (-300_i64..300, -20_i64..20, 1_u32..30).prop_map(|(start, step, count)| {
        let step = if count == 1 || step == 0 { 1 } else { step };
        FrameRun { start, step, count }
    })
}

fn listed(run: &FrameRun) -> Vec<i64> {
    (0..run.count).map(|place| run.at(place)).collect()
}

proptest! {
    #[test]
    fn printed_ranges_read_back(runs in proptest::collection::vec(any_run(), 1..20)) {
        let text = print(&runs);
        let mut seen = HashSet::new();
        let expected: Vec<i64> = runs.iter().flat_map(listed).filter(|f| seen.insert(*f)).collect();
        prop_assert_eq!(frames(&text), expected);
        let once = parse(&text).expect("a range");
        prop_assert_eq!(parse(&print(&once)), Ok(once));
    }

    #[test]
    fn intersections_are_what_both_have(one in any_run(), other in any_run()) {
        let others: HashSet<i64> = listed(&other).into_iter().collect();
        let expected: Vec<i64> = listed(&one).into_iter().filter(|f| others.contains(f)).collect();
        let found = intersection(&one, &other).map_or_else(Vec::new, |run| listed(&run));
        prop_assert_eq!(found, expected);
    }

    #[test]
    fn any_text_is_read_or_refused(text in "[-0-9x, ]{0,40}", bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        for text in [text, String::from_utf8_lossy(&bytes).into_owned()] {
            if let Err(error) = parse(&text) {
                prop_assert!(error.offset <= error.text.len());
                prop_assert!(!error.to_string().is_empty());
            }
        }
    }
}
