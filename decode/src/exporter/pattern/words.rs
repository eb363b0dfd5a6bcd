//! What the words of an operator's format mean.

use event::Action;

use crate::protocol;

/// Longest word, in octets.
pub const WORD_BYTES_MAX: usize = 48;

/// What a word in the group `event` says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EventWord {
    Mapping(Action),
    /// The line is known, and no mapping.
    Ignored,
}

impl std::str::FromStr for EventWord {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "created" => Ok(Self::Mapping(Action::Created)),
            "deleted" => Ok(Self::Mapping(Action::Deleted)),
            "updated" => Ok(Self::Mapping(Action::Updated)),
            "ignored" => Ok(Self::Ignored),
            _ => Err(format!(
                "{text:?} is no event: use created, deleted, updated or ignored"
            )),
        }
    }
}

/// The words that are known if nothing is said.
const CREATED: &str = "created create creates c new n add added adds a alloc allocated allocate allocates assign assigned open \
                       opened start started map mapped sessionbaseda sessionbasedad userbaseda";
const DELETED: &str = "deleted delete deletes d del destroy destroyed remove removed release released releases free freed f \
                       close closed end ended expire expired unmap unmapped forgot withdraw withdrawn w sessionbasedw \
                       sessionbasedwd userbasedw";
const UPDATED: &str = "updated update updates u interim active refresh refreshed";

/// The words of an exporter's patterns. Their case does not matter.
#[derive(Clone, Debug)]
pub struct Words {
    events: Table<EventWord>,
    protocols: Table<u8>,
}

impl Default for Words {
    fn default() -> Self {
        let mut words = Self {
            events: Table(Vec::new()),
            protocols: Table(Vec::new()),
        };
        for (list, action) in [
            (CREATED, Action::Created),
            (DELETED, Action::Deleted),
            (UPDATED, Action::Updated),
        ] {
            for word in list.split_ascii_whitespace() {
                words.events.set(word, EventWord::Mapping(action));
            }
        }
        words
    }
}

impl Words {
    /// Says what a word in the group `event` means, in place of what it meant.
    pub fn set_event(&mut self, word: &str, meaning: EventWord) {
        self.events.set(word, meaning);
    }

    /// Says which protocol a word in the group `protocol` means. Names and numbers of the IANA are known.
    pub fn set_protocol(&mut self, word: &str, number: u8) {
        self.protocols.set(word, number);
    }

    pub(super) fn event(&self, word: &[u8]) -> Option<EventWord> {
        self.events.get(word)
    }

    /// The number of a protocol.
    pub(super) fn protocol(&self, word: &[u8]) -> Option<u8> {
        self.protocols.get(word).or_else(|| protocol::number(word).ok())
    }
}

/// Values by words in lower case, in order.
#[derive(Clone, Debug)]
struct Table<T>(Vec<(Box<[u8]>, T)>);

impl<T: Copy> Table<T> {
    fn set(&mut self, word: &str, value: T) {
        let word: Box<[u8]> = word.to_ascii_lowercase().into_bytes().into();
        match self.0.binary_search_by(|(known, _)| known.cmp(&word)) {
            Ok(at) => self.0[at].1 = value,
            Err(at) => self.0.insert(at, (word, value)),
        }
    }

    fn get(&self, word: &[u8]) -> Option<T> {
        let mut buffer = [0; WORD_BYTES_MAX];
        let lower = buffer.get_mut(..word.len())?;
        lower.copy_from_slice(word);
        lower.make_ascii_lowercase();
        let at = self.0.binary_search_by(|(known, _)| (**known).cmp(lower)).ok()?;
        Some(self.0[at].1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_have_defaults_that_can_be_changed() {
        let mut words = Words::default();
        assert_eq!(
            words.event(b"Allocated"),
            Some(EventWord::Mapping(Action::Created))
        );
        assert_eq!(words.event(b"D"), Some(EventWord::Mapping(Action::Deleted)));
        assert_eq!(words.event(b"INTERIM"), Some(EventWord::Mapping(Action::Updated)));
        assert_eq!(words.event(b""), None);
        assert_eq!(words.event(&[b'a'; WORD_BYTES_MAX + 1]), None);
        words.set_event("d", "updated".parse().unwrap());
        words.set_event("Ende", "deleted".parse().unwrap());
        assert_eq!(words.event(b"D"), Some(EventWord::Mapping(Action::Updated)));
        assert_eq!(words.event(b"ende"), Some(EventWord::Mapping(Action::Deleted)));
        assert_eq!((words.protocol(b"udp"), words.protocol(b"T")), (Some(17), None));
        words.set_protocol("t", 6);
        assert_eq!((words.protocol(b"T"), words.protocol(b"47")), (Some(6), Some(47)));
        assert_eq!(words.protocol(b"256"), None);
        assert!("open".parse::<EventWord>().is_err());
    }

    #[test]
    fn no_word_means_two_things() {
        let all: Vec<_> = [CREATED, DELETED, UPDATED]
            .into_iter()
            .flat_map(str::split_ascii_whitespace)
            .collect();
        assert_eq!(Words::default().events.0.len(), all.len());
    }
}
