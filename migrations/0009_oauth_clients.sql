-- OAuth clients that this server registered for an auth config (RFC 7591), one for each server
-- that accounts of the config connect to, with the endpoints that were found there.
create table oauth_client (
    project_id text not null,
    -- Hash of the auth config's id and of the server's address.
    id text not null,
    auth_config_id text not null,
    -- Sealed JSON object; null: not registered yet, or given up.
    client bytea,
    -- Grows by one with every change of `client`.
    version bigint not null default 0,
    -- Who registers a client at the moment, and until when nobody else does.
    claim text,
    claimed_until timestamptz,
    created_at timestamptz not null default now(),
    updated_at timestamptz not null default now(),
    primary key (project_id, id)
);

create index oauth_client_project_id_config_idx on oauth_client (project_id, auth_config_id);

-- The data key that a client is sealed with, as for every other sealed column.
alter table oauth_client add column client_key_id bytea generated always as
    (case when substring(client from 1 for 1) = '\x02'::bytea
          then substring(client from 2 for 8) end) stored;
alter table oauth_client add constraint oauth_client_client_key_fkey
    foreign key (project_id, client_key_id) references data_key (project_id, id);
create index oauth_client_project_id_client_key_idx
    on oauth_client (project_id, client_key_id, id) where client_key_id is not null;
