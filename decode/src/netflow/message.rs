//! Messages of NetFlow v9 (RFC 3954) and IPFIX (RFC 7011): header and sets, read by length.
//!
//! A header's count and a set's padding are what exporters get wrong most; neither is relied on. What is whole is read,
//! what is cut off is one error.

use crate::DecodeError;

const V9_HEADER_OCTETS: usize = 20;
const IPFIX_HEADER_OCTETS: usize = 16;
const SET_HEADER_OCTETS: usize = 4;

/// Which protocol a message is of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Version {
    V9,
    Ipfix,
}

impl Version {
    /// The number that a message begins with.
    pub const fn number(self) -> u16 {
        match self {
            Self::V9 => 9,
            Self::Ipfix => 10,
        }
    }
}

/// What a message says about itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header {
    pub version: Version,
    /// Time of the export, in s since 1970; 0 if the exporter has no clock.
    pub export_s: u32,
    /// v9: ms since the exporter began; wraps after 49.7 days.
    pub uptime_ms: Option<u32>,
    /// v9 counts messages, IPFIX data records.
    pub sequence: u32,
    /// v9's source id, IPFIX's observation domain.
    pub domain: u32,
}

/// A message whose header was read.
#[derive(Clone, Debug)]
pub(super) struct Message<'a> {
    pub header: Header,
    pub sets: Sets<'a>,
}

impl<'a> Message<'a> {
    /// # Errors
    /// [`DecodeError::Truncated`] if even the header is cut off, [`DecodeError::UnknownFormat`] if it is of another
    /// version, [`DecodeError::Malformed`] if an IPFIX message claims to be shorter than its header.
    pub(super) fn read(payload: &'a [u8]) -> Result<Self, DecodeError> {
        let (version, _) = payload.split_first_chunk().ok_or(DecodeError::Truncated)?;
        match u16::from_be_bytes(*version) {
            9 => Self::read_v9(payload),
            10 => Self::read_ipfix(payload),
            _ => Err(DecodeError::UnknownFormat),
        }
    }

    fn read_v9(payload: &'a [u8]) -> Result<Self, DecodeError> {
        let (header, body) = payload
            .split_first_chunk::<V9_HEADER_OCTETS>()
            .ok_or(DecodeError::Truncated)?;
        Ok(Self {
            header: Header {
                version: Version::V9,
                uptime_ms: Some(word(header, 4)),
                export_s: word(header, 8),
                sequence: word(header, 12),
                domain: word(header, 16),
            },
            sets: Sets {
                rest: body,
                is_cut: false,
            },
        })
    }

    fn read_ipfix(payload: &'a [u8]) -> Result<Self, DecodeError> {
        let (header, body) = payload
            .split_first_chunk::<IPFIX_HEADER_OCTETS>()
            .ok_or(DecodeError::Truncated)?;
        let length = usize::from(u16::from_be_bytes([header[2], header[3]]));
        let claimed = length
            .checked_sub(IPFIX_HEADER_OCTETS)
            .ok_or(DecodeError::Malformed)?;
        Ok(Self {
            header: Header {
                version: Version::Ipfix,
                uptime_ms: None,
                export_s: word(header, 4),
                sequence: word(header, 8),
                domain: word(header, 12),
            },
            sets: Sets {
                rest: &body[..claimed.min(body.len())],
                is_cut: claimed > body.len(),
            },
        })
    }
}

fn word<const N: usize>(header: &[u8; N], at: usize) -> u32 {
    u32::from_be_bytes([header[at], header[at + 1], header[at + 2], header[at + 3]])
}

/// A set (v9: flow set).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Set<'a> {
    pub id: u16,
    pub octets: &'a [u8],
    /// It claims more octets than there are.
    pub is_cut: bool,
}

/// The sets of a message; ends behind the first error, and at zeros up to the end.
#[derive(Clone, Debug)]
pub(super) struct Sets<'a> {
    rest: &'a [u8],
    /// The message claims more octets than there are, and no set has told so yet.
    is_cut: bool,
}

