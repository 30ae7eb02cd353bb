//! The fields of a scheme: what a developer fills in when creating an auth config, and what a
//! person fills in when connecting. The one place that knows what a scheme implies; toolkit
//! answers show these fields, and the handlers accept exactly them.

use super::model::{AuthScheme, ClientAuth, Field, OAuth2};
use crate::domain::scheme::AuthSchemeKind;

/// One field of a form.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FieldSpec {
    /// Name under which the value is stored and templates see it.
    pub name: String,
    /// Label for a person.
    pub display_name: String,
    /// Help text; empty when there is none.
    pub description: String,
    /// Value when none is given.
    pub default: Option<String>,
    /// Whether it must be given.
    pub required: bool,
    /// Whether the value is sealed, masked, and typed into a password input.
    pub secret: bool,
    /// Whether the value may have several lines.
    pub multiline: bool,
    /// Anchored regular expression for the value.
    pub pattern: Option<String>,
    /// Text behind the input, such as `.example.com`.
    pub suffix: Option<String>,
    /// Other names under which the value is accepted.
    pub aliases: Vec<String>,
    /// Closed list of values; empty: any.
    pub choices: Vec<String>,
    /// Whether the value is a host name.
    pub host: bool,
}

impl FieldSpec {
    fn implied(name: &str, description: &str, required: bool, secret: bool) -> Self {
        Self {
            name: name.to_owned(),
            display_name: label(name),
            description: description.to_owned(),
            default: None,
            required,
            secret,
            multiline: false,
            pattern: None,
            suffix: None,
            aliases: Vec::new(),
            choices: Vec::new(),
            host: false,
        }
    }

    fn declared(field: &Field) -> Self {
        Self {
            name: field.name.clone(),
            display_name: field.label.clone().unwrap_or_else(|| label(&field.name)),
            description: field.description.clone().unwrap_or_default(),
            default: field.default.clone(),
            // What has a default need not be given.
            required: field.required && field.default.is_none(),
            secret: field.secret,
            multiline: field.multiline,
            pattern: field.pattern.clone(),
            suffix: field.suffix.clone(),
            aliases: field.aliases.clone(),
            choices: field.choices.clone(),
            host: field.host,
        }
    }

    /// The definition's own words for an implied field; that it is a secret stays so.
    fn refine(&mut self, field: &Field) {
        let mut declared = Self::declared(field);
        if field.name != self.name {
            declared.aliases.push(std::mem::replace(&mut declared.name, self.name.clone()));
        }
        if declared.description.is_empty() {
            declared.description = std::mem::take(&mut self.description);
        }
        declared.secret |= self.secret;
        declared.multiline |= self.multiline;
        for alias in std::mem::take(&mut self.aliases) {
            if !declared.is_named(&alias) {
                declared.aliases.push(alias);
            }
        }
        *self = declared;
    }

    /// Whether the field goes by this name.
    pub fn is_named(&self, name: &str) -> bool {
        self.name == name || self.aliases.iter().any(|alias| alias == name)
    }
}

/// The fields of an OAuth client.
fn client_fields(oauth: &OAuth2) -> Vec<FieldSpec> {
    let mut fields =
        vec![FieldSpec::implied("client_id", "Client id of your OAuth app", true, false)];
    let auth = oauth.token.client_auth;
    if auth == ClientAuth::PrivateKeyJwt {
        let text = "Private key of your OAuth app, in PEM (PKCS #8)";
        let mut key = FieldSpec::implied("private_key", text, true, true);
        key.multiline = true;
        fields.push(key);
        let text = "Id of the key, when your app has several";
        fields.push(FieldSpec::implied("key_id", text, false, false));
    } else {
        let required = auth != ClientAuth::None;
        let text = "Client secret of your OAuth app";
        fields.push(FieldSpec::implied("client_secret", text, required, true));
    }
    fields
}

