//! OK, EOF and ERR packets and the session state in them: what is read writes back to something that reads the same.
#![no_main]

use bytes::BytesMut;
use libfuzzer_sys::fuzz_target;
use wire::result::{EofPacket, ErrPacket, OkPacket, PrepareOk};
use wire::session_state::{StateChange, state_changes, without_own_trackers};
use wire::{Capabilities, StatusFlags};

fuzz_target!(|data: &[u8]| {
    let Some((&flags, payload)) = data.split_first() else {
        return;
    };
    block(payload);
    let capabilities = if flags & 1 == 0 { Capabilities::empty() } else { Capabilities::SESSION_TRACK };
    if let Ok(ok) = OkPacket::decode(payload, capabilities) {
        block(ok.session_state);
        let mut again = BytesMut::new();
        ok.encode(payload[0], capabilities, &mut again);
        let mut expect = ok;
        if flags & 1 == 0 {
            expect.status.remove(StatusFlags::SESSION_STATE_CHANGED);
        }
        assert_eq!(OkPacket::decode(&again, capabilities), Ok(expect));
    }
    if let Ok(eof) = EofPacket::decode(payload) {
        let mut again = BytesMut::new();
        eof.encode(&mut again);
        assert_eq!(EofPacket::decode(&again).map(|eof| eof.warnings), Ok(eof.warnings));
    }
    if let Ok(err) = ErrPacket::decode(payload)
        && !err.is_progress()
    {
        let mut again = BytesMut::new();
        err.encode(&mut again);
        assert_eq!(ErrPacket::decode(&again), Ok(err));
    }
    if let Ok(prepared) = PrepareOk::decode(payload) {
        let mut again = BytesMut::new();
        prepared.encode(&mut again);
        assert_eq!(PrepareOk::decode(&again), Ok(prepared));
    }
});

fn block(block: &[u8]) {
    let changes: Vec<_> = state_changes(block).collect();
    let whole = changes.iter().filter_map(|change| change.as_ref().ok()).count();
    assert!(changes.len() - whole <= 1);
    if whole == changes.len() {
        let kept = without_own_trackers(block, false).unwrap();
        let expect = changes.into_iter().filter(|change| !matches!(change, Ok(StateChange::StateChanged(_))));
        assert!(state_changes(&kept).eq(expect));
    }
}
