//! `realtime_relay_url`: an app of a Pusher service, in the form that its own libraries take.

use secrecy::SecretString;
use url::Url;

/// The app.
#[derive(Debug, Clone)]
pub struct Relay {
    /// `https://host/apps/{id}`.
    pub url: Url,
    /// Its key, which is no secret.
    pub key: String,
    /// What requests and channels are signed with.
    pub secret: SecretString,
    /// The cluster that its host names.
    pub cluster: Option<String>,
}

impl Relay {
    /// Reads `https://key:secret@api-cluster.pusher.com/apps/id`.
    pub fn parse(text: &str) -> Option<Self> {
        let mut url = Url::parse(text).ok()?;
        let host = url.host_str()?.to_owned();
        let id = url.path().strip_prefix("/apps/")?.trim_end_matches('/').to_owned();
        let (key, secret) = (url.username().to_owned(), url.password()?.to_owned());
        let plain = |text: &str| {
            !text.is_empty()
                && text.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_".contains(&b))
        };
        let is_web = matches!(url.scheme(), "http" | "https");
        if !is_web || !plain(&id) || !plain(&key) || !plain(&secret) || url.query().is_some() {
            return None;
        }
        url.set_username("").ok()?;
        url.set_password(None).ok()?;
        url.set_path(&format!("/apps/{id}"));
        let cluster = match host.as_str() {
            "api.pusherapp.com" => Some("mt1".to_owned()),
            host => host
                .strip_prefix("api-")
                .and_then(|rest| rest.strip_suffix(".pusher.com"))
                .map(str::to_owned),
        };
        Some(Self { url, key, secret: secret.into(), cluster })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_form_of_its_libraries_is_taken() {
        let relay = Relay::parse("https://k3y:s3cr3t@api-eu.pusher.com/apps/12345").unwrap();
        assert_eq!(relay.url.as_str(), "https://api-eu.pusher.com/apps/12345");
        assert_eq!((relay.key.as_str(), relay.cluster.as_deref()), ("k3y", Some("eu")));
        assert!(!format!("{relay:?}").contains("s3cr3t"));
        let cluster = |text| Relay::parse(text).unwrap().cluster;
        assert_eq!(cluster("http://k:s@api.pusherapp.com/apps/1").as_deref(), Some("mt1"));
        assert_eq!(cluster("http://k:s@10.0.0.1:6001/apps/1"), None);
    }

    #[test]
    fn anything_else_is_not() {
        for text in [
            "",
            "eu",
            "https://api-eu.pusher.com/apps/1",
            "https://k@api-eu.pusher.com/apps/1",
            "https://k:s@api-eu.pusher.com/",
            "https://k:s@api-eu.pusher.com/apps/",
            "https://k:s@api-eu.pusher.com/apps/1/events",
            "https://k:s@api-eu.pusher.com/apps/1?x=y",
            "ftp://k:s@api-eu.pusher.com/apps/1",
        ] {
            assert!(Relay::parse(text).is_none(), "{text}");
        }
    }

    fn load(settings: &[(&str, &str)]) -> Result<crate::config::Config, Vec<String>> {
        let pair = |(key, value): &(&str, &str)| (format!("PATCHBAY_{key}"), (*value).to_owned());
        crate::config::load_from(&settings.iter().map(pair).collect()).map_err(|all| all.0)
    }

    #[test]
    fn the_ways_of_realtime_are_read() {
        let config = load(&[]).unwrap();
        assert_eq!(config.realtime_cluster, "patchbay");
        assert!(config.realtime_host.is_none() && config.realtime_relay.is_none());
        let config = load(&[("PUBLIC_URL", "https://a.example/x")]).unwrap();
        assert_eq!(config.realtime_host.as_deref(), Some("a.example:443"));
        let config = load(&[
            ("PUBLIC_URL", "https://a.example"),
            ("REALTIME_HOST", "b.example:8443"),
            ("REALTIME_CLUSTER", "acme-1"),
        ])
        .unwrap();
        assert_eq!(config.realtime_host.as_deref(), Some("b.example:8443"));
        assert_eq!(config.realtime_cluster, "acme-1");
    }

    #[test]
    fn what_would_lead_clients_elsewhere_is_named() {
        for (key, value) in [
            ("REALTIME_CLUSTER", "Acme"),
            ("REALTIME_CLUSTER", "evil.example/"),
            ("REALTIME_CLUSTER", "x@evil"),
            ("REALTIME_HOST", "a.example/path"),
            ("REALTIME_HOST", "x@a.example"),
            ("REALTIME_HOST", "a.example:port"),
            ("REALTIME_RELAY_URL", "https://k:hidden@a.example/"),
            ("REALTIME_MAX_SOCKETS", "0"),
            ("REALTIME_ACTIVITY_TIMEOUT_S", "0"),
        ] {
            let wrong = load(&[(key, value)]).unwrap_err();
            assert_eq!(wrong.len(), 1, "{key} {value}");
            assert!(wrong[0].contains(key) && !wrong[0].contains("hidden"), "{wrong:?}");
        }
    }
}
