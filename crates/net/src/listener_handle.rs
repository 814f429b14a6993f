//! A listening socket that can be passed on: to the process that goes on when this one ends.
//!
//! Both processes then have the same socket, with one queue of connections. So none is refused, and none is lost, while one stops accepting and the other
//! begins to.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// A second hold on a listening socket. It keeps the socket open, and accepts nothing.
#[derive(Debug)]
pub struct ListenerHandle {
    socket: OwnedFd,
    /// Whether the file of a Unix socket stays when this process ends.
    file_stays: Option<Arc<AtomicBool>>,
}

impl ListenerHandle {
    /// On this socket. An error says that no more files can be opened.
    pub fn new(listener: &impl AsFd) -> io::Result<Self> {
        Ok(Self { socket: listener.as_fd().try_clone_to_owned()?, file_stays: None })
    }

    pub(crate) fn with_file(self, stays: Arc<AtomicBool>) -> Self {
        Self { file_stays: Some(stays), ..self }
    }

    /// Whether this process removes the socket's file when it ends.
    pub fn removes_file(&self) -> bool {
        self.file_stays.as_ref().is_some_and(|stays| !stays.load(Ordering::Relaxed))
    }

    /// Another process removes the file from now on.
    pub fn leave_file(&self) {
        self.set_file_stays(true);
    }

    /// This process removes the file from now on.
    pub fn take_file(&self) {
        self.set_file_stays(false);
    }

    fn set_file_stays(&self, stays: bool) {
        if let Some(file_stays) = &self.file_stays {
            file_stays.store(stays, Ordering::Relaxed);
        }
    }
}

impl AsFd for ListenerHandle {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}
