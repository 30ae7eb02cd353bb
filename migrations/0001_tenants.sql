-- Organizations, projects and the keys that open them.
--
-- Every tenant table's primary key and indexes lead with project_id, so that the
-- schema can be distributed by project. organization, project and api_key are the
-- small reference tables that every request starts from.

create table organization (
    id text primary key,
    name text not null,
    created_at timestamptz not null default now()
);

create table project (
    id text primary key,
    org_id text not null references organization (id),
    name text not null,
    -- Project settings as the API's own keys; absent keys take their defaults.
    config jsonb not null default '{}',
    -- Sealed: the secret that signs webhooks of this project.
    webhook_secret bytea not null,
    created_at timestamptz not null default now(),
    updated_at timestamptz not null default now(),
    deleted_at timestamptz
);

create unique index project_org_id_name_key on project (org_id, name) where deleted_at is null;

create table api_key (
    -- SHA-256 of the key; the key has at least 128 bits of its own entropy.
    hash bytea primary key,
    id text not null unique,
    org_id text not null references organization (id),
    -- Null: an organization key.
    project_id text references project (id),
    name text not null,
    -- First characters, to tell keys apart in lists.
    hint text not null,
    created_at timestamptz not null default now(),
    deleted_at timestamptz
);

create index api_key_project_id_idx on api_key (project_id) where project_id is not null;
