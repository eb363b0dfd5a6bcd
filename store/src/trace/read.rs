//! The events of an outside address, read in order.

use std::collections::{BTreeSet, HashMap};
use std::fmt::Write as _;
use std::net::{IpAddr, Ipv4Addr};
use std::pin::pin;

use event::{Action, Kind, TimeSource};
use futures_util::TryStreamExt as _;
use tokio_postgres::Transaction;

use super::replay::{Block, Identity, Outside, Replay, Row};
use super::{Mapping, Query};
use crate::time::PgTime;
use crate::{StoreError, layout};

/// What the tables say.
pub struct Found {
    pub mappings: Vec<Mapping>,
    pub more: usize,
    /// All that ever announced something of the address.
    pub exporters: BTreeSet<IpAddr>,
}

/// Replays all four tables.
pub async fn mappings(database: &Transaction<'_>, query: &Query) -> Result<Found, StoreError> {
    let mut found = Found {
        mappings: Vec::new(),
        more: 0,
        exporters: BTreeSet::new(),
    };
    for kind in Kind::ALL {
        let sql = select(kind, &condition(kind, query));
        let mut replay = Replay::new(kind, *query);
        replay_into(database, kind, &sql, &[], &mut replay, &mut found.exporters).await?;
        // Some devices' deletes name the inside alone. They are rare, so they are looked for only once it is known whose
        // they would have to be; then the replay is done again with them in their places.
        let bare = bare_deletes(database, kind, query, &replay.insides()).await?;
        if !bare.is_empty() {
            replay = Replay::new(kind, *query);
            replay_into(database, kind, &sql, &bare, &mut replay, &mut found.exporters).await?;
        }
        let (mappings, more) = replay.finish();
        found.mappings.extend(mappings);
        found.more += more;
    }
    Ok(found)
}

/// Fills in bus, topic and partition of the evidence.
pub async fn name_streams(database: &Transaction<'_>, mappings: &mut [Mapping]) -> Result<(), StoreError> {
    let rows = database
        .query("SELECT id, bus, topic, partition FROM natrail.stream", &[])
        .await
        .map_err(StoreError::query("reading streams"))?;
    let streams: HashMap<i32, (String, String, i32)> = rows
        .iter()
        .map(|row| (row.get(0), (row.get(1), row.get(2), row.get(3))))
        .collect();
    for evidence in mappings.iter_mut().flat_map(|mapping| &mut mapping.evidence) {
        if let Some((bus, topic, partition)) = streams.get(&evidence.stream) {
            evidence.bus.clone_from(bus);
            evidence.topic.clone_from(topic);
            evidence.partition = *partition;
        }
    }
    Ok(())
}

async fn replay_into(
    database: &Transaction<'_>,
    kind: Kind,
    sql: &str,
    bare: &[Row],
    replay: &mut Replay,
    exporters: &mut BTreeSet<IpAddr>,
) -> Result<(), StoreError> {
    let failed = || StoreError::query("reading events of the address");
    let mut bare = bare.iter().peekable();
    let no_parameters: [i32; 0] = [];
    let rows = database.query_raw(sql, no_parameters).await.map_err(failed())?;
    let mut rows = pin!(rows);
    while let Some(raw) = rows.try_next().await.map_err(failed())? {
        let row = read_row(kind, &raw)?;
        while let Some(earlier) = bare.next_if(|bare| order(bare) < order(&row)) {
            replay.feed(earlier)?;
        }
        exporters.insert(row.identity.exporter);
        replay.feed(&row)?;
    }
    bare.try_for_each(|row| replay.feed(row))
}

/// As `ORDER BY` in [`select`]. Of events that the device stamps with the same time, the one received first comes first:
/// the datagrams of an exporter may be in frames of several receive threads.
fn order(row: &Row) -> (i64, i64, i32, i64, i32) {
    (row.ts, row.received, row.stream, row.offset, row.index)
}

/// Deletes of these insides that name no outside address, in order.
async fn bare_deletes(
    database: &Transaction<'_>,
    kind: Kind,
    query: &Query,
    insides: &[IpAddr],
) -> Result<Vec<Row>, StoreError> {
    if insides.is_empty() {
        return Ok(Vec::new());
    }
    let numbers: Vec<i64> = insides.iter().filter_map(|&ip| number(ip)).collect();
    let others: Vec<IpAddr> = insides
        .iter()
        .copied()
        .filter(|&ip| number(ip).is_none())
        .collect();
    let mut condition = format!(
        "x_ip IS NULL AND x_ip6 IS NULL AND event = {} AND (src_ip = ANY ($1) OR src_ip6 = ANY ($2))",
        Action::Deleted as u8
    );
    push_protocol(&mut condition, kind, query);
    let rows = database
        .query(&select(kind, &condition), &[&numbers, &others])
        .await
        .map_err(StoreError::query("reading deletes without an outside address"))?;
    rows.iter()
        .map(|raw| {
            read_row(kind, raw).map(|row| Row {
                names_outside: false,
                ..row
            })
        })
        .collect()
}

