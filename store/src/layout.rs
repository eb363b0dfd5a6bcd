//! The columns of the event tables, and how a row of a batch becomes one of theirs.
//!
//! One list per table gives both the column names of the COPY statement and the order of the encoded fields, so that
//! the two cannot differ. Eight-byte columns stand first and texts last: no padding in the stored row.
//!
//! Encoding is PostgreSQL's binary COPY format: per row a 16-bit field count, per field a 32-bit length (-1 for NULL)
//! and the value in network byte order.

#![allow(
    clippy::inline_always,
    reason = "a row is one straight line of stores; measured by copy_bench"
)]

use event::columns::{Addr, Columns, NO_TIME};
use event::{Kind, Origin};

use crate::time::pg_micros;

/// The event table of a kind, without its schema.
pub const fn table(kind: Kind) -> &'static str {
    match kind {
        Kind::Session => "session",
        Kind::Port => "port",
        Kind::Block => "block",
        Kind::Address => "address",
    }
}

/// The columns of a kind's table, in the order of their encoding.
pub const fn columns(kind: Kind) -> &'static [&'static str] {
    match kind {
        Kind::Session => session::COLUMNS,
        Kind::Port => port::COLUMNS,
        Kind::Block => block::COLUMNS,
        Kind::Address => address::COLUMNS,
    }
}

/// The COPY statement that takes what [`crate::encode`] writes.
pub fn copy_statement(kind: Kind) -> String {
    format!(
        "COPY natrail.{} ({}) FROM STDIN (FORMAT binary)",
        table(kind),
        columns(kind).join(", ")
    )
}

/// Appends one row: the kind's function, chosen once for all rows.
pub(crate) type RowEncoder = fn(&mut Vec<u8>, &Columns, usize);

pub(crate) const fn row_encoder(kind: Kind) -> RowEncoder {
    match kind {
        Kind::Session => session::row,
        Kind::Port => port::row,
        Kind::Block => block::row,
        Kind::Address => address::row,
    }
}

macro_rules! layout {
    ($($table:ident { $($column:ident)* })*) => { $(
        mod $table {
            use super::Columns;

            pub const COLUMNS: &[&str] = &[$(stringify!($column)),*];

            pub fn row(out: &mut Vec<u8>, rows: &Columns, row: usize) {
                out.extend_from_slice(&(COLUMNS.len() as i16).to_be_bytes());
                $(super::column::$column(out, rows, row);)*
            }
        }
    )* };
}

layout! {
    session {
        ts received device_ts mapping_start exporter src_ip x_ip dst_ip frame_offset
        stream frame_index src_port x_port dst_port event protocol time_source
        exporter6 src_ip6 x_ip6 dst_ip6 vrf subscriber
    }
    port {
        ts received device_ts mapping_start exporter src_ip x_ip dst_ip frame_offset
        stream frame_index src_port x_port dst_port event protocol time_source
        exporter6 src_ip6 x_ip6 dst_ip6 vrf subscriber
    }
    block {
        ts received device_ts mapping_start exporter src_ip x_ip frame_offset
        stream frame_index start_port end_port port_step event protocol time_source
        exporter6 src_ip6 x_ip6 vrf subscriber
    }
    address {
        ts received device_ts mapping_start exporter src_ip x_ip frame_offset
        stream frame_index event protocol time_source
        exporter6 src_ip6 x_ip6 vrf subscriber
    }
}

/// One function per column, under the column's name.
mod column {
    use super::{Columns, NO_TIME, Origin, inet6, int2, int4, int8, ipv4, pg_micros, text};

    macro_rules! columns {
        ($($name:ident($out:ident, $rows:ident, $row:ident) $body:expr;)*) => { $(
            #[inline(always)]
            pub fn $name($out: &mut Vec<u8>, $rows: &Columns, $row: usize) { $body }
        )* };
    }

