-- The queue of polls, by toolkit: what waits for one provider must not stand before the others.

alter table trigger_poll
    -- That of the instance. Empty: not noted yet, which whoever claims the row does.
    add column toolkit_slug text not null default '';

update trigger_poll p set toolkit_slug = i.toolkit_slug
from trigger_instance i where i.project_id = p.project_id and i.id = p.trigger_id;

drop index trigger_poll_next_idx;
create index trigger_poll_toolkit_next_idx on trigger_poll (toolkit_slug, next_at) where is_active;
