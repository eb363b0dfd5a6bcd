//! Names for what a device calls its VRFs.

use std::collections::HashMap;

use event::Text;

/// Names to use instead of those that a device writes. Inside address space overlaps: routers that call two VRFs the
/// same, or one VRF differently, can be told apart or brought together.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct VrfNames {
    /// For events whose message names none.
    pub default: Option<Box<str>>,
    /// By what the device writes, as `natrail decode` shows it.
    pub names: HashMap<Box<str>, Box<str>>,
}

impl VrfNames {
    /// Whether they change nothing.
    pub fn is_empty(&self) -> bool {
        self.default.is_none() && self.names.is_empty()
    }

    /// The name to use for what a device wrote.
    pub fn of<'a>(&'a self, written: Option<Text<'a>>) -> Option<Text<'a>> {
        let Some(text) = written else {
            return self.default.as_deref().map(Text::plain);
        };
        if self.names.is_empty() {
            return written;
        }
        // Borrowed, but for a name with escapes in it.
        match self.names.get(&*text.to_str()) {
            Some(name) => Some(Text::plain(name)),
            None => written,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn written_names_are_replaced_and_absent_ones_filled_in() {
        let names = VrfNames {
            default: Some("global".into()),
            names: HashMap::from([("1".into(), "blue".into()), ("a\"b".into(), "quoted".into())]),
        };
        assert!(!names.is_empty() && VrfNames::default().is_empty());
        for (written, expected) in [
            (None, "global"),
            (Some(Text::plain("1")), "blue"),
            (Some(Text::plain("2")), "2"),
            (Some(Text::escaped("a\\\"b")), "quoted"),
        ] {
            assert_eq!(names.of(written).map(Text::to_str), Some(expected.into()));
        }
        assert_eq!(VrfNames::default().of(None), None);
    }
}
