//! `triggers/*.yaml`.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::{Map, Value};

use super::{Map2, ParamList, Request, Schema, Step};

/// One `triggers/*.yaml`: a list of trigger types.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TriggersFile {
    /// The trigger types of the file, in the order in which lists show them.
    pub triggers: Vec<Trigger>,
}

/// One trigger type. Exactly one of `webhook` and `poll` is there.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Trigger {
    /// `TOOLKIT_WHAT_HAPPENED`, at most 64 characters.
    pub slug: String,
    /// Other slugs that mean this trigger type.
    #[serde(default)]
    pub aliases: Vec<String>,
    /// Short human name.
    pub name: String,
    /// What it tells, in one sentence or two.
    pub description: String,
    /// What a person has to do at the provider before it works; empty when nothing.
    #[serde(default)]
    pub instructions: String,
    /// Sets of scopes, any one of which suffices.
    #[serde(default)]
    pub scopes: Vec<Vec<String>>,
    /// Deprecation note; the trigger type still works.
    #[serde(default)]
    pub deprecated: Option<String>,
    /// What an instance is set up with. Poll triggers have `interval` besides.
    #[serde(default)]
    pub config: ParamList,
    /// Schema of an event's data.
    #[serde(default)]
    pub payload: Map2<Schema>,
    /// The provider calls.
    #[serde(default)]
    pub webhook: Option<WebhookRule>,
    /// The provider is asked.
    #[serde(default)]
    pub poll: Option<PollRule>,
}

/// How the calls of a provider become events. Templates see `args` (the config), `hook` (`url`,
/// and what `keep` kept), `headers` (by lower-case name), `query`, `body` (JSON, or the fields of
/// a form) and `raw` (the body as text).
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WebhookRule {
    /// Which URL the provider calls.
    #[serde(default)]
    pub ingress: Ingress,
    /// Makes the provider call. Absent: a person sets it up, as `instructions` say.
    #[serde(default)]
    pub register: Option<HookCall>,
    /// Keeps a registration from ending; `register` again (after `remove`) when absent.
    #[serde(default)]
    pub renew: Option<HookCall>,
    /// Makes the provider stop.
    #[serde(default)]
    pub remove: Option<HookCall>,
    /// How it is known that a call is the provider's.
    pub verify: Verify,
    /// Calls that are not events but are answered in a special way, first match wins.
    #[serde(default)]
    pub handshake: Vec<Handshake>,
    /// Expression: whether a call, or the element of `for_each`, is an event of this instance.
    #[serde(default, rename = "when")]
    pub when: Option<String>,
    /// Expression that gives a list: one event per element, which templates see as `item`.
    #[serde(default)]
    pub for_each: Option<String>,
    /// Template: the same event has the same text, however often the provider calls. Absent:
    /// nothing is known to tell them apart, and the SHA-256 of the body is used.
    #[serde(default)]
    pub dedupe: Option<String>,
    /// Template tree: the data of the event.
    pub data: Value,
}

/// Which URL a provider calls.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Ingress {
    /// One per instance.
    #[default]
    Instance,
    /// One per app at the provider: a webhook endpoint. `when` tells the instances apart, and may
    /// ask for `account` (the connection's fields and identity: `account.id`, `account.label`).
    App,
}

/// A call that sets a hook up, renews or removes it. Its templates see `args`, `conn`, and `hook`
/// (`url`; `secret`, which the provider is to sign with; what `keep` kept).
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HookCall {
    /// The one request; its answer is `answer`. Either this or `steps`.
    #[serde(default)]
    pub request: Option<Request>,
    /// Several requests, in order.
    #[serde(default)]
    pub steps: Vec<Step>,
    /// What is kept of the answers: names and templates. Later templates see it as `hook.<name>`.
    #[serde(default)]
    pub keep: Map<String, Value>,
    /// The same for what is secret, such as a signing secret that the provider makes; `verify`
    /// names it.
    #[serde(default)]
    pub keep_secret: Map<String, Value>,
    /// Template: when the registration ends: seconds or milliseconds since 1970, or ISO 8601.
    #[serde(default)]
    pub expires: Option<String>,
    /// Statuses that mean that there is nothing to do any more (a hook that is gone already).
    #[serde(default)]
    pub gone: Vec<u16>,
}

/// How it is known that a call is the provider's. The unguessable URL is always needed.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, tag = "kind", rename_all = "snake_case")]
pub enum Verify {
    /// The provider signs.
    Hmac(Hmac),
    /// The provider repeats a secret.
    Token {
        /// Header that holds it.
        #[serde(default)]
        header: Option<String>,
        /// JSON pointer into the body; every match of a `*` must hold it.
        #[serde(default)]
        at: Option<String>,
        /// Which secret; `secret` is the one that `hook.secret` is.
        #[serde(default = "secret")]
        key: String,
    },
    /// The provider does neither: the URL is all there is.
    Url {},
}

