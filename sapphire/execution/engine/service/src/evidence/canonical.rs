//! Canonical JSON: one spelling for one value, as `sapphire.domain.canonical` reads it.
//!
//! Invariant: what is read here has sorted keys, each once, no spaces, UTF-8, and each text and number in its one
//! spelling; other JSON is refused, never guessed at. So the bytes that came are the value, and nothing is written
//! anew.
//!
//! Known limitation: values within values within values, 400 deep, are refused; Python gives up a little later.

use std::collections::BTreeMap;

use super::error::BadValue;
use super::number::Number;

const MAX_DEPTH: usize = 400;

/// A value.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Value {
    Null,
    Bool(bool),
    Number(Number),
    Text(String),
    List(Vec<Value>),
    Map(Map),
}

/// Text to value.
pub(super) type Map = BTreeMap<String, Value>;

impl Value {
    pub(super) fn text(&self) -> Option<&str> {
        match self {
            Self::Text(text) => Some(text),
            _ => None,
        }
    }

    pub(super) fn map(&self) -> Option<&Map> {
        match self {
            Self::Map(map) => Some(map),
            _ => None,
        }
    }

    pub(super) fn list(&self) -> Option<&[Self]> {
        match self {
            Self::List(values) => Some(values),
            _ => None,
        }
    }
}

/// The value whose canonical spelling is `data`; `what` says what it should be.
pub(super) fn read_canonical(data: &[u8], what: &str) -> Result<Value, BadValue> {
    let refused = |place: usize| {
        let expected = "keys sorted and once each, no spaces, UTF-8, finite numbers";
        let got = format!("{} bytes in another spelling, from byte {place} on", data.len());
        BadValue::new(format!("{what} is not canonical"), expected, got)
    };
    let text = std::str::from_utf8(data).map_err(|error| refused(error.valid_up_to()))?;
    let mut reader = Reader { text, at: 0 };
    let value = reader.value(0).filter(|_| reader.at == text.len());
    value.ok_or_else(|| refused(reader.at))
}

struct Reader<'a> {
    text: &'a str,
    at: usize,
}

impl Reader<'_> {
    fn rest(&self) -> &str {
        &self.text[self.at..]
    }

    fn take(&mut self, token: &str) -> Option<()> {
        let found = self.rest().starts_with(token);
        self.at += if found { token.len() } else { 0 };
        found.then_some(())
    }

    fn value(&mut self, depth: usize) -> Option<Value> {
        if depth > MAX_DEPTH {
            return None;
        }
        match self.rest().as_bytes().first()? {
            b'n' => self.take("null").map(|()| Value::Null),
            b't' => self.take("true").map(|()| Value::Bool(true)),
            b'f' => self.take("false").map(|()| Value::Bool(false)),
            b'"' => self.string().map(Value::Text),
            b'[' => self.list(depth),
            b'{' => self.map(depth),
            _ => self.number(),
        }
    }

    fn number(&mut self) -> Option<Value> {
        let rest = self.rest();
        let end =
            rest.find(|each: char| !matches!(each, '0'..='9' | '-' | '+' | '.' | 'e' | 'E')).unwrap_or(rest.len());
        let number = Number::read(&rest[..end])?;
        self.at += end;
        Some(Value::Number(number))
    }

    fn list(&mut self, depth: usize) -> Option<Value> {
        self.take("[")?;
        let mut values = Vec::new();
        if self.take("]").is_some() {
            return Some(Value::List(values));
        }
        loop {
            values.push(self.value(depth + 1)?);
            if self.take(",").is_none() {
                return self.take("]").map(|()| Value::List(values));
            }
        }
    }

    fn map(&mut self, depth: usize) -> Option<Value> {
        self.take("{")?;
        let mut map = Map::new();
        if self.take("}").is_some() {
            return Some(Value::Map(map));
        }
        loop {
            let key = self.string()?;
            self.take(":")?;
            // bytes of UTF-8 sort as code points do
            if map.last_key_value().is_some_and(|(last, _)| *last >= key) {
                return None;
            }
            map.insert(key, self.value(depth + 1)?);
            if self.take(",").is_none() {
                return self.take("}").map(|()| Value::Map(map));
            }
        }
    }

    fn string(&mut self) -> Option<String> {
        self.take("\"")?;
        let mut text = String::new();
        loop {
            let rest = self.rest();
            let end = rest.find(|each: char| matches!(each, '"' | '\\') || each < ' ')?;
            text.push_str(&rest[..end]);
            let stop = rest.as_bytes()[end];
            self.at += end;
            match stop {
                b'"' => {
                    self.at += 1;
                    return Some(text);
                }
                b'\\' => text.push(self.escape()?),
                _ => return None,
            }
        }
    }

    /// The escapes that Python writes; each other character stands for itself.
    fn escape(&mut self) -> Option<char> {
        let short = [
            ("\\\"", '"'),
            ("\\\\", '\\'),
            ("\\n", '\n'),
            ("\\r", '\r'),
            ("\\t", '\t'),
            ("\\f", '\u{c}'),
            ("\\b", '\u{8}'),
        ];
        for (token, meant) in short {
            if self.take(token).is_some() {
                return Some(meant);
            }
        }
        self.take("\\u00")?;
        let digits = self.rest().get(..2)?;
        let lower = digits.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
        let meant = u8::from_str_radix(digits, 16).ok().filter(|_| lower).map(char::from)?;
        self.at += 2;
        (meant < ' ' && !short.iter().any(|(_, each)| *each == meant)).then_some(meant)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reads(text: &str) -> bool {
        read_canonical(text.as_bytes(), "it").is_ok()
    }

    #[test]
    fn one_spelling_is_read() {
        for text in [
            "null",
            "[]",
            "{}",
            r#"{"a":null,"b":[1,2.5]}"#,
            r#""\u001f\n\"\\""#,
            "\"\u{7f}\u{e9}\u{1f600}/\"",
            r#"{"":{},"A":1,"a":1,"é":-1}"#,
            "-0.0",
        ] {
            assert!(reads(text), "{text}");
        }
    }

    #[test]
    fn every_other_is_refused() {
        for text in [
            "",
            " 1",
            "1 ",
            "[1, 2]",
            "[1,]",
            r#"{"a":1,"a":1}"#,
            r#"{"b":1,"a":1}"#,
            r#""\u0041""#,
            r#""\/""#,
            r#""\u000a""#,
            r#""\u001F""#,
            r#""\ud83d\ude00""#,
            "\"\n\"",
            "\"a",
            "nul",
            "nullx",
            "1.0e0",
            "NaN",
            "\u{feff}1",
        ] {
            assert!(!reads(text), "{text}");
        }
        assert!(read_canonical(b"\"\xed\xa0\x80\"", "it").is_err());
        assert!(!reads(&"[".repeat(100_000)));
    }
}
