-- Files of sessions: what a caller and its agent keep under a path for as long as the session lives.

create table session_file (
    project_id text not null,
    session_id text not null,
    -- Relative, without `.` and `..`; sorted by its bytes, so that pages are stable.
    path text collate "C" not null,
    mimetype text not null,
    content bytea not null,
    size bigint not null generated always as (octet_length(content)) stored,
    updated_at timestamptz not null default now(),
    primary key (project_id, session_id, path)
);
