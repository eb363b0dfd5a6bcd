//! What routers announce, and who had the address then.

pub struct Scenario {
    pub name: &'static str,
    /// `SECONDS KIND EVENT FIELD…`, in the order of their frames; fields are `src=IP[:PORT]`, `x=PORT`, `dst=IP:PORT`, `p=N`,
    /// `b=START-END[/STEP]`, `vrf=`, `sub=`, `from=SECONDS` (stated begin), `exp=IP`, `bare` (names no outside), `rcv=SECONDS` (received), `stream2`.
    pub events: &'static [&'static str],
    /// `@SECONDS [~TOLERANCE] [PORT|*] [p=N]` and the answers: `SRC BEGIN END`, with `within` if only the tolerance makes it one.
    pub asked: &'static [(&'static str, &'static [&'static str])],
}

pub const SCENARIOS: &[Scenario] = &[
    Scenario {
        name: "a session, at exact instants",
        events: &[
            "0 session created src=10.0.0.1:1000 x=4000 dst=198.51.100.1:443 p=6",
            "10 session deleted src=10.0.0.1:1000 x=4000 dst=198.51.100.1:443 p=6",
        ],
        asked: &[
            ("@-0.000001 4000", &[]),
            ("@0 4000", &["10.0.0.1:1000 c0 d10"]),
            ("@5 4000 p=6", &["10.0.0.1:1000 c0 d10"]),
            ("@10 4000", &["10.0.0.1:1000 c0 d10"]),
            ("@10.000001 4000", &[]),
            ("@-1 ~1 4000", &["10.0.0.1:1000 c0 d10 within"]),
            ("@11 ~1 4000", &["10.0.0.1:1000 c0 d10 within"]),
            ("@11.1 ~1 4000", &[]),
            ("@5 4001", &[]),
            ("@5 4000 p=17", &[]),
            ("@5 *", &["10.0.0.1:1000 c0 d10"]),
        ],
    },
    Scenario {
        name: "still open, years later",
        events: &["-94608000 port created src=10.0.0.1:1000 x=4000 p=17 sub=line-7"],
        asked: &[
            ("@0 4000 p=17", &["10.0.0.1:1000 c-94608000 open"]),
            ("@0 4000", &["10.0.0.1:1000 c-94608000 open"]),
        ],
    },
    Scenario {
        name: "one outside port, two remote ends, two insides",
        events: &[
            "0 session created src=10.0.0.1:1000 x=4000 dst=198.51.100.1:443 p=6",
            "1 session created src=10.0.0.2:1000 x=4000 dst=198.51.100.2:443 p=6",
            "8 session deleted src=10.0.0.1:1000 x=4000 dst=198.51.100.1:443 p=6",
        ],
        asked: &[
            ("@5 4000", &["10.0.0.2:1000 c1 open", "10.0.0.1:1000 c0 d8"]),
            ("@9 4000", &["10.0.0.2:1000 c1 open"]),
        ],
    },
    Scenario {
        name: "the protocol counts, and none is all",
        events: &[
            "0 port created src=10.0.0.1:1000 x=4000 p=6",
            "1 port created src=10.0.0.2:1000 x=4000 p=17",
            "2 port created src=10.0.0.3:7 x=4000 p=1",
        ],
        asked: &[
            ("@5 4000 p=6", &["10.0.0.1:1000 c0 open"]),
            ("@5 4000 p=17", &["10.0.0.2:1000 c1 open"]),
            (
                "@5 4000",
                &[
                    "10.0.0.3:7 c2 open",
                    "10.0.0.2:1000 c1 open",
                    "10.0.0.1:1000 c0 open",
                ],
            ),
        ],
    },
    Scenario {
        name: "delete and create with the same tuple at the same instant",
        events: &[
            "0 port created src=10.0.0.1:1000 x=4000 p=6",
            "10 port deleted src=10.0.0.1:1000 x=4000 p=6",
            "10 port created src=10.0.0.1:1000 x=4000 p=6",
        ],
        asked: &[
            ("@5 4000", &["10.0.0.1:1000 c0 d10"]),
            ("@10 4000", &["10.0.0.1:1000 c10 open", "10.0.0.1:1000 c0 d10"]),
            ("@15 4000", &["10.0.0.1:1000 c10 open"]),
        ],
    },
    Scenario {
        name: "create and delete at the same instant: arrival decides",
        events: &[
            "10 port created src=10.0.0.1:1000 x=4000 p=6",
            "10 port deleted src=10.0.0.1:1000 x=4000 p=6",
        ],
        asked: &[("@10 4000", &["10.0.0.1:1000 c10 d10"]), ("@10.1 4000", &[])],
    },
    Scenario {
        name: "events that arrive out of order",
        events: &[
            "10 port deleted src=10.0.0.1:1000 x=4000 p=6",
            "0 port created src=10.0.0.1:1000 x=4000 p=6",
        ],
        asked: &[("@5 4000", &["10.0.0.1:1000 c0 d10"]), ("@11 4000", &[])],
    },
    Scenario {
        name: "a lost delete: another inside has the port since",
        events: &[
            "0 port created src=10.0.0.1:1000 x=4000 p=6",
            "10 port created src=10.0.0.2:1000 x=4000 p=6",
            "20 port created src=10.0.0.2:2000 x=4000 p=6",
        ],
        asked: &[
            ("@5 4000", &["10.0.0.1:1000 c0 x10"]),
            ("@10 4000", &["10.0.0.2:1000 c10 x20"]),
            ("@15 4000", &["10.0.0.2:1000 c10 x20"]),
            ("@25 4000", &["10.0.0.2:2000 c20 open"]),
            (
                "@10 ~1 4000",
                &["10.0.0.2:1000 c10 x20", "10.0.0.1:1000 c0 x10 within"],
            ),
        ],
    },
    Scenario {
        name: "a lost session delete is superseded only towards the same remote end",
        events: &[
            "0 session created src=10.0.0.1:1000 x=4000 dst=198.51.100.1:443 p=6",
            "10 session created src=10.0.0.2:1000 x=4000 dst=198.51.100.1:443 p=6",
        ],
        asked: &[
            ("@15 4000", &["10.0.0.2:1000 c10 open"]),
            ("@5 4000", &["10.0.0.1:1000 c0 x10"]),
        ],
    },
    Scenario {
        name: "a lost creation, and a delete that states the begin",
        events: &["100 session deleted src=10.0.0.1:1000 x=4000 dst=198.51.100.1:443 p=6 from=50"],
        asked: &[
            ("@49 4000", &[]),
            ("@50 4000", &["10.0.0.1:1000 s50 d100"]),
            ("@75 4000", &["10.0.0.1:1000 s50 d100"]),
            ("@101 4000", &[]),
        ],
    },
    Scenario {
        name: "the same delete twice is one mapping",
        events: &[
            "100 session deleted src=10.0.0.1:1000 x=4000 dst=198.51.100.1:443 p=6 from=50",
            "100 session deleted src=10.0.0.1:1000 x=4000 dst=198.51.100.1:443 p=6 from=50",
        ],
        asked: &[("@75 4000", &["10.0.0.1:1000 s50 d100"])],
    },
    Scenario {
        name: "a lost creation, and a delete that says nothing more",
        events: &["100 port deleted src=10.0.0.1:1000 x=4000 p=6"],
        asked: &[("@50 4000", &["10.0.0.1:1000 ?..100 d100"]), ("@100.1 4000", &[])],
    },
    Scenario {
        name: "an unknown begin is not before somebody else's end",
        events: &[
            "0 port created src=10.0.0.1:1000 x=4000 p=6",
            "10 port deleted src=10.0.0.1:1000 x=4000 p=6",
            "100 port deleted src=10.0.0.2:1000 x=4000 p=6",
        ],
        asked: &[
            ("@5 4000", &["10.0.0.1:1000 c0 d10"]),
            ("@50 4000", &["10.0.0.2:1000 ?10..100 d100"]),
        ],
    },
    Scenario {
        name: "a repeated delete opens nothing",
        events: &[
            "0 port created src=10.0.0.1:1000 x=4000 p=6",
            "10 port deleted src=10.0.0.1:1000 x=4000 p=6",
            "12 port deleted src=10.0.0.1:1000 x=4000 p=6",
        ],
        asked: &[("@11 4000", &[]), ("@5 4000", &["10.0.0.1:1000 c0 d10"])],
    },
    Scenario {
        name: "an update opens a mapping whose creation was lost",
        events: &[
            "50 block updated src=10.0.0.1 b=1024-2047 p=6",
            "80 block updated src=10.0.0.1 b=1024-2047 p=6",
            "90 block deleted src=10.0.0.1 b=1024-2047 p=6",
        ],
        asked: &[
            ("@60 1500", &["10.0.0.1 ?..50 d90"]),
            ("@40 1500", &["10.0.0.1 ?..50 d90"]),
            ("@60 2048", &[]),
            ("@91 1500", &[]),
        ],
    },
    Scenario {
        name: "an update after the moment states that the mapping was there",
        events: &["100 block updated src=10.0.0.1 b=1024-2047 p=6 from=20"],
        asked: &[
            ("@50 1500 p=6", &["10.0.0.1 s20 open"]),
            ("@19 1500", &[]),
            ("@200 1500", &["10.0.0.1 s20 open"]),
        ],
    },
    Scenario {
        name: "a late update of a closed block is not a new one",
        events: &[
            "20.4 block created src=10.0.0.1 b=1024-2047 p=6",
            "90 block deleted src=10.0.0.1 b=1024-2047 p=6",
            "91 block updated src=10.0.0.1 b=1024-2047 p=6 from=20",
        ],
        asked: &[("@50 1500", &["10.0.0.1 c20.4 d90"]), ("@95 1500", &[])],
    },
    Scenario {
        name: "blocks per protocol and for all",
        events: &[
            "0 block created src=10.0.0.1 b=1024-2047 p=6",
            "1 block created src=10.0.0.2 b=1024-2047 p=17",
            "2 block created src=10.0.0.3 b=2048-3071",
        ],
        asked: &[
            ("@5 1024 p=6", &["10.0.0.1 c0 open"]),
            ("@5 2047 p=17", &["10.0.0.2 c1 open"]),
            ("@5 1500 p=1", &[]),
            ("@5 2048 p=6", &["10.0.0.3 c2 open"]),
            ("@5 3071 p=47", &["10.0.0.3 c2 open"]),
            ("@5 3072", &[]),
            (
                "@5 *",
                &["10.0.0.3 c2 open", "10.0.0.2 c1 open", "10.0.0.1 c0 open"],
            ),
        ],
    },
    Scenario {
        name: "a block for one protocol takes only that from a block for all",
        events: &[
            "0 block created src=10.0.0.1 b=1024-2047",
            "10 block created src=10.0.0.2 b=1024-1535 p=6",
        ],
        asked: &[
            ("@20 1100 p=6", &["10.0.0.2 c10 open"]),
            ("@20 1100 p=17", &["10.0.0.1 c0 open"]),
            ("@20 1600 p=6", &["10.0.0.1 c0 open"]),
        ],
    },
    Scenario {
        name: "a lost release: an overlapping block supersedes",
        events: &[
            "0 block created src=10.0.0.1 b=1024-2047 p=6",
            "10 block created src=10.0.0.2 b=2000-2999 p=6",
            "11 block created src=10.0.0.3 b=3000-3999 p=6",
        ],
        asked: &[
            ("@20 2020", &["10.0.0.2 c10 open"]),
            ("@5 2020", &["10.0.0.1 c0 x10"]),
            ("@20 *", &["10.0.0.3 c11 open", "10.0.0.2 c10 open"]),
        ],
    },
    Scenario {
        name: "strided blocks share a range and no port",
        events: &[
            "0 block created src=10.0.0.1 b=1024-2047/4",
            "1 block created src=10.0.0.2 b=1025-2045/4",
            "2 block created src=10.0.0.3 b=1024-2040/8",
        ],
        asked: &[
            ("@5 1025", &["10.0.0.2 c1 open"]),
            ("@5 1026", &[]),
            ("@5 1028", &["10.0.0.1 c0 open"]),
            ("@5 1032", &["10.0.0.3 c2 open"]),
            ("@5 *", &["10.0.0.3 c2 open", "10.0.0.2 c1 open"]),
        ],
    },
    Scenario {
        name: "a deterministic allocation that is stated again",
        events: &[
            "0 block created src=10.0.0.1 b=1024-2047",
            "100 block created src=10.0.0.1 b=1024-2047",
            "200 block created src=10.0.0.1 b=1024-2047",
        ],
        asked: &[
            ("@50 1500", &["10.0.0.1 c0 open"]),
            ("@100 1500", &["10.0.0.1 c100 open"]),
            ("@150 1500", &["10.0.0.1 c100 open"]),
            ("@250 *", &["10.0.0.1 c200 open"]),
        ],
    },
    Scenario {
        name: "an address mapping holds for any port and protocol",
        events: &[
            "0 address created src=10.0.0.1 vrf=red",
            "9 address deleted src=10.0.0.1 vrf=red",
        ],
        asked: &[
            ("@5 4000 p=6", &["10.0.0.1 c0 d9 vrf=red"]),
            ("@5 *", &["10.0.0.1 c0 d9 vrf=red"]),
            ("@5 0", &["10.0.0.1 c0 d9 vrf=red"]),
            ("@10 *", &[]),
        ],
    },
    Scenario {
        name: "inside addresses overlap between VRFs",
        events: &[
            "0 port created src=10.0.0.1:1000 x=4000 p=6 vrf=red",
            "5 port created src=10.0.0.1:1000 x=4001 p=6 vrf=blue",
            "6 port deleted src=10.0.0.1:1000 x=4001 p=6 vrf=blue",
        ],
        asked: &[
            ("@10 4000", &["10.0.0.1:1000 c0 open vrf=red"]),
            ("@10 4001", &[]),
            ("@6 4001", &["10.0.0.1:1000 c5 d6 vrf=blue"]),
        ],
    },
    Scenario {
        name: "two routers of a pair announce the same mapping",
        events: &[
            "0 address created src=10.0.0.1 exp=192.0.2.1",
            "1 address created src=10.0.0.1 exp=192.0.2.2",
        ],
        asked: &[("@5 *", &["10.0.0.1 c1 open", "10.0.0.1 c0 open"])],
    },
    Scenario {
        name: "a delete that names the inside alone",
        events: &[
            "0 session created src=10.9.0.1:1000 x=4000 dst=198.51.100.1:443 p=6",
            "10 session deleted src=10.9.0.1:1000 p=6 bare",
            "20 session created src=10.9.0.1:1000 x=4000 dst=198.51.100.1:443 p=6",
            "21 session deleted src=10.9.0.1:1001 p=6 bare",
            "22 session deleted src=10.9.0.1:1000 p=17 bare",
        ],
        asked: &[
            ("@5 4000", &["10.9.0.1:1000 c0 d10"]),
            ("@15 4000", &[]),
            (
                "@15 ~6 4000",
                &["10.9.0.1:1000 c20 open within", "10.9.0.1:1000 c0 d10 within"],
            ),
            ("@25 4000", &["10.9.0.1:1000 c20 open"]),
        ],
    },
    Scenario {
        name: "a delete that lacks the outside port and the remote end",
        events: &[
            "0 session created src=10.0.0.1:1000 x=4000 dst=198.51.100.1:443 p=6 vrf=red",
            "10 session deleted src=10.0.0.1:1000 p=6",
            "20 session deleted src=10.0.0.5:1000 p=6",
        ],
        asked: &[("@5 4000", &["10.0.0.1:1000 c0 d10 vrf=red"]), ("@15 4000", &[])],
    },
    Scenario {
        name: "of the same device time, what was received first came first, whatever frame it is in",
        events: &[
            "5 port deleted src=10.0.0.1:1000 x=4000 p=6 rcv=6.2",
            "5 port created src=10.0.0.1:1000 x=4000 p=6 rcv=6.1",
            "5 session deleted src=10.78.0.2:1000 p=6 bare rcv=6.2",
            "5 session created src=10.78.0.2:1000 x=4001 dst=198.51.100.1:443 p=6 rcv=6.1 stream2",
            "5 port created src=10.0.0.4:1000 x=4002 p=6 rcv=6.3",
            "5 port deleted src=10.0.0.3:1000 x=4002 p=6 rcv=6.2 stream2",
            "5 port created src=10.0.0.3:1000 x=4002 p=6 rcv=6.1",
        ],
        asked: &[
            ("@6 4000", &[]),
            ("@6 4001", &[]),
            ("@6 4002", &["10.0.0.4:1000 c5 open"]),
        ],
    },
    Scenario {
        name: "IPv6 inside, as with NAT64",
        events: &["0 session created src=[2001:db8::1]:1000 x=4000 dst=198.51.100.1:443 p=6"],
        asked: &[("@5 4000", &["[2001:db8::1]:1000 c0 open"])],
    },
    Scenario {
        name: "port 0 and port 65535 are ports",
        events: &[
            "0 block created src=10.0.0.1 b=0-65535",
            "1 port created src=10.0.0.2:0 x=0 p=6",
            "1 port created src=10.0.0.2:65535 x=65535 p=6",
        ],
        asked: &[
            ("@5 0", &["10.0.0.2:0 c1 open", "10.0.0.1 c0 open"]),
            ("@5 65535", &["10.0.0.2:65535 c1 open", "10.0.0.1 c0 open"]),
        ],
    },
];
