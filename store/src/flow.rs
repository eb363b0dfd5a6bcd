//! What has to be known of exporters of flow records over a restart: templates, and data sets that wait for theirs.
//!
//! Both move in the transaction that moves the stream, behind its fence.

use std::net::IpAddr;

use tokio_postgres::{Client, Statement};

use crate::StoreError;
use crate::time::{PgTime, rfc3339};

/// Templates of one exporter that are kept: those that changed last.
pub const TEMPLATES_PER_EXPORTER_MAX: i64 = 4096;
/// Templates that are kept in all.
pub const TEMPLATES_MAX: i64 = 32_768;

/// Whose template it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TemplateKey {
    pub exporter: IpAddr,
    /// 9 or 10.
    pub version: i16,
    /// Observation domain, source id.
    pub domain: u32,
    pub id: u16,
}

/// A template as it came.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Template {
    pub key: TemplateKey,
    pub is_options: bool,
    /// From its id on.
    pub wire: Vec<u8>,
    /// When it came: ns since 1970 (UTC).
    pub updated_ns: i64,
}

impl Template {
    /// [`Self::updated_ns`] as text.
    pub fn updated(&self) -> String {
        rfc3339(self.updated_ns)
    }
}

/// Where a datagram is: stream, offset of the frame, place in the frame.
pub type Place = (i32, i64, i32);

/// A data set that waits for its template.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ParkedSet {
    pub place: Place,
    /// Of the datagram's sets that wait.
    pub ordinal: i32,
    pub exporter: IpAddr,
    /// ns since 1970 (UTC).
    pub received_ns: i64,
    /// Index of the datagram's next event.
    pub next_index: i32,
    /// Bits, as the schema says.
    pub state: i16,
    /// Of the message's header.
    pub version: i16,
    pub domain: u32,
    pub export_s: u32,
    pub uptime_ms: Option<u32>,
    pub sequence: u32,
    pub id: u16,
    /// Behind the set's header.
    pub octets: Vec<u8>,
}

/// What a batch changes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Changes {
    /// Each key once.
    pub templates: Vec<Template>,
    /// Datagrams of which no set waits any more, or others than before.
    pub settled: Vec<Place>,
    /// Sets that wait now.
    pub parked: Vec<ParkedSet>,
}

impl Changes {
    pub fn is_empty(&self) -> bool {
        self.templates.is_empty() && self.settled.is_empty() && self.parked.is_empty()
    }
}

/// What is known when streams are opened.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct State {
    /// Of all exporters: which streams theirs are depends on the number of partitions.
    pub templates: Vec<Template>,
    /// Of the streams, each datagram's in order.
    pub parked: Vec<ParkedSet>,
}

/// The state of these streams. To be asked for behind their positions: if those move meanwhile, the fence refuses what is
/// made of a state that does not fit.
pub async fn load(client: &Client, streams: &[i32]) -> Result<State, StoreError> {
    Ok(State {
        templates: templates(client, None).await?,
        parked: parked(client, streams).await?,
    })
}

/// All templates, or those of one exporter; the newest first if those are too many.
pub async fn templates(client: &Client, exporter: Option<IpAddr>) -> Result<Vec<Template>, StoreError> {
    let rows = client
        .query(
            "SELECT exporter, version, domain, id, options, wire, updated
             FROM (SELECT * FROM natrail.template WHERE $1::inet IS NULL OR exporter = $1 ORDER BY updated DESC LIMIT $2) t
             ORDER BY exporter, version, domain, id",
            &[&exporter, &TEMPLATES_MAX],
        )
        .await
        .map_err(StoreError::query("reading flow templates"))?;
    let template = |row: &tokio_postgres::Row| {
        let key = TemplateKey {
            exporter: row.get(0),
            version: row.get(1),
            domain: u32_of(row.get(2)),
            id: u16_of(row.get(3)),
        };
        Template {
            key,
            is_options: row.get(4),
            wire: row.get(5),
            updated_ns: row.get::<_, PgTime>(6).0,
        }
    };
    Ok(rows.iter().map(template).collect())
}

