//! Texts of records, and texts made of numbers.

use std::fmt::{Display, Write};
use std::net::Ipv6Addr;

use crate::DecodeError;

/// The text of a field, up to its first NUL; `None` if it is empty.
///
/// # Errors
/// [`DecodeError::NotUtf8`] (RFC 7011 section 6.1.6).
pub(super) fn of(octets: &[u8]) -> Result<Option<&str>, DecodeError> {
    let end = octets
        .iter()
        .position(|&octet| octet == 0)
        .unwrap_or(octets.len());
    let text = str::from_utf8(&octets[..end]).map_err(|_| DecodeError::NotUtf8)?;
    Ok((!text.is_empty()).then_some(text))
}

/// VRFs whose texts are kept: those whose numbers differ in the last four bits do not displace each other.
const VRFS: usize = 16;

/// Texts that events borrow; their memory is kept, and what is asked for again is not written again.
#[derive(Clone, Debug)]
pub(super) struct Texts {
    vrfs: [(u64, String); VRFS],
    softwire: (u128, String),
}

impl Default for Texts {
    fn default() -> Self {
        // The longest number and the longest address: nothing is allocated later.
        let vrf = |number: usize| {
            let mut text = String::with_capacity(20);
            let _ = write!(text, "{number}");
            (number as u64, text)
        };
        let mut softwire = String::with_capacity(39);
        softwire.push_str("::");
        Self {
            vrfs: std::array::from_fn(vrf),
            softwire: (0, softwire),
        }
    }
}

impl Texts {
    /// The VRF's number in decimal, and the softwire's address as RFC 5952 has it.
    #[inline]
    pub(super) fn of(&mut self, vrf: u64, softwire: u128) -> (&str, &str) {
        let kept = &mut self.vrfs[vrf as usize % VRFS];
        if kept.0 != vrf {
            rewrite(&mut kept.1, vrf);
            kept.0 = vrf;
        }
        if self.softwire.0 != softwire {
            rewrite(&mut self.softwire.1, Ipv6Addr::from(softwire));
            self.softwire.0 = softwire;
        }
        (&kept.1, &self.softwire.1)
    }
}

#[cold]
fn rewrite(text: &mut String, value: impl Display) {
    text.clear();
    // A String takes everything.
    let _ = write!(text, "{value}");
}
