use super::*;
use proptest::prelude::*;

fn kinds() -> impl Strategy<Value = ReportKind> {
    let fill = (any::<u64>(), any::<[i64; 2]>(), any::<[i128; 2]>(), any::<u16>()).prop_map(
        |(trade, numbers, atoms, asset)| {
            let ([ticks, lots], [quote_atoms, fee_atoms]) = (numbers, atoms);
            Fill { trade, ticks, lots, quote_atoms, fee_asset: Asset(asset), fee_atoms }
        },
    );
    prop_oneof![
        any::<u64>().prop_map(|venue_order| ReportKind::Accepted { venue_order }),
        any::<i32>().prop_map(|venue_code| ReportKind::Rejected { venue_code }),
        (fill, any::<i64>()).prop_map(|(fill, executed_lots)| ReportKind::Trade { fill, executed_lots }),
        any::<i64>().prop_map(|executed_lots| ReportKind::Canceled { executed_lots }),
        any::<i64>().prop_map(|executed_lots| ReportKind::Expired { executed_lots }),
        any::<i32>().prop_map(|venue_code| ReportKind::CancelRejected { venue_code }),
        any::<bool>().prop_map(|conclusive| ReportKind::NotFound { conclusive }),
        Just(ReportKind::Unanswered),
    ]
}

fn reports() -> impl Strategy<Value = Report> {
    (any::<u16>(), any::<u32>(), any::<u64>(), kinds())
        .prop_map(|(account, epoch, sequence, kind)| Report { order: ClientOrderId { account, epoch, sequence }, kind })
}

fn limit_sets() -> impl Strategy<Value = LimitSet> {
    (any::<[Option<i128>; 3]>(), any::<[Option<u32>; 2]>()).prop_map(|(atoms, rates)| LimitSet {
        max_order_atoms: atoms[0],
        max_exposure_atoms: atoms[1],
        max_open_atoms: atoms[2],
        max_orders_per_second: rates[0],
        max_orders_per_minute: rates[1],
    })
}

fn bodies() -> impl Strategy<Value = Body> {
    let release = any::<u16>().prop_map(ReleaseId);
    let signal = (any::<[u16; 2]>(), any::<[i64; 3]>()).prop_map(|(indices, numbers)| {
        Body::Signal(Signal {
            release: ReleaseId(indices[0]),
            instrument: InstrumentId(indices[1]),
            target_lots: numbers[0],
            bar_close_ns: numbers[1],
            time_to_live_ns: numbers[2],
        })
    });
    let bbo = (any::<u16>(), any::<[i64; 3]>()).prop_map(|(instrument, numbers)| Body::Bbo {
        instrument: InstrumentId(instrument),
        bid_ticks: numbers[0],
        ask_ticks: numbers[1],
        as_of_ns: numbers[2],
    });
    let holdings = prop::collection::vec((any::<u16>().prop_map(Asset), any::<i128>()), 0..6);
    let command = prop_oneof![
        Just(Command::Halt),
        Just(Command::Reduce),
        Just(Command::Resume),
        Just(Command::Flatten),
        any::<u16>().prop_map(|index| Command::Close(InstrumentId(index))),
    ];
    prop_oneof![
        any::<u32>().prop_map(|epoch| Body::Epoch { epoch }),
        (release.clone(), any::<bool>()).prop_map(|(release, ok)| Body::Verdict { release, ok }),
        signal,
        any::<i64>().prop_map(|bar_close_ns| Body::EndOfBar { bar_close_ns }),
        bbo,
        reports().prop_map(Body::Report),
        (any::<i64>(), holdings).prop_map(|(as_of_ns, holdings)| Body::Balances(Balances { as_of_ns, holdings })),
        Just(Body::Timer),
        command.prop_map(Body::Command),
        (release, limit_sets()).prop_map(|(release, limits)| Body::Limits { release, limits }),
    ]
}

proptest! {
    #[test]
    fn every_event_survives_its_bytes(market_ns: i64, body in bodies()) {
        let event = Event { market_ns, body };
        let mut bytes = vec![0xa5; 3];
        event.encode(&mut bytes);
        prop_assert_eq!(Event::decode(&bytes[3..]), Ok(event));
    }

    #[test]
    fn what_is_cut_or_goes_on_is_refused(market_ns: i64, body in bodies(), more in 1_usize..9) {
        let mut bytes = Vec::new();
        Event { market_ns, body }.encode(&mut bytes);
        for length in 0..bytes.len() {
            let cut = Event::decode(&bytes[..length]);
            prop_assert!(matches!(cut, Err(BadEvent::Truncated { .. })), "{} of {}: {:?}", length, bytes.len(), cut);
        }
        bytes.resize(bytes.len() + more, 0);
        prop_assert_eq!(Event::decode(&bytes), Err(BadEvent::Trailing { got: more }));
    }

    #[test]
    fn no_bytes_make_it_fall_over(bytes in prop::collection::vec(any::<u8>(), 0..64)) {
        if let Ok(event) = Event::decode(&bytes) {
            let mut again = Vec::new();
            event.encode(&mut again);
            prop_assert_eq!(again, bytes);
        }
    }
}

/// What journals hold already has to read as it did: kinds are added, never numbered anew.
#[test]
fn commands_have_the_bytes_that_journals_hold() {
    let expected: [(Command, &[u8]); 5] = [
        (Command::Halt, &[9, 0]),
        (Command::Reduce, &[9, 1]),
        (Command::Resume, &[9, 2]),
        (Command::Flatten, &[9, 3]),
        (Command::Close(InstrumentId(258)), &[9, 4, 2, 1]),
    ];
    for (command, body) in expected {
        let event = Event { market_ns: 7, body: Body::Command(command) };
        let bytes = [&7_i64.to_le_bytes(), body].concat();
        assert_eq!(Event::decode(&bytes), Ok(event.clone()));
        let mut written = Vec::new();
        event.encode(&mut written);
        assert_eq!(written, bytes);
    }
    assert_eq!(Event::decode(&[0, 0, 0, 0, 0, 0, 0, 0, 9, 5]), Err(BadEvent::Unknown { what: "command", got: 5 }));
}

#[test]
fn a_kind_of_a_later_version_is_named() {
    let bytes = [0, 0, 0, 0, 0, 0, 0, 0, 77];
    assert_eq!(Event::decode(&bytes), Err(BadEvent::Unknown { what: "kind of event", got: 77 }));
}
