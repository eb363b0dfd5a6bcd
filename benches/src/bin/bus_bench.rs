//! The frame log beside raw files and beside Kafka. `--json` prints one object per measure.

fn main() -> anyhow::Result<()> {
    let json = std::env::args().any(|argument| argument == "--json");
    for measure in natrail_benches::bus::measure()? {
        if json {
            println!("{}", measure.json());
        } else {
            println!("{measure}");
        }
    }
    Ok(())
}
