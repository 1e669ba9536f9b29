//! Entries as the server gives them, read where they lie.
//!
//! Invariant: an answer of another form than the command's is refused whole, so no entry is passed over.

use redis::Value;

use super::MESSAGE_FIELD;
use crate::events::EntryId;
use crate::signal_key::TAG_FIELD;

/// Entries of one stream, in their order.
#[derive(Debug, Default)]
pub struct Batch {
    entries: Vec<Value>,
    /// When the answer was there, monotonic; 0 where nobody asked for it.
    pub received_ns: i64,
}

/// One entry.
#[derive(Clone, Copy, Debug)]
pub struct Entry<'a> {
    /// Where it stands.
    pub id: EntryId,
    fields: &'a [Value],
}

impl Batch {
    /// Of the answer to a read of one stream; none for an answer of another form.
    pub(super) fn of_streams(reply: Value, received_ns: i64) -> Option<Self> {
        let entries = match reply {
            Value::Nil => Vec::new(),
            Value::Array(mut streams) if streams.len() == 1 => match streams.pop()? {
                Value::Array(mut named) if named.len() == 2 => array(named.pop()?)?,
                _ => return None,
            },
            _ => return None,
        };
        Self { entries, received_ns }.checked()
    }

    /// Of the answer to a question for a range; none for an answer of another form.
    pub(super) fn of_range(reply: Value) -> Option<Self> {
        Self { entries: array(reply)?, received_ns: 0 }.checked()
    }

    fn checked(self) -> Option<Self> {
        self.entries.iter().all(|entry| Entry::read(entry).is_some()).then_some(self)
    }

    /// Each entry.
    pub fn entries(&self) -> impl Iterator<Item = Entry<'_>> {
        self.entries.iter().filter_map(Entry::read)
    }

    /// Nothing came.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }
}

impl<'a> Entry<'a> {
    fn read(value: &'a Value) -> Option<Self> {
        let Value::Array(parts) = value else { return None };
        let [Value::BulkString(id), Value::Array(fields)] = parts.as_slice() else { return None };
        let paired = fields.len() % 2 == 0 && fields.iter().all(|part| matches!(part, Value::BulkString(_)));
        let id = std::str::from_utf8(id).ok()?.parse().ok()?;
        paired.then_some(Self { id, fields })
    }

    /// The bytes of a field.
    pub fn field(&self, name: &str) -> Option<&'a [u8]> {
        self.fields.chunks_exact(2).find_map(|pair| match pair {
            [Value::BulkString(key), Value::BulkString(value)] if key == name.as_bytes() => Some(value.as_slice()),
            _ => None,
        })
    }

    /// The bytes of a message and of its tag; none where the entry has not these two fields alone.
    pub fn tagged(&self) -> Option<(&'a [u8], &'a [u8])> {
        self.field(MESSAGE_FIELD).zip(self.field(TAG_FIELD)).filter(|_| self.fields.len() == 4)
    }

    /// The message's bytes; none where the entry has no such field, or another beside it.
    pub fn message(&self) -> Option<&'a [u8]> {
        self.field(MESSAGE_FIELD).filter(|_| self.fields.len() == 2)
    }
}

fn array(value: Value) -> Option<Vec<Value>> {
    match value {
        Value::Array(values) => Some(values),
        _ => None,
    }
}

/// The same message, whenever it was published.
pub(super) fn same(held: &[u8], message: &[u8]) -> bool {
    held == message || timeless(held).is_some_and(|held| Some(held) == timeless(message))
}

fn timeless(message: &[u8]) -> Option<serde_json::Value> {
    let mut value: serde_json::Value = serde_json::from_slice(message).ok()?;
    value.get_mut("envelope")?.as_object_mut()?.remove("publish_time_ns")?;
    Some(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_time_of_publishing_may_differ() {
        let one = br#"{"a":"1","envelope":{"publish_time_ns":"5","x":1}}"#;
        assert!(same(one, br#"{"a":"1","envelope":{"publish_time_ns":"6","x":1}}"#));
        assert!(!same(one, br#"{"a":"2","envelope":{"publish_time_ns":"5","x":1}}"#));
        assert!(!same(one, br#"{"a":"1","envelope":{"x":1}}"#));
        assert!(same(b"no message", b"no message") && !same(b"no message", b"another"));
    }

    #[test]
    fn an_answer_of_another_form_is_no_batch() {
        let text = |text: &str| Value::BulkString(text.as_bytes().to_vec());
        let entry = |id| Value::Array(vec![text(id), Value::Array(vec![text("m"), text("x")])]);
        let stream = |entries| Value::Array(vec![Value::Array(vec![text("s"), Value::Array(entries)])]);
        let good = Batch::of_streams(stream(vec![entry("5-1"), entry("5-2")]), 3).unwrap();
        let ids: Vec<_> = good.entries().map(|entry| (entry.id.seq, entry.message().unwrap().to_vec())).collect();
        assert_eq!(ids, [(1, b"x".to_vec()), (2, b"x".to_vec())]);
        assert!(Batch::of_streams(stream(vec![entry("5-1"), entry("five")]), 3).is_none());
        assert!(Batch::of_streams(Value::Okay, 3).is_none());
        assert!(Batch::of_range(Value::Nil).is_none());
        assert!(Batch::of_streams(Value::Nil, 3).unwrap().is_empty());
    }
}
