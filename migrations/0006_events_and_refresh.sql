-- When accounts are refreshed without being asked, what the last attempts said, and what
-- projects have to be told.

alter table connected_account
    -- When a worker takes the account up; null: never. Set with every new token, and after
    -- every attempt that failed.
    add column refresh_due timestamptz,
    -- Nobody asks the provider before this.
    add column refresh_after timestamptz,
    -- Attempts in a row that brought no token, and those of them that the provider refused.
    add column refresh_failures int not null default 0,
    add column refresh_refusals int not null default 0,
    -- What the last one of them said.
    add column refresh_error text,
    -- Since when an attempt with the present state may have had an answer that was not stored:
    -- the provider may have replaced the refresh token then.
    add column refresh_lost_at timestamptz,
    -- When the present token was stored.
    add column refreshed_at timestamptz;

update connected_account
set refresh_due = token_expires_at - interval '10 minutes'
where token_expires_at is not null;

-- The queue of the workers, over all projects: read from its head, so it does not lead with
-- project_id.
create index connected_account_refresh_due_idx on connected_account (refresh_due)
    where status = 'ACTIVE' and not is_disabled and deleted_at is null
        and refresh_due is not null;

-- What happened that a project may want to hear of. The payload is what is delivered, whole.
create table event (
    project_id text not null,
    id text not null,
    type text not null,
    -- What it is about: an account's id.
    subject_id text not null,
    payload jsonb not null,
    created_at timestamptz not null default now(),
    primary key (project_id, id)
);

create index event_project_id_created_idx on event (project_id, created_at desc, id);
create index event_project_id_subject_idx on event (project_id, subject_id, created_at desc);
-- For forgetting old ones; rows come in the order of their time.
create index event_created_brin on event using brin (created_at);
