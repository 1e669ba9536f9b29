//! The parameters of a request, as strict as the venue: known names, no duplicates, typed values.
//!
//! Invariant: a parameter that its endpoint does not know is an error, never ignored. Values stay the text in which
//! they came until an endpoint asks for a type.

use std::borrow::Cow;
use std::collections::BTreeMap;

use percent_encoding::percent_decode_str;
use serde_json::value::RawValue;

use super::errors::{DECIMAL_RANGE, INTEGER_RANGE, Refusal, SYMBOL_RANGE, SYMBOLS_RANGE};
use super::sign::SIGNATURE;
use sapphire_core::amounts::Atoms;
use sapphire_core::decimal::{DecimalError, parse_atoms};

/// Parameters of every signed request, beside those of the endpoint.
const SIGNED: [&str; 3] = ["timestamp", "recvWindow", SIGNATURE];
/// Parameters that the WebSocket API takes with any request.
const SESSION: [&str; 2] = ["apiKey", "returnRateLimits"];

/// Name and value of each parameter, in the order in which they came.
#[derive(Clone, Debug, Default)]
pub struct Params {
    pairs: Vec<(String, String)>,
}

/// Which symbols a request is about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Symbols {
    /// `symbol`: the answer is an object.
    One(String),
    /// `symbols`: the answer is a list.
    Some(Vec<String>),
    /// Neither: the answer is a list of all.
    All,
}

impl Params {
    /// Parameters of a query and a form body. A name in both keeps the query's value.
    ///
    /// # Errors
    /// -1101 when a name stands twice in the query or in the body, -1100 for text that is not UTF-8.
    pub fn from_http(query: &str, body: &str) -> Result<Self, Refusal> {
        let mut params = Self { pairs: decode(query)? };
        for (name, value) in decode(body)? {
            if params.get(&name).is_none() {
                params.pairs.push((name, value));
            }
        }
        Ok(params)
    }

    /// Parameters of a WebSocket API request: strings lose their quotes, everything else keeps the text in which it
    /// came, so that a signature can be checked over it.
    ///
    /// # Errors
    /// -1135 for a string that is not JSON.
    pub fn from_json(fields: &BTreeMap<String, Box<RawValue>>) -> Result<Self, Refusal> {
        let mut pairs = Vec::with_capacity(fields.len());
        for (name, raw) in fields {
            let raw = raw.get();
            if raw == "null" {
                continue;
            }
            let value = if raw.starts_with('"') {
                serde_json::from_str(raw).map_err(|_| Refusal::invalid_json())?
            } else {
                raw.to_owned()
            };
            pairs.push((name.clone(), value));
        }
        Ok(Self { pairs })
    }

    /// Names and values in the order in which they came.
    pub fn pairs(&self) -> impl Iterator<Item = (&str, &str)> {
        self.pairs.iter().map(|(name, value)| (name.as_str(), value.as_str()))
    }

