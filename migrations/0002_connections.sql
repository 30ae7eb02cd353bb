-- Auth configs and connected accounts.

create table auth_config (
    project_id text not null,
    id text not null,
    toolkit_slug text not null,
    name text not null,
    scheme text not null,
    -- Uses the operator's OAuth client rather than the project's own.
    is_managed boolean not null,
    is_enabled boolean not null default true,
    -- Sealed JSON object: client id and secret, scopes, further fields.
    credentials bytea not null,
    -- Sealed JSON object inherited by every account; null when there is none.
    shared_credentials bytea,
    -- Tools that may be executed; null: all.
    restrict_to_tools text[],
    -- Tools whose scopes are asked for; null: the default scopes.
    scope_tools text[],
    created_at timestamptz not null default now(),
    updated_at timestamptz not null default now(),
    deleted_at timestamptz,
    primary key (project_id, id)
);

create index auth_config_project_id_toolkit_idx
    on auth_config (project_id, toolkit_slug, created_at desc) where deleted_at is null;

create table connected_account (
    project_id text not null,
    id text not null,
    auth_config_id text not null,
    toolkit_slug text not null,
    user_id text not null,
    scheme text not null,
    status text not null,
    status_reason text,
    is_disabled boolean not null default false,
    alias text,
    -- Sealed JSON object: credentials and connection fields.
    state bytea not null,
    -- Grows by one with every change of `state`; caches compare it.
    state_version bigint not null default 1,
    -- When the access token ends; null: never, or not known.
    token_expires_at timestamptz,
    -- When an unfinished attempt to connect ends.
    attempt_expires_at timestamptz,
    -- Where the person's browser goes in the end.
    callback_url text,
    -- `link` or `initiate`: which parameters the callback gets.
    flow text not null default 'initiate',
    created_at timestamptz not null default now(),
    updated_at timestamptz not null default now(),
    deleted_at timestamptz,
    primary key (project_id, id),
    constraint connected_account_status_check check (status in
        ('INITIALIZING', 'INITIATED', 'ACTIVE', 'FAILED', 'EXPIRED', 'INACTIVE', 'REVOKED'))
);

create index connected_account_project_id_user_idx
    on connected_account (project_id, user_id, toolkit_slug, created_at desc)
    where deleted_at is null;
create index connected_account_project_id_config_idx
    on connected_account (project_id, auth_config_id) where deleted_at is null;
create index connected_account_project_id_created_idx
    on connected_account (project_id, created_at desc, id) where deleted_at is null;

-- Short-lived tokens that a browser brings back: Connect Links and OAuth states.
-- The token names its project, so that look-ups lead with it like any other.
create table connect_token (
    project_id text not null,
    -- SHA-256 of the token.
    hash bytea not null,
    -- `link` or `state`.
    kind text not null,
    account_id text not null,
    -- Sealed JSON object: PKCE verifier, redirect URI, fields filled in beforehand.
    data bytea not null,
    expires_at timestamptz not null,
    consumed_at timestamptz,
    created_at timestamptz not null default now(),
    primary key (project_id, hash)
);

create index connect_token_project_id_account_idx on connect_token (project_id, account_id);