/// A signature.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Hmac {
    /// Hash.
    #[serde(default)]
    pub algorithm: HmacAlgorithm,
    /// Header that holds the signature.
    pub header: String,
    /// Text before it.
    #[serde(default)]
    pub prefix: Option<String>,
    /// The header is a list `name=value,…`, and this is the signature's name; there may be several.
    #[serde(default)]
    pub field: Option<String>,
    /// How it is written.
    #[serde(default)]
    pub encoding: SignatureEncoding,
    /// Which secret: `secret` is the one that `hook.secret` is, other names are those of
    /// `keep_secret` and of handshakes, of what the developer entered for the app, and
    /// `client_secret` of the auth config.
    #[serde(default = "secret")]
    pub key: String,
    /// What is signed: text with `{body}`, `{timestamp}`, `{url}` and `{method}`.
    #[serde(default = "body")]
    pub signed: String,
    /// Where the time of the call is.
    #[serde(default)]
    pub timestamp: Option<SignedTime>,
}

fn secret() -> String {
    "secret".to_owned()
}

fn body() -> String {
    "{body}".to_owned()
}

/// Where the time of a call is, and how old a call may be.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SignedTime {
    /// Header with seconds or milliseconds since 1970.
    #[serde(default)]
    pub header: Option<String>,
    /// Name in the list of the signature's header.
    #[serde(default)]
    pub field: Option<String>,
    /// Seconds.
    #[serde(default = "tolerance")]
    pub tolerance_s: u64,
}

fn tolerance() -> u64 {
    300
}

/// Hash of a signature.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum HmacAlgorithm {
    /// SHA-1
    Sha1,
    /// SHA-256
    #[default]
    Sha256,
    /// SHA-512
    Sha512,
}

/// How a signature is written.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum SignatureEncoding {
    /// Lower-case hexadecimal.
    #[default]
    Hex,
    /// Base64 with padding.
    Base64,
}

/// A call that is answered in a special way.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Handshake {
    /// Only calls with this method.
    #[serde(default)]
    pub method: Option<String>,
    /// Expression: whether this is such a call.
    #[serde(default, rename = "when")]
    pub when: Option<String>,
    /// Whether it must pass `verify`.
    #[serde(default)]
    pub verified: bool,
    /// Status of the answer.
    #[serde(default = "ok")]
    pub status: u16,
    /// Headers of the answer: templates.
    #[serde(default)]
    pub headers: BTreeMap<String, String>,
    /// JSON body: a template tree.
    #[serde(default)]
    pub json: Option<Value>,
    /// Plain text body: a template.
    #[serde(default)]
    pub text: Option<String>,
    /// Secrets that the call brings: names and templates. Taken only while the instance has none
    /// of that name.
    #[serde(default)]
    pub keep_secret: Map<String, Value>,
}

fn ok() -> u16 {
    200
}

/// How a provider is asked. Templates of the requests see `args`, `conn` and `cursor`: `token`,
/// `since` (seconds since 1970, with the overlap taken off; of the first poll, an hour before it
/// begins), `since_ms`, `since_iso`, and `first` (true while there is no cursor).
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PollRule {
    /// The one request; its answer is `answer`. Either this or `steps`.
    #[serde(default)]
    pub request: Option<Request>,
    /// Several requests, in order.
    #[serde(default)]
    pub steps: Vec<Step>,
    /// Template: the list of what there is; it sees the answers.
    pub items: String,
    /// Template: what tells two items apart; it sees `item`. A change that is to be told again must
    /// change it.
    pub id: String,
    /// Template: when the item was made or changed: seconds or milliseconds since 1970, or
    /// ISO 8601. Events come in its order. It sees `item`, and the answers of `each` where the list
    /// does not say it.
    #[serde(default)]
    pub at: Option<String>,
    /// How the next poll goes on.
    pub cursor: Cursor,
    /// Requests per new item, which they see as `item`; their answers are for `data` and `when`.
    #[serde(default)]
    pub each: Vec<Step>,
    /// Expression: whether a new item is an event; it sees `item` and the answers of `each`.
    #[serde(default, rename = "when")]
    pub when: Option<String>,
    /// Template tree: the data of the event; it sees `item` and the answers of `each`.
    pub data: Value,
    /// Most pages of one poll, with `more`.
    #[serde(default = "pages")]
    pub max_pages: u32,
    /// Template: the token of the next page; the requests see it as `cursor.page`. Null or empty:
    /// there is none.
    #[serde(default)]
    pub more: Option<String>,
}

fn pages() -> u32 {
    10
}

/// How the next poll goes on.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, tag = "kind", rename_all = "snake_case")]
pub enum Cursor {
    /// The provider gives a token.
    Token {
        /// Template: the token after this poll; it sees the answers.
        next: String,
        /// Statuses that mean that the provider forgot the token: the next poll begins anew, and
        /// finds with the help of the ids that were seen what was missed.
        #[serde(default)]
        gone: Vec<u16>,
    },
    /// A time: that of the newest item; without `at`, or when nothing has one, that at which the
    /// poll began.
    Timestamp {
        /// Seconds that a poll looks back, because items may appear late and out of order; the ids
        /// seen within are remembered.
        #[serde(default = "overlap")]
        overlap_s: u64,
    },
    /// The ids of what was there.
    Ids {
        /// Most ids that are remembered, newest first.
        #[serde(default = "ids")]
        keep: usize,
    },
}

fn overlap() -> u64 {
    120
}

fn ids() -> usize {
    5000
}
