-- Who besides its owner may use an account, and names that are unique.
--
-- An access list is as wide as the API's own object; it is read with the row and never queried.
alter table connected_account
    add column account_type text not null default 'PRIVATE',
    add column acl jsonb not null default '{}',
    add constraint connected_account_type_check check (account_type in ('PRIVATE', 'SHARED'));

-- An alias names one account of a user and toolkit. Of those that share one, the newest keeps it.
update connected_account a set alias = null
where a.alias is not null and a.deleted_at is null and exists (
    select from connected_account b
    where b.project_id = a.project_id and b.user_id = a.user_id and b.toolkit_slug = a.toolkit_slug
        and b.alias = a.alias and b.deleted_at is null
        and (b.created_at, b.id) > (a.created_at, a.id));

create unique index connected_account_project_id_alias_key
    on connected_account (project_id, user_id, toolkit_slug, alias)
    where alias is not null and deleted_at is null;