async fn parked(client: &Client, streams: &[i32]) -> Result<Vec<ParkedSet>, StoreError> {
    let rows = client
        .query(
            "SELECT stream, frame_offset, datagram, ordinal, exporter, received_ns, next_index, state, version, domain,
                    export_s, uptime_ms, sequence, set_id, octets
             FROM natrail.parked_set WHERE stream = ANY ($1)
             ORDER BY stream, frame_offset, datagram, ordinal",
            &[&streams],
        )
        .await
        .map_err(StoreError::query("reading flow records that wait for templates"))?;
    let set = |row: &tokio_postgres::Row| ParkedSet {
        place: (row.get(0), row.get(1), row.get(2)),
        ordinal: row.get(3),
        exporter: row.get(4),
        received_ns: row.get(5),
        next_index: row.get(6),
        state: row.get(7),
        version: row.get(8),
        domain: u32_of(row.get(9)),
        export_s: u32_of(row.get(10)),
        uptime_ms: row.get::<_, Option<i64>>(11).map(u32_of),
        sequence: u32_of(row.get(12)),
        id: u16_of(row.get(13)),
        octets: row.get(14),
    };
    Ok(rows.iter().map(set).collect())
}

/// What was written from an u32.
fn u32_of(number: i64) -> u32 {
    u32::try_from(number).unwrap_or_default()
}

/// What was written from an u16.
fn u16_of(number: i32) -> u16 {
    u16::try_from(number).unwrap_or_default()
}

/// Forgets the oldest templates of too many.
pub async fn drop_surplus(client: &Client) -> Result<u64, StoreError> {
    client
        .execute(
            "DELETE FROM natrail.template WHERE (exporter, version, domain, id) IN
                 (SELECT exporter, version, domain, id FROM natrail.template ORDER BY updated DESC OFFSET $1)",
            &[&TEMPLATES_MAX],
        )
        .await
        .map_err(StoreError::query("forgetting flow templates"))
}

/// The statements of one connection.
pub(crate) struct Statements {
    templates: Statement,
    surplus: Statement,
    settle: Statement,
    park: Statement,
}

