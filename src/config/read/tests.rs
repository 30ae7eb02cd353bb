//! Reading settings.

use super::*;

fn env(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
    pairs.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect()
}

#[test]
fn the_defaults_are_complete() {
    let config = load_from(&env(&[])).unwrap();
    assert_eq!(config.public_url, "http://127.0.0.1:9900");
    assert_eq!(config.rate_limit, 20_000);
    assert!(config.llm.is_none());
}

#[test]
fn a_claim_outlasts_a_call_of_the_provider() {
    let load = |claim, timeout| {
        load_from(&env(&[
            ("PATCHBAY_REFRESH_CLAIM_S", claim),
            ("PATCHBAY_OUTBOUND_TIMEOUT_S", timeout),
        ]))
    };
    assert!(load("20", "60").is_err());
    assert!(load("21", "60").is_ok());
    assert!(load("2", "2").unwrap_err().to_string().contains("3 or more"));
    assert_eq!(load("3", "2").unwrap().refresh_claim, Duration::from_secs(3));
}

#[test]
fn waits_after_failures_are_seconds_between_commas() {
    let load = |text| load_from(&env(&[("PATCHBAY_WEBHOOK_RETRY_S", text)]));
    let seconds =
        |text| load(text).unwrap().webhook_retry.iter().map(Duration::as_secs).collect::<Vec<_>>();
    assert_eq!(seconds(""), [5, 300, 1800, 7200, 18_000, 36_000, 36_000]);
    assert_eq!(seconds(" 1, 20 "), [1, 20]);
    assert_eq!(seconds(","), Vec::<u64>::new());
    for wrong in ["5,x", "0", "-1", "2592001", "1.5", &"1,".repeat(21)] {
        assert!(load(wrong).unwrap_err().to_string().contains("WEBHOOK_RETRY_S"), "{wrong}");
    }
}

#[test]
fn every_wrong_key_is_named_and_no_value_repeated() {
    let errors = load_from(&env(&[
        ("PATCHBAY_LISTEN", "nonsense"),
        ("PATCHBAY_LISTNE", "127.0.0.1:1"),
        ("PATCHBAY_ENCRYPTION_KEY", "too-short-secret"),
        ("PATCHBAY_RATE_LIMIT", "-1"),
        ("PATCHBAY_CONNECT_TTL_S", "0"),
        ("PATCHBAY_PROVIDERS_FILE", "/does/not/exist.yaml"),
    ]))
    .unwrap_err();
    let text = errors.to_string();
    for key in ["LISTEN", "LISTNE", "ENCRYPTION_KEY", "RATE_LIMIT", "CONNECT_TTL_S", "PROVIDERS"] {
        assert!(text.contains(&format!("PATCHBAY_{key}")), "{key} in {text}");
    }
    assert_eq!(errors.0.len(), 6, "{text}");
    assert!(!text.contains("too-short-secret"));
}

#[test]
fn the_encryption_key_has_one_place() {
    let key = "07".repeat(32);
    let previous = format!("{}, {}", "08".repeat(32), "09".repeat(32));
    let config = load_from(&env(&[
        ("PATCHBAY_ENCRYPTION_KEY_COMMAND", "vault  kv get -field=key secret/patchbay"),
        ("PATCHBAY_PREVIOUS_ENCRYPTION_KEYS", &previous),
    ]))
    .unwrap();
    assert_eq!(config.encryption_key_command.unwrap().len(), 5);
    assert_eq!(config.previous_encryption_keys.len(), 2);
    let errors = load_from(&env(&[
        ("PATCHBAY_ENCRYPTION_KEY", &key),
        ("PATCHBAY_ENCRYPTION_KEY_FILE", "/run/key"),
        ("PATCHBAY_ENCRYPTION_KEY_COMMAND", "cat '/run/key'"),
        ("PATCHBAY_PREVIOUS_ENCRYPTION_KEYS", "hunter2"),
    ]))
    .unwrap_err();
    let text = errors.to_string();
    assert_eq!(errors.0.len(), 5, "{text}");
    assert!(!text.contains("hunter2") && !text.contains(&key), "{text}");
}

#[test]
fn a_file_stands_between_the_defaults_and_the_environment() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("p.toml");
    std::fs::write(&path, "rate_limit = 5\nlisten = \"127.0.0.1:1\"\n").unwrap();
    let path = path.to_str().unwrap();
    let config =
        load_from(&env(&[("PATCHBAY_CONFIG", path), ("PATCHBAY_LISTEN", "127.0.0.1:2")])).unwrap();
    assert_eq!((config.rate_limit, config.listen.port()), (5, 2));
}
