-- Sessions of agents, what they remember, and MCP servers.

create table session (
    project_id text not null,
    id text not null,
    user_id text not null,
    -- domain::session::SessionConfig.
    config jsonb not null,
    -- Grows by one with every change of `config`.
    config_version integer not null default 1,
    -- Tools that the caller's own process runs, as v3 sends them with the session; null: none.
    custom_tools jsonb,
    created_at timestamptz not null default now(),
    updated_at timestamptz not null default now(),
    deleted_at timestamptz,
    primary key (project_id, id)
);

create index session_project_id_user_idx
    on session (project_id, user_id, created_at desc) where deleted_at is null;

-- Every version that a session's configuration had.
create table session_config_version (
    project_id text not null,
    session_id text not null,
    version integer not null,
    config jsonb not null,
    created_at timestamptz not null default now(),
    primary key (project_id, session_id, version)
);

-- What tools noted in a session, by toolkit, oldest first.
create table session_memory (
    project_id text not null,
    session_id text not null,
    toolkit_slug text not null,
    entries text[] not null,
    updated_at timestamptz not null default now(),
    primary key (project_id, session_id, toolkit_slug)
);

-- Configurations under a name, to make sessions of.
create table session_config (
    project_id text not null,
    id text not null,
    name text not null,
    description text not null default '',
    config jsonb not null,
    archived_at timestamptz,
    created_at timestamptz not null default now(),
    updated_at timestamptz not null default now(),
    primary key (project_id, id)
);

-- Tasks that an agent wrote down to repeat them.
create table recipe (
    project_id text not null,
    id text not null,
    -- The user whose sessions see it.
    user_id text not null,
    name text not null,
    description text not null,
    -- What it takes, what it gives, and its steps.
    body jsonb not null,
    version integer not null default 1,
    created_at timestamptz not null default now(),
    updated_at timestamptz not null default now(),
    primary key (project_id, id)
);

create index recipe_project_id_user_idx on recipe (project_id, user_id, updated_at desc);

create table mcp_server (
    project_id text not null,
    id uuid not null,
    name text not null,
    toolkits text[] not null,
    auth_config_ids text[] not null,
    -- Tools that are listed and executed; empty: all of the toolkits.
    allowed_tools text[] not null,
    -- Whether connections are made with the operator's client, by a tool of the server itself.
    managed_auth boolean not null,
    created_at timestamptz not null default now(),
    updated_at timestamptz not null default now(),
    deleted_at timestamptz,
    primary key (project_id, id)
);

create index mcp_server_project_id_created_idx
    on mcp_server (project_id, created_at desc, id) where deleted_at is null;

-- Which project an address without a key belongs to. A reference table: it is looked up by id alone.
create table mcp_server_address (
    id uuid primary key,
    project_id text not null
);

-- Users that an MCP server was set up for.
create table mcp_server_instance (
    project_id text not null,
    server_id uuid not null,
    user_id text not null,
    created_at timestamptz not null default now(),
    updated_at timestamptz not null default now(),
    primary key (project_id, server_id, user_id)
);
