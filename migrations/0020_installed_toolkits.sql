-- Toolkits that were installed while the server runs: one row per version, never changed.

create table installed_toolkit (
    -- The project that sees it; `*`, which is no project's id, stands for the whole server.
    project_id text not null,
    slug text collate "C" not null,
    -- YYYYMMDD_NN; sorts by age.
    version text collate "C" not null,
    -- What lists need of it, compressed.
    heads bytea not null,
    -- The definitions of its tools, each compressed.
    bodies bytea not null,
    -- SHA-256 of the definition without its version: the same again is no new version.
    digest bytea not null,
    tools integer not null,
    -- What became of the description.
    report jsonb not null,
    -- Whether its tools are further ones of the built-in toolkit of this slug.
    completes boolean not null default false,
    -- What is different from the version before, in words.
    changelog text not null,
    -- Where the description came from: a URL, or the name of a file.
    source text,
    created_at timestamptz not null default now(),
    primary key (project_id, slug, version)
);
