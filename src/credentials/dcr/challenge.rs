//! The `WWW-Authenticate` header of a 401 (RFC 9110, RFC 9728 section 5.1).

/// What a Bearer challenge says.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Challenge {
    /// Where the resource's metadata is.
    pub resource_metadata: Option<String>,
    /// Scopes that are needed, separated by spaces.
    pub scope: Option<String>,
}

/// Reads the Bearer challenges of header values; the first value of a parameter counts.
pub fn read<'a>(values: impl Iterator<Item = &'a str>) -> Challenge {
    let mut challenge = Challenge::default();
    for value in values {
        let mut is_bearer = false;
        for part in parts(value) {
            match part {
                Part::Scheme(name) => is_bearer = name.eq_ignore_ascii_case("bearer"),
                Part::Param(name, value) if is_bearer => {
                    let slot = match name.to_ascii_lowercase().as_str() {
                        "resource_metadata" => &mut challenge.resource_metadata,
                        "scope" => &mut challenge.scope,
                        _ => continue,
                    };
                    if slot.is_none() && !value.is_empty() {
                        *slot = Some(value);
                    }
                }
                Part::Param(..) => {}
            }
        }
    }
    challenge
}

enum Part<'a> {
    Scheme(&'a str),
    Param(&'a str, String),
}

fn is_token(c: char) -> bool {
    c.is_ascii_alphanumeric() || "!#$%&'*+-.^_`|~".contains(c)
}

/// Splits a header value into schemes and parameters. What cannot be read ends it.
fn parts(value: &str) -> Vec<Part<'_>> {
    let mut parts = Vec::new();
    let mut rest = value;
    loop {
        rest = rest.trim_start_matches([' ', '\t', ',']);
        let end = rest.find(|c| !is_token(c)).unwrap_or(rest.len());
        let (name, after) = rest.split_at(end);
        if name.is_empty() {
            return parts;
        }
        let Some(text) = after.trim_start_matches([' ', '\t']).strip_prefix('=') else {
            parts.push(Part::Scheme(name));
            rest = after;
            continue;
        };
        let text = text.trim_start_matches([' ', '\t']);
        let (value, after) = match text.strip_prefix('"') {
            None => {
                let end = text.find([' ', '\t', ',']).unwrap_or(text.len());
                (text[..end].to_owned(), &text[end..])
            }
            Some(quoted) => match unquote(quoted) {
                Some(both) => both,
                None => return parts,
            },
        };
        parts.push(Part::Param(name, value));
        rest = after;
    }
}

/// The text up to the closing quote, and what follows it.
fn unquote(quoted: &str) -> Option<(String, &str)> {
    let mut text = String::new();
    let mut escaped = false;
    for (i, c) in quoted.char_indices() {
        match c {
            _ if escaped => {
                text.push(c);
                escaped = false;
            }
            '\\' => escaped = true,
            '"' => return Some((text, &quoted[i + 1..])),
            _ => text.push(c),
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn of(value: &str) -> (Option<String>, Option<String>) {
        let challenge = read(std::iter::once(value));
        (challenge.resource_metadata, challenge.scope)
    }

    #[test]
    fn reads_what_servers_send() {
        let some = |text: &str| Some(text.to_owned());
        let url = "https://mcp.example/.well-known/oauth-protected-resource/mcp";
        assert_eq!(
            of(&format!(
                r#"Bearer realm="OAuth", error="invalid_token", error_description="a \"b\", c", resource_metadata="{url}", scope="a b""#
            )),
            (some(url), some("a b"))
        );
        assert_eq!(of(&format!("bearer resource_metadata={url}")), (some(url), None));
        assert_eq!(
            of(&format!(r#"Basic realm="x", Bearer resource_metadata = "{url}""#)).0,
            some(url)
        );
        assert_eq!(of(&format!(r#"Bearer, DPoP resource_metadata="{url}""#)), (None, None));
        assert_eq!(of("Bearer"), (None, None));
        assert_eq!(of(r#"Bearer scope="open"#), (None, None));
        assert_eq!(of(r#"Bearer realm="resource_metadata=evil", scope=x"#), (None, some("x")));
    }

    proptest! {
        #[test]
        fn nothing_makes_it_stumble(text in "\\PC{0,80}") {
            let _ = of(&text);
            let _ = of(&format!("Bearer {text}"));
        }
    }
}
