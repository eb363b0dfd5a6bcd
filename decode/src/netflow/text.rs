//! Texts of records, and texts made of numbers.

use std::fmt::Write;
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

/// Texts that events borrow; their memory is kept, and what is asked for again is not written again.
#[derive(Clone, Debug)]
pub(super) struct Texts {
    vrf: (u64, String),
    softwire: (u128, String),
}

impl Default for Texts {
    fn default() -> Self {
        // The longest number and the longest address: nothing is allocated later.
        let (mut vrf, mut softwire) = (String::with_capacity(20), String::with_capacity(39));
        vrf.push('0');
        softwire.push_str("::");
        Self {
            vrf: (0, vrf),
            softwire: (0, softwire),
        }
    }
}

impl Texts {
    /// Makes both texts.
    #[inline]
    pub(super) fn write(&mut self, vrf: u64, softwire: u128) {
        if self.vrf.0 != vrf {
            self.vrf.0 = vrf;
            self.vrf.1.clear();
            // A String takes everything.
            let _ = write!(self.vrf.1, "{vrf}");
        }
        if self.softwire.0 != softwire {
            self.softwire.0 = softwire;
            self.softwire.1.clear();
            let _ = write!(self.softwire.1, "{}", Ipv6Addr::from(softwire));
        }
    }

    /// The VRF's number in decimal.
    pub(super) fn vrf(&self) -> &str {
        &self.vrf.1
    }

    /// The softwire's address as RFC 5952 has it.
    pub(super) fn softwire(&self) -> &str {
        &self.softwire.1
    }
}