/// What restricts the events to the address and port. Only numbers and addresses go in.
fn condition(kind: Kind, query: &Query) -> String {
    let mut sql = match number(query.public) {
        Some(number) => format!("x_ip = {number}"),
        None => format!("x_ip6 = inet '{}'", query.public),
    };
    if let Some(port) = query.port {
        let _ = match kind {
            // A delete may lack the port.
            Kind::Session | Kind::Port => write!(sql, " AND (x_port = {port} OR x_port IS NULL)"),
            Kind::Block => write!(
                sql,
                " AND (start_port IS NULL OR start_port <= {port}) AND (end_port IS NULL OR end_port >= {port})"
            ),
            Kind::Address => Ok(()),
        };
    }
    push_protocol(&mut sql, kind, query);
    sql
}

fn push_protocol(sql: &mut String, kind: Kind, query: &Query) {
    if let (Some(protocol), true) = (query.protocol, kind != Kind::Address) {
        let _ = write!(sql, " AND (protocol = {protocol} OR protocol IS NULL)");
    }
}

fn select(kind: Kind, condition: &str) -> String {
    let column = |name: &'static str, otherwise: &'static str| {
        if layout::columns(kind).contains(&name) {
            name
        } else {
            otherwise
        }
    };
    let (int4, int8, inet) = ("NULL::int4", "NULL::int8", "NULL::inet");
    format!(
        "SELECT ts, received, mapping_start, event, protocol, time_source, exporter, exporter6, src_ip, src_ip6,
                {}, {}, {}, {}, {}, {}, {}, {}, vrf, subscriber, stream, frame_offset, frame_index
         FROM natrail.{} WHERE {condition} ORDER BY ts, received, stream, frame_offset, frame_index",
        column("src_port", int4),
        column("x_port", int4),
        column("dst_ip", int8),
        column("dst_ip6", inet),
        column("dst_port", int4),
        column("start_port", int4),
        column("end_port", int4),
        column("port_step", int4),
        layout::table(kind),
    )
}

fn read_row(kind: Kind, raw: &tokio_postgres::Row) -> Result<Row, StoreError> {
    fn get<'a, T: tokio_postgres::types::FromSql<'a>>(
        raw: &'a tokio_postgres::Row,
        index: usize,
    ) -> Result<T, StoreError> {
        raw.try_get(index)
            .map_err(StoreError::query("reading a stored event"))
    }
    let odd = |what: &str, value: i64| {
        StoreError::Schema(format!(
            "a row of natrail.{} has {what} {value}, which natrail never writes",
            layout::table(kind)
        ))
    };
    let port = |index| -> Result<Option<u16>, StoreError> {
        let value: Option<i32> = get(raw, index)?;
        value
            .map(|value| u16::try_from(value).map_err(|_| odd("port", value.into())))
            .transpose()
    };
    let address = |index| -> Result<Option<IpAddr>, StoreError> {
        let number: Option<i64> = get(raw, index)?;
        let other: Option<IpAddr> = get(raw, index + 1)?;
        number.map_or(Ok(other), |number| {
            u32::try_from(number)
                .map(|bits| Some(IpAddr::V4(Ipv4Addr::from(bits))))
                .map_err(|_| odd("address", number))
        })
    };
    let present = |index, what| address(index)?.ok_or_else(|| odd(what, 0));
    let event: i16 = get(raw, 3)?;
    let protocol: Option<i16> = get(raw, 4)?;
    let time_source: i16 = get(raw, 5)?;
    let block = match (port(15)?, port(16)?) {
        (Some(start), Some(end)) => Some(Block {
            start,
            end,
            step: port(17)?.unwrap_or(1).max(1),
        }),
        _ => None,
    };
    let session = kind == Kind::Session;
    Ok(Row {
        identity: Identity {
            exporter: present(6, "exporter")?,
            vrf: get(raw, 18)?,
            src_ip: present(8, "inside address")?,
            src_port: port(10)?,
            outside: Outside {
                protocol: protocol
                    .map(|value| u8::try_from(value).map_err(|_| odd("protocol", value.into())))
                    .transpose()?
                    .filter(|_| kind != Kind::Address),
                x_port: port(11)?,
                dst_ip: if session { address(12)? } else { None },
                dst_port: if session { port(14)? } else { None },
                block,
            },
        },
        action: match event {
            1 => Action::Created,
            2 => Action::Deleted,
            3 => Action::Updated,
            other => return Err(odd("event", other.into())),
        },
        ts: get::<PgTime>(raw, 0)?.0,
        received: get::<PgTime>(raw, 1)?.0,
        mapping_start: get::<Option<PgTime>>(raw, 2)?.map(|time| time.0),
        time_source: match time_source {
            0 => TimeSource::Receive,
            1 => TimeSource::DeviceHeader,
            2 => TimeSource::DeviceEvent,
            other => return Err(odd("time source", other.into())),
        },
        subscriber: get(raw, 19)?,
        stream: get(raw, 20)?,
        offset: get(raw, 21)?,
        index: get(raw, 22)?,
        names_outside: true,
    })
}

/// IPv4 as stored. IPv4-mapped IPv6 addresses are IPv4 addresses in storage.
pub fn number(ip: IpAddr) -> Option<i64> {
    event::columns::Addr::from(ip).v4().map(i64::from)
}
