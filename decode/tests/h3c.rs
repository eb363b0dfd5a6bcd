//! H3C and HPE (Comware).

mod common;

use common::{briefs, error, ignored};
use decode::DecodeError::*;
use decode::Ignored::NotTranslated;

const HEADER: &str = "%@250005%Jul 7 04:20:04:72 2005 DeviceA USERLOG/7/NAT: ";
const BODY: &str = "TCP; 100.64.1.7:40000--->203.0.113.3:1025; 198.51.100.9:443; \
                    [2012/08/09 10:11:11-0000/00/00 00:00:00]; Operator 8: Data flow created";
const EVENT: &str = "session created 6 100.64.1.7 40000 = 203.0.113.3 1025 > 198.51.100.9 443";

#[test]
fn the_operators_number_decides() {
    let with = |operator: &str, end: &str| {
        let body = BODY
            .replace("Operator 8", operator)
            .replace("-0000/00/00 00:00:00", end);
        format!("{HEADER}{body}")
    };
    let (open, ended) = ("-0000/00/00 00:00:00", "-2012/08/09 10:12:11");
    assert_eq!(briefs(&with("Operator 8", open)), [EVENT]);
    assert_eq!(
        briefs(&with("Operator 6", open)),
        [EVENT.replace("created", "updated")]
    );
    for number in [1, 2, 3, 4, 7, 254] {
        for end in [open, ended] {
            let event = EVENT.replace("created", "deleted");
            assert_eq!(
                briefs(&with(&format!("Operator {number}"), end)),
                [event],
                "{number}"
            );
        }
    }
    // Reserved or unknown: an end only if it says so, and never a creation.
    for number in [0, 5, 9, 255] {
        let operator = format!("Operator {number}");
        assert_eq!(
            briefs(&with(&operator, ended)),
            [EVENT.replace("created", "deleted")]
        );
        assert_eq!(error(&with(&operator, open)), Malformed);
    }
    assert_eq!(error(&with("Operator x", ended)), Malformed);
    assert_eq!(error(&with("Operator", ended)), Malformed);
}

#[test]
fn headers_protocols_and_families() {
    for header in [
        "<189>%@250005%Jul 7 04:20:04:72 2005 DeviceA USERLOG/7/NAT: ",
        "<190>Jul  7 04:20:04 2005 DeviceA %%10USERLOG/6/NAT: ",
        "USERLOG/7/NAT:",
    ] {
        assert_eq!(briefs(&format!("{header}{BODY}")), [EVENT], "{header}");
    }
    for (name, number) in [("UDP", 17), ("ICMP", 1), ("udp", 17), ("GRE", 47), ("47", 47)] {
        let line = format!("{HEADER}{}", BODY.replace("TCP", name));
        assert_eq!(
            briefs(&line),
            [EVENT.replace("created 6", &format!("created {number}"))]
        );
    }
    let line = format!("{HEADER}{}", BODY.replace("100.64.1.7:", "[2001:DB8::7]:"));
    assert_eq!(briefs(&line), [EVENT.replace("100.64.1.7", "2001:db8::7")]);
    for header in ["USERLOG/8/NAT: ", "USERLOG/7/FLOW: ", "USERLOG/7/NAT ", ""] {
        assert_eq!(error(&format!("{header}{BODY}")), UnknownFormat, "{header}");
    }
}

#[test]
fn what_is_not_whole_or_wrong() {
    let bad = |from: &str, to: &str| {
        assert!(BODY.contains(from), "{from}");
        error(&format!("{HEADER}{}", BODY.replace(from, to)))
    };
    assert_eq!(bad("198.51.100.9:443; ", ""), MissingField);
    assert_eq!(bad(": Data flow created", ""), Truncated);
    assert_eq!(bad("8: Data flow created", ""), Truncated);
    assert_eq!(bad("--->", "->"), Malformed);
    assert_eq!(bad("TCP", "TCPX"), BadProtocol);
    assert_eq!(bad("1025", "102500"), BadPort);
    assert_eq!(bad("203.0.113.3", "203.0.113.333"), BadAddress);
    assert_eq!(bad("203.0.113.3", "0.0.0.0"), BadAddress);
    assert_eq!(bad("[2012/08/09 10:11:11", "[2012-08-09 10:11:11"), BadTime);
    assert_eq!(error(&format!("{HEADER}TCP")), Truncated);
    assert_eq!(
        ignored(&format!(
            "{HEADER}{}",
            BODY.replace("203.0.113.3:1025", "100.64.1.7:40000")
        )),
        NotTranslated
    );
}
