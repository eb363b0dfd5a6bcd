//! One exporter's messages, read as its configuration says.
//!
//! - [`pattern`]: formats that the operator defines;
//! - [`vrf`]: names for what the device calls its VRFs;
//! - [`crate::zone`]: the zone of its clock; [`Dialects`]: what its vendor's grammar leaves open.

pub mod pattern;
pub mod vrf;

use event::Event;

use crate::said::Said;
pub use crate::said::{Dialects, Unit};
use crate::syslog::{self, decode_stripped};
use crate::zone::Zone;
use crate::{DecodeError, Outcome, Profile, netflow};
use pattern::Pattern;
use vrf::VrfNames;

/// Most patterns of one exporter: each line may be tried against all of them.
pub const PATTERNS_MAX: usize = 16;

/// What is known of an exporter.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The format of what no pattern claims; `None`: that is of no known format.
    pub profile: Option<Profile>,
    /// How its flow records are read.
    pub flow: netflow::Profile,
    /// The zone of its clock, for times that name none; `None`: those are no absolute times.
    pub zone: Option<Zone>,
    pub vrf: VrfNames,
    pub dialects: Dialects,
    /// Formats that the operator defines, in the order in which they are tried.
    pub patterns: Vec<Pattern>,
}

impl From<Profile> for Settings {
    fn from(profile: Profile) -> Self {
        Self {
            profile: Some(profile),
            flow: netflow::Profile::default(),
            zone: None,
            vrf: VrfNames::default(),
            dialects: Dialects::default(),
            patterns: Vec::new(),
        }
    }
}

/// Reads the messages of one exporter.
#[derive(Clone, Debug)]
pub struct Exporter {
    settings: Settings,
    /// Where nothing but the profile is said: nothing has to be looked at for a line.
    plain: Option<Profile>,
}

impl Exporter {
    pub fn new(settings: Settings) -> Self {
        let is_plain = settings.zone.is_none()
            && settings.vrf.is_empty()
            && settings.dialects == Dialects::default()
            && settings.patterns.is_empty();
        let plain = settings.profile.filter(|_| is_plain);
        Self { settings, plain }
    }

    /// What it was made of.
    pub fn settings(&self) -> &Settings {
        &self.settings
    }

    /// Decodes one message, received at `received_ns` (ns since 1970, UTC), and gives its events to `sink`; as
    /// [`syslog::decode`] otherwise.
    #[inline]
    pub fn decode(
        &mut self,
        message: &[u8],
        received_ns: i64,
        mut sink: impl FnMut(&Event<'_>),
    ) -> Result<Outcome, DecodeError> {
        match self.plain {
            Some(profile) => syslog::decode(profile, message, sink),
            None => self.decode_as_said(message, received_ns, &mut sink),
        }
    }

    /// The same with all settings. Compiled once: the decoders are not needed twice for each kind of sink.
    #[inline(never)]
    fn decode_as_said(
        &mut self,
        message: &[u8],
        received_ns: i64,
        sink: &mut dyn FnMut(&Event<'_>),
    ) -> Result<Outcome, DecodeError> {
        let message = syslog::stripped(message)?;
        let Settings {
            profile,
            zone,
            vrf,
            dialects,
            patterns,
            ..
        } = &mut self.settings;
        let said = Said {
            zone: zone.as_ref(),
            received_ns,
            dialects,
        };
        let mut named = |event: &Event<'_>| {
            let vrf = vrf.of(event.vrf);
            sink(&Event { vrf, ..*event });
        };
        for pattern in patterns {
            if let Some(outcome) = pattern.decode(message, &said, &mut named) {
                return outcome;
            }
        }
        match *profile {
            Some(profile) => decode_stripped(profile, message, Some(&said), &mut named),
            None => Err(DecodeError::UnknownFormat),
        }
    }
}
