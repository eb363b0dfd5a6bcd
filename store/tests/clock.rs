//! The clocks of exporters.

mod common;

use std::net::{IpAddr, Ipv4Addr};

use common::{database, run};
use store::Storage;
use store::clock::{CLOCKS_MAX, Reading, read, write};

fn reading(number: u32, skew_us: i64, measured_us: i64) -> Reading {
    Reading {
        exporter: IpAddr::V4(Ipv4Addr::from(0x0a00_0000 + number)),
        skew_us,
        samples: 15,
        measured_us,
    }
}

#[test]
fn the_newest_reading_of_each_exporter_is_kept_and_the_table_has_an_end() {
    run(async {
        let (_database, client) = database("clocks", Storage::Native).await;
        write(&client, &[reading(1, 5, 1_000_001), reading(2, -7, 1_000_000)])
            .await
            .expect("written");
        // One that is late changes nothing.
        write(&client, &[reading(1, 6, 1_000_000), reading(2, -8, 2_000_000)])
            .await
            .expect("written");
        let clocks = read(&client).await.expect("read");
        let skews: Vec<_> = clocks.iter().map(|clock| clock.skew_us).collect();
        assert_eq!(skews, [5, -8]);
        assert_eq!(clocks[0].measured_at, "1970-01-01T00:00:01.000001Z");
        let many: Vec<_> = (10..10 + CLOCKS_MAX as u32)
            .map(|number| reading(number, 0, 3_000_000))
            .collect();
        write(&client, &many).await.expect("written");
        let clocks = read(&client).await.expect("read");
        assert_eq!(clocks.len() as i64, CLOCKS_MAX);
        assert_eq!(clocks[0].exporter, many[0].exporter);
    });
}
