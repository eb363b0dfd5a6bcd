//! The filter against the `regex` crate, pattern by pattern.

use filter::random::Random;
use filter::{Compiled, Explainer, Judgement, Plan, PriMask, Rules};
use regex::bytes::{Regex, RegexBuilder};

/// What rules mean, said in the simplest way.
struct Meaning {
    rules: Rules,
    keep: Vec<Regex>,
    drop: Vec<Regex>,
    pri: Regex,
}

impl Meaning {
    fn new(rules: Rules) -> Self {
        let regexes = |patterns: &[String]| {
            let regex = |pattern: &String| RegexBuilder::new(pattern).unicode(false).build().expect("valid");
            patterns.iter().map(regex).collect()
        };
        let (keep, drop) = (regexes(rules.keep()), regexes(rules.drop()));
        let pri = Regex::new(r"^<([0-9]{1,3})>").expect("valid");
        Self {
            rules,
            keep,
            drop,
            pri,
        }
    }

    fn judge(&self, payload: &[u8]) -> Judgement {
        let pri = self.pri.captures(payload);
        let pri = pri.and_then(|found| std::str::from_utf8(&found[1]).ok()?.parse().ok());
        if pri.is_some_and(|pri: u16| pri < 192 && self.rules.masked().holds(pri as u8)) {
            return Judgement::PriMasked;
        }
        let text = &payload[..payload.len().min(self.rules.text_octets())];
        let matches = |patterns: &[Regex]| patterns.iter().any(|pattern| pattern.is_match(text));
        if matches(&self.drop) || !self.keep.is_empty() && !matches(&self.keep) {
            Judgement::Filtered
        } else {
            Judgement::Passes
        }
    }
}

fn rules(keep: &[&str], drop: &[&str], text_octets: usize) -> Rules {
    let owned = |patterns: &[&str]| {
        patterns
            .iter()
            .map(|&pattern| pattern.to_owned())
            .collect::<Vec<_>>()
    };
    Rules::new(&owned(keep), &owned(drop), text_octets, PriMask::default()).expect("valid")
}

#[test]
fn random_rules_mean_what_the_regex_crate_says() {
    let (mut cases, mut by_table) = (0, 0);
    let mut outcomes = [0; 3];
    for seed in 0..160 {
        println!("seed {seed}");
        let mut random = Random::new(seed);
        let meaning = Meaning::new(random.rules());
        let compiled = Compiled::new(&meaning.rules);
        by_table += usize::from(matches!(compiled.plan(), Plan::Table(_)));
        let explainer = Explainer::new(compiled);
        for _ in 0..100 {
            let payload = random.payload(&meaning.rules, 300);
            let expected = meaning.judge(&payload);
            assert_eq!(
                explainer.compiled().judge(&payload),
                expected,
                "seed {seed}: {:?} on {:?}",
                meaning.rules,
                payload.escape_ascii().to_string()
            );
            let explained = explainer.explain(&payload);
            assert_eq!(explained.judgement, expected, "seed {seed}");
            assert_eq!(
                explained.drop.is_empty(),
                !meaning
                    .drop
                    .iter()
                    .any(|one| one.is_match(meaning.rules.text(&payload)))
            );
            outcomes[expected as usize] += 1;
            cases += 1;
        }
    }
    println!("{cases} cases, {by_table} of 160 by table, {outcomes:?}");
    assert!(
        by_table > 100 && outcomes.iter().all(|&count| count > cases / 20),
        "{by_table}, {outcomes:?}"
    );
}

/// Real messages, real patterns: each sample of the decoders under each of these rules, cut at every length.
#[test]
fn sample_messages_mean_what_the_regex_crate_says() {
    let samples =
        std::fs::read_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/../decode/tests/samples")).expect("samples");
    let lines: Vec<Vec<u8>> = samples
        .map(|entry| entry.expect("entry").path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "log"))
        .flat_map(|path| {
            let text = std::fs::read(path).expect("readable");
            text.split(|&octet| octet == b'\n')
                .map(<[u8]>::to_vec)
                .collect::<Vec<_>>()
        })
        .collect();
    assert!(lines.len() > 100, "{}", lines.len());
    for rules in [
        rules(&["RT_NAT|RT_FLOW_SESSION_(CREATE|CLOSE)", r"\bNAT\b"], &[], 256),
        rules(
            &[],
            &["(?i)alarm|link (up|down)", r"\d+\.\d+\.\d+\.\d+.*proto"],
            256,
        ),
        rules(&[r"^<\d+>1 "], &["DENY", "mapp$"], 128),
        rules(&["NAT4[46]:Session", "SADD|SDEL", "nat"], &["test"], 1024),
    ] {
        let meaning = Meaning::new(rules);
        let compiled = Compiled::new(&meaning.rules);
        assert!(matches!(compiled.plan(), Plan::Table(_)), "{:?}", compiled.plan());
        for line in &lines {
            for octets in (0..=line.len()).step_by(61).chain([line.len()]) {
                let payload = &line[..octets];
                assert_eq!(
                    compiled.judge(payload),
                    meaning.judge(payload),
                    "{}",
                    payload.escape_ascii()
                );
            }
        }
    }
}

