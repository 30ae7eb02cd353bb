-- Envelope encryption: master keys seal data keys, data keys seal values.
--
-- A sealed value is `2 | data key id (8) | nonce | ciphertext`, or, from before this migration,
-- `1 | master key id (4) | nonce | ciphertext`. Generated columns show the data key, so that a
-- foreign key keeps every data key that a row needs, and an index finds those rows.

create table data_key (
    project_id text not null,
    id bytea not null,
    -- The key, sealed by a master key.
    sealed bytea not null,
    master_key_id bytea not null generated always as (substring(sealed from 2 for 4)) stored,
    created_at timestamptz not null default now(),
    -- Null: the one that new values of the project are sealed with.
    retired_at timestamptz,
    primary key (project_id, id)
);

create unique index data_key_project_id_current_key on data_key (project_id)
    where retired_at is null;
create index data_key_project_id_retired_idx on data_key (project_id, retired_at)
    where retired_at is not null;

alter table project add column webhook_secret_key_id bytea generated always as
    (case when substring(webhook_secret from 1 for 1) = '\x02'::bytea
          then substring(webhook_secret from 2 for 8) end) stored;
alter table auth_config
    add column credentials_key_id bytea generated always as
        (case when substring(credentials from 1 for 1) = '\x02'::bytea
              then substring(credentials from 2 for 8) end) stored,
    add column shared_credentials_key_id bytea generated always as
        (case when substring(shared_credentials from 1 for 1) = '\x02'::bytea
              then substring(shared_credentials from 2 for 8) end) stored;
alter table connected_account add column state_key_id bytea generated always as
    (case when substring(state from 1 for 1) = '\x02'::bytea
          then substring(state from 2 for 8) end) stored;
alter table connect_token add column data_key_id bytea generated always as
    (case when substring(data from 1 for 1) = '\x02'::bytea
          then substring(data from 2 for 8) end) stored;

alter table project add constraint project_webhook_secret_key_fkey
    foreign key (id, webhook_secret_key_id) references data_key (project_id, id);
alter table auth_config add constraint auth_config_credentials_key_fkey
    foreign key (project_id, credentials_key_id) references data_key (project_id, id);
alter table auth_config add constraint auth_config_shared_credentials_key_fkey
    foreign key (project_id, shared_credentials_key_id) references data_key (project_id, id);
alter table connected_account add constraint connected_account_state_key_fkey
    foreign key (project_id, state_key_id) references data_key (project_id, id);
alter table connect_token add constraint connect_token_data_key_fkey
    foreign key (project_id, data_key_id) references data_key (project_id, id);

create index auth_config_project_id_credentials_key_idx
    on auth_config (project_id, credentials_key_id, id);
create index auth_config_project_id_shared_credentials_key_idx
    on auth_config (project_id, shared_credentials_key_id, id)
    where shared_credentials_key_id is not null;
create index connected_account_project_id_state_key_idx
    on connected_account (project_id, state_key_id, id);
create index connect_token_project_id_data_key_idx
    on connect_token (project_id, data_key_id, hash);

-- Values that a master key sealed itself; empty once they have been sealed anew.
create index auth_config_project_id_old_credentials_idx on auth_config (project_id, id)
    where credentials_key_id is null and credentials <> '';
create index auth_config_project_id_old_shared_credentials_idx on auth_config (project_id, id)
    where shared_credentials_key_id is null and shared_credentials <> '';
create index connected_account_project_id_old_state_idx on connected_account (project_id, id)
    where state_key_id is null and state <> '';
create index connect_token_project_id_old_data_idx on connect_token (project_id, hash)
    where data_key_id is null and data <> '';

-- The key in use is the one that `sealed` is sealed with. The announced one is about to follow:
-- servers make sure that they have it.
alter table server_check add column announced_key_id bytea;

-- Keys that sign links to files. The newest signs; retired ones are kept until their links end.
create table link_key (
    id bytea primary key,
    -- The key, sealed by a master key.
    sealed bytea not null,
    created_at timestamptz not null default now(),
    retired_at timestamptz
);

create unique index link_key_current_key on link_key ((true)) where retired_at is null;

-- Rotations of the data keys; an unfinished one is carried on.
create table key_rotation (
    id bigint generated always as identity primary key,
    started_at timestamptz not null default now(),
    finished_at timestamptz
);

create unique index key_rotation_unfinished_key on key_rotation ((true))
    where finished_at is null;

-- Which master keys the running servers have; rows of servers that are gone grow old.
create table key_holder (
    replica text primary key,
    name text not null,
    master_key_ids bytea[] not null,
    seen_at timestamptz not null default now()
);
