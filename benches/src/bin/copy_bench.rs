//! Rows per second of the consumer's writer, beside the server's own `COPY FROM file` of the same rows into the same table.
//!
//! Both take turns in one run; the medians are compared. The file is written and read by the server itself. Also the cost
//! of sorting and encoding a row. `--json` prints one object per measure. `--native` forces native partitions.

use std::net::IpAddr;
use std::time::Instant;

use event::{Action, Batch, Event, Kind, Origin, Text, TimeSource};
use harness::database::Database;
use store::ingest::{EncodedBatch, Encoder, Writer};
use store::{Storage, connect, migrate};

type Anything<T> = Result<T, Box<dyn std::error::Error>>;

const BATCHES: usize = 10;
const BATCH_ROWS: usize = 100_000;
const ROUNDS: usize = 5;
/// On the server's machine. Emptied afterwards.
const FILE: &str = "/tmp/natrail_copy_bench.bin";

fn main() -> Anything<()> {
    let json = std::env::args().any(|argument| argument == "--json");
    let storage = std::env::args()
        .any(|argument| argument == "--native")
        .then_some(Storage::Native);
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let measured = runtime.block_on(measure(storage))?;
    let ratio = measured.writer_rows_per_s / measured.file_rows_per_s;
    if json {
        println!(
            "{{\"bench\":\"copy\",\"measure\":\"consumer_copy_rows_per_s\",\"value\":{:.0},\"unit\":\"rows/s\",\
             \"against\":\"copy_from_file\",\"against_value\":{:.0},\"ratio\":{ratio:.3}}}",
            measured.writer_rows_per_s, measured.file_rows_per_s
        );
        println!(
            "{{\"bench\":\"copy\",\"measure\":\"sort_and_encode_ns_per_row\",\"value\":{:.1},\"unit\":\"ns\",\
             \"against\":null,\"against_value\":null,\"ratio\":null}}",
            measured.encode_ns_per_row
        );
    } else {
        println!("storage               {}", measured.storage);
        println!("writer                {:>9.0} rows/s", measured.writer_rows_per_s);
        println!("COPY FROM file        {:>9.0} rows/s", measured.file_rows_per_s);
        println!("ratio                 {ratio:>9.3}");
        println!("sort and encode       {:>9.1} ns/row", measured.encode_ns_per_row);
        println!("COPY data             {:>9.1} bytes/row", measured.bytes_per_row);
    }
    Ok(())
}

struct Measured {
    storage: Storage,
    writer_rows_per_s: f64,
    file_rows_per_s: f64,
    encode_ns_per_row: f64,
    bytes_per_row: f64,
}

async fn measure(storage: Option<Storage>) -> Anything<Measured> {
    let rows = (BATCHES * BATCH_ROWS) as f64;
    let (encoded, encode_ns_per_row) = encode();
    let database = Database::new("copy_bench")?;
    let mut client = connect::connect(&database.url()).await?;
    let storage = migrate::migrate(&mut client, storage).await?.storage;
    let mut writer = Writer::new(connect::connect(&database.url()).await?);
    write(&mut writer, &encoded).await?;
    client
        .batch_execute(&format!(
            "COPY (SELECT * FROM natrail.session) TO '{FILE}' (FORMAT binary)"
        ))
        .await?;
    let (mut by_writer, mut by_file) = (Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        empty(&client).await?;
        let begun = Instant::now();
        write(&mut writer, &encoded).await?;
        by_writer.push(rows / begun.elapsed().as_secs_f64());
        empty(&client).await?;
        let begun = Instant::now();
        client
            .batch_execute(&format!("COPY natrail.session FROM '{FILE}' (FORMAT binary)"))
            .await?;
        by_file.push(rows / begun.elapsed().as_secs_f64());
    }
    client
        .batch_execute(&format!("COPY (SELECT WHERE false) TO '{FILE}'"))
        .await?;
    Ok(Measured {
        storage,
        writer_rows_per_s: median(by_writer),
        file_rows_per_s: median(by_file),
        encode_ns_per_row,
        bytes_per_row: encoded.iter().map(EncodedBatch::bytes).sum::<usize>() as f64 / rows,
    })
}

/// Both sides begin with an empty table, and without a checkpoint pending.
async fn empty(client: &tokio_postgres::Client) -> Anything<()> {
    client.batch_execute("TRUNCATE natrail.session").await?;
    client.batch_execute("CHECKPOINT").await?;
    Ok(())
}

async fn write(writer: &mut Writer, batches: &[EncodedBatch]) -> Anything<()> {
    for batch in batches {
        writer.copy(batch).await?;
        writer.commit(batch).await?;
    }
    Ok(())
}

/// All batches, and the median cost of a row.
fn encode() -> (Vec<EncodedBatch>, f64) {
    let mut encoder = Encoder::new();
    let mut cost = Vec::new();
    let encoded = (0..BATCHES)
        .map(|number| {
            let batch = batch(number);
            // Once to warm up, as in a consumer that runs.
            drop(encoder.encode(&batch, Vec::new()));
            let begun = Instant::now();
            let encoded = encoder.encode(&batch, Vec::new());
            cost.push(begun.elapsed().as_nanos() as f64 / BATCH_ROWS as f64);
            encoded
        })
        .collect();
    (encoded, median(cost))
}

/// Sessions as routers announce them: many insides behind few outsides, ports without order.
fn batch(number: usize) -> Batch {
    let mut batch = Batch::default();
    let mut state = 0x9e37_79b9_7f4a_7c15u64.wrapping_mul(number as u64 + 1);
    for row in 0..BATCH_ROWS {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        let random = (state >> 16) as u32;
        let inside = IpAddr::from((0x0a00_0000 | (random & 0xffff)).to_be_bytes());
        let outside = IpAddr::from((0xcb00_7100 | (random & 0xff)).to_be_bytes());
        let action = if row % 2 == 0 {
            Action::Created
        } else {
            Action::Deleted
        };
        let mut event = Event::new(Kind::Session, action, inside, Some(outside));
        event.protocol = Some(if random & 0x300 == 0 { 17 } else { 6 });
        event.src_port = Some((random >> 8) as u16 | 1024);
        event.x_port = Some((random >> 12) as u16 | 1024);
        event.dst_ip = Some(IpAddr::from((0x0800_0000 + (random >> 4)).to_be_bytes()));
        event.dst_port = Some(443);
        event.vrf = Some(Text::plain("0"));
        let received = 1_772_366_400_000_000_000 + (number * BATCH_ROWS + row) as i64 * 3_000;
        (event.time_ns, event.time_source) = (Some(received - 40_000_000), TimeSource::DeviceHeader);
        let origin = Origin {
            stream: 1,
            offset: number as i64,
            index: row as i32,
        };
        batch.push(&event, IpAddr::from([192, 0, 2, 1]), received, origin);
    }
    batch
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}
