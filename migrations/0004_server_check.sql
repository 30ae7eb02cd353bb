-- One row: a value sealed with the encryption key that this database's secrets were
-- sealed with, so that a server with another key notices at its start.
create table server_check (
    id boolean primary key default true,
    sealed bytea not null,
    created_at timestamptz not null default now(),
    constraint server_check_one_row check (id)
);
