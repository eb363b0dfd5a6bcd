//! What comes by AF_XDP is stored as what comes by sockets.

use std::net::UdpSocket;

use e2e::{Bus, PATIENCE, Settings, Stage};
use harness::netns::{Namespace, veth};

const EVENTS: u16 = 500;
const TO: &str = "198.18.0.1:5514";

/// Sends the same sessions to a collector with such a `receive`, and gives all rows that they became, as text.
fn rows(receive: &str) -> String {
    let settings = Settings {
        exporters: "[[exporters.exporter]]\naddress = \"198.18.0.2\"".into(),
        listeners: format!(", {{ kind = \"syslog\", address = \"{TO}\" }}"),
        collector: format!("receive = \"{receive}\"\n[collector.xdp]\ninterfaces = [\"eth0\"]"),
        ..Settings::default()
    };
    let stage = Stage::new("afxdp", Bus::Log, settings).expect("a stage");
    let router = Namespace::new("router").expect("namespace");
    veth(
        (&stage.network, "eth0", &["198.18.0.1/24"]),
        (&router, "eth0", &["198.18.0.2/24"]),
    )
    .expect("veth");
    let off = router
        .command("ethtool")
        .args(["-K", "eth0", "tx", "off"])
        .status();
    assert!(off.expect("ethtool").success());

    let mut collector = stage.collector().expect("a collector");
    let mut consumer = stage.consumer().expect("a consumer");
    let socket = router
        .run(|| UdpSocket::bind("198.18.0.2:0"))
        .expect("namespace")
        .expect("binds");
    for number in 0..EVENTS {
        let (inside, outside) = (10_000 + number, 20_000 + number);
        let line = format!(
            "A VRF 0 6 INT 100.64.7.9:{inside} EXT 203.0.113.77:{outside} DST 198.51.100.1:443 DIR OUT"
        );
        socket.send_to(line.as_bytes(), TO).expect("sends");
    }
    stage
        .wait_until_taken(&mut consumer, EVENTS.into())
        .expect("all are stored");
    let redirected = [("verdict", "redirected")];
    let metrics = stage.collector_metrics().expect("metrics");
    let by_af_xdp = metrics.count("natrail_xdp_packets_total", &redirected);
    assert_eq!(by_af_xdp, if receive == "af_xdp" { EVENTS.into() } else { 0 });
    collector.stop(PATIENCE).expect("the collector ends in order");
    consumer.stop(PATIENCE).expect("the consumer ends in order");

    let sql = "SELECT string_agg(concat_ws(' ', exporter, src_ip, src_port, x_ip, x_port, dst_ip, dst_port, event, protocol), E'\\n'
               ORDER BY x_port) FROM natrail.session";
    let mut client = stage.database.connect().expect("a connection");
    client.query_one(sql, &[]).expect("one row").get(0)
}

#[test]
fn rows_by_af_xdp_are_those_by_sockets() {
    let [by_sockets, by_af_xdp] = ["socket", "af_xdp"].map(rows);
    assert_eq!(by_sockets.lines().count(), usize::from(EVENTS));
    assert!(by_sockets == by_af_xdp, "{by_sockets}\n----\n{by_af_xdp}");
}
