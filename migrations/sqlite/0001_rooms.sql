-- Rooms, their log and their snapshots.
--
-- Times are milliseconds since 1970 (UTC), as everywhere in the program. Names compare by their
-- bytes, which is SQLite's own order. JSON is kept as the text that came in.

CREATE TABLE rooms (
    id         INTEGER PRIMARY KEY,
    name       TEXT    NOT NULL UNIQUE,
    epoch      BLOB    NOT NULL,
    head       INTEGER NOT NULL CHECK (head > 0),
    oldest     INTEGER NOT NULL CHECK (oldest > 0),
    projected  INTEGER NOT NULL DEFAULT 0,
    created_at INTEGER NOT NULL,
    updated_at INTEGER NOT NULL
) STRICT;

CREATE TABLE log (
    room      INTEGER NOT NULL REFERENCES rooms (id) ON DELETE CASCADE,
    version   INTEGER NOT NULL,
    append_id BLOB    NOT NULL,
    at        INTEGER NOT NULL,
    actors    TEXT    NOT NULL CHECK (json_valid(actors)),
    ops       TEXT    NOT NULL CHECK (json_valid(ops)),
    "update"  BLOB    NOT NULL,
    events    TEXT    NOT NULL CHECK (json_valid(events)),
    PRIMARY KEY (room, version)
) STRICT;

CREATE TABLE snapshots (
    room    INTEGER NOT NULL REFERENCES rooms (id) ON DELETE CASCADE,
    version INTEGER NOT NULL,
    state   BLOB    NOT NULL,
    name    TEXT,
    author  TEXT,
    at      INTEGER NOT NULL,
    PRIMARY KEY (room, version)
) STRICT;

-- What rooms held in epochs that were deleted, and the last of these epochs.
CREATE TABLE former (
    room         TEXT PRIMARY KEY,
    epoch        BLOB NOT NULL,
    state_vector BLOB NOT NULL
) STRICT, WITHOUT ROWID;
