//! Which addresses outbound requests may reach: public ones, and what the operator lets through.
//!
//! The check runs on every address that a name resolves to, at the moment of connecting, so a
//! name that changes its mind between two look-ups (DNS rebinding) gains nothing. The HTTP
//! client never asks its resolver for a literal address, so [`Guard::check_url`] looks at the URL
//! before each request and each redirect too.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;

use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use url::{Host, Url};

use super::NetError;
use crate::config::EgressAllow;

/// Special-purpose IPv4 networks (RFC 6890 and its registry) and what clouds put on public
/// addresses: first address, prefix length.
const SPECIAL_V4: &[(Ipv4Addr, u8)] = &[
    (Ipv4Addr::new(0, 0, 0, 0), 8),
    (Ipv4Addr::new(10, 0, 0, 0), 8),
    (Ipv4Addr::new(100, 64, 0, 0), 10),
    (Ipv4Addr::new(127, 0, 0, 0), 8),
    // Azure's host agent.
    (Ipv4Addr::new(168, 63, 129, 16), 32),
    (Ipv4Addr::new(169, 254, 0, 0), 16),
    (Ipv4Addr::new(172, 16, 0, 0), 12),
    (Ipv4Addr::new(192, 0, 0, 0), 24),
    (Ipv4Addr::new(192, 0, 2, 0), 24),
    (Ipv4Addr::new(192, 88, 99, 0), 24),
    (Ipv4Addr::new(192, 168, 0, 0), 16),
    (Ipv4Addr::new(198, 18, 0, 0), 15),
    (Ipv4Addr::new(198, 51, 100, 0), 24),
    (Ipv4Addr::new(203, 0, 113, 0), 24),
    // Multicast, reserved, broadcast.
    (Ipv4Addr::new(224, 0, 0, 0), 3),
];

/// Special-purpose networks inside the global unicast block 2000::/3.
const SPECIAL_V6: &[(Ipv6Addr, u8)] = &[
    // Protocol assignments, with Teredo and ORCHID.
    (Ipv6Addr::new(0x2001, 0, 0, 0, 0, 0, 0, 0), 23),
    (Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 0), 32),
    // 6to4: an IPv4 address in disguise.
    (Ipv6Addr::new(0x2002, 0, 0, 0, 0, 0, 0, 0), 16),
    (Ipv6Addr::new(0x3fff, 0, 0, 0, 0, 0, 0, 0), 20),
];

fn in_v4(address: Ipv4Addr, network: Ipv4Addr, prefix: u8) -> bool {
    (address.to_bits() ^ network.to_bits()) >> (32 - u32::from(prefix)) == 0
}

fn in_v6(address: Ipv6Addr, network: Ipv6Addr, prefix: u8) -> bool {
    (address.to_bits() ^ network.to_bits()) >> (128 - u32::from(prefix)) == 0
}

/// The IPv4 address that an IPv6 address stands for: IPv4-mapped, or through the well-known NAT64
/// prefix, behind which every public IPv4 host lives on an IPv6-only network.
fn embedded_v4(address: Ipv6Addr) -> Option<Ipv4Addr> {
    const NAT64: Ipv6Addr = Ipv6Addr::new(0x64, 0xff9b, 0, 0, 0, 0, 0, 0);
    if in_v6(address, NAT64, 96) {
        let [.., a, b, c, d] = address.octets();
        return Some(Ipv4Addr::new(a, b, c, d));
    }
    address.to_ipv4_mapped()
}

/// Whether an address belongs to the public internet.
pub fn is_public(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(v4) => !SPECIAL_V4.iter().any(|(n, p)| in_v4(v4, *n, *p)),
        IpAddr::V6(v6) => match embedded_v4(v6) {
            Some(v4) => is_public(v4.into()),
            None => {
                in_v6(v6, Ipv6Addr::new(0x2000, 0, 0, 0, 0, 0, 0, 0), 3)
                    && !SPECIAL_V6.iter().any(|(n, p)| in_v6(v6, *n, *p))
            }
        },
    }
}

/// The check with the operator's exceptions.
#[derive(Debug, Clone)]
pub(super) struct Guard(Arc<EgressAllow>);

