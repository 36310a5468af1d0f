-- Records as the projection tells them, results of operations, conflicts, the audit log.
--
-- Names compare by their bytes, which is SQLite's own order. JSON is kept as the text that came in.

CREATE TABLE records (
    room           INTEGER NOT NULL REFERENCES rooms (id) ON DELETE CASCADE,
    collection     TEXT    NOT NULL,
    record         TEXT    NOT NULL,
    version        INTEGER NOT NULL,
    data           TEXT    NOT NULL CHECK (json_valid(data)),
    untold         TEXT    NOT NULL CHECK (json_valid(untold)),
    field_versions TEXT    NOT NULL CHECK (json_valid(field_versions)),
    created_at     INTEGER NOT NULL,
    created_by     TEXT    NOT NULL,
    updated_at     INTEGER NOT NULL,
    updated_by     TEXT    NOT NULL,
    deleted_at     INTEGER,
    PRIMARY KEY (room, collection, record)
) STRICT;

CREATE INDEX records_by_update ON records (room, collection, version, record)
    WHERE deleted_at IS NULL;

CREATE INDEX records_deleted ON records (room, version) WHERE deleted_at IS NOT NULL;

CREATE TABLE ops (
    room    INTEGER NOT NULL REFERENCES rooms (id) ON DELETE CASCADE,
    op_id   TEXT    NOT NULL,
    version INTEGER NOT NULL,
    at      INTEGER NOT NULL,
    result  TEXT    NOT NULL CHECK (json_valid(result)),
    PRIMARY KEY (room, op_id)
) STRICT;

CREATE INDEX ops_by_version ON ops (room, version);

CREATE TABLE conflicts (
    id             BLOB    NOT NULL PRIMARY KEY,
    room           INTEGER NOT NULL REFERENCES rooms (id) ON DELETE CASCADE,
    collection     TEXT    NOT NULL,
    record         TEXT    NOT NULL,
    field          TEXT    NOT NULL,
    version        INTEGER NOT NULL,
    mine           TEXT CHECK (json_valid(mine)),
    theirs         TEXT CHECK (json_valid(theirs)),
    theirs_version INTEGER NOT NULL,
    "user"         TEXT    NOT NULL,
    client         TEXT    NOT NULL,
    at             INTEGER NOT NULL,
    resolution     TEXT CHECK (resolution IN ('mine', 'theirs', 'merged')),
    resolved_by    TEXT,
    resolved_at    INTEGER
) STRICT;

CREATE INDEX conflicts_by_room ON conflicts (room, id);

CREATE TABLE audit (
    id         INTEGER PRIMARY KEY AUTOINCREMENT,
    at         INTEGER NOT NULL,
    action     TEXT    NOT NULL,
    "user"     TEXT,
    room       TEXT,
    is_allowed INTEGER NOT NULL,
    address    TEXT,
    detail     TEXT    NOT NULL CHECK (json_valid(detail))
) STRICT;

CREATE INDEX audit_by_time ON audit (at);

CREATE INDEX audit_by_room ON audit (room, id) WHERE room IS NOT NULL;

CREATE INDEX audit_by_user ON audit ("user", id) WHERE "user" IS NOT NULL;
