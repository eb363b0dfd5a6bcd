use super::*;
use store::ledger::Counted;

const NOW: i64 = 1000 * MINUTE_NS;
const LIFE: u64 = 7;

fn exporter(last: u8) -> IpAddr {
    IpAddr::from([192, 0, 2, last])
}

/// A minute so many minutes ago.
fn minute(ago: i64) -> i64 {
    NOW - ago * MINUTE_NS
}

fn counted(minute_ns: i64, exporter: IpAddr, cell: Cell, count: i64) -> Counted {
    Counted {
        minute_ns,
        life: LIFE,
        exporter,
        cell: cell.name().into(),
        count,
    }
}

/// Received, framed, taken and stored of an exporter in a minute.
fn way(minute_ns: i64, exporter: IpAddr, counts: [i64; 4]) -> Vec<Counted> {
    let [received, framed, taken, stored] = counts;
    [
        (Cell::ReceivedUdp, received),
        (Cell::Framed, framed),
        (Cell::Taken, taken),
        (Cell::Stored, stored),
        (Cell::Events, stored),
        (Cell::Rows, stored),
    ]
    .map(|(cell, count)| counted(minute_ns, exporter, cell, count))
    .to_vec()
}

fn life(heard_ns: i64, ended_ns: Option<i64>, totals: &[(Cell, i64)]) -> Life {
    Life {
        life: LIFE,
        host: "collector-1".into(),
        started_ns: minute(30),
        heard_ns,
        ended_ns,
        has_xdp: true,
        hold_max: 100,
        skew_interface: 0,
        skew_sockets: 0,
        waiting_frames: 0,
        totals: totals
            .iter()
            .map(|(cell, count)| (cell.name().into(), *count))
            .collect(),
    }
}

fn account(cells: Vec<Counted>, lives: Vec<Life>) -> Account {
    let page = Page {
        now_ns: NOW,
        cells,
        lives,
    };
    let window = Window {
        from_ns: minute(20),
        to_ns: NOW + MINUTE_NS,
    };
    Account::new(&page, &window, None)
}

fn standing(account: &Account, name: &str) -> Standing {
    account
        .all_balances()
        .find(|balance| balance.equation.name == name)
        .map_or_else(|| panic!("no equation {name}"), |balance| balance.standing)
}

#[test]
fn a_loss_in_one_minute_is_not_made_good_by_a_surplus_in_another() {
    let cells = [
        way(minute(9), exporter(1), [5, 5, 4, 4]),
        way(minute(8), exporter(1), [5, 5, 6, 6]),
        way(minute(8), exporter(2), [3, 3, 3, 3]),
    ];
    let account = account(cells.concat(), Vec::new());
    assert!(!account.closes());
    let bus = account.failures().next().expect("a failure");
    assert_eq!((bus.equation.name, bus.difference()), ("bus", 0));
    let places: Vec<_> = bus
        .places
        .iter()
        .map(|(place, difference, _)| (place.minute_ns, *difference))
        .collect();
    assert_eq!(places, [(minute(9), 1), (minute(8), -1)]);
}

#[test]
fn the_last_minutes_are_open_only_while_a_collector_runs() {
    let cells = way(minute(1), exporter(1), [5, 5, 2, 2]);
    let running = account(cells.clone(), vec![life(NOW, None, &[])]);
    assert!(running.closes() && running.is_open());
    assert_eq!(standing(&running, "bus"), Standing::Open);
    let ended = account(cells.clone(), vec![life(NOW, Some(NOW), &[])]);
    assert_eq!(standing(&ended, "bus"), Standing::Fails);
    let old = account(
        way(minute(3), exporter(1), [5, 5, 2, 2]),
        vec![life(NOW, None, &[])],
    );
    assert_eq!(standing(&old, "bus"), Standing::Fails);
}

#[test]
fn silence_without_a_last_word_is_never_fine() {
    let cells = way(minute(5), exporter(1), [5, 5, 5, 5]);
    let silent = account(cells.clone(), vec![life(NOW - SILENT_NS - 1, None, &[])]);
    assert!(silent.has_cut_off() && !silent.closes());
    let ended = account(
        cells,
        vec![life(NOW - SILENT_NS - 1, Some(NOW - SILENT_NS - 1), &[])],
    );
    assert!(ended.closes());
}

