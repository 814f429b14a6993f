//! The file of a `LOAD DATA LOCAL`, from the client to the server.
//!
//! It is passed on as it comes, one buffer at a time: while the server does not take it, nothing is read from the client. A file that is too large, or
//! whose client leaves in the middle, costs the server connection: only that makes a server forget the part that it has.

use std::future::poll_fn;
use std::io;
use std::task::Poll;

use net::LinkError;
use tokio::time::timeout;
use wire::{FileTracker, ResponseTracker};

use super::{Relay, RelayError};
use crate::reply::Refusal;

/// What happened while more of the file was awaited.
enum Arrived {
    Some,
    ClientGone,
    ServerGone,
}

impl Relay<'_> {
    /// Passes on the file after the server's request for it, the last packet of `tracker`, has reached the client.
    pub(super) async fn upload(&mut self, tracker: &mut ResponseTracker) -> Result<(), RelayError> {
        let (mut file, limit) = (FileTracker::default(), self.file_limit.unwrap_or(0));
        if self.client.is_compressed() {
            file = file.numbered_from(tracker.last_sequence().wrapping_add(1));
        }
        loop {
            let passed = file.pass(self.client.bytes_mut(), self.inserted);
            if file.bytes() > limit {
                return Err(self.refuse_file(file, limit).await);
            }
            if passed > 0 {
                let sent = self.server.link.send_file_from(self.client, passed).await;
                sent.map_err(|error| self.server_failed(error.into()))?;
            }
            if file.is_done() {
                if self.server.link.is_compressed() {
                    tracker.number_from(file.last_sequence().wrapping_add(1).wrapping_sub(self.inserted));
                }
                return Ok(());
            }
            match self.await_more_of_file().await {
                Ok(Arrived::Some) => {}
                Ok(Arrived::ClientGone) => return Err(RelayError::ClientWithFile),
                Ok(Arrived::ServerGone) => return Err(self.server_failed(LinkError::Closed)),
                Err(error) => return Err(self.server_failed(error.into())),
            }
        }
    }

    async fn await_more_of_file(&mut self) -> io::Result<Arrived> {
        poll_fn(|cx| {
            // Servers read a file to its end before they answer. An earlier answer stays in the inbox until then.
            if self.server.link.is_empty()
                && let Poll::Ready(read) = self.server.link.poll_fill(cx)
                && read? == 0
            {
                return Poll::Ready(Ok(Arrived::ServerGone));
            }
            match self.client.poll_fill(cx) {
                Poll::Pending => Poll::Pending,
                Poll::Ready(Ok(1..)) => Poll::Ready(Ok(Arrived::Some)),
                Poll::Ready(Ok(0) | Err(_)) => Poll::Ready(Ok(Arrived::ClientGone)),
            }
        })
        .await
    }

    /// The client reads an answer only after it has sent the whole file, so the rest is read and discarded, for a limited time. Then the session ends.
    async fn refuse_file(&mut self, mut file: FileTracker, limit: u64) -> RelayError {
        tracing::info!(limit, "stopped a LOAD DATA LOCAL whose file is too large (limits.local_infile)");
        let rest = async {
            loop {
                // What was there has been looked at.
                self.client.release();
                if file.is_done() || !matches!(self.client.fill().await, Ok(1..)) {
                    return;
                }
                let _ = file.pass(self.client.bytes_mut(), 0);
            }
        };
        if timeout(self.write_limit, rest).await.is_ok() {
            let refusal = Refusal::file_too_large(limit);
            let packet = refusal.packet(file.last_sequence().wrapping_add(1));
            let _ = timeout(self.write_limit, self.client.send(&packet)).await;
        }
        RelayError::ClientWithFile
    }
}
