//! One request to the provider: credentials in, answer out, a second try with a renewed token.

use std::sync::atomic::{AtomicU16, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use serde_json::{Map, Value};

use super::access::Access;
use super::redact::Secrets;
use super::types::CustomAuthParams;
use crate::app::App;
use crate::catalog::Toolkit;
use crate::credentials::login::{self, Login};
use crate::credentials::oauth1::{self, Signer};
use crate::credentials::oauth2::client_id;
use crate::credentials::{self, TokenFailure};
use crate::domain::connection::{Account, SecretMap};
use crate::domain::outbound::{self, OutboundRequest, OutboundResponse};
use crate::domain::scheme::AuthSchemeKind;
use crate::domain::time::now;
use crate::error::{Error, Result, codes};
use crate::net::{CredentialNames, NetError, Streamed};

/// All requests of one call. Several may be under way at once.
pub(super) struct Exchange<'a> {
    app: &'a App,
    toolkit: &'a Toolkit,
    params: Option<&'a CustomAuthParams>,
    state: Mutex<State>,
    waited_us: AtomicU64,
    status: AtomicU16,
    retry_after_s: AtomicU64,
}

#[derive(Clone)]
struct State {
    access: Arc<Access>,
    secrets: Arc<Secrets>,
}

/// Why there is no answer.
pub(super) enum Trouble {
    /// The caller's, or the connection's: nothing was sent.
    Refused(Error),
    /// The network's.
    Net(NetError),
}

impl<'a> Exchange<'a> {
    /// Prepares a call: a token that is about to end is renewed first.
    pub(super) async fn begin(
        app: &'a App,
        toolkit: &'a Toolkit,
        access: Access,
        params: Option<&'a CustomAuthParams>,
    ) -> Result<Self> {
        let access = match &access {
            Access::Account(account, _) if account.scheme.renews() => {
                let fresh = credentials::fresh(app, account.clone(), None).await?;
                access.renewed(fresh).unwrap_or(access)
            }
            Access::Custom(kind, state) => match logged_in(app, toolkit, *kind, state).await? {
                Some(state) => Access::Custom(*kind, state),
                None => access,
            },
            _ => access,
        };
        let mut secrets = Secrets::default();
        access.add_secrets(toolkit, &mut secrets);
        if let Some(params) = params {
            params.add_secrets(&mut secrets);
        }
        Ok(Self {
            app,
            toolkit,
            params,
            state: Mutex::new(State { access: Arc::new(access), secrets: Arc::new(secrets) }),
            waited_us: AtomicU64::new(0),
            status: AtomicU16::new(0),
            retry_after_s: AtomicU64::new(0),
        })
    }