impl Statements {
    pub(crate) async fn prepare(client: &Client) -> Result<Self, StoreError> {
        let prepare = |sql| async move {
            client
                .prepare(sql)
                .await
                .map_err(StoreError::query("preparing the state of flow records"))
        };
        Ok(Self {
            templates: prepare(
                "INSERT INTO natrail.template (exporter, version, domain, id, options, wire, updated)
                 SELECT * FROM unnest($1::inet[], $2::int2[], $3::int8[], $4::int4[], $5::bool[], $6::bytea[], $7::timestamptz[])
                 ON CONFLICT (exporter, version, domain, id)
                 DO UPDATE SET options = excluded.options, wire = excluded.wire, updated = excluded.updated",
            )
            .await?,
            surplus: prepare(
                "DELETE FROM natrail.template t USING
                     (SELECT exporter, version, domain, id,
                             row_number() OVER (PARTITION BY exporter ORDER BY updated DESC) AS place
                      FROM natrail.template WHERE exporter = ANY ($1::inet[])) o
                 WHERE o.place > $2 AND (t.exporter, t.version, t.domain, t.id) = (o.exporter, o.version, o.domain, o.id)",
            )
            .await?,
            settle: prepare(
                "DELETE FROM natrail.parked_set p
                 USING unnest($1::int4[], $2::int8[], $3::int4[]) AS a (stream, frame_offset, datagram)
                 WHERE (p.stream, p.frame_offset, p.datagram) = (a.stream, a.frame_offset, a.datagram)",
            )
            .await?,
            park: prepare(
                "INSERT INTO natrail.parked_set (stream, frame_offset, datagram, ordinal, exporter, received_ns, next_index,
                     state, version, domain, export_s, uptime_ms, sequence, set_id, octets)
                 SELECT * FROM unnest($1::int4[], $2::int8[], $3::int4[], $4::int4[], $5::inet[], $6::int8[], $7::int4[],
                     $8::int2[], $9::int2[], $10::int8[], $11::int8[], $12::int8[], $13::int8[], $14::int4[], $15::bytea[])",
            )
            .await?,
        })
    }

    /// Writes the changes, in the open transaction.
    pub(crate) async fn write(&self, client: &Client, changes: &Changes) -> Result<(), StoreError> {
        self.write_templates(client, &changes.templates).await?;
        if !changes.settled.is_empty() {
            let streams: Vec<i32> = changes.settled.iter().map(|place| place.0).collect();
            let offsets: Vec<i64> = changes.settled.iter().map(|place| place.1).collect();
            let datagrams: Vec<i32> = changes.settled.iter().map(|place| place.2).collect();
            client
                .execute(&self.settle, &[&streams, &offsets, &datagrams])
                .await
                .map_err(StoreError::query("settling flow records that waited"))?;
        }
        self.write_parked(client, &changes.parked).await
    }

    async fn write_templates(&self, client: &Client, templates: &[Template]) -> Result<(), StoreError> {
        if templates.is_empty() {
            return Ok(());
        }
        // In the order of the keys: two writers that write the same ones wait for each other, and no more.
        let mut templates: Vec<&Template> = templates.iter().collect();
        templates.sort_unstable_by_key(|template| template.key);
        let exporters: Vec<IpAddr> = templates.iter().map(|template| template.key.exporter).collect();
        let versions: Vec<i16> = templates.iter().map(|template| template.key.version).collect();
        let domains: Vec<i64> = templates
            .iter()
            .map(|template| template.key.domain.into())
            .collect();
        let ids: Vec<i32> = templates.iter().map(|template| template.key.id.into()).collect();
        let options: Vec<bool> = templates.iter().map(|template| template.is_options).collect();
        let wires: Vec<&[u8]> = templates
            .iter()
            .map(|template| template.wire.as_slice())
            .collect();
        let updated: Vec<PgTime> = templates
            .iter()
            .map(|template| PgTime(template.updated_ns))
            .collect();
        client
            .execute(
                &self.templates,
                &[&exporters, &versions, &domains, &ids, &options, &wires, &updated],
            )
            .await
            .map_err(StoreError::query("keeping flow templates"))?;
        client
            .execute(&self.surplus, &[&exporters, &TEMPLATES_PER_EXPORTER_MAX])
            .await
            .map_err(StoreError::query("forgetting flow templates"))?;
        Ok(())
    }

    async fn write_parked(&self, client: &Client, sets: &[ParkedSet]) -> Result<(), StoreError> {
        if sets.is_empty() {
            return Ok(());
        }
        let wide = |value: fn(&ParkedSet) -> i64| sets.iter().map(value).collect::<Vec<i64>>();
        let middle = |value: fn(&ParkedSet) -> i32| sets.iter().map(value).collect::<Vec<i32>>();
        let short = |value: fn(&ParkedSet) -> i16| sets.iter().map(value).collect::<Vec<i16>>();
        let exporters: Vec<IpAddr> = sets.iter().map(|set| set.exporter).collect();
        let uptimes: Vec<Option<i64>> = sets.iter().map(|set| set.uptime_ms.map(i64::from)).collect();
        let octets: Vec<&[u8]> = sets.iter().map(|set| set.octets.as_slice()).collect();
        client
            .execute(
                &self.park,
                &[
                    &middle(|set| set.place.0),
                    &wide(|set| set.place.1),
                    &middle(|set| set.place.2),
                    &middle(|set| set.ordinal),
                    &exporters,
                    &wide(|set| set.received_ns),
                    &middle(|set| set.next_index),
                    &short(|set| set.state),
                    &short(|set| set.version),
                    &wide(|set| set.domain.into()),
                    &wide(|set| set.export_s.into()),
                    &uptimes,
                    &wide(|set| set.sequence.into()),
                    &middle(|set| set.id.into()),
                    &octets,
                ],
            )
            .await
            .map_err(StoreError::query("keeping flow records that wait for templates"))?;
        Ok(())
    }
}
