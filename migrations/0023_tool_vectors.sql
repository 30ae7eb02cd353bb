-- What the texts of tools mean, as vectors of a model: made once for all servers and projects that
-- have a tool with the same text. Nothing here can be told from a text that is not known already.

create table tool_vector (
    -- Hash of the model's name and the text.
    key bytea primary key,
    vector bytea not null,
    -- When a server last had it; those that none has had for long are forgotten.
    used_at date not null default current_date
);
