//! VyOS `cgnat log-allocation`.

mod common;

use common::{briefs, error, ignored};
use decode::DecodeError::*;
use decode::Ignored::NotAMapping;
use decode::Profile;

const BODY: &str = "Internal host: 100.64.0.0, external host: 203.0.113.222, Port range: 1024-3023";
const EVENT: &str = "port-block created * 100.64.0.0 = 203.0.113.222 1024 - 3023";

#[test]
fn allocations() {
    for header in [
        "",
        "cgnat[9059]: ",
        "<14>Jun 10 14:10:03 r9 cgnat[9059]: ",
        "<14>1 - r9 cgnat 9059 - - ",
    ] {
        assert_eq!(briefs(&format!("{header}{BODY}")), [EVENT], "{header}");
    }
    let header = "<14>1 2020-01-17T11:05:55Z r9 cgnat 9059 - - ";
    assert_eq!(
        briefs(&format!("{header}{BODY}")),
        [format!("{EVENT} at 1579259155000000000")]
    );
}

#[test]
fn complaints_are_no_mapping() {
    let complaint = "cgnat[9059]: Error processing line 'x': not enough values to unpack (expected 2, got 1)";
    assert_eq!(
        ignored(&format!("<11>Jun 10 14:10:04 r9 {complaint}")),
        NotAMapping
    );
    for other in [
        "Error processing line 'x'",
        "<14>Jun 10 14:10:03 r9 cgnat[9059]: hello",
        "<14>Jun 10 14:10:03 r9 x=Internal host: 100.64.0.0",
    ] {
        assert_eq!(error(other), UnknownFormat, "{other}");
    }
    let other = "fp-cgnat[12]: Error processing line 'x'";
    assert_eq!(
        common::decode(Profile::Vyos, other.as_bytes()).0,
        Err(UnknownFormat)
    );
}

#[test]
fn what_is_not_whole_or_wrong() {
    let bad = |from: &str, to: &str| {
        assert!(BODY.contains(from), "{from}");
        error(&BODY.replace(from, to))
    };
    assert_eq!(bad("1024-3023", "1024"), Truncated);
    assert_eq!(bad("1024-3023", "1024-"), Truncated);
    assert_eq!(bad("1024-3023", "1024-302"), BadRange);
    assert_eq!(bad("1024-3023", "1024-65536"), BadPort);
    assert_eq!(bad("3023", "3023, and more"), Malformed);
    assert_eq!(bad("203.0.113.222", "203.0.113.256"), BadAddress);
    assert_eq!(bad("203.0.113.222", "0.0.0.0"), BadAddress);
    assert_eq!(bad("external", "outside"), Malformed);
}
