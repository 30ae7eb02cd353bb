//! How often one address may try something that needs no key.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use axum::extract::ConnectInfo;
use axum::http::Extensions;

/// Over which time tries are counted.
const WINDOW: Duration = Duration::from_secs(60);
/// Most addresses that are remembered at once.
const MAX_ADDRESSES: usize = 10_000;

/// Who tries: an IPv4 address, or the network of an IPv6 one, because one machine has all of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Address(IpAddr);

impl Address {
    /// The other end of a request's connection.
    pub fn of(extensions: &Extensions) -> Self {
        let ip = extensions.get::<ConnectInfo<SocketAddr>>().map(|info| info.0.ip().to_canonical());
        Self(match ip {
            Some(IpAddr::V6(ip)) => {
                let s = ip.segments();
                IpAddr::V6(Ipv6Addr::new(s[0], s[1], s[2], s[3], 0, 0, 0, 0))
            }
            Some(ip) => ip,
            None => IpAddr::V4(Ipv4Addr::UNSPECIFIED),
        })
    }
}

/// Counts the tries of addresses, on this replica alone.
#[derive(Debug)]
pub struct Tries {
    most: u32,
    seen: Mutex<HashMap<Address, (Instant, u32)>>,
}

impl Tries {
    /// At most so many a minute.
    pub fn new(most: u32) -> Self {
        Self { most, seen: Mutex::default() }
    }

    /// Counts one try.
    ///
    /// # Errors
    /// The time to wait, when there were too many.
    pub fn count(&self, address: Address) -> Result<(), Duration> {
        let now = Instant::now();
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        if seen.len() >= MAX_ADDRESSES && !seen.contains_key(&address) {
            seen.retain(|_, (began, _)| now.duration_since(*began) < WINDOW);
            // Somebody who has this many addresses is not held up by counting them.
            if seen.len() >= MAX_ADDRESSES {
                seen.clear();
            }
        }
        let entry = seen.entry(address).or_insert((now, 0));
        if now.duration_since(entry.0) >= WINDOW {
            *entry = (now, 0);
        }
        if entry.1 >= self.most {
            return Err(WINDOW - now.duration_since(entry.0));
        }
        entry.1 += 1;
        Ok(())
    }
}

/// What is counted by address.
#[derive(Debug)]
pub struct TriesByAddress {
    /// Keys entered on the page on which MCP clients are let in.
    pub sign_ins: Tries,
    /// Requests of MCP clients that register, or ask for tokens.
    pub requests: Tries,
}

impl Default for TriesByAddress {
    fn default() -> Self {
        // An address may be that of a proxy with everybody behind it.
        Self { sign_ins: Tries::new(30), requests: Tries::new(600) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(ip: &str) -> Address {
        let mut extensions = Extensions::new();
        extensions.insert(ConnectInfo(SocketAddr::new(ip.parse().unwrap(), 1)));
        Address::of(&extensions)
    }

    #[test]
    fn an_address_has_so_many_tries_and_others_have_theirs() {
        let tries = Tries::new(2);
        assert!(tries.count(address("10.0.0.1")).is_ok());
        assert!(tries.count(address("::ffff:10.0.0.1")).is_ok());
        assert!(tries.count(address("10.0.0.1")).unwrap_err() <= WINDOW);
        assert!(tries.count(address("10.0.0.2")).is_ok());
        assert_eq!(address("2001:db8::1"), address("2001:db8::ffff"));
        assert_ne!(address("2001:db8::1"), address("2001:db8:0:1::1"));
    }

    #[test]
    fn the_memory_is_bounded() {
        let tries = Tries::new(2);
        for n in 0..3 * MAX_ADDRESSES as u32 {
            let _ = tries.count(Address(IpAddr::V4(Ipv4Addr::from(n))));
        }
        assert!(tries.seen.lock().unwrap().len() <= MAX_ADDRESSES);
    }
}
