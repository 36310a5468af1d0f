-- What took the process or a room down, and is kept out until somebody says otherwise.
--
-- `hash` is SHA-256 of the update; a room's is empty. `marks` says what the update holds, so that
-- it is recognised in another encoding; `bytes` is null once an operator had it forgotten.

CREATE TABLE quarantine (
    id          INTEGER PRIMARY KEY AUTOINCREMENT,
    room        TEXT    NOT NULL,
    kind        TEXT    NOT NULL CHECK (kind IN ('room', 'update')),
    reason      TEXT    NOT NULL,
    hash        BLOB    NOT NULL,
    marks       BLOB    NOT NULL,
    bytes       BLOB,
    created_at  INTEGER NOT NULL,
    released_at INTEGER
) STRICT;

CREATE UNIQUE INDEX quarantine_held ON quarantine (room, kind, hash) WHERE released_at IS NULL;
