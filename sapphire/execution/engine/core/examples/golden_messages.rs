//! Prints one message of every schema, one JSON object a line, for the readers in other languages to check themselves
//! against.

use std::error::Error;
use std::io::{self, Write};

use sapphire_core::amounts::MAX_ATOMS;
use sapphire_core::messages::{
    AccountState, Advanced, DecimalText, Envelope, FillReport, Heartbeat, HftSignal, MarketData, MarketKind, Message,
    Name, NotedView, OrderExecution, OrderState, OrderType, PartState, PositionState, Prose, Quantile, RiskUpdate,
    Sent, Settled, Side, StreamPosition, TimeInForce, TradingState, View,
};

fn main() -> Result<(), Box<dyn Error>> {
    let mut out = io::stdout().lock();
    for message in messages()? {
        out.write_all(&message.encode()?)?;
        out.write_all(b"\n")?;
    }
    Ok(())
}

fn messages() -> Result<Vec<Message>, Box<dyn Error>> {
    Ok(vec![
        Message::View(Box::new(view()?)),
        Message::HftSignal(Box::new(signal()?)),
        Message::MarketData(Box::new(bar()?)),
        Message::OrderExecution(Box::new(filled()?)),
        Message::OrderExecution(Box::new(denied()?)),
        Message::RiskUpdate(Box::new(risk()?)),
        Message::Heartbeat(Box::new(heartbeat()?)),
        Message::Settled(Box::new(settled()?)),
        Message::Advanced(Box::new(advanced()?)),
        Message::AccountState(Box::new(account_state()?)),
        Message::NotedView(Box::new(noted_view()?)),
    ])
}

fn envelope(schema_id: &str, sequence: u64) -> Result<Envelope, Box<dyn Error>> {
    Ok(Envelope {
        causation_id: None,
        event_time_ns: 1_709_269_200_000_000_000,
        message_id: Name::new(&format!("rust-{sequence}"))?,
        producer: Name::new("engine")?,
        publish_time_ns: i64::MAX,
        schema_id: Name::new(schema_id)?,
        sequence,
        trace_id: Name::new("trace-7")?,
    })
}

fn view() -> Result<View, Box<dyn Error>> {
    let point = |probability: &str, value_bps: &str| -> Result<Quantile, Box<dyn Error>> {
        Ok(Quantile { probability: DecimalText::new(probability)?, value_bps: DecimalText::new(value_bps)? })
    };
    Ok(View {
        agent: Name::new("trend")?,
        as_of_ns: 1_709_269_200_000_000_000,
        envelope: envelope("VIEW@1", 1)?,
        horizon_ns: 43_200_000_000_000,
        mean_bps: None,
        quantiles: vec![point("0.1", "-120.5")?, point("0.5", "3")?, point("0.9", "131.25")?],
        score: None,
        std_bps: None,
        symbol: Name::new("BTC/USDT")?,
    })
}

fn noted_view() -> Result<NotedView, Box<dyn Error>> {
    Ok(NotedView {
        agent: Name::new("qwen")?,
        as_of_ns: 1_709_269_200_000_000_000,
        elicitation: Prose::new("one token")?,
        envelope: envelope("VIEW@2", 11)?,
        horizon_ns: 43_200_000_000_000,
        mean_bps: None,
        model_kind: Prose::new("embedded-default")?,
        quantiles: Vec::new(),
        read: vec![Prose::new("news 1")?],
        score: Some(DecimalText::new("-0.5")?),
        std_bps: None,
        symbol: Name::new("BTC/USDT")?,
        thesis: Prose::new("it rose\n\u{2039}\u{a6}")?,
    })
}

fn signal() -> Result<HftSignal, Box<dyn Error>> {
    Ok(HftSignal {
        bar_close_ns: 1_709_269_200_000_000_000,
        envelope: envelope("HFT_SIGNAL@1", 2)?,
        reference_ticks: 6_425_010,
        release: Name::new("trend@1")?,
        symbol: Name::new("BTC/USDT")?,
        target_lots: i64::MIN,
        time_to_live_ns: i64::MAX,
    })
}

