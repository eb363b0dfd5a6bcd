//! `natrail templates`: the templates of flow records that the database knows.

use std::io::Write as _;
use std::net::IpAddr;
use std::path::Path;
use std::process::ExitCode;

use anyhow::{Context, Result};
use config::Config;
use decode::netflow::{self, Exporters, Version};
use serde::Serialize;
use store::{connect, flow, migrate};

use crate::trace::table;

/// Show the templates of NetFlow v9 and IPFIX that were received: without them, records cannot be read.
///
/// "SINCE" is when the template came for the first time as it is now. Fields are named as IANA names them, with their
/// octets; those that have no name here are shown as their number, of another enterprise as enterprise/number.
#[derive(clap::Args, Debug)]
pub struct Args {
    /// Those of one exporter
    #[arg(long, value_name = "IP")]
    exporter: Option<IpAddr>,
    /// Print a JSON array
    #[arg(long)]
    json: bool,
}

/// One template.
#[derive(Debug, Serialize)]
struct Row {
    exporter: IpAddr,
    /// 9 or 10.
    version: i16,
    /// Observation domain, source id.
    domain: u32,
    id: u16,
    options: bool,
    since: String,
    fields: Vec<Field>,
}

#[derive(Debug, Serialize)]
struct Field {
    name: String,
    /// None: each record says it.
    octets: Option<u16>,
}

/// Runs the command.
pub fn run(args: &Args, config: Option<&Path>) -> Result<ExitCode> {
    let config = Config::load_or_default(config)?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .context("cannot start the I/O runtime")?;
    let templates = runtime.block_on(async {
        let client = connect::connect(&config.database.url).await?;
        migrate::require_current(&client).await?;
        flow::templates(&client, args.exporter).await
    })?;
    let rows: Vec<Row> = templates.iter().map(row).collect();
    let text = if args.json {
        format!("{}\n", serde_json::to_string(&rows)?)
    } else {
        page(&rows)
    };
    std::io::stdout()
        .write_all(text.as_bytes())
        .context("cannot write the answer")?;
    Ok(ExitCode::SUCCESS)
}

fn row(template: &flow::Template) -> Row {
    let key = template.key;
    Row {
        exporter: key.exporter,
        version: key.version,
        domain: key.domain,
        id: key.id,
        options: template.is_options,
        since: template.updated(),
        fields: fields(template),
    }
}

/// The fields, as the decoder reads them; none of octets that it does not take.
fn fields(template: &flow::Template) -> Vec<Field> {
    let key = template.key;
    let version = if key.version == 9 {
        Version::V9
    } else {
        Version::Ipfix
    };
    let mut exporters = Exporters::default();
    let restored = exporters.restore_template(
        key.exporter,
        version,
        key.domain,
        template.is_options,
        &template.wire,
    );
    if restored.is_err() {
        return Vec::new();
    }
    let field = |field: &netflow::Field| Field {
        name: field.element.to_string(),
        octets: field.octets,
    };
    exporters
        .templates()
        .flat_map(|known| known.template.fields.iter().map(field).collect::<Vec<_>>())
        .collect()
}

fn page(rows: &[Row]) -> String {
    let head = ["EXPORTER", "VERSION", "DOMAIN", "ID", "SINCE", "FIELDS"];
    let mut cells = vec![head.map(String::from)];
    cells.extend(rows.iter().map(|row| {
        let fields: Vec<String> = row.fields.iter().map(Field::text).collect();
        let kind = if row.options { "options: " } else { "" };
        [
            row.exporter.to_string(),
            row.version.to_string(),
            row.domain.to_string(),
            row.id.to_string(),
            row.since.clone(),
            format!("{kind}{}", fields.join(" ")),
        ]
    }));
    let mut out = String::new();
    table(&mut out, &cells);
    out
}

impl Field {
    fn text(&self) -> String {
        match self.octets {
            Some(octets) => format!("{}({octets})", self.name),
            None => format!("{}(variable)", self.name),
        }
    }
}
