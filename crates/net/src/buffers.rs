//! Read and write buffers, reused on each thread.
//!
//! A connection borrows a buffer when bytes arrive and gives it back when it has none left, so an idle connection holds none.

use std::cell::RefCell;

use bytes::BytesMut;

/// What one read can take in at most, in bytes.
pub(crate) const BUFFER: usize = 16 * 1024;

/// Free buffers that a thread keeps at most (4 MiB).
const KEPT: usize = 256;

/// A buffer that grew beyond this is not kept.
const LARGEST_KEPT: usize = 4 * BUFFER;

thread_local! {
    static FREE: RefCell<Vec<BytesMut>> = const { RefCell::new(Vec::new()) };
}

/// An empty buffer with room for [`BUFFER`] bytes.
pub fn take() -> BytesMut {
    FREE.with_borrow_mut(Vec::pop).unwrap_or_else(|| BytesMut::with_capacity(BUFFER))
}

/// Gives a buffer back. What it holds is gone.
pub fn give_back(mut buffer: BytesMut) {
    buffer.clear();
    // Rewinds to the front of the allocation; allocates only if the buffer never had the size.
    buffer.reserve(BUFFER);
    if buffer.capacity() > LARGEST_KEPT {
        return;
    }
    FREE.with_borrow_mut(|free| {
        if free.len() < KEPT {
            free.push(buffer);
        }
    });
}

/// Moves the contents into a buffer of exactly their size, and gives the other one back. For a few bytes that will wait for long.
pub fn compact(buffer: &mut BytesMut) {
    if buffer.len() < BUFFER {
        let small = BytesMut::from(&**buffer);
        give_back(std::mem::replace(buffer, small));
    }
}

#[cfg(test)]
mod tests {
    use bytes::Buf;

    use super::*;

    #[test]
    fn a_returned_buffer_is_empty_and_whole_again() {
        let mut buffer = take();
        let whole = buffer.capacity();
        buffer.extend_from_slice(&[1; BUFFER]);
        buffer.advance(BUFFER - 1);
        give_back(buffer);
        let again = take();
        assert!(again.is_empty());
        assert_eq!(again.capacity(), whole);
    }

    #[test]
    fn a_huge_buffer_is_not_kept() {
        while FREE.with_borrow_mut(Vec::pop).is_some() {}
        give_back(BytesMut::with_capacity(LARGEST_KEPT + 1));
        assert_eq!(take().capacity(), BUFFER);
    }
}
