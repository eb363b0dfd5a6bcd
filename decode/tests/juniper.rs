//! Junos messages beyond the samples: keys, escapes, translations, and what must not pass.

mod common;

use common::{error, event};
use decode::DecodeError::{self, *};
use decode::{Ignored, Outcome, Profile};

const CREATE: &str = r#"<14>1 2024-02-29T23:59:59.999Z srx RT_FLOW - RT_FLOW_SESSION_CREATE [junos@2636.1.1.1.2.129 source-address="100.64.7.22" source-port="40000" destination-address="198.51.100.10" destination-port="443" nat-source-address="203.0.113.9" nat-source-port="1300" nat-destination-address="198.51.100.10" nat-destination-port="443" protocol-id="6" policy-name="permit" username="alice"]"#;
const RELEASE: &str = r#"<14>1 2022-04-04T17:20:39.100+02:00 srx RT_NAT - RT_SRC_NAT_PBA_RELEASE [junos@2636.1.1.1.2.129 internal-ip="100.64.7.21" block-port-low="1024" block-port-high="1279" reflexive-ip="203.0.113.9" epoch-time-64="624b0cc7"]"#;
const TEXT: &str = "<14>Nov 18 09:57:10 srx1 RT_FLOW: RT_FLOW_SESSION_CREATE: session created 10.0.10.10/46776->93.184.216.34/443 0x0 junos-https 203.0.113.72/53328->93.184.216.34/443 0x0 source rule untrust N/A N/A 6 permit trust untrust 92317 N/A(N/A) ge-0/0/0.0";
const TEXT_BLOCK: &str = "<14>Jul  1 17:00:10 bng2 RT_NAT: RT_SRC_NAT_PBA_ALLOC: Subscriber 100.64.12.9 used/maximum [1/4] blocks, allocates port block [5120-5375] from 198.51.100.40 in source pool CGN_A lsys_id: 0 epoch 0x6a45014a";

fn outcome(message: &str) -> Result<Outcome, DecodeError> {
    common::decode(Profile::Auto, message.as_bytes()).0
}

#[test]
fn parameters_are_found_by_key_in_any_order() {
    let (head, body) = CREATE.split_once("129 ").unwrap();
    let mut parameters: Vec<_> = body.strip_suffix(']').unwrap().split(' ').collect();
    for _ in 0..parameters.len() {
        parameters.rotate_left(1);
        assert_eq!(
            event(&format!("{head}129 {}]", parameters.join(" "))),
            event(CREATE)
        );
    }
}

#[test]
fn header_sd_id_and_tag_suffix_may_differ() {
    let release = event(RELEASE);
    for other in [
        RELEASE.replace("junos@2636.1.1.1.2.129 ", ""),
        RELEASE.replace("PBA_RELEASE", "PBA_RELEASE_LS"),
        RELEASE.replace("PBA_RELEASE", "PBA_RELEASE_USF"),
        RELEASE.split_once("srx ").unwrap().1.to_owned(),
        RELEASE.replace("<14>1 ", "<14>2 "),
        RELEASE.replace(']', "][timeQuality tzKnown=\"1\"]"),
        RELEASE.replace("[junos", "[timeQuality tzKnown=\"1\"][junos"),
        format!("{RELEASE} Subscriber 100.64.7.21 used/maximum [0/4] blocks, releases port block"),
        format!("{RELEASE}\r\n"),
    ] {
        assert_eq!(event(&other), release, "{other}");
    }
    // Without an epoch the header's time is left.
    let without = event(&RELEASE.replace(" epoch-time-64=\"624b0cc7\"", ""));
    assert_eq!(without["time_source"], "device_header");
}

