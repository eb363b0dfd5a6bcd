//! What a listener's `keep`, `drop`, `facilities` and `severity_max` mean for a payload.
//!
//! - [`rules`]: what the configuration asks for, checked;
//! - [`compiled`]: the same, ready for payloads; for the kernel as the table of [`wire::filter`] if the patterns fit into it;
//! - [`table`]: from an automaton of `regex-automata` to the smallest table with the same answers;
//! - [`explain`]: which patterns match, for people.
//!
//! The syntax is that of the `regex` crate over octets: `.` and classes are of octets, `\d`, `\w`, `\s` and `\b` of ASCII (`(?u)` makes
//! them Unicode's), and a pattern matches anywhere in the text unless it is anchored. The text is the first octets of the
//! payload; `$` and `\z` match at their end.

pub mod compiled;
pub mod explain;
#[cfg(feature = "random")]
pub mod random;
pub mod rules;
mod table;

pub use compiled::{Compiled, Plan, TooLarge};
pub use explain::{Explainer, Explanation};
pub use rules::{Rules, RulesError};
pub use table::Size;
pub use wire::filter::{Judgement, PRIS, PriMask, TEXT_OCTETS_MAX};

use regex_automata::MatchKind;
use regex_automata::meta;
use regex_automata::util::syntax;

/// How patterns are read.
fn syntax() -> syntax::Config {
    syntax::Config::new().unicode(false).utf8(false)
}

/// Most memory of the automaton of the `keep` or the `drop` patterns, in octets.
const NFA_BYTES_MAX: usize = 4 << 20;

/// An engine that takes all patterns, whatever their size.
fn engine(patterns: &[String]) -> Result<meta::Regex, Box<meta::BuildError>> {
    meta::Regex::builder()
        .syntax(syntax())
        .configure(
            meta::Config::new()
                .match_kind(MatchKind::All)
                .utf8_empty(false)
                .nfa_size_limit(Some(NFA_BYTES_MAX)),
        )
        .build_many(patterns)
        .map_err(Box::new)
}
