//! Numeric code, slug and HTTP status of every error. Codes are stable:
//! never reuse or renumber one. 1803 is the number that released SDKs switch
//! on; the others are this server's own.

use axum::http::StatusCode;

/// One documented error.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Code {
    /// Stable number.
    pub number: u32,
    /// Stable name.
    pub slug: &'static str,
    /// HTTP status.
    pub status: StatusCode,
    /// `x-should-retry`; `None` leaves the client its default.
    pub should_retry: Option<bool>,
}

macro_rules! codes {
    ($($(#[$doc:meta])* $name:ident = $number:literal $slug:literal $status:ident $retry:expr;)*) => {
        $($(#[$doc])* pub const $name: Code = Code {
            number: $number, slug: $slug, status: StatusCode::$status, should_retry: $retry,
        };)*
        /// Every code.
        pub const ALL: &[Code] = &[$($name),*];
    };
}

codes! {
    /// Malformed request.
    BAD_REQUEST = 1000 "HTTP_BadRequest" BAD_REQUEST None;
    /// Several problems with the input, listed in `errors`.
    VALIDATION_FAILED = 1001 "HTTP_ValidationFailed" BAD_REQUEST None;
    /// No key, or a wrong one.
    UNAUTHORIZED = 1002 "HTTP_Unauthorized" UNAUTHORIZED None;
    /// The key may not do this.
    FORBIDDEN = 1003 "HTTP_Forbidden" FORBIDDEN None;
    /// No such route.
    ROUTE_NOT_FOUND = 1004 "HTTP_NotFound" NOT_FOUND None;
    /// Wrong method.
    METHOD_NOT_ALLOWED = 1005 "HTTP_MethodNotAllowed" METHOD_NOT_ALLOWED None;
    /// Body too large.
    BODY_TOO_LARGE = 1006 "HTTP_PayloadTooLarge" PAYLOAD_TOO_LARGE None;
    /// Not JSON.
    UNSUPPORTED_MEDIA_TYPE = 1007 "HTTP_UnsupportedMediaType" UNSUPPORTED_MEDIA_TYPE None;
    /// Too many requests.
    RATE_LIMITED = 1008 "HTTP_TooManyRequests" TOO_MANY_REQUESTS None;
    /// A permanent conflict.
    CONFLICT = 1009 "HTTP_Conflict" CONFLICT Some(false);
    /// Valid, but cannot be done.
    UNPROCESSABLE = 1010 "HTTP_UnprocessableEntity" UNPROCESSABLE_ENTITY None;
    /// A bug.
    INTERNAL = 1100 "HTTP_InternalServerError" INTERNAL_SERVER_ERROR None;
    /// Not available on this server, or not configured.
    NOT_IMPLEMENTED = 1101 "HTTP_NotImplemented" NOT_IMPLEMENTED Some(false);
    /// The provider's answer could not be used (proxy only).
    BAD_GATEWAY = 1102 "HTTP_BadGateway" BAD_GATEWAY Some(false);
    /// The database is away.
    DATABASE_UNAVAILABLE = 1103 "Server_DatabaseUnavailable" SERVICE_UNAVAILABLE None;
    /// The provider did not answer in time (proxy only).
    GATEWAY_TIMEOUT = 1104 "HTTP_GatewayTimeout" GATEWAY_TIMEOUT Some(false);
    /// The server itself took too long.
    REQUEST_TIMEOUT = 1105 "Server_Timeout" SERVICE_UNAVAILABLE None;
    /// A stored secret needs an encryption key that the server was not given.
    ENCRYPTION_KEY_UNKNOWN = 1106 "Server_EncryptionKeyUnknown" SERVICE_UNAVAILABLE None;
    /// A data key was deleted between sealing a value and storing it.
    DATA_KEY_GONE = 1107 "Server_DataKeyGone" SERVICE_UNAVAILABLE Some(true);
    /// Unknown project.
    PROJECT_NOT_FOUND = 1200 "Project_NotFound" NOT_FOUND None;
    /// Unknown toolkit.
    TOOLKIT_NOT_FOUND = 1300 "Toolkit_NotFound" NOT_FOUND None;
    /// Unknown version of a toolkit.
    TOOLKIT_VERSION_NOT_FOUND = 1301 "Toolkit_VersionNotFound" NOT_FOUND None;
    /// Unknown tool.
    TOOL_NOT_FOUND = 1400 "Tool_NotFound" NOT_FOUND None;
    /// A stored definition that this version of the server cannot make sense of.
    TOOL_UNUSABLE = 1410 "Tool_Unusable" UNPROCESSABLE_ENTITY Some(false);
    /// Unknown auth config.
    AUTH_CONFIG_NOT_FOUND = 1500 "AuthConfig_NotFound" NOT_FOUND None;
    /// The auth config is switched off.
    AUTH_CONFIG_DISABLED = 1501 "AuthConfig_Disabled" BAD_REQUEST None;
    /// No operator credentials for managed auth.
    MANAGED_AUTH_UNAVAILABLE = 1502 "AuthConfig_ManagedAuthUnavailable" BAD_REQUEST None;
    /// The toolkit has no such scheme.
    AUTH_SCHEME_UNSUPPORTED = 1503 "AuthConfig_SchemeUnsupported" BAD_REQUEST None;
    /// The tool is outside the auth config's restriction.
    TOOL_RESTRICTED = 1504 "AuthConfig_ToolRestricted" FORBIDDEN None;
    /// The server does not offer what connecting without a client of one's own takes.
    DISCOVERY_FAILED = 1505 "AuthConfig_DiscoveryFailed" BAD_REQUEST None;
    /// Unknown link token, or one already used.
    LINK_NOT_FOUND = 1600 "Link_NotFound" NOT_FOUND None;
    /// A link token past its time.
    LINK_EXPIRED = 1601 "Link_Expired" GONE None;
    /// A link token that has done its work.
    LINK_USED = 1602 "Link_Used" GONE None;
    /// An OAuth state that is forged, used or past its time.
    STATE_INVALID = 1603 "Link_StateInvalid" BAD_REQUEST None;
    /// A session URI that is unknown, used, past its time, or somebody else's.
    SESSION_NOT_FOUND = 1604 "Link_SessionNotFound" NOT_FOUND None;
    /// A link with which too many wrong credentials were tried.
    LINK_SPENT = 1605 "Link_TooManyTries" GONE None;
    /// Unknown file, or a link past its time.
    FILE_NOT_FOUND = 1700 "File_NotFound" NOT_FOUND None;
    /// Unknown connected account.
    ACCOUNT_NOT_FOUND = 1800 "ConnectedAccount_NotFound" NOT_FOUND None;
    /// The account cannot be used: switched off.
    ACCOUNT_INACTIVE = 1801 "ConnectedAccount_Inactive" BAD_REQUEST None;
    /// The account cannot be used: not connected yet, failed, expired or revoked.
    ACCOUNT_NOT_ACTIVE = 1802 "ConnectedAccount_NotActive" BAD_REQUEST None;
    /// The user has no account of the toolkit. SDKs switch on this number.
    NO_CONNECTED_ACCOUNT = 1803 "ActionExecute_ConnectedAccountNotFound" BAD_REQUEST None;
    /// The account belongs to another toolkit or user.
    ACCOUNT_MISMATCH = 1804 "ConnectedAccount_Mismatch" BAD_REQUEST None;
    /// The provider refused to refresh.
    REFRESH_FAILED = 1805 "ConnectedAccount_RefreshFailed" BAD_REQUEST None;
    /// The provider could not be asked for a new token.
    REFRESH_UNAVAILABLE = 1806 "ConnectedAccount_RefreshUnavailable" SERVICE_UNAVAILABLE Some(true);
    /// The provider does not accept the credentials.
    CREDENTIALS_REFUSED = 1807 "ConnectedAccount_CredentialsRefused" BAD_REQUEST None;
    /// The provider could not be asked whether it accepts the credentials.
    PROVIDER_UNAVAILABLE = 1808 "ConnectedAccount_ProviderUnavailable" SERVICE_UNAVAILABLE Some(true);
    /// The user has several accounts, and the project does not let the server choose.
    ACCOUNT_AMBIGUOUS = 1820 "ConnectedAccount_Ambiguous" BAD_REQUEST None;
    /// A shared account's access list does not have the user.
    ACCOUNT_NOT_SHARED = 1821 "ConnectedAccount_NotShared" FORBIDDEN None;
    /// Only a connected account can be revoked.
    ACCOUNT_NOT_REVOKABLE = 1822 "ConnectedAccount_NotRevokable" CONFLICT Some(false);
    /// The provider cannot be told to forget these credentials.
    REVOCATION_UNSUPPORTED = 1823 "ConnectedAccount_RevocationUnsupported" BAD_REQUEST None;
    /// Unknown session of an agent, or a deleted one.
    TOOL_ROUTER_SESSION_NOT_FOUND = 2000 "ToolRouter_SessionNotFound" NOT_FOUND None;
    /// The session's configuration is not the one that the caller changed.
    SESSION_CONFIG_CONFLICT = 2001 "ToolRouter_SessionConfigConflict" CONFLICT Some(false);
    /// The session does not allow the tool or toolkit.
    SESSION_TOOL_NOT_ALLOWED = 2002 "ToolRouter_ToolNotAllowed" FORBIDDEN Some(false);
    /// The session's configuration has no such account, or it cannot be used there.
    SESSION_ACCOUNT_NOT_ALLOWED = 2003 "ToolRouter_AccountNotAllowed" FORBIDDEN Some(false);
    /// Unknown named configuration of sessions.
    SESSION_CONFIG_NOT_FOUND = 2004 "ToolRouter_SessionConfigNotFound" NOT_FOUND None;
    /// Unknown recipe.
    RECIPE_NOT_FOUND = 2005 "ToolRouter_RecipeNotFound" NOT_FOUND None;
    /// The toolkit needs no account, so that there is nothing to connect.
    SESSION_NOTHING_TO_CONNECT = 2020 "ToolRouter_NothingToConnect" BAD_REQUEST None;
    /// The user has as many accounts of the toolkit as the session allows.
    SESSION_ACCOUNT_LIMIT = 2021 "ToolRouter_AccountLimit" BAD_REQUEST None;
    /// The session sends no requests of the caller's own.
    SESSION_PROXY_NOT_ALLOWED = 2022 "ToolRouter_ProxyNotAllowed" FORBIDDEN Some(false);
    /// The tool is run by the caller's own process.
    CUSTOM_TOOL_IS_LOCAL = 2006 "ToolRouter_CustomToolIsLocal" BAD_REQUEST None;
    /// Unknown mount of a session.
    MOUNT_NOT_FOUND = 2007 "ToolRouter_MountNotFound" NOT_FOUND None;
    /// The session's files would be more than it may have.
    SESSION_FILES_FULL = 2008 "ToolRouter_FilesFull" PAYLOAD_TOO_LARGE Some(false);
    /// The project's uploads would be more than it may have.
    UPLOADS_FULL = 2009 "Files_UploadsFull" PAYLOAD_TOO_LARGE Some(true);
    /// Unknown MCP server, or a deleted one.
    MCP_SERVER_NOT_FOUND = 2100 "Mcp_ServerNotFound" NOT_FOUND None;
    /// Unknown webhook subscription, or a deleted one.
    WEBHOOK_SUBSCRIPTION_NOT_FOUND = 2400 "Webhook_SubscriptionNotFound" NOT_FOUND None;
    /// The project has a webhook subscription, and may have one.
    WEBHOOK_SUBSCRIPTION_EXISTS = 2401 "Webhook_SubscriptionExists" CONFLICT Some(false);
    /// The webhook subscription is switched off.
    WEBHOOK_SUBSCRIPTION_DISABLED = 2402 "Webhook_SubscriptionDisabled" CONFLICT Some(false);
    /// Unknown trigger type.
    TRIGGER_TYPE_NOT_FOUND = 2200 "TriggerType_NotFound" NOT_FOUND None;
    /// Unknown trigger instance.
    TRIGGER_NOT_FOUND = 2201 "TriggerInstance_NotFound" NOT_FOUND None;
    /// A trigger instance that was deleted.
    TRIGGER_DELETED = 2202 "TriggerInstance_Deleted" GONE None;
    /// The provider did not take, or give up, the webhook of a trigger instance.
    TRIGGER_REGISTRATION_FAILED = 2203 "TriggerInstance_RegistrationFailed" UNPROCESSABLE_ENTITY Some(false);
    /// The provider could not be asked to take the webhook of a trigger instance.
    TRIGGER_PROVIDER_UNAVAILABLE = 2204 "TriggerInstance_ProviderUnavailable" SERVICE_UNAVAILABLE Some(true);
    /// Somebody else is registering or removing the webhook of a trigger instance.
    TRIGGER_BUSY = 2205 "TriggerInstance_Busy" CONFLICT Some(true);
    /// The provider cannot reach this server under its public URL.
    PUBLIC_URL_UNREACHABLE = 2206 "TriggerInstance_PublicUrlUnreachable" UNPROCESSABLE_ENTITY Some(false);
    /// Unknown webhook endpoint.
    WEBHOOK_ENDPOINT_NOT_FOUND = 2207 "WebhookEndpoint_NotFound" NOT_FOUND None;
    /// A call to a webhook endpoint or a trigger's URL that is not the provider's.
    HOOK_CALL_REFUSED = 2208 "Hook_CallRefused" UNAUTHORIZED Some(false);
    /// The key's project has no such channel.
    REALTIME_CHANNEL_FORBIDDEN = 2500 "Realtime_ChannelForbidden" FORBIDDEN Some(false);
    /// A plain request where a WebSocket is spoken.
    UPGRADE_REQUIRED = 2501 "Realtime_UpgradeRequired" BAD_REQUEST Some(false);
    /// Unknown execution log.
    LOG_NOT_FOUND = 1900 "Log_NotFound" NOT_FOUND None;
    /// The tool ran, but its log row is not committed (only where answers wait for that).
    LOG_NOT_WRITTEN = 1901 "Log_NotWritten" SERVICE_UNAVAILABLE Some(false);
}

#[cfg(test)]
mod tests {
    use super::ALL;

    #[test]
    fn numbers_and_slugs_are_unique() {
        let mut numbers: Vec<_> = ALL.iter().map(|c| c.number).collect();
        let mut slugs: Vec<_> = ALL.iter().map(|c| c.slug).collect();
        numbers.sort_unstable();
        numbers.dedup();
        slugs.sort_unstable();
        slugs.dedup();
        assert_eq!((numbers.len(), slugs.len()), (ALL.len(), ALL.len()));
    }
}