#[test]
fn what_stands_in_a_value_is_no_key() {
    for value in [
        r" source-address=9.9.9.9 ",
        r#"x\" source-address=\"9.9.9.9\" y=\""#,
        r"\\",
        r#"\\\" protocol-id=\"17"#,
        r"\]",
        r"] RT_FLOW_SESSION_DENY [source-address=",
        "",
    ] {
        let message = CREATE.replace(r#"policy-name="permit""#, &format!(r#"policy-name="{value}""#));
        assert_eq!(event(&message), event(CREATE), "{message}");
    }
}

#[test]
fn user_names_lose_their_escapes_and_n_a_is_none() {
    let user = |raw: &str| event(&CREATE.replace("alice", raw))["subscriber"].clone();
    assert_eq!(user(r#"a\"b\\c\]d"#), r#"a"b\c]d"#);
    assert_eq!(user(r"DOMAIN\user"), r"DOMAIN\user");
    assert_eq!(user("jürgen@isp.example"), "jürgen@isp.example");
    assert!(user("N/A").is_null());
    assert!(user("").is_null());
    assert_eq!(error(&CREATE.replace("alice", "a\0b")), Malformed);
    assert_eq!(
        event(&TEXT.replace("N/A(N/A)", r"D\bob(admins)"))["subscriber"],
        r"D\bob"
    );
}

#[test]
fn translations_of_source_destination_and_both() {
    // Twice NAT: the destination is the one on the outside.
    let twice = CREATE.replace(
        r#"nat-destination-address="198.51.100.10""#,
        r#"nat-destination-address="192.0.2.5""#,
    );
    let twice = event(&twice);
    assert_eq!(
        (&twice["src_ip"], &twice["dst_ip"]),
        (&"100.64.7.22".into(), &"192.0.2.5".into())
    );
    // NAT64.
    let nat64 = CREATE
        .replace(
            r#" source-address="100.64.7.22""#,
            r#" source-address="2001:db8::7""#,
        )
        .replace(
            r#" destination-address="198.51.100.10""#,
            r#" destination-address="64:ff9b::c633:640a""#,
        );
    let nat64 = event(&nat64);
    assert_eq!(
        (&nat64["src_ip"], &nat64["dst_ip"]),
        (&"2001:db8::7".into(), &"198.51.100.10".into())
    );
    // Port forwarding: the translated destination is the inside, the source the remote end.
    let forward = CREATE
        .replace(
            r#"nat-source-address="203.0.113.9" nat-source-port="1300""#,
            r#"nat-source-address="100.64.7.22" nat-source-port="40000""#,
        )
        .replace(
            r#"nat-destination-address="198.51.100.10""#,
            r#"nat-destination-address="10.1.1.1""#,
        );
    let forward = event(&forward);
    let of = |keys: [&str; 3]| keys.map(|key| forward[key].as_str().unwrap().to_owned());
    assert_eq!(
        of(["src_ip", "x_ip", "dst_ip"]),
        ["10.1.1.1", "198.51.100.10", "100.64.7.22"]
    );
    assert_eq!(
        ["src_port", "x_port", "dst_port"].map(|key| forward[key].as_u64().unwrap()),
        [443, 443, 40000]
    );
    // The port alone is a translation, too.
    let port = event(&CREATE.replace("203.0.113.9", "100.64.7.22"));
    assert_eq!(port["x_port"], 1300);
    let none = CREATE
        .replace("203.0.113.9", "100.64.7.22")
        .replace("\"1300\"", "\"40000\"");
    assert_eq!(outcome(&none), Ok(Outcome::Ignored(Ignored::NotTranslated)));
}

#[test]
fn a_close_knows_its_begin_only_with_an_absolute_time() {
    let close = CREATE
        .replace("SESSION_CREATE", "SESSION_CLOSE")
        .replace("alice\"", "alice\" elapsed-time=\"30\"");
    let deleted = event(&close);
    assert_eq!(deleted["event"], "deleted");
    let begin = deleted["timestamp"].as_i64().unwrap() - 30_000_000_000;
    assert_eq!(deleted["mapping_start"], begin);
    assert!(event(close.split_once("srx ").unwrap().1)["mapping_start"].is_null());
    assert!(event(&close.replace("\"30\"", "\"0\""))["mapping_start"].is_null());
    assert!(event(&close.replace("\"30\"", "\"N/A\""))["mapping_start"].is_null());
    assert_eq!(error(&close.replace("\"30\"", "\"-3\"")), BadTime);
    assert_eq!(error(&close.replace("\"30\"", "\"99999999999\"")), BadTime);
}

#[test]
fn what_is_not_the_grammar_is_an_error() {
    let cases = [
        (CREATE.replace("100.64.7.22", "100.64.7.256"), BadAddress),
        (CREATE.replace("203.0.113.9", "0.0.0.0"), BadAddress),
        (CREATE.replace("203.0.113.9", "N/A"), BadAddress),
        (CREATE.replace("\"1300\"", "\"99999\""), BadPort),
        (CREATE.replace("\"1300\"", "\"\""), BadPort),
        (CREATE.replace("\"6\"", "\"256\""), BadProtocol),
        (CREATE.replace("protocol-id", "protocol"), MissingField),
        (CREATE.replace(" nat-source-port=\"1300\"", ""), MissingField),
        (CREATE.replace(" policy-name=", " source-port="), Malformed),
        (CREATE.replace(" policy-name=", " policy name="), Malformed),
        (
            CREATE.replace(
                " policy-name=",
                " a-name-that-is-longer-than-names-may-be and-more=",
            ),
            Malformed,
        ),
        (CREATE.replace(" username=", " x username="), Malformed),
        (CREATE.replace(" policy-name=", " ="), Malformed),
        (CREATE.replace(" policy-name=", "  policy-name="), Malformed),
        (CREATE.replace("\"6\"", "6"), Malformed),
        (CREATE.replace("\"6\" ", "\"6\""), Malformed),
        (format!("{CREATE} more"), Malformed),
        (format!("{CREATE}{CREATE}"), Malformed),
        (
            CREATE.replace("SESSION_CREATE", "SESSION_CREATE_XYZ"),
            UnknownFormat,
        ),
        (RELEASE.replace("PBA_RELEASE", "PBA_FREE"), UnknownFormat),
        (RELEASE.replace("1279", "1023"), BadRange),
        (RELEASE.replace("624b0cc7", "624b0ccg"), BadTime),
        (RELEASE.replace("624b0cc7", "ffffffffffffffff"), BadTime),
        (RELEASE.replace("624b0cc7", "0624b0cc7624b0cc7"), BadTime),
        (TEXT.replace("46776", "467760"), BadPort),
        (TEXT.replace(" 6 permit", " 600 permit"), BadProtocol),
        (
            TEXT.replace("session created ", "session created for "),
            Malformed,
        ),
        (TEXT.replace("session created", "session made"), Malformed),
        (TEXT_BLOCK.replace("5375", "5119"), BadRange),
        (TEXT_BLOCK.replace("0x6a45014a", "0x6a4501"), Truncated),
        (format!("{TEXT_BLOCK} more"), Malformed),
    ];
    for (message, expected) in cases {
        assert_eq!(error(&message), expected, "{message}");
    }
}

#[test]
fn running_text_of_mx_spc3_and_unknown_verbs() {
    let prefixed = TEXT.replace("session created", "Prefix P svc-set-name SS: session created");
    assert_eq!(event(&prefixed), event(TEXT));
    let interim = event(
        &TEXT_BLOCK
            .replace("PBA_ALLOC", "PBA_INTERIM")
            .replace("allocates", "keeps"),
    );
    assert_eq!(
        (&interim["event"], &interim["time_source"]),
        (&"updated".into(), &"receive".into())
    );
    assert_eq!(interim["mapping_start"], event(TEXT_BLOCK)["timestamp"]);
    let framed = TEXT.replace(
        "<14>Nov 18 09:57:10 srx1 RT_FLOW: RT_FLOW_SESSION_CREATE:",
        "<14>1 2024-02-29T23:59:59Z srx1 RT_FLOW - RT_FLOW_SESSION_CREATE -",
    );
    assert_eq!(event(&framed)["time_source"], "device_header");
}

#[test]
fn other_messages_of_junos_are_no_mappings() {
    let other = |tag: &str| outcome(&CREATE.replace("RT_FLOW_SESSION_CREATE", tag));
    for tag in [
        "RT_FLOW_SESSION_DENY",
        "APPTRACK_SESSION_CREATE",
        "AAMW_ACTION_LOG",
        "RT_IDP_ATTACK_LOG_EVENT",
        "FLOW_X",
    ] {
        assert_eq!(other(tag), Ok(Outcome::Ignored(Ignored::NotAMapping)), "{tag}");
    }
    for tag in ["RT_SRC_NAT_SUBS_POOL_ALARM_CLEAR", "RT_SRC_NAT_OUTOF_PORTS"] {
        assert_eq!(other(tag), Ok(Outcome::Ignored(Ignored::ResourceAlarm)), "{tag}");
    }
}

/// Structured data has an end mark, and running text is asked for something behind all that an event needs: a cut
/// line yields an error, or the very event; a cut may only cost what stands behind (user, epoch).
#[test]
fn cut_messages_yield_nothing_wrong() {
    for whole in [CREATE, RELEASE] {
        for end in 0..whole.len() {
            assert!(outcome(&whole[..end]).is_err(), "{}", &whole[..end]);
        }
    }
    for whole in [TEXT, TEXT_BLOCK] {
        for end in 0..whole.len() {
            let (outcome, events) = common::decode(Profile::Auto, &whole.as_bytes()[..end]);
            let Some(mut cut) = events.into_iter().next() else {
                assert!(outcome.is_err(), "{}", &whole[..end]);
                continue;
            };
            let expected = event(whole);
            if cut["time_source"] == "receive" {
                cut["timestamp"] = expected["timestamp"].clone();
                cut["time_source"] = expected["time_source"].clone();
            }
            assert_eq!(cut, expected, "{}", &whole[..end]);
        }
    }
}
