use bus::{FrameSender, Stream, Topic, kafka};
use wire::frame::*;
fn main() {
    let a: Vec<String> = std::env::args().collect();
    let bus = config::Bus { brokers: a[1].clone(), topic_prefix: a[2].clone(), ..Default::default() };
    kafka::ensure_topics(&bus, || false).unwrap();
    let sender = kafka::connect_sender(&bus).unwrap();
    let n: u32 = a[3].parse().unwrap();
    let mut i = 0u32; let mut f = 0;
    let t = std::time::Instant::now();
    while i < n {
        let mut b = FrameBuilder::new(vec![0; 524288], PayloadKind::Syslog, 1, f);
        let mut cnt = 0;
        while i < n {
            let r = i.wrapping_mul(2654435761);
            let line = format!("<134>1 2025-05-29T12:00:00.123456Z cgn1 nfware 123 - - A VRF 0 6 INT 10.{}.{}.{}:{} EXT 203.0.{}.{}:{} DST 198.51.100.{}:443 DIR OUT", r>>24, (r>>16)&255, (r>>8)&255, 1024+(i&0x7fff), 112+((r>>5)&3), (r>>7)&255, 1024+((r>>3)&0xbfff), i&255);
            let d = Datagram { exporter: [192,0,2,1].into(), source_port: 1, destination_port: 514, received_ns: 1_750_000_000_000_000_000 + u64::from(i)*1000, truncated: false, payload: line.as_bytes() };
            if b.push(&d).is_err() { break; }
            i += 1; cnt += 1;
        }
        let (buf, used) = b.finish();
        while sender.send(Stream { topic: Topic::Syslog, partition: (f % 4) as i32 }, &buf[..used], cnt).is_err() { std::thread::sleep(std::time::Duration::from_millis(1)); }
        f += 1;
    }
    assert!(sender.flush(std::time::Duration::from_secs(60)));
    println!("fed {n} in {:?}, {f} frames", t.elapsed());
}