impl<'a> Iterator for Sets<'a> {
    type Item = Result<Set<'a>, DecodeError>;

    fn next(&mut self) -> Option<Self::Item> {
        let rest = std::mem::take(&mut self.rest);
        let Some((&[id_high, id_low, length_high, length_low], body)) =
            rest.split_first_chunk::<SET_HEADER_OCTETS>()
        else {
            let is_cut = std::mem::take(&mut self.is_cut) || rest.iter().any(|&octet| octet != 0);
            return is_cut.then_some(Err(DecodeError::Truncated));
        };
        let id = u16::from_be_bytes([id_high, id_low]);
        let length = usize::from(u16::from_be_bytes([length_high, length_low]));
        let Some(claimed) = length.checked_sub(SET_HEADER_OCTETS) else {
            let is_padding = rest.iter().all(|&octet| octet == 0);
            self.is_cut &= is_padding;
            return if is_padding {
                self.next()
            } else {
                Some(Err(DecodeError::Malformed))
            };
        };
        let is_cut = claimed > body.len();
        if is_cut {
            self.is_cut = false;
        } else {
            self.rest = &body[claimed..];
        }
        Some(Ok(Set {
            id,
            octets: &body[..claimed.min(body.len())],
            is_cut,
        }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ipfix(length: u16, body: &[u8]) -> Vec<u8> {
        let mut message = vec![0, 10];
        message.extend(length.to_be_bytes());
        message.extend([0; 12]);
        message.extend(body);
        message
    }

    fn sets(message: &[u8]) -> Vec<Result<(u16, usize, bool), DecodeError>> {
        let message = Message::read(message).unwrap();
        message
            .sets
            .map(|set| set.map(|set| (set.id, set.octets.len(), set.is_cut)))
            .collect()
    }

    #[test]
    fn lengths_are_taken_as_they_are() {
        let set = [1, 0, 0, 6, 7, 7];
        let two = [set, set].concat();
        assert_eq!(
            sets(&ipfix(28, &two)),
            [Ok((256, 2, false)), Ok((256, 2, false))],
            "no multiple of 4"
        );
        assert_eq!(
            sets(&ipfix(22, &two)),
            [Ok((256, 2, false))],
            "shorter than the datagram"
        );
        assert_eq!(
            sets(&ipfix(60, &two)),
            [
                Ok((256, 2, false)),
                Ok((256, 2, false)),
                Err(DecodeError::Truncated)
            ]
        );
        assert_eq!(
            sets(&ipfix(28, &two[..11])),
            [Ok((256, 2, false)), Ok((256, 1, true))],
            "the set that is cut tells it, once"
        );
        assert_eq!(
            sets(&ipfix(28, &two[..8])),
            [Ok((256, 2, false)), Err(DecodeError::Truncated)]
        );
    }

    #[test]
    fn zeros_up_to_the_end_are_padding_and_anything_else_is_not() {
        assert_eq!(sets(&ipfix(36, &[0; 20])), []);
        assert_eq!(sets(&ipfix(21, &[0, 0, 0, 0, 1])), [Err(DecodeError::Malformed)]);
        assert_eq!(sets(&ipfix(20, &[1, 0, 0, 3])), [Err(DecodeError::Malformed)]);
    }

    #[test]
    fn headers_that_are_none() {
        for (message, error) in [
            (&[][..], DecodeError::Truncated),
            (&[0], DecodeError::Truncated),
            (&[0, 9, 0, 0], DecodeError::Truncated),
            (&[0, 10, 0, 0], DecodeError::Truncated),
            (&[0, 11, 0, 0], DecodeError::UnknownFormat),
            (&ipfix(15, &[]), DecodeError::Malformed),
        ] {
            assert_eq!(Message::read(message).unwrap_err(), error, "{message:?}");
        }
    }
}
