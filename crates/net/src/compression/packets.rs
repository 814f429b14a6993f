//! Where packets begin in a stream that comes in pieces of any size.

/// The length of a packet that the next one continues.
const FULL: u32 = 0xff_ffff;

/// Bytes of a header before the packet's number.
const LENGTH: u8 = 3;

/// The position in a stream of packets.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Packets {
    /// Bytes of a header that were seen, at most [`LENGTH`].
    header: u8,
    /// What these bytes say of the packet's length.
    length: u32,
    /// Bytes of the packet that are still to come.
    left: u32,
    /// The last packet was full.
    continues: bool,
    /// The number after that of the last packet.
    next: u8,
}

impl Packets {
    /// Whether all that has begun is complete.
    pub(super) fn is_between_packets(&self) -> bool {
        self.is_at_header() && !self.continues
    }

    fn is_at_header(&self) -> bool {
        self.left == 0 && self.header == 0
    }

    /// The number that the next packet has if it goes on from the last one.
    pub(super) fn next_number(&self) -> u8 {
        self.next
    }

    /// Walks over `bytes`, up to and including the number of the next packet, and returns where that is. `None`: over all of them.
    fn advance(&mut self, bytes: &[u8]) -> Option<usize> {
        let mut at = 0_usize;
        loop {
            let rest = bytes.get(at..).unwrap_or_default();
            if self.left > 0 {
                let here = u32::try_from(rest.len()).unwrap_or(u32::MAX).min(self.left);
                self.left -= here;
                at = at.saturating_add(here as usize);
                if self.left > 0 {
                    return None;
                }
                continue;
            }
            let byte = *rest.first()?;
            if self.header == LENGTH {
                self.continues = self.length == FULL;
                self.left = self.length;
                self.next = byte.wrapping_add(1);
                (self.header, self.length) = (0, 0);
                return Some(at);
            }
            self.length |= u32::from(byte) << (8 * self.header);
            self.header += 1;
            at = at.saturating_add(1);
        }
    }

    /// Walks over all of `bytes`.
    pub(super) fn pass(&mut self, mut bytes: &[u8]) {
        while let Some(place) = self.advance(bytes) {
            bytes = bytes.get(place.saturating_add(1)..).unwrap_or_default();
        }
    }

    /// The next packet begins a command.
    pub(super) fn begin_command(&mut self) {
        self.next = 0;
    }

    /// Walks over all of `bytes` and numbers the packets in them one after another. A packet at their front gets `first` if it is complete.
    pub(super) fn number(&mut self, mut bytes: &mut [u8], first: u8) {
        let begins_whole = self.is_at_header() && self.whole_packets(bytes, 0, usize::MAX).is_some();
        let mut number = if begins_whole { first } else { self.next };
        while let Some(place) = self.advance(bytes) {
            if let Some(byte) = bytes.get_mut(place) {
                *byte = number;
            }
            number = number.wrapping_add(1);
            self.next = number;
            bytes = bytes.get_mut(place.saturating_add(1)..).unwrap_or_default();
        }
    }

    /// How many of `bytes` are whole packets: `most` at most, but the first packet at least, or `limit` bytes of it. `None`: it is not complete.
    pub(super) fn whole_packets(&self, bytes: &[u8], most: usize, limit: usize) -> Option<usize> {
        let mut whole = 0_usize;
        let mut left = self.left as usize;
        loop {
            if left == 0 {
                let [low, middle, high, _, ..] = bytes.get(whole..)? else { break };
                left = (u32::from_le_bytes([*low, *middle, *high, 0]) as usize).saturating_add(usize::from(LENGTH) + 1);
            }
            let end = whole.saturating_add(left);
            if end > bytes.len() || (whole > 0 && end > most) {
                break;
            }
            (whole, left) = (end, 0);
        }
        match whole {
            0 => (bytes.len() >= limit).then_some(limit),
            _ => Some(whole.min(limit)),
        }
    }

    /// Where in `bytes` the second command begins, after whatever is first: a packet with number 0 that continues no other.
    pub(super) fn second_command(mut self, bytes: &[u8]) -> Option<usize> {
        let mut at = 0_usize;
        loop {
            let continues = self.continues;
            let number = at.saturating_add(self.advance(bytes.get(at..)?)?);
            at = number.saturating_add(1);
            let begin = number.checked_sub(usize::from(LENGTH)).filter(|begin| *begin > 0);
            if begin.is_some() && !continues && bytes.get(number) == Some(&0) {
                return begin;
            }
        }
    }
}
