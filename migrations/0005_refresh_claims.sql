-- Whoever refreshes a token claims the account for a short time, so that no other replica
-- sends the same refresh token. A claim ends with the next change of the state, or by itself.
alter table connected_account
    add column refresh_claim text,
    add column refresh_claimed_until timestamptz;

-- Attempts to connect that may have to be ended.
create index connected_account_project_id_attempt_idx
    on connected_account (project_id, attempt_expires_at)
    where status in ('INITIALIZING', 'INITIATED') and deleted_at is null;
