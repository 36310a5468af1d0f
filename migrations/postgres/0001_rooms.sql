-- Rooms, their log and their snapshots.
--
-- Times are milliseconds since 1970 (UTC), as everywhere in the program. Names compare by their
-- bytes, so that listing has one order on every machine.

DO $$
BEGIN
    IF current_setting('server_encoding') <> 'UTF8' THEN
        RAISE EXCEPTION 'the database needs the encoding UTF8, not %',
            current_setting('server_encoding');
    END IF;
END
$$;

-- Every append rewrites its room's row; the space left on each page keeps it there.
CREATE TABLE rooms (
    id         bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    name       text   COLLATE "C" NOT NULL UNIQUE,
    epoch      uuid   NOT NULL,
    head       bigint NOT NULL CHECK (head > 0),
    oldest     bigint NOT NULL CHECK (oldest > 0),
    projected  bigint NOT NULL DEFAULT 0,
    created_at bigint NOT NULL,
    updated_at bigint NOT NULL
) WITH (fillfactor = 70);

-- `json`, not `jsonb`: the text comes back as it went in, and may hold \u0000.
-- There is no foreign key: a log row is only written by the statement that locks its room's row,
-- and the check would cost one more look-up per row where all rows pass.
CREATE TABLE log (
    room      bigint NOT NULL,
    version   bigint NOT NULL,
    append_id uuid   NOT NULL,
    at        bigint NOT NULL,
    actors    json   NOT NULL,
    ops       json   NOT NULL,
    update    bytea  NOT NULL,
    events    json   NOT NULL,
    PRIMARY KEY (room, version)
);

CREATE TABLE snapshots (
    room    bigint NOT NULL REFERENCES rooms (id) ON DELETE CASCADE,
    version bigint NOT NULL,
    state   bytea  NOT NULL,
    name    text,
    author  text,
    at      bigint NOT NULL,
    PRIMARY KEY (room, version)
);

-- What rooms held in epochs that were deleted, and the last of these epochs.
CREATE TABLE former (
    room         text  COLLATE "C" PRIMARY KEY,
    epoch        uuid  NOT NULL,
    state_vector bytea NOT NULL
);

-- Tells whoever listens that a room has entries up to a version: one notification per room and
-- statement, never the entries. A payload is at most 8000 bytes; a name has at most 255, and
-- escaping at most doubles them.
CREATE FUNCTION roundtable_notify() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM pg_notify(
        'roundtable_changes',
        json_build_object('room', r.name, 'epoch', r.epoch, 'version', w.version)::text
    )
    FROM (SELECT room, max(version) AS version FROM written GROUP BY room) w
    CROSS JOIN LATERAL (SELECT name, epoch FROM rooms WHERE id = w.room OFFSET 0) r;
    RETURN NULL;
END
$$;

CREATE TRIGGER roundtable_notify AFTER INSERT ON log
    REFERENCING NEW TABLE AS written
    FOR EACH STATEMENT EXECUTE FUNCTION roundtable_notify();
