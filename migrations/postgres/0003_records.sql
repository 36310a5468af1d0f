-- Records as the projection tells them, results of operations, conflicts, the audit log.
--
-- Names compare by their bytes. `data` is jsonb, so that services beside can ask it: it has no
-- \u0000. What may have one is `json`, which comes back as it went in.

CREATE TABLE records (
    room           bigint NOT NULL REFERENCES rooms (id) ON DELETE CASCADE,
    collection     text   COLLATE "C" NOT NULL,
    record         text   COLLATE "C" NOT NULL,
    version        bigint NOT NULL,
    data           jsonb  NOT NULL,
    untold         json   NOT NULL,
    field_versions json   NOT NULL,
    created_at     bigint NOT NULL,
    created_by     text   NOT NULL,
    updated_at     bigint NOT NULL,
    updated_by     text   NOT NULL,
    deleted_at     bigint,
    PRIMARY KEY (room, collection, record)
);

CREATE INDEX records_by_update ON records (room, collection, version, record)
    WHERE deleted_at IS NULL;

CREATE INDEX records_deleted ON records (room, version) WHERE deleted_at IS NOT NULL;

-- There is no foreign key here and on conflicts, as on log: an append writes them under the lock of
-- its room's row.
CREATE TABLE ops (
    room    bigint NOT NULL,
    op_id   text   COLLATE "C" NOT NULL,
    version bigint NOT NULL,
    at      bigint NOT NULL,
    result  json   NOT NULL,
    PRIMARY KEY (room, op_id)
);

CREATE INDEX ops_by_version ON ops (room, version);

CREATE TABLE conflicts (
    id             uuid   PRIMARY KEY,
    room           bigint NOT NULL,
    collection     text   COLLATE "C" NOT NULL,
    record         text   COLLATE "C" NOT NULL,
    field          text   COLLATE "C" NOT NULL,
    version        bigint NOT NULL,
    mine           json,
    theirs         json,
    theirs_version bigint NOT NULL,
    "user"         text   NOT NULL,
    client         text   NOT NULL,
    at             bigint NOT NULL,
    resolution     text CHECK (resolution IN ('mine', 'theirs', 'merged')),
    resolved_by    text,
    resolved_at    bigint
);

CREATE INDEX conflicts_by_room ON conflicts (room, id);

CREATE TABLE audit (
    id         bigint  GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    at         bigint  NOT NULL,
    action     text    NOT NULL,
    "user"     text    COLLATE "C",
    room       text    COLLATE "C",
    is_allowed boolean NOT NULL,
    address    text,
    detail     json    NOT NULL
);

CREATE INDEX audit_by_time ON audit (at);

CREATE INDEX audit_by_room ON audit (room, id) WHERE room IS NOT NULL;

CREATE INDEX audit_by_user ON audit ("user", id) WHERE "user" IS NOT NULL;