    /// The text of a parameter.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.pairs().find(|(known, _)| *known == name).map(|(_, value)| value)
    }

    /// Checks that nothing came that an endpoint with the parameters `known` does not take.
    ///
    /// # Errors
    /// -1101 when more came than there are, -1104 when some of them are unknown.
    pub fn check_known(&self, known: &[&str], signed: bool) -> Result<(), Refusal> {
        let session = self.pairs().filter(|(name, _)| SESSION.contains(name)).count();
        let most = known.len() + session + if signed { SIGNED.len() } else { 0 };
        let sent = self.pairs.len();
        if sent > most {
            return Err(Refusal::too_many_parameters(most, sent));
        }
        let is_known =
            |name: &str| known.contains(&name) || SESSION.contains(&name) || (signed && SIGNED.contains(&name));
        let read = self.pairs().filter(|(name, _)| is_known(name)).count();
        if read < sent { Err(Refusal::unread(read, sent)) } else { Ok(()) }
    }

    /// A parameter that must be there.
    ///
    /// # Errors
    /// -1102 when it is not, or is empty.
    pub fn text(&self, name: &str) -> Result<&str, Refusal> {
        self.get(name).filter(|value| !value.is_empty()).ok_or_else(|| Refusal::mandatory(name))
    }

    /// A parameter that may be there.
    ///
    /// # Errors
    /// -1105 when it is empty.
    pub fn optional(&self, name: &str) -> Result<Option<&str>, Refusal> {
        match self.get(name) {
            Some("") => Err(Refusal::empty(name)),
            value => Ok(value),
        }
    }

    /// A whole number that is not negative.
    ///
    /// # Errors
    /// -1100 when it is not one, -1108 when it does not fit.
    pub fn integer(&self, name: &str) -> Result<Option<i64>, Refusal> {
        let Some(text) = self.optional(name)? else { return Ok(None) };
        if text.len() > 20 || !text.bytes().all(|byte| byte.is_ascii_digit()) {
            return Err(Refusal::illegal(name, INTEGER_RANGE));
        }
        text.parse().map(Some).map_err(|_| Refusal::overflow(name))
    }

    /// A decimal amount in atoms.
    ///
    /// # Errors
    /// -1100 when it is not one, -1111 for more than eight decimals, -1108 when it does not fit.
    pub fn decimal(&self, name: &str) -> Result<Option<Atoms>, Refusal> {
        let Some(text) = self.optional(name)? else { return Ok(None) };
        parse_atoms(text).map(Some).map_err(|error| match error {
            DecimalError::Illegal => Refusal::illegal(name, DECIMAL_RANGE),
            DecimalError::TooPrecise => Refusal::too_precise(name),
            DecimalError::TooLarge => Refusal::overflow(name),
        })
    }

    /// `true` or `false`, in any case; false when absent.
    ///
    /// # Errors
    /// -1130 for anything else.
    pub fn flag(&self, name: &str) -> Result<bool, Refusal> {
        match self.optional(name)?.map(str::to_ascii_lowercase).as_deref() {
            None | Some("false") => Ok(false),
            Some("true") => Ok(true),
            Some(_) => Err(Refusal::bad_value(name)),
        }
    }

    /// How many rows to answer: at least one, cut at `most`.
    ///
    /// # Errors
    /// -1130 for zero, -1100 when it is not a number.
    pub fn limit(&self, default: usize, most: usize) -> Result<usize, Refusal> {
        match self.integer("limit")? {
            None => Ok(default),
            Some(0) => Err(Refusal::bad_value("limit")),
            Some(limit) => Ok(usize::try_from(limit).unwrap_or(most).min(most)),
        }
    }

    /// The `symbol` that must be there.
    ///
    /// # Errors
    /// -1102 when it is not, -1100 for characters that no symbol has.
    pub fn symbol(&self) -> Result<&str, Refusal> {
        let symbol = self.text("symbol")?;
        if is_symbol(symbol) { Ok(symbol) } else { Err(Refusal::illegal("symbol", SYMBOL_RANGE)) }
    }

    /// `symbol`, `symbols` or neither.
    ///
    /// # Errors
    /// -1128 when both came, -1100 when they are not symbols, -1151 when one is there twice.
    pub fn symbols(&self) -> Result<Symbols, Refusal> {
        match (self.optional("symbol")?, self.optional("symbols")?) {
            (Some(_), Some(_)) => Err(Refusal::bad_combination()),
            (Some(_), None) => Ok(Symbols::One(self.symbol()?.to_owned())),
            (None, Some(list)) => {
                let list: Vec<String> =
                    serde_json::from_str(list).map_err(|_| Refusal::illegal("symbols", SYMBOLS_RANGE))?;
                if !list.iter().all(|symbol| is_symbol(symbol)) {
                    return Err(Refusal::illegal("symbols", SYMBOLS_RANGE));
                }
                let distinct: std::collections::BTreeSet<_> = list.iter().collect();
                if distinct.len() < list.len() { Err(Refusal::repeated_symbol()) } else { Ok(Symbols::Some(list)) }
            }
            (None, None) => Ok(Symbols::All),
        }
    }
}

fn is_symbol(text: &str) -> bool {
    let legal = |byte: u8| byte.is_ascii_uppercase() || byte.is_ascii_digit() || matches!(byte, b'-' | b'_' | b'.');
    (1..=20).contains(&text.len()) && text.bytes().all(legal)
}

