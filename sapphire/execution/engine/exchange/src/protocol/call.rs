//! One request on its way through: who asks, with which parameters, and what comes back.

use std::future::Future;
use std::pin::Pin;

use axum::http::Method;
use sapphire_core::instrument::InstrumentId;
use sapphire_core::venue::AccountId;
use serde::Serialize;

use super::Protocol;
use super::errors::Refusal;
use super::limits::OrderCount;
use super::params::{Params, Symbols};
use crate::matching::api::{Catalog, Filter, MatchingError, MatchingHandle, Refusal as Rejection, SymbolInfo};

/// What a request must carry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Security {
    /// Nothing.
    Public,
    /// Key, time and signature.
    Signed,
}

/// Something that can be asked for, by REST, by the WebSocket API or by both.
pub struct Endpoint {
    /// REST's verb and path.
    pub rest: Option<(Method, &'static str)>,
    /// The WebSocket API's name.
    pub method: Option<&'static str>,
    /// What a request must carry.
    pub security: Security,
    /// What it costs.
    pub weight: fn(&Params) -> u32,
    /// The parameters it takes, beside those of security.
    pub takes: &'static [&'static str],
    /// How it is answered.
    pub answer: for<'a> fn(&'a Call<'a>) -> Pending<'a>,
}

/// An answer on its way.
pub type Pending<'a> = Pin<Box<dyn Future<Output = Result<Answer, Refusal>> + Send + 'a>>;

/// A request that passed the gate.
#[derive(Debug)]
pub struct Call<'a> {
    /// The exchange behind.
    pub protocol: &'a Protocol,
    /// What it asks.
    pub params: &'a Params,
    /// Whose it is; none for public requests.
    pub caller: Option<AccountId>,
}

/// The JSON of an answer.
#[derive(Debug)]
pub struct Answer {
    /// The text.
    pub json: String,
    /// The account's orders so far, when one was placed.
    pub orders: Option<OrderCount>,
}

impl Answer {
    /// An answer of a value.
    ///
    /// # Errors
    /// None that can happen with this crate's payloads; the type has to say so.
    pub fn of(value: &impl Serialize) -> Result<Self, Refusal> {
        let json = serde_json::to_string(value).map_err(|_| Refusal::unknown())?;
        Ok(Self { json, orders: None })
    }

    /// `{}`.
    pub fn empty() -> Self {
        Self { json: "{}".to_owned(), orders: None }
    }
}

impl<'a> Call<'a> {
    /// The way to the matching service.
    pub fn matching(&self) -> &'a MatchingHandle {
        &self.protocol.matching
    }

    /// What is listed.
    pub fn catalog(&self) -> &'a Catalog {
        self.protocol.matching.catalog()
    }

    /// The account that asks.
    ///
    /// # Errors
    /// -2015 on a request that was not signed, which the table of endpoints rules out.
    pub fn account(&self) -> Result<AccountId, Refusal> {
        self.caller.ok_or_else(Refusal::unknown_key)
    }

    /// A symbol by its id.
    ///
    /// # Errors
    /// -1121.
    pub fn info(&self, instrument: InstrumentId) -> Result<&'a SymbolInfo, Refusal> {
        self.catalog().symbol(instrument).ok_or_else(Refusal::bad_symbol)
    }

    /// The symbol that the request is about.
    ///
    /// # Errors
    /// -1102 without one, -1121 when it is not listed.
    pub fn symbol(&self) -> Result<(InstrumentId, &'a SymbolInfo), Refusal> {
        self.listed(self.params.symbol()?)
    }

    /// A symbol by its name.
    ///
    /// # Errors
    /// -1121 when it is not listed.
    pub fn listed(&self, symbol: &str) -> Result<(InstrumentId, &'a SymbolInfo), Refusal> {
        let instrument = self.catalog().instrument(symbol).ok_or_else(Refusal::bad_symbol)?;
        Ok((instrument, self.info(instrument)?))
    }

    /// The instruments that the request is about, and whether it wants one object or a list.
    ///
    /// # Errors
    /// Those of [`Params::symbols`]; -1121 when one is not listed.
    pub fn instruments(&self) -> Result<(Vec<InstrumentId>, bool), Refusal> {
        match self.params.symbols()? {
            Symbols::One(symbol) => Ok((vec![self.listed(&symbol)?.0], true)),
            Symbols::Some(symbols) => {
                let found: Result<Vec<_>, _> =
                    symbols.iter().map(|symbol| self.listed(symbol).map(|(instrument, _)| instrument)).collect();
                Ok((found?, false))
            }
            Symbols::All => Ok((self.catalog().instruments().collect(), false)),
        }
    }

    /// A time in milliseconds as market nanoseconds.
    ///
    /// # Errors
    /// Those of [`Params::integer`]; a time beyond the year 2262 overflows.
    pub fn time_ns(&self, name: &str) -> Result<Option<i64>, Refusal> {
        let Some(ms) = self.params.integer(name)? else { return Ok(None) };
        ms.checked_mul(1_000_000).map(Some).ok_or_else(|| Refusal::overflow(name))
    }

    /// The end of a window, which includes its whole millisecond.
    ///
    /// # Errors
    /// Those of [`Call::time_ns`].
    pub fn end_ns(&self, name: &str) -> Result<Option<i64>, Refusal> {
        Ok(self.time_ns(name)?.map(|ns| ns.saturating_add(999_999)))
    }
}

impl From<MatchingError> for Refusal {
    fn from(error: MatchingError) -> Self {
        match error {
            MatchingError::Refused(rejection) => rejected(rejection),
            MatchingError::UnknownOrder => Self::cancel_unknown(),
            MatchingError::NoSuchOrder => Self::no_such_order(),
            MatchingError::UnknownAccount => Self::unknown_key(),
            MatchingError::UnknownInstrument => Self::bad_symbol(),
            MatchingError::Closed => Self::unavailable(),
            MatchingError::Deposit(_)
            | MatchingError::AccountName(_)
            | MatchingError::NameTaken(_)
            | MatchingError::Journal(_)
            | MatchingError::Clock(_) => Self::unknown(),
        }
    }
}

fn rejected(rejection: Rejection) -> Refusal {
    match rejection {
        // The number of open orders is the matching engine's check, not a form of the request.
        Rejection::Filter(filter @ Filter::MaxNumOrders) => Refusal { code: -2010, ..Refusal::filter(filter.name()) },
        Rejection::Filter(filter) => Refusal::filter(filter.name()),
        Rejection::DuplicateOrder => Refusal::new_order("Duplicate order sent."),
        Rejection::InsufficientBalance => Refusal::new_order("Account has insufficient balance for requested action."),
        Rejection::WouldTake => Refusal::new_order("Order would immediately match and take."),
        Rejection::MarketClosed => Refusal::new_order("Market is closed."),
        Rejection::ClientOrderId => Refusal::illegal("newClientOrderId", super::errors::CLIENT_ID_RANGE),
    }
}