    columns! {
        ts(out, rows, row) int8(out, Some(pg_micros(rows.time[row])));
        received(out, rows, row) int8(out, Some(pg_micros(rows.received[row])));
        device_ts(out, rows, row) instant(out, rows.device_time[row]);
        mapping_start(out, rows, row) instant(out, rows.mapping_start[row]);
        exporter(out, rows, row) ipv4(out, rows.exporter[row]);
        src_ip(out, rows, row) ipv4(out, rows.src_ip[row]);
        x_ip(out, rows, row) ipv4(out, rows.x_ip[row]);
        dst_ip(out, rows, row) ipv4(out, rows.dst_ip[row]);
        exporter6(out, rows, row) inet6(out, rows.exporter[row]);
        src_ip6(out, rows, row) inet6(out, rows.src_ip[row]);
        x_ip6(out, rows, row) inet6(out, rows.x_ip[row]);
        dst_ip6(out, rows, row) inet6(out, rows.dst_ip[row]);
        frame_offset(out, rows, row) int8(out, Some(origin(rows, row).offset));
        stream(out, rows, row) int4(out, Some(origin(rows, row).stream));
        frame_index(out, rows, row) int4(out, Some(origin(rows, row).index));
        src_port(out, rows, row) int4(out, present(rows.src_port[row]));
        x_port(out, rows, row) int4(out, present(rows.x_port[row]));
        dst_port(out, rows, row) int4(out, present(rows.dst_port[row]));
        start_port(out, rows, row) int4(out, present(rows.start_port[row]));
        end_port(out, rows, row) int4(out, present(rows.end_port[row]));
        port_step(out, rows, row) int4(out, present(rows.port_step[row]));
        event(out, rows, row) int2(out, Some(i16::from(rows.action[row])));
        protocol(out, rows, row) int2(out, Some(rows.protocol[row]).filter(|&number| number >= 0));
        time_source(out, rows, row) int2(out, Some(i16::from(rows.time_source[row])));
        vrf(out, rows, row) text(out, rows.vrf.get(row));
        subscriber(out, rows, row) text(out, rows.subscriber.get(row));
    }

    #[inline(always)]
    fn origin(rows: &Columns, row: usize) -> Origin {
        rows.origin[row]
    }

    #[inline(always)]
    fn instant(out: &mut Vec<u8>, ns: i64) {
        int8(out, (ns != NO_TIME).then(|| pg_micros(ns)));
    }

    #[inline(always)]
    fn present(port: i32) -> Option<i32> {
        (port >= 0).then_some(port)
    }
}

const NULL: [u8; 4] = (-1i32).to_be_bytes();

#[inline(always)]
fn int8(out: &mut Vec<u8>, value: Option<i64>) {
    let Some(value) = value else {
        return out.extend_from_slice(&NULL);
    };
    let mut field = [0, 0, 0, 8, 0, 0, 0, 0, 0, 0, 0, 0];
    field[4..].copy_from_slice(&value.to_be_bytes());
    out.extend_from_slice(&field);
}

#[inline(always)]
fn int4(out: &mut Vec<u8>, value: Option<i32>) {
    let Some(value) = value else {
        return out.extend_from_slice(&NULL);
    };
    let mut field = [0, 0, 0, 4, 0, 0, 0, 0];
    field[4..].copy_from_slice(&value.to_be_bytes());
    out.extend_from_slice(&field);
}

#[inline(always)]
fn int2(out: &mut Vec<u8>, value: Option<i16>) {
    let Some(value) = value else {
        return out.extend_from_slice(&NULL);
    };
    let mut field = [0, 0, 0, 2, 0, 0];
    field[4..].copy_from_slice(&value.to_be_bytes());
    out.extend_from_slice(&field);
}

/// An IPv4 address as a number; IPv6 and none are NULL.
#[inline(always)]
fn ipv4(out: &mut Vec<u8>, addr: Addr) {
    int8(out, addr.v4().map(i64::from));
}

/// An IPv6 address as `inet`: family (3), prefix length (128), "is cidr" (0), length (16), octets. IPv4 and none are NULL.
#[inline(always)]
fn inet6(out: &mut Vec<u8>, addr: Addr) {
    if addr == Addr::NONE || addr.v4().is_some() {
        return out.extend_from_slice(&NULL);
    }
    let mut field = [0; 24];
    field[..8].copy_from_slice(&[0, 0, 0, 20, 3, 128, 0, 16]);
    field[8..].copy_from_slice(&addr.octets());
    out.extend_from_slice(&field);
}

#[inline(always)]
fn text(out: &mut Vec<u8>, value: Option<&[u8]>) {
    let Some(value) = value else {
        return out.extend_from_slice(&NULL);
    };
    out.extend_from_slice(&(value.len() as i32).to_be_bytes());
    out.extend_from_slice(value);
}
