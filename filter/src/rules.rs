//! What the configuration asks for, checked.

use wire::filter::{PriMask, TEXT_OCTETS_MAX};

use crate::engine;

/// Most patterns of a listener, `keep` and `drop` each.
pub const PATTERNS_MAX: usize = 64;
/// Longest pattern, in octets.
pub const PATTERN_OCTETS_MAX: usize = 1024;
/// Octets of the payload that are looked at if nothing is said.
pub const TEXT_OCTETS: usize = 256;

/// What one listener asks of payloads. All patterns are valid.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rules {
    keep: Vec<String>,
    drop: Vec<String>,
    text_octets: usize,
    masked: PriMask,
}

/// Why rules cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum RulesError {
    /// not a regular expression, or one that needs too much memory
    #[error("{key}: the pattern {pattern:?} cannot be used: {reason}")]
    Pattern {
        key: &'static str,
        pattern: String,
        reason: String,
    },
    /// together they need too much memory
    #[error("{key}: the patterns cannot be used together: {0}", .reason)]
    Together { key: &'static str, reason: String },
    /// more than [`PATTERNS_MAX`]
    #[error("{key} has {count} patterns, but at most {PATTERNS_MAX} are taken: join some with |")]
    TooMany { key: &'static str, count: usize },
    /// longer than [`PATTERN_OCTETS_MAX`]
    #[error("{key}: a pattern has {octets} octets, but at most {PATTERN_OCTETS_MAX} are taken")]
    TooLong { key: &'static str, octets: usize },
    /// not `1..=TEXT_OCTETS_MAX`
    #[error("filter_bytes must be from 1 to {TEXT_OCTETS_MAX}")]
    TextOctets,
}

impl Rules {
    /// A payload that matches a pattern of `drop` goes; with patterns in `keep`, one that matches none of them goes as well;
    /// and so does one whose PRI is in `masked`. `text_octets` of it are looked at.
    pub fn new(
        keep: &[String],
        drop: &[String],
        text_octets: usize,
        masked: PriMask,
    ) -> Result<Self, RulesError> {
        if !(1..=TEXT_OCTETS_MAX).contains(&text_octets) {
            return Err(RulesError::TextOctets);
        }
        check("keep", keep)?;
        check("drop", drop)?;
        Ok(Self {
            keep: keep.to_vec(),
            drop: drop.to_vec(),
            text_octets,
            masked,
        })
    }

    /// Whether everything passes.
    pub fn is_empty(&self) -> bool {
        !self.has_patterns() && self.masked.is_empty()
    }

    pub fn has_patterns(&self) -> bool {
        !self.keep.is_empty() || !self.drop.is_empty()
    }

    pub fn keep(&self) -> &[String] {
        &self.keep
    }

    pub fn drop(&self) -> &[String] {
        &self.drop
    }

    /// Octets of the payload that patterns are held against.
    pub fn text_octets(&self) -> usize {
        self.text_octets
    }

    pub fn masked(&self) -> PriMask {
        self.masked
    }

    /// What patterns are held against of `payload`.
    pub fn text<'a>(&self, payload: &'a [u8]) -> &'a [u8] {
        &payload[..payload.len().min(self.text_octets)]
    }
}

fn check(key: &'static str, patterns: &[String]) -> Result<(), RulesError> {
    if patterns.len() > PATTERNS_MAX {
        let count = patterns.len();
        return Err(RulesError::TooMany { key, count });
    }
    for pattern in patterns {
        if pattern.len() > PATTERN_OCTETS_MAX {
            let octets = pattern.len();
            return Err(RulesError::TooLong { key, octets });
        }
        engine(std::slice::from_ref(pattern)).map_err(|error| RulesError::Pattern {
            key,
            pattern: pattern.clone(),
            reason: reason(&*error),
        })?;
    }
    engine(patterns).map_err(|error| RulesError::Together {
        key,
        reason: reason(&*error),
    })?;
    Ok(())
}

/// What the parser says stands in a cause; it shows the place in the pattern over several lines, of which the last says what it is.
fn reason(error: &(dyn std::error::Error + 'static)) -> String {
    let mut innermost = error;
    while let Some(cause) = innermost.source() {
        innermost = cause;
    }
    let text = innermost.to_string();
    let last = text.lines().last().unwrap_or_default();
    last.trim_start_matches("error: ").to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_cannot_be_used_is_named_with_its_reason() {
        let new = |keep: &[String], text_octets| {
            let made = Rules::new(keep, &[], text_octets, PriMask::default());
            made.expect_err("not valid").to_string()
        };
        for (pattern, word) in [
            ("a(b", "unclosed group"),
            ("[z-a]", "invalid character class range"),
            (r"\q", "unrecognized escape"),
            ("(?:(?:(?:a{999}){999}){999})", "exceeded"),
        ] {
            let error = new(&[pattern.into()], 256);
            assert!(
                error.starts_with("keep: the pattern") && error.contains(word),
                "{error}"
            );
            assert_eq!(error.lines().count(), 1, "{error}");
        }
        assert!(new(&vec!["a".into(); 65], 256).contains("65 patterns"));
        assert!(new(&["a".repeat(1025)], 256).contains("1025 octets"));
        assert!(new(&[], 0).contains("filter_bytes") && new(&[], 1025).contains("filter_bytes"));
        let many = vec!["[a-z]{999}{30}".to_owned(); 20];
        assert!(new(&many, 256).contains("together"), "{}", new(&many, 256));
    }
}
