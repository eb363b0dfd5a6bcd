//! Events as each vendor's devices write them: the decoders the other way round, for tests and fuzz targets.

mod linux;
mod routers;
mod services;

use std::net::{IpAddr, SocketAddr};

use decode::Profile;
use event::{Action, Event, Kind, Text};

/// What an event says, apart from the source of its time.
#[allow(clippy::struct_field_names, reason = "the fields are those of an event")]
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mapping {
    pub kind: Kind,
    pub action: Action,
    pub protocol: Option<u8>,
    pub src_ip: IpAddr,
    pub src_port: Option<u16>,
    pub x_ip: Option<IpAddr>,
    pub x_port: Option<u16>,
    pub dst_ip: Option<IpAddr>,
    pub dst_port: Option<u16>,
    pub start_port: Option<u16>,
    pub end_port: Option<u16>,
    pub port_step: Option<u16>,
    pub vrf: Option<String>,
    pub subscriber: Option<String>,
    pub time_ns: Option<i64>,
    pub mapping_start_ns: Option<i64>,
}

impl From<&Event<'_>> for Mapping {
    fn from(event: &Event<'_>) -> Self {
        let text = |text: Option<Text<'_>>| text.map(|text| text.to_str().into_owned());
        Self {
            kind: event.kind,
            action: event.action,
            protocol: event.protocol,
            src_ip: event.src_ip,
            src_port: event.src_port,
            x_ip: event.x_ip,
            x_port: event.x_port,
            dst_ip: event.dst_ip,
            dst_port: event.dst_port,
            start_port: event.start_port,
            end_port: event.end_port,
            port_step: event.port_step,
            vrf: text(event.vrf),
            subscriber: text(event.subscriber),
            time_ns: event.time_ns,
            mapping_start_ns: event.mapping_start_ns,
        }
    }
}

impl Mapping {
    /// Writes the mapping as a device of the profile does, and takes out what such a message does not say. `None` if the
    /// device has no message for it. Times that are left say what the message says; where there are none, it may say one.
    pub fn write(&mut self, profile: Profile) -> Option<String> {
        if self.port_step.is_some() || self.x_ip.is_none() {
            return None;
        }
        let said = Said {
            vrf: self.vrf.take(),
            subscriber: self.subscriber.take(),
            time_ns: self.time_ns.take(),
            mapping_start_ns: self.mapping_start_ns.take(),
        };
        match profile {
            Profile::Auto => None,
            Profile::Nfware => services::nfware(self, said),
            Profile::F5BigIp => services::f5_bigip(self, said),
            Profile::A10 => services::a10(self),
            Profile::SixWind => services::sixwind(self),
            Profile::Fortinet => services::fortinet(self, said),
            Profile::PaloAlto => services::palo_alto(self, said),
            Profile::JuniperSrx => routers::juniper_srx(self, said),
            Profile::JuniperMs => routers::juniper_ms(self, said),
            Profile::CiscoIosXe => routers::cisco_ios_xe(self, said),
            Profile::CiscoIosXr => routers::cisco_ios_xr(self, said),
            Profile::Huawei => routers::huawei(self),
            Profile::H3c => routers::h3c(self),
            Profile::Mikrotik => routers::mikrotik(self),
            Profile::Ulogd => linux::ulogd(self),
            Profile::Conntrack => linux::conntrack(self),
            Profile::Vpp => linux::vpp(self),
            Profile::Jool => linux::jool(self),
            Profile::Danos => linux::danos(self),
            Profile::Vyos => linux::vyos(self),
        }
    }

    /// Whether a decoded event says what a message that was written must say.
    pub fn is_said_by(&self, event: &Event<'_>) -> bool {
        let mut other = Self::from(event);
        if self.time_ns.is_none() {
            other.time_ns = None;
        }
        if self.mapping_start_ns.is_none() {
            other.mapping_start_ns = None;
        }
        *self == other
    }

    /// One of two words, if the mapping was created or deleted.
    fn word(&self, created: &'static str, deleted: &'static str) -> Option<&'static str> {
        match self.action {
            Action::Created => Some(created),
            Action::Deleted => Some(deleted),
            Action::Updated => None,
        }
    }

    fn x_ip(&self) -> IpAddr {
        self.x_ip.expect("looked at before")
    }

    /// The ends of a session that is translated and whose outside is IPv4, as all that is written here.
    fn session(&self) -> Option<Ends> {
        let ends = Ends {
            inside: (self.src_ip, self.src_port?),
            outside: (self.x_ip(), self.x_port?),
            remote: (self.dst_ip?, self.dst_port?),
        };
        let fits = self.kind == Kind::Session && ends.inside != ends.outside && self.x_ip().is_ipv4();
        fits.then_some(ends)
    }

    /// The same of a session of TCP or UDP, whose three ends are IPv4.
    fn session_over_ipv4(&self) -> Option<(Ends, &'static str)> {
        let ends = self.session()?;
        (ends.inside.0.is_ipv4() && ends.remote.0.is_ipv4()).then_some((ends, self.protocol_name()?))
    }

    /// Inside and outside of a port mapping, which takes its remote end with it.
    fn port(&mut self) -> Option<(End, End)> {
        let ends = ((self.src_ip, self.src_port?), (self.x_ip(), self.x_port?));
        (self.dst_ip, self.dst_port) = (None, None);
        (self.kind == Kind::Port && ends.0 != ends.1 && self.x_ip().is_ipv4()).then_some(ends)
    }

    /// First and last port of a block, which is for all protocols.
    fn block(&mut self) -> Option<(u16, u16)> {
        self.protocol = None;
        let ports = (self.start_port?, self.end_port?);
        (self.kind == Kind::Block && self.x_ip().is_ipv4()).then_some(ports)
    }

    fn protocol_name(&self) -> Option<&'static str> {
        match self.protocol {
            Some(6) => Some("TCP"),
            Some(17) => Some("UDP"),
            _ => None,
        }
    }
}

/// What messages say beside the mapping, if the device's format has a place for it.
struct Said {
    vrf: Option<String>,
    subscriber: Option<String>,
    time_ns: Option<i64>,
    mapping_start_ns: Option<i64>,
}

type End = (IpAddr, u16);

#[derive(Clone, Copy)]
struct Ends {
    inside: End,
    outside: End,
    remote: End,
}

/// A name that needs neither quotes nor escapes anywhere.
fn plain(name: Option<String>) -> Option<String> {
    let is_plain = |name: &String| {
        let octets = name.bytes();
        (1..=40).contains(&name.len()) && { octets }.all(|octet| octet.is_ascii_alphanumeric())
    };
    name.filter(is_plain)
}

/// A number as names of VRFs and route domains have it.
fn number(name: Option<String>) -> Option<String> {
    name.filter(|name| {
        name.parse::<u16>()
            .is_ok_and(|number| number.to_string() == *name)
    })
}

/// Whole seconds since 1970, if a time has no fraction and eight hexadecimal digits.
fn epoch_s(time_ns: Option<i64>) -> Option<i64> {
    let s = time_ns.filter(|ns| ns % 1_000_000_000 == 0)? / 1_000_000_000;
    (0x1000_0000..=0xffff_ffff).contains(&s).then_some(s)
}

/// `ip:port`, IPv6 in brackets.
fn bracketed((ip, port): End) -> String {
    SocketAddr::new(ip, port).to_string()
}
