//! Compressed frames from a peer: no bytes panic, nothing comes out that was not claimed, and how they are cut does not matter.
#![no_main]

use bytes::BytesMut;
use libfuzzer_sys::fuzz_target;
use net::{Compression, Decoded, Frames, Role};

/// Decodes all of `bytes`, which arrive in pieces of this size. What came out, and whether it ended well.
fn decoded(compression: Compression, role: Role, bytes: &[u8], piece: usize) -> (Vec<u8>, bool) {
    let mut frames = Frames::new(compression, role);
    let (mut raw, mut plain, mut out) = (BytesMut::new(), BytesMut::new(), Vec::new());
    for piece in bytes.chunks(piece) {
        raw.extend_from_slice(piece);
        loop {
            let (before, left) = (plain.len(), raw.len());
            match frames.decode(&mut raw, &mut plain) {
                Ok(Decoded::Bytes(count)) => {
                    assert!(count > 0 && plain.len() == before + count && count < 1 << 24 && raw.len() < left);
                }
                Ok(Decoded::Incomplete(needed)) => {
                    assert!(needed > raw.len() && plain.len() == before);
                    break;
                }
                // Consumed at once, as a session does with a whole command.
                Ok(Decoded::NextCommand) => {
                    out.extend_from_slice(&plain.split());
                    frames.consumed();
                }
                Err(_) => {
                    assert_eq!(plain.len(), before);
                    out.extend_from_slice(&plain);
                    return (out, false);
                }
            }
            if out.len() + plain.len() > 64 << 20 {
                return (out, true);
            }
        }
    }
    out.extend_from_slice(&plain);
    (out, true)
}

fuzz_target!(|data: &[u8]| {
    let Some((&[choice, piece], bytes)) = data.split_first_chunk() else { return };
    let compression = if choice & 1 == 0 { Compression::Zlib } else { Compression::ZSTD };
    let role = if choice & 2 == 0 { Role::Server } else { Role::Client };
    let whole = decoded(compression, role, bytes, bytes.len().max(1));
    assert_eq!(decoded(compression, role, bytes, usize::from(piece) + 1), whole);
});
