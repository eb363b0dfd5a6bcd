//! Datagrams per second: natrail's ways in beside other collectors. `rate_bench [--json] [WAY…]`; progress is on standard error.

fn main() -> anyhow::Result<()> {
    let mut asked: Vec<String> = std::env::args().skip(1).collect();
    let json = asked.iter().any(|argument| argument == "--json");
    asked.retain(|argument| argument != "--json");
    for measure in natrail_benches::rate::measure(&asked)? {
        println!("{}", if json { measure.json() } else { measure.to_string() });
    }
    Ok(())
}
