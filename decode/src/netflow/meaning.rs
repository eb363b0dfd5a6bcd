//! What the records of a template are for an exporter's profile.

use event::{Action, Kind};

use super::dialect::{Inside, inside_by_fields, kind_by_fields};
use super::ios_xr;
use super::profile::Profile;
use super::slot::{Slot, Slots};
use super::template::Template;
use crate::DecodeError;

/// See the module.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Meaning {
    /// Traffic flows, options: no mapping.
    None,
    /// Translations, but what happened to them cannot be told.
    Refused(DecodeError),
    /// natEvent says what happened.
    NatEvent,
    /// The template says what happened.
    Stated {
        action: Action,
        kind: Kind,
        inside: Inside,
    },
    /// firewallEvent says what happened, if the translated ends differ from the original ones.
    Firewall,
    /// A flow is a session that has ended, if the translated ends differ from the original ones.
    Flow,
    /// A session in Nokia's format.
    Nokia(Action),
}

impl Meaning {
    pub(super) fn of(profile: Profile, template: &Template, present: Slots) -> Self {
        const POST: [Slot; 4] = [Slot::PostSrc4, Slot::PostDst4, Slot::PostSrc6, Slot::PostDst6];
        if template.is_options() {
            return Self::None;
        }
        let announced = ios_xr::announced(template);
        match (profile, announced) {
            (Profile::IosXr, Some(ios_xr::Announced { action, kind, inside })) => {
                return Self::Stated { action, kind, inside };
            }
            (Profile::IosXr, None) if ios_xr::resembles(template) => {
                return Self::Refused(DecodeError::UnknownFormat);
            }
            _ => {}
        }
        if present.has(Slot::NatEvent) {
            return Self::NatEvent;
        }
        if present.has(Slot::NatSubString) && matches!(profile, Profile::Auto | Profile::NokiaSr) {
            return nokia(present);
        }
        if profile == Profile::Huawei
            && let Some(action) = huawei(template.id)
            && present.any([Slot::PostSrc4])
        {
            return Self::Stated {
                action,
                kind: kind_by_fields(present),
                inside: inside_by_fields(present),
            };
        }
        if present.any(POST) && profile == Profile::Flow {
            return Self::Flow;
        }
        if present.any(POST) && present.has(Slot::FirewallEvent) {
            return Self::Firewall;
        }
        // Who counts no octets logs no traffic: this is a log of translations that cannot be read.
        let is_log = present.any(POST) || present.has(Slot::BlockStart) || announced.is_some();
        if is_log && !present.has(Slot::Counter) {
            return Self::Refused(match profile {
                Profile::Auto => DecodeError::UnknownDialect,
                _ => DecodeError::MissingField,
            });
        }
        Self::None
    }
}

/// Nokia: the begin of a flow creates, its end deletes.
fn nokia(present: Slots) -> Meaning {
    if present.has(Slot::End) {
        Meaning::Nokia(Action::Deleted)
    } else if present.has(Slot::Start) {
        Meaning::Nokia(Action::Created)
    } else {
        Meaning::Refused(DecodeError::MissingField)
    }
}

/// Huawei NetStream, where no natEvent is sent.
fn huawei(template: u16) -> Option<Action> {
    match template {
        259 => Some(Action::Created),
        260 => Some(Action::Deleted),
        _ => None,
    }
}