fn decode(form: &str) -> Result<Vec<(String, String)>, Refusal> {
    let mut pairs: Vec<(String, String)> = Vec::new();
    for pair in form.split('&').filter(|pair| !pair.is_empty()) {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        let name = decode_text(name).ok_or_else(Refusal::unknown_characters)?;
        let value = decode_text(value).ok_or_else(Refusal::unknown_characters)?;
        if pairs.iter().any(|(known, _)| *known == name) {
            return Err(Refusal::duplicate_parameter());
        }
        pairs.push((name.into_owned(), value.into_owned()));
    }
    Ok(pairs)
}

fn decode_text(text: &str) -> Option<Cow<'_, str>> {
    if !text.contains(['%', '+']) {
        return Some(Cow::Borrowed(text));
    }
    let spaced = text.replace('+', " ");
    percent_decode_str(&spaced).decode_utf8().ok().map(|text| Cow::Owned(text.into_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn params(query: &str, body: &str) -> Params {
        Params::from_http(query, body).unwrap()
    }

    #[test]
    fn the_query_wins_over_the_body() {
        let params = params("symbol=BTCUSDT&side=BUY", "side=SELL&price=1");
        assert_eq!(params.get("side"), Some("BUY"));
        assert_eq!(params.get("price"), Some("1"));
        assert_eq!(params.pairs().count(), 3);
    }

    #[test]
    fn a_name_stands_once() {
        let refusal = Params::from_http("symbol=A&symbol=B", "").unwrap_err();
        assert_eq!(refusal, Refusal::duplicate_parameter());
    }

    #[test]
    fn values_are_decoded_once() {
        let params = params("symbols=%5B%22BTCUSDT%22%2C%22ETHUSDT%22%5D&note=a+b%2Bc", "");
        assert_eq!(params.symbols(), Ok(Symbols::Some(vec!["BTCUSDT".into(), "ETHUSDT".into()])));
        assert_eq!(params.get("note"), Some("a b+c"));
    }

    #[test]
    fn unknown_parameters_are_refused() {
        let known = ["symbol", "limit"];
        assert_eq!(params("symbol=A&foo=1", "").check_known(&known, false), Err(Refusal::unread(1, 2)));
        assert_eq!(
            params("symbol=A&limit=1&foo=1", "").check_known(&known, false),
            Err(Refusal::too_many_parameters(2, 3))
        );
        assert_eq!(params("symbol=A&timestamp=1&signature=x", "").check_known(&known, true), Ok(()));
        assert_eq!(
            params("symbol=A&timestamp=1", "").check_known(&known, false).map_err(|refusal| refusal.code),
            Err(-1104)
        );
    }

    #[test]
    fn types_are_checked() {
        let params = params("a=12&b=-1&c=1.5&d=&e=TRUE&f=99999999999999999999&g=1e5&limit=0", "");
        let code = |refusal: Refusal| refusal.code;
        assert_eq!(params.integer("a"), Ok(Some(12)));
        assert_eq!(params.integer("b").map_err(code), Err(-1100));
        assert_eq!(params.integer("c").map_err(code), Err(-1100));
        assert_eq!(params.integer("f").map_err(code), Err(-1108));
        assert_eq!(params.decimal("c"), Ok(Some(150_000_000)));
        assert_eq!(params.decimal("g").map_err(code), Err(-1100));
        assert_eq!(params.optional("d").map_err(code), Err(-1105));
        assert_eq!(params.text("d").map_err(code), Err(-1102));
        assert_eq!(params.flag("e"), Ok(true));
        assert_eq!(params.flag("a").map_err(code), Err(-1130));
        assert_eq!(params.limit(500, 1000).map_err(code), Err(-1130));
    }

    #[test]
    fn json_numbers_keep_their_text() {
        let fields = serde_json::from_str(r#"{"price":0.10,"quantity":"1.0","x":null,"newest":false}"#).unwrap();
        let params = Params::from_json(&fields).unwrap();
        assert_eq!(params.get("price"), Some("0.10"));
        assert_eq!(params.get("quantity"), Some("1.0"));
        assert_eq!(params.get("newest"), Some("false"));
        assert_eq!(params.get("x"), None);
    }
}
