//! What the control API hands to the trader loop: questions with their way back, and the kill
//! switch that waits in no queue.
//!
//! Invariant: a question is answered at most once; a halt that was asked for is never taken back.

use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use sapphire_core::risk::Command;
use serde_json::Value;
use tokio::sync::oneshot;

/// What an operator asks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Question {
    /// Sets the trading state.
    Command {
        /// To what.
        command: Command,
        /// By whom and why.
        who: String,
        /// For a halt: its number at the [`KillSwitch`].
        halt: u64,
    },
    /// Sells all of a symbol.
    Close {
        /// Of which.
        symbol: String,
        /// By whom and why.
        who: String,
    },
    /// Whether the trader loop works at all.
    Live,
    /// How it stands.
    State,
    /// What is held.
    Positions,
    /// The process is to end.
    Stop,
}

/// What the trader loop answers: JSON, or why it cannot.
pub type Answer = Result<Value, String>;

/// A question with its way back.
#[derive(Clone)]
pub struct Ask(Arc<Asked>);

struct Asked {
    question: Question,
    reply: Mutex<Option<oneshot::Sender<Answer>>>,
}

impl Ask {
    /// A question, and where its answer comes out.
    #[must_use]
    pub fn new(question: Question) -> (Self, oneshot::Receiver<Answer>) {
        let (reply, answer) = oneshot::channel();
        (Self(Arc::new(Asked { question, reply: Mutex::new(Some(reply)) })), answer)
    }

    /// What is asked.
    pub fn question(&self) -> &Question {
        &self.0.question
    }

    /// Answers; only the first answer counts, and nobody may be waiting for it any more.
    pub fn answer(&self, answer: Answer) {
        if let Some(reply) = self.0.reply.lock().unwrap_or_else(PoisonError::into_inner).take() {
            let _ = reply.send(answer);
        }
    }
}

impl fmt::Debug for Ask {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.question.fmt(out)
    }
}

impl PartialEq for Ask {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }
}

impl Eq for Ask {}

/// How many halts have been asked for: the trader loop sends nothing while that is more than it has applied.
#[derive(Debug, Default)]
pub struct KillSwitch {
    halts: AtomicU64,
}

impl KillSwitch {
    /// Asks for a halt; its number.
    pub fn halt(&self) -> u64 {
        self.halts.fetch_add(1, Ordering::SeqCst) + 1
    }

    /// Halts asked for so far.
    pub fn asked(&self) -> u64 {
        self.halts.load(Ordering::Acquire)
    }
}