/// `$`, `\z` and `\b` see the end of the text, which is that of the payload or of the octets that are looked at.
#[test]
fn the_end_of_the_text_is_where_looking_ends() {
    for (pattern, payload, matches) in [
        ("abc$", "abc", true),
        ("abc$", "abcdef", false),
        ("abcdefgh$", "abcdefghijk", true),
        ("abcdefgh$", "abcdefg", false),
        (r"abcdefgh\z", "abcdefghijk", true),
        (r"abcdefgh\b", "abcdefghijk", true),
        (r"abcdefgh\B", "abcdefghijk", false),
        ("abcdefghi", "abcdefghi", false),
        ("^$", "", true),
        ("^$", "a", false),
        ("", "", true),
        (r"^abc\n$", "abc\n", true),
        ("^abc$", "abc\n", false),
        ("(?m)^abc$", "abc\n", true),
    ] {
        let meaning = Meaning::new(rules(&[pattern], &[], 8));
        let expected = if matches {
            Judgement::Passes
        } else {
            Judgement::Filtered
        };
        assert_eq!(
            meaning.judge(payload.as_bytes()),
            expected,
            "{pattern} on {payload:?}: the crate"
        );
        let compiled = Compiled::new(&meaning.rules);
        assert_eq!(
            compiled.judge(payload.as_bytes()),
            expected,
            "{pattern} on {payload:?}"
        );
    }
}

#[test]
fn classes_are_of_octets_and_ascii() {
    let passes = |pattern: &str, payload: &[u8]| {
        Compiled::new(&rules(&[pattern], &[], 256)).judge(payload) == Judgement::Passes
    };
    assert!(passes("^.$", b"\xff") && !passes("^.$", "ü".as_bytes()) && passes("^..$", "ü".as_bytes()));
    assert!(!passes(r"^\w+$", "ü".as_bytes()) && passes(r"^(?u:\w+)$", "ü".as_bytes()));
    assert!(passes(r"\xfe\x00", b"..\xfe\x00.."));
}

/// What the kernel's table cannot hold keeps its meaning.
#[test]
fn patterns_that_are_too_large_are_judged_alike() {
    for pattern in [
        r"a.{20}b",
        r"(a|b).{14}(a|0)",
        r"(?u)\bab\b",
        "[a-z]{400}.{400}x|y.{500}z",
    ] {
        let meaning = Meaning::new(rules(&[pattern], &["A0A"], 256));
        let compiled = Compiled::new(&meaning.rules);
        assert!(
            matches!(compiled.plan(), Plan::UserSpace(_)),
            "{pattern}: {:?}",
            compiled.plan()
        );
        println!("{pattern}: {:?}", compiled.plan());
        let mut random = Random::new(7);
        for _ in 0..300 {
            let payload = random.payload(&meaning.rules, 300);
            if pattern.contains("(?u)") && !payload.is_ascii() {
                continue;
            }
            assert_eq!(
                compiled.judge(&payload),
                meaning.judge(&payload),
                "{pattern} on {}",
                payload.escape_ascii()
            );
        }
    }
}

#[test]
fn tables_are_the_smallest() {
    for (keep, drop, states) in [
        (&["abc"][..], &[][..], 2 + 3),
        (&["abc", "a.*b.*c|abc"], &[], 2 + 4),
        // Dropped, or never: what was kept does not matter any more.
        (&[], &["abc"], 2 + 3),
        (&["^abc"], &[], 2 + 3),
        // One state with nothing seen, one for each begin, the same with it kept.
        (&["k"], &["d"], 2 + 2),
        (&[""], &[], 2 + 1),
    ] {
        let Plan::Table(size) = *Compiled::new(&rules(keep, drop, 64)).plan() else {
            panic!("{keep:?}");
        };
        assert!(size.states <= states, "{keep:?} {drop:?}: {size:?}");
    }
}