    fn state(&self) -> State {
        self.state.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The credentials as they are now.
    pub(super) fn access(&self) -> Arc<Access> {
        self.state().access
    }

    /// Whether the caller put something of its own into the requests.
    pub(super) fn is_altered(&self) -> bool {
        self.params.is_some()
    }

    /// What must not be shown.
    pub(super) fn secrets(&self) -> Arc<Secrets> {
        self.state().secrets
    }

    /// Time spent waiting for the provider; requests at the same time count each.
    pub(super) fn waited(&self) -> Duration {
        Duration::from_micros(self.waited_us.load(Ordering::Relaxed))
    }

    /// Status of the last answer.
    pub(super) fn status(&self) -> Option<i32> {
        match self.status.load(Ordering::Relaxed) {
            0 => None,
            status => Some(status.into()),
        }
    }

    /// How long the provider wants to be left alone, when one of its answers said so.
    pub(super) fn retry_after(&self) -> Option<Duration> {
        match self.retry_after_s.load(Ordering::Relaxed) {
            0 => None,
            seconds => Some(Duration::from_secs(seconds)),
        }
    }

    /// Sends a request with the credentials and reads the answer.
    pub(super) async fn send(&self, request: OutboundRequest) -> Result<OutboundResponse, Trouble> {
        let answer = self.open(request).await?;
        let began = Instant::now();
        let whole = answer.whole().await;
        self.waited_since(began);
        whole.map_err(Trouble::Net)
    }

    /// Sends a request with the credentials. A 401 makes a token that can be renewed be renewed
    /// once, and the request be sent again.
    pub(super) async fn open(&self, request: OutboundRequest) -> Result<Streamed, Trouble> {
        let access = self.access();
        let renewable = renewable(&access);
        let again = renewable.is_some().then(|| request.clone());
        let answer = self.open_once(request, &access).await?;
        let (401, Some(account), Some(again)) = (answer.status, renewable, again) else {
            return Ok(answer);
        };
        match credentials::fresh(self.app, account.clone(), Some(account.state_version)).await {
            Ok(fresh) => {
                let Some(access) = access.renewed(fresh.clone()) else { return Ok(answer) };
                let access = self.replace(access);
                let answer = self.open_once(again, &access).await?;
                if answer.status == 401 {
                    credentials::rejected_again(self.app, &fresh).await;
                }
                Ok(answer)
            }
            // The provider's own answer says more than that there is no second one.
            Err(error) => {
                tracing::info!(account = %account.id, %error, "token not renewed after a 401");
                Ok(answer)
            }
        }
    }

    /// Sends a request behind the call's back: it has ended, or is about to, and the answer does
    /// not matter to anyone.
    pub(super) fn tell(&self, mut request: OutboundRequest) {
        let Ok(names) = self.inject(&mut request, &self.access()) else { return };
        let net = self.app.net.clone();
        let _running = self.app.tasks.spawn(async move {
            let _ = net.send_with(request, &names).await;
        });
    }

    fn replace(&self, access: Access) -> Arc<Access> {
        let access = Arc::new(access);
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        // The old ones stay secret: an earlier answer may hold them.
        let mut secrets = Secrets::clone(&state.secrets);
        access.add_secrets(self.toolkit, &mut secrets);
        *state = State { access: access.clone(), secrets: Arc::new(secrets) };
        access
    }

    async fn open_once(
        &self,
        mut request: OutboundRequest,
        access: &Access,
    ) -> Result<Streamed, Trouble> {
        let names = self.inject(&mut request, access).map_err(Trouble::Refused)?;
        let began = Instant::now();
        let answer = self.app.net.open(request, &names).await;
        self.waited_since(began);
        let answer = answer.map_err(Trouble::Net)?;
        self.status.store(answer.status, Ordering::Relaxed);
        if let Some(wait) = outbound::retry_after(&answer.headers, now()) {
            // A wait of no length says as little as none.
            self.retry_after_s.store(wait.as_secs(), Ordering::Relaxed);
        }
        Ok(answer)
    }

    /// Time that was spent waiting for the provider.
    pub(super) fn waited_since(&self, began: Instant) {
        let micros = u64::try_from(began.elapsed().as_micros()).unwrap_or(u64::MAX);
        self.waited_us.fetch_add(micros, Ordering::Relaxed);
    }

    /// What signs the requests of the scheme, when it signs them.
    fn signer(&self, access: &Access) -> Result<Option<Signer>> {
        if access.kind() != Some(AuthSchemeKind::Oauth1) {
            return Ok(None);
        }
        let config = match access {
            Access::Account(_, config) => Some(&**config),
            _ => None,
        };
        let fields = access.fields(self.toolkit);
        oauth1::signer(&self.app.config, self.toolkit, config, &fields.cred).map(Some)
    }

    fn inject(&self, request: &mut OutboundRequest, access: &Access) -> Result<CredentialNames> {
        let mut names = CredentialNames::default();
        if let Some(kind) = access.kind() {
            let unsupported = || {
                Error::new(
                    codes::AUTH_SCHEME_UNSUPPORTED,
                    format!("{} cannot be called with {}", self.toolkit.file.name, kind.as_str()),
                )
            };
            let injection = self.toolkit.injection(kind).ok_or_else(unsupported)?;
            let mut fields = access.fields(self.toolkit);
            if let Access::Account(_, config) = access
                && let Some(id) = client_id(&self.app.config, config)
            {
                fields.cred.to_mut().insert("client_id".to_owned(), id.into());
            }
            let injected = injection.render(&fields.cred, &fields.conn).map_err(|problem| {
                Error::bad_request(format!("The connection cannot be used: {problem}"))
                    .fix("Connect the account again")
            })?;
            names.headers.extend(injected.headers.iter().map(|(name, _)| name.clone()));
            names.query.extend(injected.query.iter().map(|(name, _)| name.clone()));
            let root = self.toolkit.base_url(&fields.conn).ok();
            injected.apply(request, root.as_ref());
        }
        if let Some(params) = self.params {
            let base = self.toolkit.base_url(&Map::new());
            let base = base.unwrap_or_else(|_| request.url.clone());
            params.rebase(&base, &mut request.url)?;
            params.apply(request);
            for param in &params.parameters {
                let list =
                    if param.location == "header" { &mut names.headers } else { &mut names.query };
                list.push(param.name.clone());
            }
        }
        // Last, because the signature covers everything else.
        if let Some(signer) = self.signer(access)? {
            signer.sign_now(request);
        }
        Ok(names)
    }
}

/// The account whose token can be renewed.
fn renewable(access: &Access) -> Option<Arc<Account>> {
    match access {
        Access::Account(account, _)
            if account.scheme.logs_in()
                || (account.scheme.renews() && account.state.text("access_token").is_some()) =>
        {
            Some(account.clone())
        }
        _ => None,
    }
}

/// The caller's own credentials with the token that a login makes of them. Nothing is kept of it.
async fn logged_in(
    app: &App,
    toolkit: &Toolkit,
    kind: AuthSchemeKind,
    state: &Map<String, Value>,
) -> Result<Option<Map<String, Value>>> {
    if login::has_token(toolkit, kind, state) {
        return Ok(None);
    }
    let mut state = SecretMap(state.clone());
    let Some(login) = Login::of(toolkit, kind, None, &state) else { return Ok(None) };
    let name = &toolkit.file.name;
    match login.run(&app.net).await {
        Ok(tokens) => {
            tokens.write(&mut state, now());
            Ok(Some(state.0))
        }
        Err(TokenFailure::Over(why) | TokenFailure::Refused(why)) => Err(Error::new(
            codes::CREDENTIALS_REFUSED,
            format!("{name} did not accept the credentials: {why}"),
        )
        .fix("Correct custom_connection_data")),
        Err(TokenFailure::Unavailable { why, .. }) => Err(Error::new(
            codes::PROVIDER_UNAVAILABLE,
            format!("There is no token for {name}, because {why}"),
        )
        .fix("Retry in a few seconds")),
    }
}
