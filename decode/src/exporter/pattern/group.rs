//! The named groups of a pattern, and what kind of mapping they describe.

use std::fmt;

use event::Kind;

/// What a group holds. Named as the field of an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Group {
    Event,
    Protocol,
    SrcIp,
    SrcPort,
    XIp,
    XPort,
    DstIp,
    DstPort,
    StartPort,
    EndPort,
    /// Ports of a block, instead of its last port.
    PortCount,
    Vrf,
    Subscriber,
    Time,
    MappingStart,
}

impl Group {
    /// All groups, in the order of their numbers.
    pub(super) const ALL: [Self; 15] = [
        Self::Event,
        Self::Protocol,
        Self::SrcIp,
        Self::SrcPort,
        Self::XIp,
        Self::XPort,
        Self::DstIp,
        Self::DstPort,
        Self::StartPort,
        Self::EndPort,
        Self::PortCount,
        Self::Vrf,
        Self::Subscriber,
        Self::Time,
        Self::MappingStart,
    ];

    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Event => "event",
            Self::Protocol => "protocol",
            Self::SrcIp => "src_ip",
            Self::SrcPort => "src_port",
            Self::XIp => "x_ip",
            Self::XPort => "x_port",
            Self::DstIp => "dst_ip",
            Self::DstPort => "dst_port",
            Self::StartPort => "start_port",
            Self::EndPort => "end_port",
            Self::PortCount => "port_count",
            Self::Vrf => "vrf",
            Self::Subscriber => "subscriber",
            Self::Time => "time",
            Self::MappingStart => "mapping_start",
        }
    }
}

impl fmt::Display for Group {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// Where each group is in the captures of a pattern.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Groups([Option<usize>; Group::ALL.len()]);

impl Groups {
    /// From the names of a pattern's captures, in order.
    pub(super) fn new<'a>(names: impl Iterator<Item = Option<&'a str>>) -> Result<Self, String> {
        let mut groups = Self::default();
        for (index, name) in names.enumerate() {
            let Some(name) = name else { continue };
            let Some(group) = Group::ALL.into_iter().find(|group| group.name() == name) else {
                let known = Group::ALL.map(Group::name).join(", ");
                return Err(format!("unknown group {name:?}; known are {known}"));
            };
            groups.0[group as usize] = Some(index);
        }
        Ok(groups)
    }

    /// The number of the group's capture, if the pattern has it.
    pub(super) const fn index(&self, group: Group) -> Option<usize> {
        self.0[group as usize]
    }

    const fn has(&self, group: Group) -> bool {
        self.index(group).is_some()
    }

    /// The kind of mapping that the groups describe, if they are enough for it and no other's are among them.
    pub(super) fn kind(&self) -> Result<Kind, String> {
        use Group::{DstIp, DstPort, EndPort, PortCount, SrcIp, SrcPort, StartPort, XIp, XPort};
        let (kind, because, needed, foreign): (_, _, &[Group], &[Group]) =
            if self.has(StartPort) || self.has(EndPort) || self.has(PortCount) {
                let last = if self.has(PortCount) { PortCount } else { EndPort };
                (
                    Kind::Block,
                    "start_port, end_port or port_count: a port block",
                    &[SrcIp, XIp, StartPort, last],
                    &[SrcPort, XPort, DstIp, DstPort],
                )
            } else if self.has(DstIp) || self.has(DstPort) {
                (
                    Kind::Session,
                    "dst_ip or dst_port: a session",
                    &[SrcIp, SrcPort, XIp, XPort, DstIp, DstPort],
                    &[],
                )
            } else if self.has(SrcPort) || self.has(XPort) {
                (
                    Kind::Port,
                    "src_port or x_port: a port mapping",
                    &[SrcIp, SrcPort, XIp, XPort],
                    &[],
                )
            } else {
                (Kind::Address, "no ports: an address mapping", &[SrcIp, XIp], &[])
            };
        let named = |groups: &[Group], there: bool| {
            let names = groups.iter().filter(|group| self.has(**group) == there);
            names.map(|group| group.name()).collect::<Vec<_>>().join(", ")
        };
        let (missing, foreign) = (named(needed, false), named(foreign, true));
        if !missing.is_empty() {
            return Err(format!("it has {because}, which also needs the group {missing}"));
        }
        if !foreign.is_empty() {
            return Err(format!("it has {because}, which cannot have the group {foreign}"));
        }
        if self.has(EndPort) && self.has(PortCount) {
            return Err("it has both end_port and port_count".into());
        }
        Ok(kind)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kind(names: &str) -> Result<Kind, String> {
        Groups::new(names.split(' ').map(Some)).and_then(|groups| groups.kind())
    }

    #[test]
    fn the_groups_tell_the_kind_or_what_is_missing() {
        for (index, group) in Group::ALL.into_iter().enumerate() {
            assert_eq!(group as usize, index);
        }
        for (names, expected) in [
            ("src_ip x_ip", Kind::Address),
            ("src_ip src_port x_ip x_port", Kind::Port),
            ("src_ip src_port x_ip x_port dst_ip dst_port", Kind::Session),
            ("src_ip x_ip start_port end_port vrf", Kind::Block),
            ("src_ip x_ip start_port port_count", Kind::Block),
        ] {
            assert_eq!(kind(names), Ok(expected), "{names}");
        }
        for (names, expected) in [
            ("src_ip", "needs the group x_ip"),
            ("src_ip x_ip dst_ip", "src_port, x_port, dst_port"),
            ("src_ip src_port x_ip", "needs the group x_port"),
            ("src_ip x_ip start_port", "needs the group end_port"),
            (
                "src_ip x_ip start_port end_port dst_ip",
                "cannot have the group dst_ip",
            ),
            ("src_ip x_ip start_port end_port port_count", "both"),
            (
                "src_ip x_ip sport",
                "unknown group \"sport\"; known are event, protocol",
            ),
        ] {
            let why = kind(names).expect_err(names);
            assert!(why.contains(expected), "{names}: {why}");
        }
    }
}