fn bar() -> Result<MarketData, Box<dyn Error>> {
    Ok(MarketData {
        close: DecimalText::new("64250.10")?,
        envelope: envelope("MARKET_DATA@1", 3)?,
        high: DecimalText::new("64300")?,
        interval: Name::new("1h")?,
        low: DecimalText::new("64000.00")?,
        market: MarketKind::Generated,
        open: DecimalText::new("64100.5")?,
        open_time_ns: 1_709_265_600_000_000_000,
        symbol: Name::new("BTC/USDT")?,
        venue: Name::new("sapphire")?,
        volume_base: DecimalText::new("0.00000001")?,
    })
}

fn filled() -> Result<OrderExecution, Box<dyn Error>> {
    Ok(OrderExecution {
        account: Name::new("paper")?,
        created_ns: 1_709_269_200_000_000_001,
        envelope: envelope("ORDER_EXECUTION@1", 4)?,
        fill: Some(FillReport {
            fee_asset: Name::new("BTC")?,
            fee_atoms: 10,
            is_maker: true,
            lots: 1,
            price_ticks: 6_425_010,
            quote_atoms: 64_250_100,
            time_ns: 1_709_269_200_004_000_000,
            trade_id: Name::new("9007199254740993")?,
        }),
        filled_lots: 1,
        filled_quote_atoms: 64_250_100,
        limit_ticks: Some(6_425_010),
        lots: 2,
        order_id: Name::new("p-1709269200-1")?,
        order_type: OrderType::Limit,
        reason: None,
        release: Some(Name::new("trend@1")?),
        side: Side::Buy,
        state: OrderState::PartiallyFilled,
        symbol: Name::new("BTC/USDT")?,
        time_in_force: TimeInForce::Gtx,
        venue_order_id: Some(Name::new("17")?),
    })
}

fn denied() -> Result<OrderExecution, Box<dyn Error>> {
    Ok(OrderExecution {
        fill: None,
        filled_lots: 0,
        filled_quote_atoms: 0,
        limit_ticks: None,
        order_type: OrderType::Market,
        reason: Some(Name::new("NO_REFERENCE")?),
        release: None,
        side: Side::Sell,
        state: OrderState::Denied,
        time_in_force: TimeInForce::Ioc,
        venue_order_id: None,
        envelope: envelope("ORDER_EXECUTION@1", 5)?,
        ..filled()?
    })
}

fn risk() -> Result<RiskUpdate, Box<dyn Error>> {
    Ok(RiskUpdate {
        account: Name::new("paper")?,
        code: Name::new("DAILY_LOSS")?,
        envelope: envelope("RISK_UPDATE@1", 6)?,
        limit: Some(DecimalText::new("-250.00")?),
        state: TradingState::Reducing,
        symbol: None,
        text: Prose::new("loss of the day\n\t\"250\" \\ \u{1}\u{7f} é 漢 \u{1f4c9} \u{2028}")?,
        value: Some(DecimalText::new("-250.01")?),
    })
}

fn heartbeat() -> Result<Heartbeat, Box<dyn Error>> {
    Ok(Heartbeat {
        address: Some(Name::new("127.0.0.1:8700")?),
        envelope: envelope("HEARTBEAT@1", 9_007_199_254_740_991)?,
        release: None,
        since_ns: 0,
        state: PartState::Ready,
    })
}

fn settled() -> Result<Settled, Box<dyn Error>> {
    Ok(Settled {
        bar_close_ns: 1_709_269_200_000_000_000,
        consumed: vec![StreamPosition { position: Name::new("1709269200000-0")?, stream: Name::new("bars")? }],
        envelope: envelope("SETTLED@1", 8)?,
        sent: vec![Sent { count: 2, stream: Name::new("signals")? }, Sent { count: 0, stream: Name::new("reports")? }],
        wake_at_ns: Some(1_709_269_260_000_000_000),
    })
}

fn advanced() -> Result<Advanced, Box<dyn Error>> {
    Ok(Advanced {
        account_events: 17,
        bar_close_ns: None,
        envelope: envelope("ADVANCED@1", 9)?,
        now_ns: 1_709_269_200_000_000_001,
    })
}

fn account_state() -> Result<AccountState, Box<dyn Error>> {
    Ok(AccountState {
        account: Name::new("paper")?,
        bar_close_ns: 1_709_269_200_000_000_000,
        cash_quote_atoms: -MAX_ATOMS,
        envelope: envelope("ACCOUNT_STATE@1", 10)?,
        positions: vec![PositionState { atoms: MAX_ATOMS, lots: 0, symbol: Name::new("BTC/USDT")? }],
        quote: Name::new("USDT")?,
        state: TradingState::Halted,
    })
}
