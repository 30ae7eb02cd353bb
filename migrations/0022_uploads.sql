-- Files that callers upload for arguments of tools.

create table upload (
    project_id text not null,
    id text not null,
    toolkit_slug text not null,
    tool_slug text not null,
    name text not null,
    mimetype text not null,
    -- Lower-case hexadecimal; what is uploaded must have it.
    md5 text not null,
    -- Null until the bytes came.
    content bytea,
    size bigint not null generated always as (coalesce(octet_length(content), 0)) stored,
    created_at timestamptz not null default now(),
    expires_at timestamptz not null,
    primary key (project_id, id)
);

create index upload_project_id_created_idx on upload (project_id, created_at desc, id desc);
