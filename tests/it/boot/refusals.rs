//! Starts that must fail, with a message that helps.

use std::net::TcpListener;

use super::process::Home;

#[test]
fn every_wrong_setting_is_named_at_once() {
    let home = Home::new();
    let (code, said) = home.refused(&[
        ("PATCHBAY_LISTEN", "nowhere"),
        ("PATCHBAY_RATE_LIMIT", "many"),
        ("PATCHBAY_LOG_FILTER", "patchbay=loud"),
        ("PATCHBAY_ORG_API_KEY", "0123456789abcdef"),
        ("PATCHBAY_PROJECT_API_KEY", "0123456789abcdef"),
        ("PATCHBAY_DATABASE_URI", "postgres://x"),
    ]);
    assert_eq!(code, 2, "{said}");
    for name in [
        "PATCHBAY_LISTEN",
        "PATCHBAY_RATE_LIMIT",
        "PATCHBAY_LOG_FILTER",
        "PATCHBAY_PROJECT_API_KEY",
        "PATCHBAY_DATABASE_URI",
    ] {
        assert!(said.contains(name), "{name} in {said}");
    }
    assert!(!said.contains("0123456789abcdef"));
    assert!(!home.data_dir().exists());
}

#[test]
fn a_second_server_on_the_same_data_directory_is_refused() {
    let home = Home::new();
    let server = home.start(&[]);
    let (code, said) = home.refused(&[]);
    assert_eq!(code, 1, "{said}");
    assert!(said.contains("in use by process ") && said.contains("PATCHBAY_DATA_DIR"), "{said}");
    server.stop();
}

#[test]
fn a_taken_port_is_named_and_leaves_nothing_running() {
    let home = Home::new();
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap();
    let (code, said) = home.refused(&[("PATCHBAY_LISTEN", &address.to_string())]);
    assert_eq!(code, 1, "{said}");
    assert!(said.contains(&format!("port {}", address.port())), "{said}");
    assert!(said.contains("PATCHBAY_LISTEN"), "{said}");
    assert_eq!(home.processes(), Vec::<String>::new());
}

#[test]
fn a_data_directory_that_cannot_be_made_is_named() {
    let home = Home::new();
    let file = home.path().join("a-file");
    std::fs::write(&file, "").unwrap();
    let below = file.join("data");
    let (code, said) = home.refused(&[("PATCHBAY_DATA_DIR", below.to_str().unwrap())]);
    assert_eq!(code, 1, "{said}");
    assert!(said.contains("a-file") && said.contains("PATCHBAY_DATA_DIR"), "{said}");
}

#[test]
fn a_lost_encryption_key_is_noticed() {
    let home = Home::new();
    home.start(&[]).stop();
    let key = home.data_dir().join("encryption.key");
    std::fs::rename(&key, home.data_dir().join("away")).unwrap();
    let (code, said) = home.refused(&[]);
    assert_eq!(code, 1, "{said}");
    assert!(said.contains("PATCHBAY_ENCRYPTION_KEY") && said.contains("encryption.key"), "{said}");
    assert!(!key.exists(), "no other key takes its place");
    let other = "07".repeat(32);
    let (_, said) = home.refused(&[("PATCHBAY_ENCRYPTION_KEY", &other)]);
    assert!(said.contains("PATCHBAY_ENCRYPTION_KEY") && !said.contains(&other), "{said}");
    assert_eq!(home.processes(), Vec::<String>::new());
    std::fs::rename(home.data_dir().join("away"), &key).unwrap();
    home.start(&[]).stop();
}

#[test]
fn a_wrong_toolkit_definition_stops_the_start_and_is_named() {
    let home = Home::new();
    let toolkits = home.path().join("toolkits");
    std::fs::create_dir_all(toolkits.join("mine")).unwrap();
    std::fs::write(toolkits.join("mine/toolkit.yaml"), "spec: 1\nslug: mine\ncolour: red\n")
        .unwrap();
    let (code, said) = home.refused(&[("PATCHBAY_TOOLKITS_DIR", toolkits.to_str().unwrap())]);
    assert_eq!(code, 1, "{said}");
    assert!(said.contains("mine/toolkit.yaml") && said.contains("colour"), "{said}");
    assert_eq!(home.processes(), Vec::<String>::new());
}
