//! What a client says on a stream socket: `SUBSCRIBE`, `UNSUBSCRIBE`, `LIST_SUBSCRIPTIONS`, and the `combined`
//! property.

use serde::Deserialize;
use serde_json::Value;

/// A request on a stream socket.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Command {
    /// Begin these streams.
    Subscribe(Vec<String>),
    /// End these streams.
    Unsubscribe(Vec<String>),
    /// Which streams run?
    List,
    /// Wrap events with their stream's name, or do not.
    SetCombined(bool),
    /// Are events wrapped?
    GetCombined,
}

/// A request that is none: the venue's code and words.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mistake {
    /// The venue's code.
    pub code: u8,
    /// The venue's words.
    pub msg: String,
}

impl Mistake {
    /// Code 2 with a reason.
    pub fn invalid(reason: &str) -> Self {
        Self { code: 2, msg: format!("Invalid request: {reason}") }
    }
}

#[derive(Deserialize)]
struct Raw {
    method: Option<String>,
    params: Option<Vec<Value>>,
    #[serde(default)]
    id: Value,
}

/// The command of a text and the id to answer with (`null` when it cannot be read).
///
/// # Errors
/// The venue's words for what is wrong with it.
pub fn parse(text: &str) -> (Value, Result<Command, Mistake>) {
    let raw: Raw = match serde_json::from_str(text) {
        Ok(raw) => raw,
        Err(error) => return (Value::Null, Err(Mistake { code: 3, msg: format!("Invalid JSON: {error}") })),
    };
    if !is_id(&raw.id) {
        return (Value::Null, Err(Mistake::invalid("request ID must be an unsigned integer")));
    }
    let command = match raw.method.as_deref() {
        Some("SUBSCRIBE") => names(raw.params).map(Command::Subscribe),
        Some("UNSUBSCRIBE") => names(raw.params).map(Command::Unsubscribe),
        Some("LIST_SUBSCRIPTIONS") if raw.params.as_ref().is_some_and(|params| !params.is_empty()) => {
            Err(Mistake::invalid("too many parameters"))
        }
        Some("LIST_SUBSCRIPTIONS") => Ok(Command::List),
        Some("SET_PROPERTY") => {
            property(raw.params.as_deref().unwrap_or_default(), 2).and_then(|values| match values {
                [Value::Bool(combined)] => Ok(Command::SetCombined(*combined)),
                _ => Err(Mistake { code: 1, msg: "Invalid value type: expected Boolean".to_owned() }),
            })
        }
        Some("GET_PROPERTY") => property(raw.params.as_deref().unwrap_or_default(), 1).map(|_| Command::GetCombined),
        Some(other) => Err(Mistake::invalid(&format!(
            "unknown variant `{other}`, expected one of `SUBSCRIBE`, `UNSUBSCRIBE`, `LIST_SUBSCRIPTIONS`, \
             `SET_PROPERTY`, `GET_PROPERTY`"
        ))),
        None => Err(Mistake::invalid("missing field `method`")),
    };
    (raw.id, command)
}

fn names(params: Option<Vec<Value>>) -> Result<Vec<String>, Mistake> {
    let name = |value| match value {
        Value::String(name) => Ok(name),
        _ => Err(Mistake::invalid("stream name must be a string")),
    };
    params.ok_or_else(|| Mistake::invalid("missing field `params`"))?.into_iter().map(name).collect()
}

/// What follows the property's name among at most `most` parameters.
fn property(params: &[Value], most: usize) -> Result<&[Value], Mistake> {
    match params {
        params if params.len() > most => Err(Mistake::invalid("too many parameters")),
        [Value::String(name), values @ ..] if name == "combined" => Ok(values),
        [Value::String(_), ..] => Err(Mistake { code: 0, msg: "Unknown property".to_owned() }),
        _ => Err(Mistake::invalid("property name must be a string")),
    }
}

/// A whole number, a text of up to 36 characters, or null.
fn is_id(id: &Value) -> bool {
    match id {
        Value::Null => true,
        Value::Number(number) => number.is_i64() || number.is_u64(),
        Value::String(text) => text.len() <= 36,
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn code(text: &str) -> u8 {
        parse(text).1.unwrap_err().code
    }

    #[test]
    fn commands_are_read_with_their_ids() {
        let (id, command) = parse(r#"{"method":"SUBSCRIBE","params":["btcusdt@trade"],"id":7}"#);
        assert_eq!((id, command), (json!(7), Ok(Command::Subscribe(vec!["btcusdt@trade".into()]))));
        let (id, command) = parse(r#"{"method":"LIST_SUBSCRIPTIONS","id":"a"}"#);
        assert_eq!((id, command), (json!("a"), Ok(Command::List)));
        assert_eq!(parse(r#"{"method":"SET_PROPERTY","params":["combined",true]}"#).1, Ok(Command::SetCombined(true)));
        assert_eq!(parse(r#"{"method":"GET_PROPERTY","params":["combined"],"id":1}"#).1, Ok(Command::GetCombined));
    }

    #[test]
    fn mistakes_have_the_venues_codes() {
        assert_eq!(code("{"), 3);
        assert_eq!(code(r#"{"id":1}"#), 2);
        assert_eq!(code(r#"{"method":"SUBSCRIBE","params":[],"id":1.5}"#), 2);
        assert_eq!(code(r#"{"method":"SUBSCRIBE","id":1}"#), 2);
        assert_eq!(code(r#"{"method":"SUBSCRIBE","params":[1],"id":1}"#), 2);
        assert_eq!(code(r#"{"method":"subscribe","params":[],"id":1}"#), 2);
        assert_eq!(code(r#"{"method":"SET_PROPERTY","params":["combined",1],"id":1}"#), 1);
        assert_eq!(code(r#"{"method":"SET_PROPERTY","params":["other",true],"id":1}"#), 0);
        assert_eq!(code(r#"{"method":"GET_PROPERTY","params":["combined",1],"id":1}"#), 2);
    }
}
