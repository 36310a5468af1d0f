-- What took the process or a room down, and is kept out until somebody says otherwise.
--
-- `hash` is SHA-256 of the update; a room's is empty. `marks` says what the update holds, so that
-- it is recognised in another encoding; `bytes` is null once an operator had it forgotten.

CREATE TABLE quarantine (
    id          bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    room        text   COLLATE "C" NOT NULL,
    kind        text   NOT NULL CHECK (kind IN ('room', 'update')),
    reason      text   NOT NULL,
    hash        bytea  NOT NULL,
    marks       bytea  NOT NULL,
    bytes       bytea,
    created_at  bigint NOT NULL,
    released_at bigint
);

CREATE UNIQUE INDEX quarantine_held ON quarantine (room, kind, hash) WHERE released_at IS NULL;
