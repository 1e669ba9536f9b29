//! A thread that archives, beside whoever writes.
//!
//! Invariant: a file that could not be archived stays plain and is said in the log; nothing else comes of it.

use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread::{Builder, JoinHandle};

use crate::{Content, archive};

/// The thread, from the side of who closes files.
#[derive(Debug)]
pub struct Archiver {
    queue: Option<Sender<(PathBuf, Content)>>,
    is_ending: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Archiver {
    /// Starts the thread.
    ///
    /// # Errors
    /// The system has no thread for it.
    pub fn start() -> io::Result<Self> {
        let (queue, asked) = channel();
        let is_ending = Arc::new(AtomicBool::new(false));
        let seen = Arc::clone(&is_ending);
        let thread = Builder::new().name("archive".into()).spawn(move || run(&asked, &seen))?;
        Ok(Self { queue: Some(queue), is_ending, thread: Some(thread) })
    }

    /// Archives a closed file in its turn.
    pub fn add(&self, plain: PathBuf, content: Content) {
        if let Some(queue) = &self.queue {
            // The thread ends with this value and not before; one that panicked has said so.
            let _ = queue.send((plain, content));
        }
    }
}

impl Drop for Archiver {
    /// The file at work is finished; the others wait for the next start.
    fn drop(&mut self) {
        self.is_ending.store(true, Ordering::Release);
        self.queue.take();
        if let Some(thread) = self.thread.take() {
            // A panic there has been reported by its own thread.
            let _ = thread.join();
        }
    }
}

fn run(asked: &Receiver<(PathBuf, Content)>, is_ending: &AtomicBool) {
    while let Ok((plain, content)) = asked.recv() {
        if is_ending.load(Ordering::Acquire) {
            return;
        }
        match archive(&plain, content) {
            Ok(()) => tracing::info!(file = %plain.display(), "archived"),
            Err(error) => tracing::warn!(%error, "a closed file stays plain"),
        }
    }
}
