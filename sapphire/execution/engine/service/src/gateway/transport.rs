//! The writing side of a connection: whoever writes, a frame goes out whole and alone.
//!
//! Invariant: bytes of two frames never mix, and a frame that was not written whole is the last thing that its
//! connection carried: the venue cannot have read it.

use std::io::{self, Write};
use std::net::{Shutdown, TcpStream};
use std::sync::{Mutex, MutexGuard, PoisonError};

use super::errors::NotSent;

/// The connection that is open at present, if any.
#[derive(Debug, Default)]
pub(super) struct Transport {
    open: Mutex<Option<Open>>,
}

#[derive(Debug)]
struct Open {
    connection: u32,
    stream: TcpStream,
}

impl Transport {
    /// Takes a connection into use.
    pub(super) fn open(&self, connection: u32, stream: TcpStream) {
        *self.lock() = Some(Open { connection, stream });
    }

    /// Ends the connection, if there is one, for both directions; nothing is written on it from here on.
    pub(super) fn close(&self) {
        if let Some(open) = self.lock().take() {
            // It may be gone already.
            let _ = open.stream.shutdown(Shutdown::Both);
        }
    }

    /// Writes a frame of the trader loop with one write, and says on which connection.
    ///
    /// # Errors
    /// [`NotSent::NotConnected`] and [`NotSent::WriteFailed`]: the venue cannot have it.
    pub(super) fn send(&self, frame: &[u8]) -> Result<u32, NotSent> {
        let mut guard = self.lock();
        let open = guard.as_mut().ok_or(NotSent::NotConnected)?;
        // One write(2) takes a whole frame unless the system's buffer is full.
        if open.stream.write_all(frame).is_err() {
            let _ = open.stream.shutdown(Shutdown::Both);
            *guard = None;
            return Err(NotSent::WriteFailed);
        }
        Ok(open.connection)
    }

    /// Writes frames of the reader, on its own handle of the stream.
    pub(super) fn write(&self, stream: &mut TcpStream, frames: &[u8]) -> io::Result<usize> {
        let _alone = self.lock();
        stream.write_all(frames)?;
        Ok(frames.len())
    }

    /// What is behind the lock is whole after every statement, so a panic elsewhere does no harm.
    fn lock(&self) -> MutexGuard<'_, Option<Open>> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Read;
    use std::net::TcpListener;

    fn pair() -> (TcpStream, TcpStream) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let near = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        (near, listener.accept().unwrap().0)
    }

    #[test]
    fn frames_of_two_writers_never_mix() {
        let (near, mut far) = pair();
        let transport = Transport::default();
        let mut own = near.try_clone().unwrap();
        transport.open(7, near);
        let read = std::thread::scope(|scope| {
            scope.spawn(|| (0..500).for_each(|_| assert_eq!(transport.send(&[1; 700]), Ok(7))));
            scope.spawn(|| (0..500).for_each(|_| assert_eq!(transport.write(&mut own, &[2; 300]).unwrap(), 300)));
            let mut read = vec![0; 500_000];
            far.read_exact(&mut read).unwrap();
            read
        });
        for run in read.chunk_by(|one, next| one == next) {
            assert_eq!(run.len() % if run[0] == 1 { 700 } else { 300 }, 0);
        }
    }

    #[test]
    fn after_a_write_that_failed_nothing_is_written_any_more() {
        let transport = Transport::default();
        assert_eq!(transport.send(b"x"), Err(NotSent::NotConnected));
        let (near, far) = pair();
        near.shutdown(Shutdown::Write).unwrap();
        transport.open(1, near);
        assert_eq!(transport.send(b"x"), Err(NotSent::WriteFailed));
        assert_eq!(transport.send(b"x"), Err(NotSent::NotConnected));
        drop(far);
    }
}