/// A name all of whose addresses were refused; found again in the client's error chain.
#[derive(Debug, thiserror::Error)]
#[error("{0} is on a private or reserved network")]
pub(super) struct Refusal(pub String);

impl Guard {
    pub(super) fn new(allow: &EgressAllow) -> Self {
        Self(Arc::new(allow.clone()))
    }

    fn lets_through(&self, address: IpAddr) -> bool {
        let canonical = match address {
            IpAddr::V6(v6) => embedded_v4(v6).map_or(address, IpAddr::V4),
            IpAddr::V4(_) => address,
        };
        is_public(address)
            || self.0.networks.iter().any(|n| n.contains(&address) || n.contains(&canonical))
    }

    fn names(&self, host: &str) -> bool {
        let host = host.strip_suffix('.').unwrap_or(host);
        self.0.hosts.iter().any(|known| known.eq_ignore_ascii_case(host))
    }

    /// Whether the operator named this very host, by its name or by its address.
    pub(super) fn is_named(&self, url: &Url) -> bool {
        let address: IpAddr = match url.host() {
            Some(Host::Domain(name)) => return self.names(name),
            Some(Host::Ipv4(v4)) => v4.into(),
            Some(Host::Ipv6(v6)) => v6.into(),
            None => return false,
        };
        !is_public(address) && self.lets_through(address)
    }

    /// Checks what can be known before connecting.
    pub(super) fn check_url(&self, url: &Url) -> Result<(), NetError> {
        if !matches!(url.scheme(), "http" | "https") {
            return Err(NetError::Refused(format!(
                "Only http and https URLs can be called, not {}:",
                url.scheme()
            )));
        }
        if !url.username().is_empty() || url.password().is_some() {
            return Err(NetError::Refused("A URL must not hold a user name or password".into()));
        }
        let address: IpAddr = match url.host() {
            Some(Host::Ipv4(v4)) => v4.into(),
            Some(Host::Ipv6(v6)) => v6.into(),
            Some(Host::Domain(_)) => return Ok(()),
            None => return Err(NetError::Refused("The URL has no host".into())),
        };
        if self.lets_through(address) { Ok(()) } else { Err(refused(&address.to_string())) }
    }
}

/// The error for an address or name on a network that must not be reached.
pub(super) fn refused(host: &str) -> NetError {
    NetError::Refused(format!(
        "{host} is on a private or reserved network, which this server does not call; its \
         operator can allow it with PATCHBAY_EGRESS_ALLOW"
    ))
}

