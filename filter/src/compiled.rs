//! Rules, ready for payloads.

use std::fmt;

use regex_automata::meta;
use wire::filter::{self, Filter, Judgement};

use crate::table::{self, Size};
use crate::{Rules, engine};

/// Rules, ready for payloads.
#[derive(Debug)]
pub struct Compiled {
    rules: Rules,
    /// The PRI mask, and the patterns if they fit.
    filter: Box<Filter>,
    plan: Plan,
    /// Those that do not fit.
    engines: Option<Engines>,
}

/// Where patterns can run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Plan {
    /// There are none.
    NoPatterns,
    /// In the kernel and in user space, by the same table.
    Table(Size),
    /// In user space alone.
    UserSpace(TooLarge),
}

/// Why patterns do not fit into a table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TooLarge {
    /// The smallest table is larger than the kernel's.
    Table(Size),
    /// Making it would need too much memory.
    Automaton,
    /// They have what an automaton cannot have, such as Unicode's word boundaries.
    Unsupported(String),
}

#[derive(Debug)]
struct Engines {
    keep: Option<meta::Regex>,
    drop: meta::Regex,
}

impl Compiled {
    /// May take some hundred milliseconds and some MiB for large patterns.
    pub fn new(rules: &Rules) -> Self {
        let (mut filter, plan) = if rules.has_patterns() {
            match table::build(rules) {
                Ok((filter, size)) => (filter, Plan::Table(size)),
                Err(why) => (Box::new(Filter::passing()), Plan::UserSpace(why)),
            }
        } else {
            (Box::new(Filter::passing()), Plan::NoPatterns)
        };
        filter.masked = rules.masked();
        let engines = matches!(plan, Plan::UserSpace(_)).then(|| Engines::new(rules));
        Self {
            rules: rules.clone(),
            filter,
            plan,
            engines,
        }
    }

    pub fn rules(&self) -> &Rules {
        &self.rules
    }

    pub fn plan(&self) -> &Plan {
        &self.plan
    }

    /// What the kernel can do of it.
    pub fn kernel(&self) -> &Filter {
        &self.filter
    }

    /// What becomes of `payload`.
    pub fn judge(&self, payload: &[u8]) -> Judgement {
        let judgement = filter::judge(payload, 0, payload.len(), &*self.filter);
        match &self.engines {
            Some(engines) if judgement == Judgement::Passes => engines.judge(self.rules.text(payload)),
            _ => judgement,
        }
    }
}

impl Engines {
    fn new(rules: &Rules) -> Self {
        // Rules hold patterns that these engines took before.
        let engine = |patterns: &[String]| engine(patterns).expect("checked when the rules were made");
        Self {
            keep: (!rules.keep().is_empty()).then(|| engine(rules.keep())),
            drop: engine(rules.drop()),
        }
    }

    fn judge(&self, text: &[u8]) -> Judgement {
        let kept = self.keep.as_ref().is_none_or(|keep| keep.is_match(text));
        if kept && !self.drop.is_match(text) {
            Judgement::Passes
        } else {
            Judgement::Filtered
        }
    }
}

impl fmt::Display for TooLarge {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Table(Size { states, classes }) => write!(
                f,
                "the patterns need {states} states of {classes} classes, more than the kernel's table holds"
            ),
            Self::Automaton => f.write_str(
                "the patterns need more states than can be counted with a reasonable amount of memory",
            ),
            Self::Unsupported(reason) => write!(f, "no automaton can be made of the patterns: {reason}"),
        }
    }
}
