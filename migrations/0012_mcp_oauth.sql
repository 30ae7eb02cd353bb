-- Names of MCP servers, and sign-ins of MCP clients.

-- A project tells its servers apart by name.
create unique index mcp_server_project_id_name_key
    on mcp_server (project_id, lower(name)) where deleted_at is null;

-- What a person allowed an MCP client: one sign-in, and everything that came of it.
create table mcp_oauth_grant (
    project_id text not null,
    id text not null,
    -- The API key that the person signed in with; the grant ends with it.
    key_id text not null,
    -- SHA-256 of the client's id. Clients are not stored: their id says what they registered.
    client_hash bytea not null,
    -- What the client calls itself.
    client_name text not null,
    -- Path of the one MCP endpoint that is allowed; empty: all of the project.
    resource text not null,
    created_at timestamptz not null default now(),
    revoked_at timestamptz,
    primary key (project_id, id)
);

create index mcp_oauth_grant_created_idx on mcp_oauth_grant (created_at);

-- Authorization codes, access tokens and refresh tokens, as hashes.
create table mcp_oauth_token (
    project_id text not null,
    -- SHA-256 of the token.
    hash bytea not null,
    grant_id text not null,
    kind text not null check (kind in ('code', 'access', 'refresh')),
    -- Of a code: what its exchange has to match.
    code_challenge text,
    redirect_uri text,
    expires_at timestamptz not null,
    consumed_at timestamptz,
    primary key (project_id, hash),
    foreign key (project_id, grant_id) references mcp_oauth_grant (project_id, id) on delete cascade
);

create index mcp_oauth_token_project_id_grant_idx on mcp_oauth_token (project_id, grant_id);

-- The worker forgets what ended long ago, over all projects.
create index mcp_oauth_token_expires_idx on mcp_oauth_token (expires_at);