/// What a developer fills in when creating an auth config of the scheme.
pub fn config_fields(scheme: &AuthScheme) -> Vec<FieldSpec> {
    let mut fields = Vec::new();
    if let Some(oauth) = &scheme.oauth2 {
        if !oauth.client_of_connection() {
            fields.extend(client_fields(oauth));
        }
        if oauth.by_browser() {
            let mut text = "Redirect URI registered with your OAuth app; this server's callback \
                            when left out"
                .to_owned();
            if let Some(note) = &oauth.authorize.redirect_uri_note {
                text = format!("{text}. {note}");
            }
            let mut redirect = redirect_uri();
            redirect.description = text;
            fields.push(redirect);
        }
        if !oauth.authorize.skip_scopes {
            let text = "Scopes to ask for, separated by commas";
            let mut scopes = FieldSpec::implied("scopes", text, false, false);
            scopes.default = Some(oauth.scopes.join(",")).filter(|s| !s.is_empty());
            fields.push(scopes);
        }
        if oauth.authorize.user_scope_param.is_some() {
            let text = "Scopes to ask for on behalf of the user, separated by commas";
            let mut scopes = FieldSpec::implied("user_scopes", text, false, false);
            scopes.default = Some(oauth.user_scopes.join(",")).filter(|s| !s.is_empty());
            fields.push(scopes);
        }
    }
    if scheme.scheme == AuthSchemeKind::Oauth1 {
        let mut key =
            FieldSpec::implied("consumer_key", "Consumer key of your OAuth app", true, false);
        key.aliases.push("client_id".to_owned());
        fields.push(key);
        let mut secret =
            FieldSpec::implied("consumer_secret", "Consumer secret of your OAuth app", true, true);
        secret.aliases.push("client_secret".to_owned());
        fields.push(secret);
        fields.push(redirect_uri());
    }
    if let Some(login) = &scheme.login
        && (scheme.scheme == AuthSchemeKind::GoogleServiceAccount || !login.scopes.is_empty())
    {
        let mut scopes =
            FieldSpec::implied("scopes", "Scopes to ask for, separated by commas", false, false);
        scopes.default = Some(login.scopes.join(",")).filter(|s| !s.is_empty());
        fields.push(scopes);
    }
    if scheme.scheme == AuthSchemeKind::DcrOauth {
        fields.extend(dcr_fields(scheme));
    }
    add(&mut fields, &scheme.config_fields);
    fields
}

fn redirect_uri() -> FieldSpec {
    let mut redirect = FieldSpec::implied(
        "oauth_redirect_uri",
        "Redirect URI registered with your OAuth app; this server's callback when left out",
        false,
        false,
    );
    redirect.display_name = "Redirect URI".to_owned();
    redirect
}

/// All optional: the client registers itself.
fn dcr_fields(scheme: &AuthScheme) -> Vec<FieldSpec> {
    let mut fields = Vec::new();
    // A person who names the server would be sent the developer's secret.
    if !scheme.connect_fields.iter().any(|f| f.host) {
        let text = "Client id of your own OAuth app; a client is registered when left out";
        fields.push(FieldSpec::implied("client_id", text, false, false));
        let text = "Client secret of your own OAuth app";
        fields.push(FieldSpec::implied("client_secret", text, false, true));
    }
    let text = "Redirect URI to register; this server's callback when left out";
    let mut redirect = FieldSpec::implied("oauth_redirect_uri", text, false, false);
    redirect.display_name = "Redirect URI".to_owned();
    fields.push(redirect);
    let text = "Scopes to ask for, separated by commas; what the server names when left out";
    let mut scopes = FieldSpec::implied("scopes", text, false, false);
    let own = scheme.dcr.as_ref().map(|dcr| dcr.scopes.join(","));
    scopes.default = own.filter(|s| !s.is_empty());
    fields.push(scopes);
    fields
}

