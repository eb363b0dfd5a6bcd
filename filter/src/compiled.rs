//! Rules, ready for payloads.

use std::fmt;

use regex_automata::meta;
use wire::filter::{self, Filter, Judgement, PRIS};

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

    /// What the kernel can do of it, if that is anything.
    pub fn kernel(&self) -> Option<&Filter> {
        let has_table = matches!(self.plan, Plan::Table(_));
        (has_table || !self.filter.masked.is_empty()).then_some(&self.filter)
    }

    /// Where they run, for people; `has_xdp`: whether an XDP program has room for them.
    pub fn whereabouts(&self, has_xdp: bool) -> &'static str {
        match (&self.plan, has_xdp) {
            (_, false) => "in user space: no XDP program sees what comes to this listener",
            (Plan::UserSpace(_), true) if self.rules.masked().is_empty() => {
                "in user space: the patterns are too large for the kernel"
            }
            (Plan::UserSpace(_), true) => {
                "by PRI in the kernel, by patterns in user space: they are too large for the kernel"
            }
            (_, true) => "in the kernel, and in user space for what comes around it",
        }
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

/// `3 keep and 1 drop patterns on the first 256 octets (41 states of 22 classes), 96 of 192 PRIs masked out`.
impl fmt::Display for Compiled {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (keep, drop) = (self.rules.keep().len(), self.rules.drop().len());
        if keep + drop > 0 {
            let octets = self.rules.text_octets();
            write!(
                f,
                "{keep} keep and {drop} drop patterns on the first {octets} octets ("
            )?;
            match &self.plan {
                Plan::NoPatterns => {}
                Plan::Table(size) => write!(f, "{size}")?,
                Plan::UserSpace(why) => write!(f, "not in the kernel: {why}")?,
            }
            f.write_str("), ")?;
        }
        let masked = (0..PRIS).filter(|&pri| self.rules.masked().holds(pri)).count();
        write!(f, "{masked} of {PRIS} PRIs masked out")
    }
}

impl fmt::Display for Size {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} states of {} classes", self.states, self.classes)
    }
}

impl fmt::Display for TooLarge {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Table(size) => write!(f, "they need {size}, more than the kernel's table holds"),
            Self::Automaton => f.write_str("they need far more states than the kernel's table holds"),
            Self::Unsupported(reason) => write!(f, "no table can be made of them: {reason}"),
        }
    }
}
