//! What is known of one exporter's observation domain (NetFlow v9: source id; v5: engine).

use std::collections::HashMap;

use super::message::Version;
use super::parked::Parked;
use super::plan::Plan;
use super::profile::Profile;
use super::sequence::Sequence;
use super::template::{Template, Written};

/// Templates of one domain. The most that was seen is 23.
pub const TEMPLATES_PER_DOMAIN_MAX: usize = 512;

#[derive(Debug, Default)]
pub(super) struct Domain {
    compiled: HashMap<u16, Compiled>,
    pub parked: Parked,
    pub sequence: Sequence,
    /// When it was last heard of, ns since 1970.
    pub heard_ns: i64,
}

#[derive(Debug)]
struct Compiled {
    version: Version,
    template: Template,
    plan: Plan,
}

/// A template, ready for use.
#[derive(Clone, Copy, Debug)]
pub(super) struct Ready<'a> {
    pub template: &'a Template,
    pub plan: &'a Plan,
}

/// What became of a template that came.
pub(super) enum Keep<'a> {
    New(&'a Template),
    Changed(&'a Template),
    Same(&'a Template),
    NoRoom,
}

impl Domain {
    /// The template with this id, compiled for the profile.
    #[inline]
    pub(super) fn template(&mut self, id: u16, profile: Profile) -> Option<Ready<'_>> {
        let compiled = self.compiled.get_mut(&id)?;
        // The operator may have given the exporter another profile.
        if compiled.plan.profile != profile {
            compiled.plan = Plan::new(profile, compiled.version, &compiled.template);
        }
        Some(Ready {
            template: &compiled.template,
            plan: &compiled.plan,
        })
    }

    /// Takes a template in, instead of another one with its id.
    pub(super) fn keep(
        &mut self,
        profile: Profile,
        version: Version,
        written: Written<'_>,
        has_room: bool,
    ) -> Keep<'_> {
        let id = written.id;
        let known = self.compiled.get(&id);
        let is_new = known.is_none();
        // Templates are sent over and over: the same octets are the same template, if it is of the same kind.
        let is_same = known.is_some_and(|known| {
            known.template.wire() == written.wire && known.template.is_options() == written.is_options()
        });
        if is_new && (!has_room || self.compiled.len() >= TEMPLATES_PER_DOMAIN_MAX) {
            return Keep::NoRoom;
        }
        if !is_same {
            let template = Template::new(written);
            let plan = Plan::new(profile, version, &template);
            let compiled = Compiled {
                version,
                template,
                plan,
            };
            self.compiled.insert(id, compiled);
        }
        match self.compiled.get(&id).map(|compiled| &compiled.template) {
            Some(template) if is_new => Keep::New(template),
            Some(template) if is_same => Keep::Same(template),
            Some(template) => Keep::Changed(template),
            None => Keep::NoRoom,
        }
    }

    pub(super) fn templates_len(&self) -> usize {
        self.compiled.len()
    }

    pub(super) fn templates(&self) -> impl Iterator<Item = &Template> {
        self.compiled.values().map(|compiled| &compiled.template)
    }
}
