-- Logos that projects gave to toolkits of their own.

create table toolkit_logo (
    project_id text not null,
    slug text collate "C" not null,
    -- SHA-256 of the image; part of its address.
    digest bytea not null,
    mime_type text not null,
    content bytea not null,
    primary key (project_id, slug)
);
