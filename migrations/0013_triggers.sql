-- What projects want to hear of, how they are told, and what is on its way to them.

-- A trigger type, an account, and a config.
create table trigger_instance (
    project_id text not null,
    id text not null,
    slug text not null,
    toolkit_slug text not null,
    toolkit_version text not null,
    account_id text not null,
    auth_config_id text not null,
    user_id text not null,
    -- `webhook` or `poll`.
    kind text not null,
    config jsonb not null,
    -- SHA-256 of the config in one spelling: the same config is the same instance.
    config_hash bytea not null,
    -- SHA-256 of the secret part of the URL that the provider calls.
    ingress_hash bytea not null,
    -- Sealed JSON object: that part of the URL, what the provider signs with, what it gave.
    secrets bytea not null,
    -- What the provider's answer to the registration is kept of, such as the id of its hook.
    registration jsonb not null default '{}',
    -- `none`: there is nothing to register; `registering`, `registered`, `failed`, `removing`,
    -- `removed`.
    hook_state text not null default 'none',
    hook_error text,
    -- When the registration is taken up by a worker: to be renewed, tried again, or removed.
    -- While it is worked on, when somebody else may. Null: never.
    hook_due timestamptz,
    hook_claim text,
    hook_attempts integer not null default 0,
    registered_at timestamptz,
    disabled_at timestamptz,
    -- `user` or `server`.
    disabled_by text,
    disabled_reason text,
    -- The last thing that went wrong on its way in.
    last_error text,
    last_error_at timestamptz,
    created_at timestamptz not null default now(),
    updated_at timestamptz not null default now(),
    deleted_at timestamptz,
    primary key (project_id, id)
);

create unique index trigger_instance_same_idx
    on trigger_instance (project_id, account_id, slug, config_hash) where deleted_at is null;
create index trigger_instance_project_id_created_idx
    on trigger_instance (project_id, created_at desc, id) where deleted_at is null;
create index trigger_instance_project_id_toolkit_idx
    on trigger_instance (project_id, toolkit_slug) where deleted_at is null and disabled_at is null;
-- A queue over all projects, as that of refreshes.
create index trigger_instance_hook_due_idx on trigger_instance (hook_due)
    where hook_due is not null;

alter table trigger_instance add column secrets_key_id bytea generated always as
    (case when substring(secrets from 1 for 1) = '\x02'::bytea
          then substring(secrets from 2 for 8) end) stored;
alter table trigger_instance add constraint trigger_instance_secrets_key_fkey
    foreign key (project_id, secrets_key_id) references data_key (project_id, id);
create index trigger_instance_project_id_secrets_key_idx
    on trigger_instance (project_id, secrets_key_id, id) where secrets_key_id is not null;

-- The instances that ask the provider by themselves. A table of its own, because its rows change
-- with every poll.
create table trigger_poll (
    project_id text not null,
    trigger_id text not null,
    interval_s integer not null,
    -- When the provider is asked next; while it is asked, when somebody else may.
    next_at timestamptz not null,
    claim text,
    -- Where the next poll goes on. Null: there was none yet, and the first one emits nothing.
    cursor jsonb,
    is_active boolean not null default true,
    last_at timestamptz,
    last_ok_at timestamptz,
    last_error text,
    failures integer not null default 0,
    primary key (project_id, trigger_id)
);

-- The queue, over all projects and of one.
create index trigger_poll_next_idx on trigger_poll (next_at) where is_active;
create index trigger_poll_project_id_next_idx on trigger_poll (project_id, next_at) where is_active;

-- One URL for all users of a provider's app, where the provider has no URL per subscription.
create table webhook_endpoint (
    project_id text not null,
    id text not null,
    toolkit_slug text not null,
    -- The app at the provider.
    client_id text not null,
    ingress_hash bytea not null,
    -- Sealed JSON object: the secret part of the URL, and what the developer copied from the
    -- provider (signing secret, …).
    data bytea not null,
    -- When the provider's last call was verified.
    verified_at timestamptz,
    created_at timestamptz not null default now(),
    updated_at timestamptz not null default now(),
    primary key (project_id, id)
);

create unique index webhook_endpoint_app_idx
    on webhook_endpoint (project_id, toolkit_slug, client_id);

alter table webhook_endpoint add column data_key_id bytea generated always as
    (case when substring(data from 1 for 1) = '\x02'::bytea
          then substring(data from 2 for 8) end) stored;
alter table webhook_endpoint add constraint webhook_endpoint_data_key_fkey
    foreign key (project_id, data_key_id) references data_key (project_id, id);
create index webhook_endpoint_project_id_data_key_idx
    on webhook_endpoint (project_id, data_key_id, id) where data_key_id is not null;

-- Where a project's events go.
create table webhook_subscription (
    project_id text not null,
    id text not null,
    webhook_url text not null,
    -- `V1`, `V2` or `V3`.
    version text not null,
    enabled_events text[] not null,
    -- Sealed text that signs what is sent.
    secret bytea not null,
    -- Since when nothing was delivered; null: the last delivery went well.
    failing_since timestamptz,
    disabled_at timestamptz,
    disabled_reason text,
    created_at timestamptz not null default now(),
    updated_at timestamptz not null default now(),
    primary key (project_id, id)
);

alter table webhook_subscription add column secret_key_id bytea generated always as
    (case when substring(secret from 1 for 1) = '\x02'::bytea
          then substring(secret from 2 for 8) end) stored;
alter table webhook_subscription add constraint webhook_subscription_secret_key_fkey
    foreign key (project_id, secret_key_id) references data_key (project_id, id);
create index webhook_subscription_project_id_secret_key_idx
    on webhook_subscription (project_id, secret_key_id, id) where secret_key_id is not null;

-- An event on its way to a subscription. Written with the event, in one statement.
create table webhook_delivery (
    project_id text not null,
    subscription_id text not null,
    event_id text not null,
    -- Attempts that were begun.
    attempts integer not null default 0,
    -- When it is sent next; while it is sent, when somebody else may. Null: it is over.
    next_at timestamptz,
    claim text,
    -- `delivered`, `dead`, or `dropped`: the subscription was deleted. Null: not over.
    outcome text,
    -- What came of each attempt, oldest first: `{at, status, ms, error}`.
    history jsonb not null default '[]',
    created_at timestamptz not null default now(),
    ended_at timestamptz,
    primary key (project_id, subscription_id, event_id),
    constraint webhook_delivery_over_check check (
        (outcome is null) = (next_at is not null) and (outcome is null) = (ended_at is null))
);

-- The queue, per subscription: a slow receiver must not stand before others.
create index webhook_delivery_due_idx
    on webhook_delivery (project_id, subscription_id, next_at) where next_at is not null;
create index webhook_delivery_dead_idx
    on webhook_delivery (project_id, subscription_id, ended_at desc) where outcome = 'dead';
create index webhook_delivery_event_idx on webhook_delivery (project_id, event_id);
create index webhook_delivery_created_brin on webhook_delivery using brin (created_at);

alter table event
    -- The same thing at the provider has the same key, however often it is heard of.
    add column dedupe_key text,
    -- What the provider sent, as it sent it.
    add column original text;

create unique index event_dedupe_idx on event (project_id, subject_id, dedupe_key)
    where dedupe_key is not null;
