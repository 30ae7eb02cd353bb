-- What was executed, and the files that came of it.

create table execution_log (
    project_id text not null,
    id text not null,
    -- `tool` or `proxy`.
    kind text not null,
    tool_slug text not null,
    toolkit_slug text not null,
    toolkit_version text not null,
    user_id text,
    account_id text,
    auth_config_id text,
    successful boolean not null,
    -- HTTP status of the provider's last answer; null when there was none.
    provider_status int,
    error text,
    -- JSON text as it was received and answered, cut at the configured size; null when
    -- the project stores no data. Text, not jsonb: it may be cut, and is never queried.
    request text,
    response text,
    -- Where the time went, in microseconds.
    duration_us bigint not null,
    provider_us bigint not null,
    request_id text not null,
    created_at timestamptz not null,
    primary key (project_id, id)
);

create index execution_log_project_id_created_idx
    on execution_log (project_id, created_at desc, id desc);

create table file_object (
    project_id text not null,
    id text not null,
    name text not null,
    mimetype text not null,
    content bytea not null,
    expires_at timestamptz not null,
    created_at timestamptz not null default now(),
    primary key (project_id, id)
);

-- Requests per organization in slices of ten seconds, summed over the replicas.
create table rate_slice (
    org_id text not null,
    slice timestamptz not null,
    replica text not null,
    used bigint not null,
    primary key (org_id, slice, replica)
);
