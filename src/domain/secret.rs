//! Secret text and its masked form.

pub use secrecy::{ExposeSecret, SecretString};

/// The masked form of a secret that responses show: the first four characters
/// and `...`, or `REDACTED` when there are fewer than four.
pub fn mask(secret: &str) -> String {
    let head: String = secret.chars().take(4).collect();
    if head.chars().count() < 4 { "REDACTED".to_owned() } else { format!("{head}...") }
}

/// Whether a field of this name holds a credential; a caller's own data may have any fields.
pub fn sounds_secret(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    name != "token_type"
        && ["token", "secret", "key", "password", "credential", "private", "encoded", "session"]
            .iter()
            .any(|word| name.contains(word))
}

#[cfg(test)]
mod tests {
    use super::mask;

    #[test]
    fn masks_as_documented() {
        assert_eq!(mask("gho_abcdef"), "gho_...");
        assert_eq!(mask("sk-live"), "sk-l...");
        assert_eq!(mask("abc"), "REDACTED");
        assert_eq!(mask(""), "REDACTED");
        assert_eq!(mask("éèàü!"), "éèàü...");
    }
}
