//! The keys that events need.

use crate::DecodeError;
use crate::syslog::pairs::put;
use crate::value::Value;

/// The values of these keys, under the names of the keys; `type` is `kind`.
#[derive(Default)]
pub(super) struct Fields<'a> {
    pub kind: Value<'a>,
    pub act: Value<'a>,
    pub action: Value<'a>,
    pub logid: Value<'a>,
    pub vd: Value<'a>,
    pub pid: Value<'a>,
    pub proto: Value<'a>,
    pub sip: Value<'a>,
    pub sport: Value<'a>,
    pub dip: Value<'a>,
    pub dport: Value<'a>,
    pub nsip: Value<'a>,
    pub nsport: Value<'a>,
    pub ndip: Value<'a>,
    pub ndport: Value<'a>,
    pub dur: Value<'a>,
    pub eventtime: Value<'a>,
    pub tz: Value<'a>,
    pub date: Value<'a>,
    pub time: Value<'a>,
    pub srcip: Value<'a>,
    pub srcport: Value<'a>,
    pub dstip: Value<'a>,
    pub dstport: Value<'a>,
    pub trandisp: Value<'a>,
    pub transip: Value<'a>,
    pub transport: Value<'a>,
    pub tranip: Value<'a>,
    pub tranport: Value<'a>,
    pub duration: Value<'a>,
    pub saddr: Value<'a>,
    pub nat: Value<'a>,
    pub portbegin: Value<'a>,
    pub portend: Value<'a>,
    pub user: Value<'a>,
}

impl<'a> Fields<'a> {
    /// Keeps the value of `key` if an event needs it. A key that comes twice is an error.
    #[inline]
    pub(super) fn put(&mut self, key: &[u8], value: Value<'a>) -> Result<(), DecodeError> {
        let slot = match key {
            b"type" => &mut self.kind,
            b"act" => &mut self.act,
            b"action" => &mut self.action,
            b"logid" => &mut self.logid,
            b"vd" => &mut self.vd,
            b"pid" => &mut self.pid,
            b"proto" => &mut self.proto,
            b"sip" => &mut self.sip,
            b"sport" => &mut self.sport,
            b"dip" => &mut self.dip,
            b"dport" => &mut self.dport,
            b"nsip" => &mut self.nsip,
            b"nsport" => &mut self.nsport,
            b"ndip" => &mut self.ndip,
            b"ndport" => &mut self.ndport,
            b"dur" => &mut self.dur,
            b"eventtime" => &mut self.eventtime,
            b"tz" => &mut self.tz,
            b"date" => &mut self.date,
            b"time" => &mut self.time,
            b"srcip" => &mut self.srcip,
            b"srcport" => &mut self.srcport,
            b"dstip" => &mut self.dstip,
            b"dstport" => &mut self.dstport,
            b"trandisp" => &mut self.trandisp,
            b"transip" => &mut self.transip,
            b"transport" => &mut self.transport,
            b"tranip" => &mut self.tranip,
            b"tranport" => &mut self.tranport,
            b"duration" => &mut self.duration,
            b"saddr" => &mut self.saddr,
            b"nat" => &mut self.nat,
            b"portbegin" => &mut self.portbegin,
            b"portend" => &mut self.portend,
            b"user" => &mut self.user,
            _ => return Ok(()),
        };
        put(slot, value)
    }
}
