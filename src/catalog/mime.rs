//! RFC 5322 messages. Everything but ASCII headers is base64, so no line of a body can be taken
//! for a header or a boundary; control characters never get into a header.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;
use sha2::{Digest, Sha256};

/// The message made of `from`, `to`, `cc`, `bcc`, `reply_to`, `subject`, `body`, `is_html`,
/// `in_reply_to` and `attachments` (`filename`, `mime_type`, `data` in base64).
pub(super) fn message(fields: &Value) -> Result<String, String> {
    let mut out = String::new();
    for (header, key) in
        [("From", "from"), ("To", "to"), ("Cc", "cc"), ("Bcc", "bcc"), ("Reply-To", "reply_to")]
    {
        let addresses = addresses(&fields[key])?;
        if !addresses.is_empty() {
            out.push_str(&format!("{header}: {}\r\n", addresses.join(",\r\n ")));
        }
    }
    if let Some(subject) = fields["subject"].as_str().filter(|s| !s.is_empty()) {
        out.push_str(&format!("Subject: {}\r\n", words(subject)));
    }
    if let Some(id) = fields["in_reply_to"].as_str().map(one_line).filter(|id| !id.is_empty()) {
        if !id.is_ascii() {
            return Err("the message id to reply to is not ASCII".into());
        }
        out.push_str(&format!("In-Reply-To: {id}\r\nReferences: {id}\r\n"));
    }
    out.push_str("MIME-Version: 1.0\r\n");
    let kind = if fields["is_html"].as_bool() == Some(true) { "text/html" } else { "text/plain" };
    let body = fields["body"].as_str().unwrap_or_default();
    let text = format!(
        "Content-Type: {kind}; charset=utf-8\r\nContent-Transfer-Encoding: base64\r\n\r\n{}",
        lines(&STANDARD.encode(body))
    );
    match fields["attachments"].as_array().filter(|list| !list.is_empty()) {
        None => out.push_str(&text),
        Some(attachments) => {
            let parts: Vec<String> = std::iter::once(Ok(text))
                .chain(attachments.iter().map(attachment))
                .collect::<Result<_, _>>()?;
            let digest = hex::encode(Sha256::digest(parts.concat()));
            let boundary = format!("=_{}", &digest[..32]);
            out.push_str(&format!(
                "Content-Type: multipart/mixed; boundary=\"{boundary}\"\r\n\r\n"
            ));
            for part in parts {
                out.push_str(&format!("--{boundary}\r\n{part}\r\n"));
            }
            out.push_str(&format!("--{boundary}--\r\n"));
        }
    }
    Ok(out)
}

fn attachment(fields: &Value) -> Result<String, String> {
    let name = fields["filename"].as_str().or(fields["name"].as_str()).unwrap_or("attachment");
    let kind = fields["mime_type"].as_str().or(fields["mimetype"].as_str());
    let kind = kind.filter(|kind| !kind.is_empty()).unwrap_or("application/octet-stream");
    let token = |c: char| c.is_ascii_alphanumeric() || "!#$&^_.+-/".contains(c);
    if !kind.contains('/') || !kind.chars().all(token) {
        return Err(format!("`{kind}` is not a media type"));
    }
    let data: String = fields["data"]
        .as_str()
        .unwrap_or_default()
        .chars()
        .filter(|c| !c.is_whitespace())
        .map(|c| match c {
            '-' => '+',
            '_' => '/',
            other => other,
        })
        .collect();
    let bytes = base64::engine::GeneralPurpose::new(
        &base64::alphabet::STANDARD,
        base64::engine::GeneralPurposeConfig::new()
            .with_decode_padding_mode(base64::engine::DecodePaddingMode::Indifferent),
    )
    .decode(data)
    .map_err(|_| format!("the data of attachment `{name}` is not base64"))?;
    let name: String = one_line(name).replace(['"', '\\'], "_").chars().take(200).collect();
    let name = if name.is_ascii() {
        format!("filename=\"{name}\"")
    } else {
        let encoded =
            percent_encoding::utf8_percent_encode(&name, percent_encoding::NON_ALPHANUMERIC);
        format!("filename*=UTF-8''{encoded}")
    };
    Ok(format!(
        "Content-Type: {kind}\r\nContent-Disposition: attachment; {name}\r\n\
         Content-Transfer-Encoding: base64\r\n\r\n{}",
        lines(&STANDARD.encode(bytes))
    ))
}

/// One address or a list of them; none and empty ones are left out.
fn addresses(value: &Value) -> Result<Vec<String>, String> {
    let list: Vec<&str> = match value {
        Value::Null => Vec::new(),
        Value::String(one) => vec![one],
        Value::Array(items) => items.iter().filter_map(Value::as_str).collect(),
        _ => return Err("an address must be text".into()),
    };
    list.into_iter().map(str::trim).filter(|text| !text.is_empty()).map(address).collect()
}

fn address(text: &str) -> Result<String, String> {
    let wrong = || format!("`{}` is not an email address", one_line(text));
    let (name, mailbox) = match text.strip_suffix('>').and_then(|rest| rest.rsplit_once('<')) {
        Some((name, mailbox)) => (one_line(name.trim().trim_matches('"')), mailbox.trim()),
        None => (String::new(), text),
    };
    let plain = |c: char| !c.is_whitespace() && !c.is_control() && !"<>,;\"()".contains(c);
    let (local, domain) = mailbox.rsplit_once('@').ok_or_else(wrong)?;
    if local.is_empty() || domain.is_empty() || local.contains('@') || !mailbox.chars().all(plain) {
        return Err(wrong());
    }
    if name.is_empty() {
        return Ok(mailbox.to_owned());
    }
    let atoms = |c: char| c.is_ascii_alphanumeric() || " !#$%&'*+-/=?^_`{|}~".contains(c);
    let name = if name.chars().all(atoms) {
        name
    } else if name.is_ascii() {
        format!("\"{}\"", name.replace('\\', "\\\\").replace('"', "\\\""))
    } else {
        words(&name)
    };
    Ok(format!("{name} <{mailbox}>"))
}

/// Without line ends and other control characters.
fn one_line(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect::<String>().trim().to_owned()
}

/// Header text: as it is when short and ASCII, else RFC 2047 words.
fn words(text: &str) -> String {
    let text = one_line(text);
    if text.is_ascii() && text.len() <= 900 && !text.contains("=?") {
        return text;
    }
    let mut chunks: Vec<String> = vec![String::new()];
    for c in text.chars() {
        let full = chunks.last().is_some_and(|chunk| chunk.len() + c.len_utf8() > 39);
        if full {
            chunks.push(String::new());
        }
        if let Some(chunk) = chunks.last_mut() {
            chunk.push(c);
        }
    }
    let encoded: Vec<String> =
        chunks.iter().map(|chunk| format!("=?UTF-8?B?{}?=", STANDARD.encode(chunk))).collect();
    encoded.join("\r\n ")
}

/// Base64 in lines of 76 characters.
fn lines(base64: &str) -> String {
    let mut out = String::with_capacity(base64.len() + base64.len() / 38);
    let mut rest = base64;
    while rest.len() > 76 {
        let (line, more) = rest.split_at(76);
        out.push_str(line);
        out.push_str("\r\n");
        rest = more;
    }
    out.push_str(rest);
    out
}