/// What a person fills in when connecting with the scheme.
pub fn connect_fields(scheme: &AuthScheme) -> Vec<FieldSpec> {
    let mut fields = match scheme.scheme {
        AuthSchemeKind::ApiKey => {
            let mut key = FieldSpec::implied("generic_api_key", "Your API key", true, true);
            key.display_name = "API key".to_owned();
            key.aliases.push("api_key".to_owned());
            vec![key]
        }
        AuthSchemeKind::BearerToken => {
            vec![FieldSpec::implied("token", "Your access token", true, true)]
        }
        AuthSchemeKind::Basic => vec![
            FieldSpec::implied("username", "Your user name", true, false),
            FieldSpec::implied("password", "Your password", false, true),
        ],
        AuthSchemeKind::BasicWithJwt => vec![
            FieldSpec::implied("username", "Your user name", true, false),
            FieldSpec::implied("password", "Your password", true, true),
        ],
        AuthSchemeKind::GoogleServiceAccount => {
            let mut key = FieldSpec::implied(
                "credentials_json",
                "The JSON key file of the service account, whole",
                true,
                true,
            );
            key.display_name = "Service account key (JSON)".to_owned();
            key.multiline = true;
            let mut subject = FieldSpec::implied(
                "subject",
                "Email of the user to act for, with domain-wide delegation",
                false,
                false,
            );
            subject.display_name = "Act for".to_owned();
            vec![key, subject]
        }
        AuthSchemeKind::ServiceAccount => {
            let mut key =
                FieldSpec::implied("private_key", "The private key, in PEM form", true, true);
            key.multiline = true;
            vec![
                FieldSpec::implied("application_id", "Id of the application", true, false),
                FieldSpec::implied("installation_id", "Id of the installation", true, false),
                key,
            ]
        }
        AuthSchemeKind::BillcomAuth => {
            let mut fields = vec![
                FieldSpec::implied("devKey", "Your developer key", true, true),
                FieldSpec::implied("username", "User name or email to log in with", true, false),
                FieldSpec::implied("password", "Password or API token", true, true),
                FieldSpec::implied("organizationId", "Id of the organization", true, false),
            ];
            for (field, label) in fields.iter_mut().zip(["Developer key", "User name"]) {
                field.display_name = label.to_owned();
            }
            fields[3].display_name = "Organization ID".to_owned();
            fields
        }
        _ => match &scheme.oauth2 {
            Some(oauth) if oauth.client_of_connection() => client_fields(oauth),
            _ => Vec::new(),
        },
    };
    add(&mut fields, &scheme.connect_fields);
    fields
}

fn add(fields: &mut Vec<FieldSpec>, declared: &[Field]) {
    for field in declared {
        match fields.iter_mut().find(|known| known.is_named(&field.name)) {
            Some(known) => known.refine(field),
            None => fields.push(FieldSpec::declared(field)),
        }
    }
}

/// A label made of a name: `client_id` is `Client ID`.
pub fn label(name: &str) -> String {
    let words = name.split(['_', '-', ' ']).filter(|word| !word.is_empty());
    words.enumerate().fold(String::new(), |mut text, (i, word)| {
        if i > 0 {
            text.push(' ');
        }
        match word {
            "id" | "url" | "uri" | "api" | "sid" => text.push_str(&word.to_uppercase()),
            _ if i == 0 => {
                let mut letters = word.chars();
                text.extend(letters.next().into_iter().flat_map(char::to_uppercase));
                text.push_str(letters.as_str());
            }
            _ => text.push_str(word),
        }
        text
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scheme(yaml: &str) -> AuthScheme {
        serde_saphyr::from_str(yaml).unwrap()
    }

    fn names(fields: &[FieldSpec]) -> Vec<&str> {
        fields.iter().map(|f| f.name.as_str()).collect()
    }

    #[test]
    fn schemes_imply_their_fields() {
        let oauth = scheme(
            "{scheme: OAUTH2, connect_fields: [{name: subdomain}], oauth2: {authorize: {url: u},
              token: {url: t}, scopes: [a, b]}}",
        );
        let fields = config_fields(&oauth);
        assert_eq!(names(&fields), ["client_id", "client_secret", "oauth_redirect_uri", "scopes"]);
        assert_eq!(fields[3].default.as_deref(), Some("a,b"));
        assert_eq!(names(&connect_fields(&oauth)), ["subdomain"]);
        let key = scheme("{scheme: API_KEY}");
        assert!(config_fields(&key).is_empty());
        let fields = connect_fields(&key);
        assert!(fields[0].is_named("api_key") && fields[0].secret && fields[0].required);
        assert!(connect_fields(&scheme("{scheme: NO_AUTH}")).is_empty());
    }

    #[test]
    fn a_definition_refines_an_implied_field_but_never_unseals_it() {
        let basic = scheme(
            "{scheme: BASIC, connect_fields: [{name: username, label: Account SID},
              {name: password, label: Auth token}, {name: region, default: eu}]}",
        );
        let fields = connect_fields(&basic);
        assert_eq!(names(&fields), ["username", "password", "region"]);
        assert_eq!(fields[0].display_name, "Account SID");
        assert!(fields[1].secret && fields[1].required);
        assert!(!fields[2].required);
        let key = scheme("{scheme: API_KEY, connect_fields: [{name: api_key, label: Secret key}]}");
        let fields = connect_fields(&key);
        assert_eq!(names(&fields), ["generic_api_key"]);
        assert!(fields[0].is_named("api_key") && fields[0].display_name == "Secret key");
        assert_eq!(label("client_id"), "Client ID");
    }
}
