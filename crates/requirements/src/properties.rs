//! What must hold of any expression, over any host.

use crate::fact::{Fact, Facts};
use crate::{Operand, Requirement, Truth};
use proptest::prelude::*;

/// Facts by a few bits, so that everything is missing, a number, a text and a list at times.
struct Bits(u64);

impl Facts for Bits {
    fn value(&self, operand: &Operand) -> Option<Fact<'_>> {
        let sum: u64 = operand.to_string().bytes().map(u64::from).sum();
        match (self.0 >> (sum % 16)) & 7 {
            0 | 1 => None,
            2 | 3 => Some(Fact::from(sum % 3)),
            4 | 5 => Some(Fact::from(["", "a", "1", "no"][(sum % 4) as usize])),
            6 => Some(Fact::list(["a", "1"])),
            _ => Some(Fact::list(Vec::<String>::new())),
        }
    }
}

fn operand() -> impl Strategy<Value = String> {
    prop_oneof![
        "host\\.[a-d](\\.(avail|used|total))?",
        Just("host.memory".to_owned()),
        Just("host.os".to_owned()),
        Just("host.duty.kind".to_owned()),
        "job\\.(id|kind|flag\\.elite)",
    ]
}

fn number() -> impl Strategy<Value = String> {
    "[0-9]{1,3}(\\.[0-9]{1,6})?"
}

fn text() -> impl Strategy<Value = String> {
    prop_oneof![
        "[a-z]{1,5}",
        "\"[ -!#-\\[\\]-~é]{0,6}\"",
        "'[a-z&|,]{0,4}'",
        Just("winnt".to_owned())
    ]
}

fn arithmetic() -> impl Strategy<Value = String> {
    let leaf = prop_oneof![4 => operand(), 1 => number()];
    leaf.prop_recursive(3, 12, 2, |inner| {
        let sign = "( (\\+|-|\\*|/|%|\\||&|<<|>>|min|max|add|mod) )";
        prop_oneof![
            (inner.clone(), sign, inner.clone()).prop_map(|(a, sign, b)| format!("{a}{sign}{b}")),
            inner.clone().prop_map(|it| format!("({it})")),
            inner.prop_map(|it| format!("- {it}")),
        ]
    })
}

fn expression() -> impl Strategy<Value = String> {
    let sign = "( (==|=|!=|<>|<|<=|>|>=|eq|ne|lt|le|gt|ge|in|has) )";
    let leaf = prop_oneof![
        (arithmetic(), sign, prop_oneof![arithmetic(), text()])
            .prop_map(|(a, sign, b)| format!("{a}{sign}{b}")),
        (
            operand(),
            prop::collection::vec(prop_oneof![text(), number()], 1..4)
        )
            .prop_map(|(a, list)| format!("{a} in {}", list.join(","))),
        operand(),
        (number(), "( ?(G|MB|tib))").prop_map(|(n, unit)| format!("host.memory >= {n}{unit}")),
    ];
    leaf.prop_recursive(4, 24, 3, |inner| {
        let word = "( (and|or|xor|&&|\\|\\||\\^) )";
        prop_oneof![
            (inner.clone(), word, inner.clone()).prop_map(|(a, word, b)| format!("{a}{word}{b}")),
            inner.clone().prop_map(|it| format!("({it})")),
            inner.clone().prop_map(|it| format!("not {it}")),
            inner.prop_map(|it| format!("!({it})")),
        ]
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1_000))]

    #[test]
    fn printed_expressions_read_back_and_mean_the_same(text in expression(), bits in any::<u64>()) {
        if let Ok(read) = Requirement::parse(&text) {
            let printed = read.to_string();
            let again = Requirement::parse(&printed);
            prop_assert_eq!(again.as_ref(), Ok(&read), "{} printed {}", text, printed);
            prop_assert_eq!(read.holds(&Bits(bits)), read.explain(&Bits(bits)).is_none());
            // A whole that is denied fails where it held and holds where it failed.
            let denied = Requirement::parse(&format!("not ({printed})"));
            if let Ok(denied) = denied {
                let opposite = match read.evaluate(&Bits(bits)) {
                    Truth::Holds => Truth::Fails,
                    Truth::Fails => Truth::Holds,
                    Truth::Unknown => Truth::Unknown,
                };
                prop_assert_eq!(denied.evaluate(&Bits(bits)), opposite);
            }
        }
    }

    #[test]
    fn any_text_is_read_or_pointed_at(text in "\\PC{0,40}") {
        if let Err(bad) = Requirement::parse(&text) {
            prop_assert_eq!(text.chars().nth(bad.place), bad.found);
            prop_assert_eq!(bad.pointed(&text).lines().count(), 2);
        }
    }

    #[test]
    fn a_host_that_says_more_loses_nothing_that_held(text in expression(), bits in any::<u64>()) {
        /// A host that says `0` where the other says nothing.
        struct More(Bits);
        impl Facts for More {
            fn value(&self, operand: &Operand) -> Option<Fact<'_>> {
                self.0.value(operand).or_else(|| Some(Fact::from(0_u64)))
            }
        }
        // What can be asked of what is missing is asked with "" or of lists, flags and jobs.
        let asks = ["\"\"", "''", "duty", "job.", "\" "].iter().any(|it| text.contains(it));
        if let (false, Ok(read)) = (asks, Requirement::parse(&text)) {
            match read.evaluate(&Bits(bits)) {
                Truth::Unknown => {}
                known => prop_assert_eq!(read.evaluate(&More(Bits(bits))), known),
            }
        }
    }
}