impl Resolve for Guard {
    fn resolve(&self, name: Name) -> Resolving {
        let guard = self.clone();
        Box::pin(async move {
            let host = name.as_str().to_owned();
            let found: Vec<SocketAddr> =
                tokio::net::lookup_host((host.as_str(), 0)).await?.collect();
            let good: Vec<SocketAddr> = if guard.names(&host) {
                found
            } else {
                found.into_iter().filter(|a| guard.lets_through(a.ip())).collect()
            };
            if good.is_empty() {
                return Err(Box::new(Refusal(host)) as Box<dyn std::error::Error + Send + Sync>);
            }
            Ok(Box::new(good.into_iter()) as Addrs)
        })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[test]
    fn knows_special_addresses_in_every_spelling() {
        for text in [
            "0.0.0.0",
            "10.1.2.3",
            "100.64.0.1",
            "100.100.100.200",
            "127.0.0.1",
            "127.255.0.1",
            "168.63.129.16",
            "169.254.169.254",
            "172.16.0.1",
            "172.31.255.255",
            "192.0.0.192",
            "192.0.2.1",
            "192.88.99.1",
            "192.168.0.1",
            "198.18.0.1",
            "198.19.255.255",
            "198.51.100.7",
            "203.0.113.9",
            "224.0.0.1",
            "239.1.1.1",
            "240.0.0.1",
            "255.255.255.255",
            "::",
            "::1",
            "::7f00:1",
            "::ffff:127.0.0.1",
            "::ffff:10.0.0.1",
            "64:ff9b::7f00:1",
            "64:ff9b::a9fe:a9fe",
            "64:ff9b:1::1",
            "100::1",
            "2001::1",
            "2001:10::1",
            "2001:db8::1",
            "2002:7f00:1::",
            "2002:808:808::",
            "3fff::1",
            "5f00::1",
            "fc00::1",
            "fd00:ec2::254",
            "fe80::1",
            "fec0::1",
            "ff02::1",
        ] {
            assert!(!is_public(ip(text)), "{text}");
        }
        for text in [
            "1.1.1.1",
            "8.8.8.8",
            "9.255.255.255",
            "11.0.0.0",
            "100.63.255.255",
            "100.128.0.0",
            "126.255.255.255",
            "128.0.0.0",
            "172.15.0.1",
            "172.32.0.0",
            "192.0.1.0",
            "198.17.0.1",
            "198.20.0.0",
            "223.255.255.255",
            "2606:4700::1111",
            "2a00:1450::1",
            "64:ff9b::808:808",
            "::ffff:8.8.8.8",
            "2001:4860::8888",
        ] {
            assert!(is_public(ip(text)), "{text}");
        }
    }

    #[test]
    fn literal_addresses_in_urls_are_checked_in_every_notation() {
        let guard = Guard::new(&EgressAllow::default());
        for text in [
            "http://127.0.0.1/",
            "http://2130706433/",
            "http://0x7f.1/",
            "http://0177.0.0.1/",
            "http://127.1/",
            "http://[::1]/",
            "http://[::ffff:169.254.169.254]/",
            "http://0/",
            "http://１２７.0.0.1/",
            "file:///etc/passwd",
            "ftp://example.com/",
            "gopher://example.com/",
            "http://user:pass@example.com/",
            "http://u@example.com/",
        ] {
            assert!(guard.check_url(&Url::parse(text).unwrap()).is_err(), "{text}");
        }
        assert!(guard.check_url(&Url::parse("https://example.com/").unwrap()).is_ok());
    }

    #[test]
    fn the_operator_can_allow_networks_and_names() {
        let guard = Guard::new(&EgressAllow {
            hosts: vec!["intern.test".into()],
            networks: vec!["127.0.0.0/8".parse().unwrap()],
        });
        assert!(guard.lets_through(ip("127.0.0.1")));
        assert!(guard.lets_through(ip("::ffff:127.0.0.1")));
        assert!(!guard.lets_through(ip("10.0.0.1")));
        assert!(guard.names("INTERN.test") && guard.names("intern.test."));
        assert!(!guard.names("other.intern.test"));
        let named = |text: &str| guard.is_named(&Url::parse(text).unwrap());
        assert!(named("http://127.0.0.1:8080/") && named("http://Intern.test/"));
        assert!(!named("http://10.0.0.1/") && !named("http://example.com/"));
        assert!(!named("http://1.1.1.1/"));
    }

    proptest! {
        #[test]
        fn mapping_an_address_into_ipv6_never_makes_it_public(bits: u32) {
            let v4 = Ipv4Addr::from_bits(bits);
            let public = is_public(v4.into());
            prop_assert_eq!(is_public(v4.to_ipv6_mapped().into()), public);
            let [a, b, c, d] = v4.octets().map(u16::from);
            let nat64 = Ipv6Addr::new(0x64, 0xff9b, 0, 0, 0, 0, a << 8 | b, c << 8 | d);
            prop_assert_eq!(is_public(nat64.into()), public);
            prop_assert!(!is_public(v4.to_ipv6_compatible().into()));
            let six = Ipv6Addr::new(0x2002, a << 8 | b, c << 8 | d, 0, 0, 0, 0, 1);
            prop_assert!(!is_public(six.into()));
        }

        #[test]
        fn agrees_with_the_standard_library_on_what_is_local(bits: u32) {
            let v4 = Ipv4Addr::from_bits(bits);
            let local = v4.is_private() || v4.is_loopback() || v4.is_link_local()
                || v4.is_multicast() || v4.is_documentation() || v4.is_broadcast()
                || v4.is_unspecified();
            if local {
                prop_assert!(!is_public(v4.into()));
            }
        }

        #[test]
        fn only_global_unicast_is_public_in_ipv6(bits: u128) {
            let v6 = Ipv6Addr::from_bits(bits);
            if embedded_v4(v6).is_none() && bits >> 125 != 1 {
                prop_assert!(!is_public(v6.into()));
            }
        }
    }
}
