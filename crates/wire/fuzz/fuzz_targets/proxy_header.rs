//! A PROXY header: a verdict stands whatever comes after it, and only a bounded number of bytes is waited for.
#![no_main]

use libfuzzer_sys::fuzz_target;
use wire::{ProxyHeader, proxy_header};

fuzz_target!(|data: &[u8]| {
    let verdict = proxy_header(data);
    match verdict {
        Ok(ProxyHeader::Incomplete) => assert!(data.len() < 4096),
        Ok(ProxyHeader::Whole { length, .. }) => {
            assert!(length <= data.len() && length <= 4096);
            assert_eq!(proxy_header(&data[..length]), verdict);
            assert_eq!(proxy_header(&data[..length - 1]), Ok(ProxyHeader::Incomplete));
        }
        Err(_) => {}
    }
    for cut in 0..data.len().min(300) {
        let early = proxy_header(&data[..cut]);
        assert!(early == Ok(ProxyHeader::Incomplete) || early == verdict);
    }
});
