//! The file that a client sends for a `LOAD DATA LOCAL`: packets of any size, and an empty one at the end.
//!
//! Sources: MySQL internals "`LOCAL INFILE` Request", MariaDB "`LOCAL INFILE` packet" (the same in both).

use crate::packet::{HEADER, Header, MAX_PAYLOAD};

/// Tracks the position in a file that is passed from a client to a server. The file is not decoded.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct FileTracker {
    /// Bytes left of the physical packet that was passed on in part.
    partial: u32,
    /// The previous physical packet was full, so the next one continues it, and does not end the file even if it is empty.
    continues: bool,
    is_done: bool,
    bytes: u64,
    /// Of the last packet, as the client numbers them.
    sequence: u8,
    /// The number of the next packet, where the client's own do not count.
    number: Option<u8>,
}

impl FileTracker {
    /// Numbers the packets from here on itself: on a compressed connection, a client's numbers are no plain one's.
    #[must_use]
    pub const fn numbered_from(self, number: u8) -> Self {
        Self { number: Some(number), ..self }
    }

    /// Walks over `buf`, and returns how many bytes may be passed on: up to the end of the file, or up to an incomplete header.
    /// Takes `inserted` off the sequence number of every packet: the server knows nothing of packets that were inserted for the client.
    pub fn pass(&mut self, buf: &mut [u8], inserted: u8) -> usize {
        let mut at = 0_usize;
        loop {
            let rest = buf.get_mut(at..).unwrap_or_default();
            if self.partial > 0 {
                let here = rest.len().min(self.partial as usize);
                if here == 0 {
                    return at;
                }
                // Not more than `partial`, which is a u32.
                self.partial -= u32::try_from(here).unwrap_or(self.partial);
                at += here;
                continue;
            }
            if self.is_done {
                return at;
            }
            let Some(header) = Header::parse(rest) else { return at };
            let [_, _, _, sequence, ..] = rest else { return at };
            if let Some(number) = &mut self.number {
                *sequence = *number;
                *number = number.wrapping_add(1);
            }
            self.sequence = *sequence;
            *sequence = sequence.wrapping_sub(inserted);
            self.is_done = header.length == 0 && !self.continues;
            self.continues = header.length as usize == MAX_PAYLOAD;
            self.partial = header.length;
            self.bytes = self.bytes.saturating_add(u64::from(header.length));
            at += HEADER;
        }
    }

    /// Its last packet was passed.
    pub const fn is_done(&self) -> bool {
        self.is_done
    }

    /// The size of the file as far as packets have announced it, in bytes.
    pub const fn bytes(&self) -> u64 {
        self.bytes
    }

    /// The sequence number of the last packet, as the client numbers them.
    pub const fn last_sequence(&self) -> u8 {
        self.sequence
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn packet(sequence: u8, payload: &[u8]) -> Vec<u8> {
        let [low, middle, high, _] = u32::try_from(payload.len()).unwrap().to_le_bytes();
        [&[low, middle, high, sequence], payload].concat()
    }

    /// What goes to the server when the stream comes in pieces of this size, and what is left of it.
    fn passed(stream: &[u8], piece: usize, inserted: u8) -> (Vec<u8>, FileTracker, usize) {
        let (mut tracker, mut inbox, mut out) = (FileTracker::default(), Vec::new(), Vec::new());
        for piece in stream.chunks(piece) {
            inbox.extend_from_slice(piece);
            let count = tracker.pass(&mut inbox, inserted);
            out.extend(inbox.drain(..count));
        }
        (out, tracker, inbox.len())
    }

    #[test]
    fn a_file_ends_with_an_empty_packet_however_it_arrives() {
        let file = [packet(2, b"first line\n"), packet(3, b"second"), packet(4, b"")].concat();
        let next_command = packet(0, b"\x03SELECT 1");
        let stream = [file.clone(), next_command.clone()].concat();
        for piece in 1..=stream.len() {
            let (out, tracker, left) = passed(&stream, piece, 0);
            assert_eq!((out, left), (file.clone(), next_command.len()), "{piece}");
            assert!(tracker.is_done());
            assert_eq!((tracker.bytes(), tracker.last_sequence()), (17, 4));
        }
    }

    #[test]
    fn a_refused_file_is_an_empty_packet_alone() {
        let (out, tracker, left) = passed(&packet(2, b""), 4, 0);
        assert_eq!((out, left), (packet(2, b""), 0));
        assert_eq!((tracker.is_done(), tracker.bytes()), (true, 0));
    }

    #[test]
    fn the_server_is_given_its_own_numbers() {
        let (out, tracker, _) = passed(&[packet(1, b"ab"), packet(2, b"")].concat(), 3, 2);
        assert_eq!(out, [packet(255, b"ab"), packet(0, b"")].concat());
        assert_eq!(tracker.last_sequence(), 2);
    }

    #[test]
    fn numbers_that_do_not_count_are_replaced() {
        let mut whole = [packet(7, b"ab"), packet(7, b"c"), packet(0, b"")].concat();
        let mut tracker = FileTracker::default().numbered_from(255);
        assert_eq!(tracker.pass(&mut whole, 1), whole.len());
        assert_eq!(whole, [packet(254, b"ab"), packet(255, b"c"), packet(0, b"")].concat());
        assert_eq!(tracker.last_sequence(), 1);
    }

    #[test]
    fn an_empty_packet_after_a_full_one_continues_it() {
        let full = packet(2, &vec![b'x'; MAX_PAYLOAD]);
        let stream = [full.clone(), packet(3, b""), packet(4, b"more"), packet(5, b"")].concat();
        let (out, tracker, left) = passed(&stream, 1 << 20, 0);
        assert_eq!((out.len(), left, tracker.is_done()), (stream.len(), 0, true));
        assert_eq!(tracker.bytes(), MAX_PAYLOAD as u64 + 4);
        assert!(!passed(&[full, packet(3, b"")].concat(), 1 << 20, 0).1.is_done());
    }

    #[test]
    fn a_size_counts_as_soon_as_it_is_announced() {
        let mut tracker = FileTracker::default();
        assert_eq!(tracker.pass(&mut packet(2, &[0; 100])[..7], 0), 7);
        assert_eq!((tracker.bytes(), tracker.is_done()), (100, false));
    }
}