#[test]
fn what_waits_in_sockets_is_open_up_to_what_they_hold_and_while_they_live() {
    let totals = |received| {
        [
            (Cell::NicReceived, 1000),
            (Cell::XdpAccepted, 1000),
            (Cell::SocketReceived, received),
            (Cell::SocketDropped, 10),
        ]
    };
    for (received, ended, wanted) in [
        (990, Some(NOW), Standing::Closes),
        (989, Some(NOW), Standing::Fails),
        (890, None, Standing::Open),
        (889, None, Standing::Fails),
        (991, None, Standing::Unproven),
        (991, Some(NOW), Standing::Unproven),
    ] {
        let account = account(Vec::new(), vec![life(NOW, ended, &totals(received))]);
        assert_eq!(standing(&account, "sockets"), wanted, "{received} {ended:?}");
    }
}

#[test]
fn exporters_that_one_station_did_not_tell_apart_are_weighed_together() {
    let nobody = NOT_TOLD_APART;
    let cells = vec![
        counted(minute(5), exporter(1), Cell::Framed, 4),
        counted(minute(5), nobody, Cell::Framed, 6),
        counted(minute(5), exporter(1), Cell::Taken, 5),
        counted(minute(5), exporter(2), Cell::Taken, 5),
        counted(minute(5), nobody, Cell::Stored, 10),
        counted(minute(5), nobody, Cell::ReceivedUdp, 10),
        // Strangers do not keep exporters from being told apart.
        counted(minute(6), nobody, Cell::ReceivedUdp, 3),
        counted(minute(6), nobody, Cell::NotAllowed, 3),
        counted(minute(6), exporter(1), Cell::Framed, 1),
        counted(minute(6), exporter(1), Cell::ReceivedUdp, 1),
        counted(minute(6), exporter(2), Cell::Taken, 1),
        counted(minute(6), exporter(2), Cell::Stored, 1),
    ];
    let account = account(cells, Vec::new());
    let bus = account.failures().next().expect("a failure");
    let places: Vec<_> = bus
        .places
        .iter()
        .map(|(place, difference, _)| (*place, *difference))
        .collect();
    let place = |last| Place {
        minute_ns: minute(6),
        exporter: Some(exporter(last)),
    };
    assert_eq!(places, [(place(1), 1), (place(2), -1)]);
}

#[test]
fn drops_of_the_driver_explain_no_more_than_they_are() {
    for (dropped, wanted) in [
        (0, Standing::Fails),
        (4, Standing::Fails),
        (5, Standing::Closes),
        (9, Standing::Closes),
    ] {
        let totals = [
            (Cell::NicReceived, 105),
            (Cell::NicDropped, dropped),
            (Cell::XdpNotOurs, 100),
        ];
        let account = account(Vec::new(), vec![life(NOW, Some(NOW), &totals)]);
        assert_eq!(standing(&account, "interface"), wanted, "{dropped}");
    }
}

#[test]
fn a_cell_of_a_newer_release_is_no_reason_to_say_that_it_closes() {
    let mut cells = way(minute(5), exporter(1), [5, 5, 5, 5]);
    cells.push(Counted {
        cell: "unknown.999".into(),
        ..cells[0].clone()
    });
    let account = account(cells, Vec::new());
    assert!(!account.closes() && account.failures().next().is_none());
}

#[test]
fn the_first_of_an_old_life_is_dropped_and_what_was_under_way_then_is_allowed_for() {
    let totals = [
        (Cell::NicReceived, 90),
        (Cell::XdpAccepted, 90),
        (Cell::SocketReceived, 80),
    ];
    for (days, wanted) in [(KEPT_DAYS - 1, Standing::Fails), (KEPT_DAYS, Standing::Open)] {
        let old = Life {
            started_ns: NOW - i64::from(days) * DAY_NS,
            ..life(NOW, Some(NOW), &totals)
        };
        assert_eq!(
            standing(&account(Vec::new(), vec![old]), "sockets"),
            wanted,
            "{days}"
        );
    }
}

#[test]
fn threads_are_weighed_only_where_all_minutes_of_a_life_are_there() {
    let totals = [(Cell::SocketReceived, 5)];
    for (started, wanted) in [(minute(15), Some(Standing::Fails)), (minute(25), None)] {
        let life = Life {
            started_ns: started,
            ..life(NOW, Some(NOW), &totals)
        };
        let account = account(way(minute(9), exporter(1), [4; 4]), vec![life]);
        let threads = account
            .all_balances()
            .find(|balance| balance.equation.name == THREADS.name);
        assert_eq!(threads.map(|balance| balance.standing), wanted);
    }
}
