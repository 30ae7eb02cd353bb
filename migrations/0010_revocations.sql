-- Tokens that a provider is still to be told to forget. A row is written in the transaction that
-- takes the tokens away from their account, and holds all that it takes to revoke them, because
-- account and auth config may be gone by then.
create table revocation (
    project_id text not null,
    id text not null,
    -- What was asked for at once has the same.
    job text not null,
    -- `revoke`, `delete`, or `late`: the tokens came when nobody wanted them any more.
    cause text not null,
    account_id text not null,
    auth_config_id text not null,
    user_id text not null,
    toolkit_slug text not null,
    scheme text not null,
    is_managed boolean not null,
    -- Sealed JSON object: tokens, fields of the connection, credentials of the auth config. Null:
    -- it is over.
    tokens bytea,
    -- Attempts that were begun.
    attempts integer not null default 0,
    -- When the provider is asked next; while it is asked, when somebody else may. Null: it is over.
    next_at timestamptz,
    claim text,
    last_error text,
    -- `done`, `given_up`, or `left`: the person has connected again. Null: not over.
    outcome text,
    created_at timestamptz not null default now(),
    ended_at timestamptz,
    primary key (project_id, id),
    constraint revocation_over_check check (
        (outcome is null) = (next_at is not null)
        and (outcome is null) = (tokens is not null)
        and (outcome is null) = (ended_at is null))
);

-- Queues over all projects, as that of refreshes.
create index revocation_next_idx on revocation (next_at) where next_at is not null;
create index revocation_ended_idx on revocation (ended_at) where ended_at is not null;

-- The data key of the tokens, as for every other sealed column.
alter table revocation add column tokens_key_id bytea generated always as
    (case when substring(tokens from 1 for 1) = '\x02'::bytea
          then substring(tokens from 2 for 8) end) stored;
alter table revocation add constraint revocation_tokens_key_fkey
    foreign key (project_id, tokens_key_id) references data_key (project_id, id);
create index revocation_project_id_tokens_key_idx
    on revocation (project_id, tokens_key_id, id) where tokens_key_id is not null;

-- Of a deleted account: its tokens were not to be revoked, so one that comes late is not either.
alter table connected_account add column keeps_grant boolean not null default false;

-- Wrong credentials that were tried with a Connect Link.
alter table connect_token add column tries integer not null default 0;
