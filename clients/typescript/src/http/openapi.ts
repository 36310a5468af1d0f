// Made by `npm run openapi` from what the server says of itself at /api/v1/openapi.json.
export interface paths {
    "/audit": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /** Who was let in or refused, and what admins did; for admins */
        get: operations["listAuditLog"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/conflicts": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /** Writes over concurrent changes, the oldest first */
        get: operations["listConflicts"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/conflicts/{id}/resolve": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /** End a conflict with one of the values */
        post: operations["resolveConflict"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/rooms": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /** List rooms; for admins */
        get: operations["listRooms"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/rooms/{room}": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /** What a room says of itself */
        get: operations["getRoom"];
        put?: never;
        post?: never;
        /** Delete a room; for admins */
        delete: operations["deleteRoom"];
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/rooms/{room}/changes": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /** Missed events, with long-polling */
        get: operations["listChanges"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/rooms/{room}/doc": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /** The whole document */
        get: operations["getDocument"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/rooms/{room}/events": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /** The messages of a room as Server-Sent Events */
        get: operations["streamEvents"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/rooms/{room}/messages": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /** A message to everyone in the room */
        post: operations["postMessage"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/rooms/{room}/presence": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /** Who is here */
        get: operations["listPresence"];
        /** Be here, for a while */
        put: operations["putPresence"];
        post?: never;
        /** Be gone */
        delete: operations["deletePresence"];
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/rooms/{room}/push": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /** Operations on records */
        post: operations["push"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/rooms/{room}/records/{collection}": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /** List records */
        get: operations["listRecords"];
        put?: never;
        /** Make a record */
        post: operations["createRecord"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/rooms/{room}/records/{collection}/{id}": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /** One record */
        get: operations["getRecord"];
        /** The record has these fields and no others */
        put: operations["replaceRecord"];
        post?: never;
        /** Remove a record */
        delete: operations["deleteRecord"];
        options?: never;
        head?: never;
        /** Change some fields */
        patch: operations["updateRecord"];
        trace?: never;
    };
    "/rooms/{room}/sync": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /**
         * Exchange Yjs updates without a socket
         * @description An update that rests on changes which the server lacks is refused with 422 `incomplete`, and
         *     `stateVector` (base64) says from what to start.
         */
        post: operations["syncDocument"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/sync/batch-changes": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /** Operations for several rooms */
        post: operations["pushBatch"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/sync/broadcast": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /** A message to everyone, or to topics; for admins */
        post: operations["broadcastMessage"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/sync/cleanup": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /** Drop messages that are over their time; for admins */
        post: operations["cleanUpMessages"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/sync/poll": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /** Messages to this user, kept for a while */
        get: operations["pollMessages"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/sync/send": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /** A message to a room, user or topic */
        post: operations["sendMessage"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/sync/stats": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /** How many are here */
        get: operations["getStats"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/sync/status": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /** How many are here */
        get: operations["getStatus"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
}
export type webhooks = Record<string, never>;
export interface components {
    schemas: {
        AuditLine: {
            action: string;
            address?: string;
            allowed: boolean;
            detail: {
                [key: string]: unknown;
            };
            id: string;
            room?: string;
            /** Format: date-time */
            timestamp: string;
            userId?: string;
        };
        /** @description Lines of the audit log, the newest first. */
        AuditPage: {
            audit: components["schemas"]["AuditLine"][];
            cursor?: string;
        };
        /** @description Operations for several rooms. */
        Batch: {
            /**
             * @description In order; see `RoomOperation`. What is malformed is rejected alone, so that this takes any
             *     values.
             * @example [
             *       {
             *         "collection": "tasks",
             *         "opId": "6f",
             *         "recordId": "t1",
             *         "room": "r",
             *         "type": "delete"
             *       }
             *     ]
             */
            changes: unknown[];
            clientId?: components["schemas"]["Name"] | null;
        };
        /** @description What a batch came to. */
        Batched: {
            /** @description In the order of the operations. */
            results: components["schemas"]["RoomResult"][];
        };
        /** @description A message to everyone, or to who hears one of the topics. */
        Broadcast: {
            correlationId?: components["schemas"]["Name"] | null;
            /** @description Whatever the application wants to say. */
            payload?: unknown;
            /** @description Without them it is for everyone. */
            topics?: components["schemas"]["Name"][] | null;
            /** @description What it says happened, in the application's words. */
            type: components["schemas"]["Name"];
        };
        /** @description A change event. */
        ChangeEvent: {
            changes: components["schemas"]["FieldChange"][];
            clientId: string;
            collection: string;
            epoch: string;
            id: string;
            index: number;
            opId?: string;
            recordId?: string;
            room: string;
            /** Format: date-time */
            timestamp: string;
            type: components["schemas"]["ChangeKind"];
            userId: string;
            /** Format: u-int64 */
            version: number;
        };
        /** @enum {string} */
        ChangeKind: "create" | "update" | "delete" | "document";
        /** @description Missed events. */
        ChangesPage: {
            /** @description The state at `version`: roots by name. */
            document?: {
                [key: string]: unknown;
            };
            /** Format: uuid */
            epoch: string;
            events: components["schemas"]["ChangeEvent"][];
            /** @description There is another page. */
            hasMore: boolean;
            /**
             * Format: u-int64
             * @description Where the room stands.
             */
            head: number;
            /** @description Why a snapshot: `new`, `epoch_changed`, `pruned`, `ahead` or `too_far_behind`. */
            reason?: string;
            /** @description `caught_up`, `replay` (`events`) or `snapshot` (`document`). */
            recovery: string;
            room: string;
            /**
             * Format: u-int64
             * @description Where to go on from.
             */
            version: number;
        };
        /**
         * @description Which value a conflict ends with.
         * @enum {string}
         */
        Choice: "mine" | "theirs" | "merged";
        /** @description A field that changed on both sides; a value that is not there is left out. */
        Clash: {
            field: string;
            mine?: unknown;
            theirs?: unknown;
            /** Format: u-int64 */
            theirsVersion: number;
            truncated?: boolean;
        };
        /** @description What was dropped. */
        Cleaned: {
            /** @description Messages that were over their time. */
            expired: number;
        };
        /**
         * @description What went wrong, in one stable word.
         * @enum {string}
         */
        Code: "malformed" | "unauthenticated" | "forbidden" | "not_found" | "conflict" | "precondition_failed" | "too_large" | "too_many_requests" | "unsupported" | "unavailable" | "room_deleted" | "epoch_changed" | "incomplete" | "idle" | "internal";
        /** @description A conflict as clients read it; a value that was not there, or is too long, is left out. */
        Conflict: {
            clientId: string;
            collection: string;
            field: string;
            /** Format: uuid */
            id: string;
            mine?: unknown;
            recordId: string;
            resolved?: components["schemas"]["Resolved"];
            room: string;
            theirs?: unknown;
            theirsUserId?: string;
            /** Format: u-int64 */
            theirsVersion: number;
            /** Format: date-time */
            timestamp: string;
            userId: string;
            /** Format: u-int64 */
            version: number;
        };
        /** @description Conflicts, the oldest first. */
        ConflictsPage: {
            conflicts: components["schemas"]["Conflict"][];
            /**
             * Format: uuid
             * @description Not on the last page.
             */
            cursor?: string;
        };
        FieldChange: {
            field: string;
            newValue?: unknown;
            oldValue?: unknown;
            truncated?: boolean;
        };
        /** @description How a device is here. */
        Here: {
            /** @description The device. */
            clientId: components["schemas"]["Name"];
            /** @description The application's own; `user` in it is set by the server. `null` says goodbye. */
            state: {
                [key: string]: unknown;
            } | null;
            /**
             * Format: u-int64
             * @description How long without saying it again, 30 s unless said; clamped to 1 s to 5 min.
             */
            ttlMs?: number | null;
        };
        /** @description Messages that waited. */
        InboxPage: {
            count: number;
            messages: components["schemas"]["Message"][];
            /**
             * Format: int64
             * @description From where to go on: `since` of the next poll.
             */
            timestamp: number;
        };
        /** @description How long a device is here. */
        Lease: {
            clientId: string;
            /**
             * Format: u-int64
             * @description It lapses after that unless it is said again.
             */
            ttlMs: number;
        };
        /** @description A message that is kept for those who are away. */
        Letter: {
            correlationId?: components["schemas"]["Name"] | null;
            /** @description Whatever the application wants to say. */
            payload?: unknown;
            /** @description To whom. */
            to: components["schemas"]["To"];
            /** @description What it says happened, in the application's words. */
            type: components["schemas"]["Name"];
        };
        /** @description A message: `{id, type, payload, timestamp, userId, correlationId?}`. */
        Message: {
            /** @description What it answers, in the application's words. */
            correlationId?: string;
            /** @description Its name. */
            id: string;
            /** @description Whatever the application wants to say. */
            payload: unknown;
            /**
             * Format: int64
             * @description Milliseconds since 1970; no two messages of one user have the same.
             */
            timestamp: number;
            /** @description What it says happened, in the application's words. */
            type: string;
            /** @description Who sent it. */
            userId: string;
        };
        /** @description 1 to 255 bytes of UTF-8 without control characters. */
        Name: string;
        /** @description A record to be made. */
        NewRecord: components["schemas"]["RecordBody"] & {
            recordId?: components["schemas"]["Name"] | null;
        };
        /**
         * @description What to do when something changed after `baseVersion`.
         * @enum {string}
         */
        OnConflict: "merge" | "reject" | "strict";
        /** @description An operation on one record. */
        Operation: {
            /**
             * Format: u-int64
             * @description The version of the record that the client last saw.
             */
            baseVersion?: number | null;
            /** @description The collection. */
            collection: components["schemas"]["Name"];
            /** @description Values by field; `null` is a value. */
            fields?: {
                [key: string]: unknown;
            } | null;
            onConflict?: components["schemas"]["OnConflict"] | null;
            /** @description The client's own name for it, the same in every retry. */
            opId: components["schemas"]["Name"];
            recordId?: components["schemas"]["Name"] | null;
            /** @description What it does. */
            type: components["schemas"]["OperationType"];
            /** @description Fields to remove. */
            unset?: components["schemas"]["Name"][] | null;
        };
        /**
         * @description What an operation does.
         * @enum {string}
         */
        OperationType: "create" | "update" | "upsert" | "delete" | "increment";
        /** @description Who is here. */
        People: {
            users: components["schemas"]["Person"][];
        };
        /** @description A device that is here. */
        Person: {
            clientId: string;
            /** Format: date-time */
            since: string;
            state: {
                [key: string]: unknown;
            };
            user: {
                [key: string]: unknown;
            };
            userId: string;
        };
        /** @description What a room says of itself. */
        Portrait: {
            /** @description Of its document. */
            bytes: number;
            /** @description How many records each has. */
            collections: {
                [key: string]: number;
            };
            /** @description Sessions that are open. */
            connections: number;
            /** Format: uuid */
            epoch: string;
            /**
             * Format: u-int64
             * @description The log is kept from here.
             */
            oldestVersion: number;
            room: string;
            /** Format: u-int64 */
            version: number;
        };
        /** @description What went wrong (RFC 9457), as `application/problem+json`. */
        Problem: {
            /** @description Stable: programs may rely on it. */
            code: components["schemas"]["Code"];
            /** @description One sentence for a person. */
            detail: string;
            /**
             * Format: u-int16
             * @description The status.
             */
            status: number;
            /** @description The status, in words. */
            title: string;
            /** @description `about:blank`: `code` says more. */
            type: string;
        };
        /** @description Operations for one room. */
        Push: {
            clientId?: components["schemas"]["Name"] | null;
            /**
             * @description In order; each is judged for itself. One that is malformed is rejected alone, so that this
             *     takes any values.
             * @example [
             *       {
             *         "collection": "tasks",
             *         "fields": {
             *           "title": "Paint"
             *         },
             *         "opId": "6f1c",
             *         "type": "create"
             *       }
             *     ]
             */
            ops: unknown[];
        };
        /** @description What a push came to. */
        Pushed: {
            /** Format: uuid */
            epoch: string;
            /** @description In the order of the operations. */
            results: components["schemas"]["Result"][];
            /**
             * Format: u-int64
             * @description Where the room stands.
             */
            version: number;
        };
        /**
         * @description A record: `{collection, recordId, version, fields, createdAt, createdBy, updatedAt,
         *     updatedBy}`.
         */
        Record: {
            /** @description The collection. */
            collection: string;
            /**
             * Format: date-time
             * @description RFC 3339.
             */
            createdAt: string;
            /** @description A user id. */
            createdBy: string;
            /** @description Values, by field. */
            fields: {
                [key: string]: unknown;
            };
            /** @description Its id there. */
            recordId: string;
            /**
             * Format: date-time
             * @description RFC 3339.
             */
            updatedAt: string;
            /** @description A user id. */
            updatedBy: string;
            /**
             * Format: u-int64
             * @description The version that changed it last.
             */
            version: number;
        };
        /** @description A record as it is to be. */
        RecordBody: {
            /**
             * Format: u-int64
             * @description The version of the record that the client last saw.
             */
            baseVersion?: number | null;
            clientId?: components["schemas"]["Name"] | null;
            /** @description Values by field; `null` is a value. */
            fields?: {
                [key: string]: unknown;
            } | null;
            onConflict?: components["schemas"]["OnConflict"] | null;
            opId?: components["schemas"]["Name"] | null;
            /** @description Fields to remove. */
            unset?: components["schemas"]["Name"][] | null;
        };
        /**
         * @description In which order.
         * @enum {string}
         */
        RecordSort: "id" | "updatedAt";
        /** @description Records of a collection. */
        RecordsPage: {
            /** @description Not on the last page. */
            cursor?: string;
            records: components["schemas"]["Record"][];
        };
        /** @description How a conflict ends. */
        Resolution: {
            clientId?: components["schemas"]["Name"] | null;
            /** @description Which value. */
            resolution: components["schemas"]["Choice"];
            /** @description Needed by `merged`. */
            value?: unknown;
        };
        Resolved: {
            resolution: string;
            /** Format: date-time */
            timestamp: string;
            userId: string;
        };
        /** @description A result: `{opId, status, recordId, version?, conflicts?, record?, error?}`. */
        Result: {
            conflicts?: components["schemas"]["Clash"][];
            error?: components["schemas"]["ResultError"];
            opId?: string;
            record?: components["schemas"]["Record"];
            recordId?: string;
            status: components["schemas"]["ResultStatus"];
            /** Format: u-int64 */
            version?: number;
        };
        ResultError: {
            code: string;
            message: string;
        };
        /** @enum {string} */
        ResultStatus: "applied" | "merged" | "duplicate" | "conflict" | "rejected";
        Room: {
            /** Format: date-time */
            createdAt: string;
            /** Format: uuid */
            epoch: string;
            /**
             * Format: u-int64
             * @description The log is kept from here.
             */
            oldestVersion: number;
            room: string;
            /** Format: date-time */
            updatedAt: string;
            /** Format: u-int64 */
            version: number;
        };
        /** @description An operation for a room that it names. */
        RoomOperation: components["schemas"]["Operation"] & {
            /** @description The room. */
            room: components["schemas"]["Name"];
        };
        /** @description What became of an operation in its room. */
        RoomResult: components["schemas"]["Result"] & {
            /**
             * Format: uuid
             * @description The room's.
             */
            epoch?: string | null;
            /** @description The room, if it could be read. */
            room?: string | null;
        };
        /** @description Rooms by name. */
        RoomsPage: {
            /** @description Not on the last page. */
            cursor?: string;
            rooms: components["schemas"]["Room"][];
        };
        /** @description A message that is on its way. */
        Sent: {
            messageId: string;
            /**
             * Format: int64
             * @description Milliseconds since 1970.
             */
            timestamp: number;
        };
        /** @description How many are here. */
        Status: {
            /** @description Sockets and streams. */
            connections: number;
            /** @description Users with messages that wait. */
            queues: number;
            /** @description Rooms that are open. */
            rooms: number;
            /** @description Rooms that connections follow, and topics. */
            subscriptions: number;
            /** @description Users who have any. */
            users: number;
        };
        /** @description To whom a message goes. */
        To: {
            /** @description Those who are in this room. */
            room: components["schemas"]["Name"];
        } | {
            /** @description This user, on all devices. */
            user: components["schemas"]["Name"];
        } | {
            /** @description Those who hear this topic. */
            topic: components["schemas"]["Name"];
        };
        /** @description A message to everyone in a room. */
        Utterance: {
            clientId?: components["schemas"]["Name"] | null;
            /** @description What it says happened, in the application's words. */
            event: components["schemas"]["Name"];
            /** @description Whatever the application wants to say. */
            payload?: unknown;
        };
    };
    responses: never;
    parameters: never;
    requestBodies: never;
    headers: never;
    pathItems: never;
}
export type $defs = Record<string, never>;
export interface operations {
    listAuditLog: {
        parameters: {
            query?: {
                /** @description The `cursor` of the page before. */
                cursor?: string;
                /** @description Items on the page, 100 unless said; clamped to 1 to 1,000. */
                limit?: number;
                /** @description Of one room. */
                room?: string;
                /** @description Of one user. */
                user?: string;
            };
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["AuditPage"];
                };
            };
            /** @description What went wrong. */
            default: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
        };
    };
    listConflicts: {
        parameters: {
            query?: {
                /** @description The `cursor` of the page before. */
                cursor?: string;
                /** @description Items on the page, 100 unless said; clamped to 1 to 1,000. */
                limit?: number;
                /** @description Only those that are, or are not. */
                resolved?: boolean;
                /** @description Of one room; needed unless the caller is an admin. */
                room?: components["schemas"]["Name"];
            };
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ConflictsPage"];
                };
            };
            /** @description What went wrong. */
            default: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
        };
    };
    resolveConflict: {
        parameters: {
            query?: never;
            header?: never;
            path: {
                /** @description The conflict. */
                id: string;
            };
            cookie?: never;
        };
        requestBody: {
            content: {
                "application/json": components["schemas"]["Resolution"];
            };
        };
        responses: {
            /** @description The chosen value is durable. */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Conflict"];
                };
            };
            /** @description There is no such conflict. */
            404: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
            /** @description It is resolved, or its record was deleted. */
            409: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
            /** @description The value was too long to be kept; merge instead. */
            422: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
            /** @description What went wrong. */
            default: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
        };
    };
    listRooms: {
        parameters: {
            query?: {
                /** @description The `cursor` of the page before. */
                cursor?: string;
                /** @description Items on the page, 100 unless said; clamped to 1 to 1,000. */
                limit?: number;
                /** @description What their names begin with. */
                prefix?: string;
            };
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["RoomsPage"];
                };
            };
            /** @description What went wrong. */
            default: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
        };
    };
    getRoom: {
        parameters: {
            query?: never;
            header?: never;
            path: {
                /**
                 * @description The room, percent-encoded: a slash is `%2F`.
                 * @example project:42
                 */
                room: components["schemas"]["Name"];
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Portrait"];
                };
            };
            /** @description What went wrong. */
            default: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
        };
    };
    deleteRoom: {
        parameters: {
            query?: never;
            header?: never;
            path: {
                /**
                 * @description The room, percent-encoded: a slash is `%2F`.
                 * @example project:42
                 */
                room: components["schemas"]["Name"];
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description Gone from the store; its connections were closed. */
            204: {
                headers: {
                    [name: string]: unknown;
                };
                content?: never;
            };
            /** @description The room was never written. */
            404: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
            /** @description What went wrong. */
            default: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
        };
    };
    listChanges: {
        parameters: {
            query?: {
                /** @description The epoch that `since` is of; without it any is meant. */
                epoch?: string;
                /** @description Events on the page; it ends at a version's end. */
                limit?: number;
                /** @description The version that the client has seen; without it the answer is a snapshot. */
                since?: number;
                /** @description Seconds to wait when there is nothing to tell. */
                wait?: number;
            };
            header?: never;
            path: {
                /**
                 * @description The room, percent-encoded: a slash is `%2F`.
                 * @example project:42
                 */
                room: components["schemas"]["Name"];
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ChangesPage"];
                };
            };
            /** @description What went wrong. */
            default: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
        };
    };
    getDocument: {
        parameters: {
            query?: never;
            header?: never;
            path: {
                /**
                 * @description The room, percent-encoded: a slash is `%2F`.
                 * @example project:42
                 */
                room: components["schemas"]["Name"];
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description Roots by name; or, with `Accept: application/octet-stream`, a Yjs update (v1). */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": {
                        [key: string]: unknown;
                    };
                    "application/octet-stream": number[];
                };
            };
            /** @description What went wrong. */
            default: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
        };
    };
    streamEvents: {
        parameters: {
            query?: {
                /** @description The device. */
                clientId?: components["schemas"]["Name"];
                /** @description The epoch that `since` is of; without it any is meant. */
                epoch?: string;
                /** @description The version that the client has seen; without it the answer is a snapshot. */
                since?: number;
            };
            header?: {
                /** @description `epoch:version`; comes before `since`. */
                "Last-Event-ID"?: string | null;
            };
            path: {
                /**
                 * @description The room, percent-encoded: a slash is `%2F`.
                 * @example project:42
                 */
                room: components["schemas"]["Name"];
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description `subscribed`, `changes`, `presence`, `message`, `reset`, `drain`. */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "text/event-stream": string;
                };
            };
            /** @description What went wrong. */
            default: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
        };
    };
    postMessage: {
        parameters: {
            query?: never;
            header?: never;
            path: {
                /**
                 * @description The room, percent-encoded: a slash is `%2F`.
                 * @example project:42
                 */
                room: components["schemas"]["Name"];
            };
            cookie?: never;
        };
        requestBody: {
            content: {
                "application/json": components["schemas"]["Utterance"];
            };
        };
        responses: {
            /** @description Told to those who are here; it is not kept. */
            202: {
                headers: {
                    [name: string]: unknown;
                };
                content?: never;
            };
            /** @description What went wrong. */
            default: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
        };
    };
    listPresence: {
        parameters: {
            query?: never;
            header?: never;
            path: {
                /**
                 * @description The room, percent-encoded: a slash is `%2F`.
                 * @example project:42
                 */
                room: components["schemas"]["Name"];
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["People"];
                };
            };
            /** @description What went wrong. */
            default: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
        };
    };
    putPresence: {
        parameters: {
            query?: never;
            header?: never;
            path: {
                /**
                 * @description The room, percent-encoded: a slash is `%2F`.
                 * @example project:42
                 */
                room: components["schemas"]["Name"];
            };
            cookie?: never;
        };
        requestBody: {
            content: {
                "application/json": components["schemas"]["Here"];
            };
        };
        responses: {
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Lease"];
                };
            };
            /** @description What went wrong. */
            default: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
        };
    };
    deletePresence: {
        parameters: {
            query: {
                /** @description The device; or in the body. */
                clientId: components["schemas"]["Name"];
            };
            header?: never;
            path: {
                /**
                 * @description The room, percent-encoded: a slash is `%2F`.
                 * @example project:42
                 */
                room: components["schemas"]["Name"];
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            204: {
                headers: {
                    [name: string]: unknown;
                };
                content?: never;
            };
            /** @description What went wrong. */
            default: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
        };
    };
    push: {
        parameters: {
            query?: never;
            header?: never;
            path: {
                /**
                 * @description The room, percent-encoded: a slash is `%2F`.
                 * @example project:42
                 */
                room: components["schemas"]["Name"];
            };
            cookie?: never;
        };
        requestBody: {
            content: {
                "application/json": components["schemas"]["Push"];
            };
        };
        responses: {
            /** @description All that was applied is durable. */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Pushed"];
                };
            };
            /** @description What went wrong. */
            default: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
        };
    };
    listRecords: {
        parameters: {
            query?: {
                /** @description The `cursor` of the page before. */
                cursor?: string;
                /** @description `filter[field]=value`: records whose field is that; 16 at most. */
                filter?: {
                    [key: string]: string;
                };
                /** @description Items on the page, 100 unless said; clamped to 1 to 1,000. */
                limit?: number;
                /** @description `id` unless said. */
                sort?: components["schemas"]["RecordSort"];
                /**
                 * @description A version, or a time (RFC 3339).
                 * @example 17
                 */
                updatedSince?: string;
            };
            header?: never;
            path: {
                /**
                 * @description The collection.
                 * @example tasks
                 */
                collection: components["schemas"]["Name"];
                /**
                 * @description The room, percent-encoded: a slash is `%2F`.
                 * @example project:42
                 */
                room: components["schemas"]["Name"];
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["RecordsPage"];
                };
            };
            /** @description What went wrong. */
            default: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
        };
    };
    createRecord: {
        parameters: {
            query?: never;
            header?: never;
            path: {
                /**
                 * @description The collection.
                 * @example tasks
                 */
                collection: components["schemas"]["Name"];
                /**
                 * @description The room, percent-encoded: a slash is `%2F`.
                 * @example project:42
                 */
                room: components["schemas"]["Name"];
            };
            cookie?: never;
        };
        requestBody: {
            content: {
                "application/json": components["schemas"]["NewRecord"];
            };
        };
        responses: {
            /** @description A retry: it was made before. */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Record"];
                };
            };
            201: {
                headers: {
                    ETag?: string;
                    Location?: string;
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Record"];
                };
            };
            /** @description A retry, of a record that was removed since. */
            204: {
                headers: {
                    [name: string]: unknown;
                };
                content?: never;
            };
            /** @description A record with this id is there; `record` is that. */
            409: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
            /** @description What went wrong. */
            default: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
        };
    };
    getRecord: {
        parameters: {
            query?: never;
            header?: {
                /** @description A known `ETag`: 304 when it still holds. */
                "If-None-Match"?: string | null;
            };
            path: {
                /**
                 * @description The collection.
                 * @example tasks
                 */
                collection: components["schemas"]["Name"];
                /**
                 * @description The record's id in its collection.
                 * @example t1
                 */
                id: components["schemas"]["Name"];
                /**
                 * @description The room, percent-encoded: a slash is `%2F`.
                 * @example project:42
                 */
                room: components["schemas"]["Name"];
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            200: {
                headers: {
                    /** @description Its version. */
                    ETag?: string;
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Record"];
                };
            };
            /** @description It has the version that the caller knows. */
            304: {
                headers: {
                    [name: string]: unknown;
                };
                content?: never;
            };
            /** @description There is no such record. */
            404: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
            /** @description What went wrong. */
            default: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
        };
    };
    replaceRecord: {
        parameters: {
            query?: never;
            header?: {
                /** @description An `ETag`, or `*` for any: 412 when it no longer holds. */
                "If-Match"?: string | null;
                /** @description `*`: only if there is none. */
                "If-None-Match"?: string | null;
            };
            path: {
                /**
                 * @description The collection.
                 * @example tasks
                 */
                collection: components["schemas"]["Name"];
                /**
                 * @description The record's id in its collection.
                 * @example t1
                 */
                id: components["schemas"]["Name"];
                /**
                 * @description The room, percent-encoded: a slash is `%2F`.
                 * @example project:42
                 */
                room: components["schemas"]["Name"];
            };
            cookie?: never;
        };
        requestBody: {
            content: {
                "application/json": components["schemas"]["RecordBody"];
            };
        };
        responses: {
            200: {
                headers: {
                    ETag?: string;
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Record"];
                };
            };
            201: {
                headers: {
                    ETag?: string;
                    Location?: string;
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Record"];
                };
            };
            /** @description A retry, of a record that was removed since. */
            204: {
                headers: {
                    [name: string]: unknown;
                };
                content?: never;
            };
            /** @description There is no such record. */
            404: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
            /** @description It changed meanwhile: `conflicts` and `record` say how. */
            409: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
            /** @description The precondition does not hold; `record` is what is there. */
            412: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
            /** @description What went wrong. */
            default: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
        };
    };
    deleteRecord: {
        parameters: {
            query?: never;
            header?: {
                /** @description An `ETag`, or `*` for any: 412 when it no longer holds. */
                "If-Match"?: string | null;
            };
            path: {
                /**
                 * @description The collection.
                 * @example tasks
                 */
                collection: components["schemas"]["Name"];
                /**
                 * @description The record's id in its collection.
                 * @example t1
                 */
                id: components["schemas"]["Name"];
                /**
                 * @description The room, percent-encoded: a slash is `%2F`.
                 * @example project:42
                 */
                room: components["schemas"]["Name"];
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            204: {
                headers: {
                    [name: string]: unknown;
                };
                content?: never;
            };
            /** @description There is no such record. */
            404: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
            /** @description It changed meanwhile. */
            409: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
            /** @description The precondition does not hold; `record` is what is there. */
            412: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
            /** @description What went wrong. */
            default: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
        };
    };
    updateRecord: {
        parameters: {
            query?: never;
            header?: {
                /** @description An `ETag`, or `*` for any: 412 when it no longer holds. */
                "If-Match"?: string | null;
                /** @description `*`: only if there is none. */
                "If-None-Match"?: string | null;
            };
            path: {
                /**
                 * @description The collection.
                 * @example tasks
                 */
                collection: components["schemas"]["Name"];
                /**
                 * @description The record's id in its collection.
                 * @example t1
                 */
                id: components["schemas"]["Name"];
                /**
                 * @description The room, percent-encoded: a slash is `%2F`.
                 * @example project:42
                 */
                room: components["schemas"]["Name"];
            };
            cookie?: never;
        };
        requestBody: {
            content: {
                "application/json": components["schemas"]["RecordBody"];
            };
        };
        responses: {
            200: {
                headers: {
                    ETag?: string;
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Record"];
                };
            };
            /** @description A retry, of a record that was removed since. */
            204: {
                headers: {
                    [name: string]: unknown;
                };
                content?: never;
            };
            /** @description There is no such record. */
            404: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
            /** @description It changed meanwhile: `conflicts` and `record` say how. */
            409: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
            /** @description The precondition does not hold; `record` is what is there. */
            412: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
            /** @description What went wrong. */
            default: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
        };
    };
    syncDocument: {
        parameters: {
            query?: never;
            header?: never;
            path: {
                /**
                 * @description The room, percent-encoded: a slash is `%2F`.
                 * @example project:42
                 */
                room: components["schemas"]["Name"];
            };
            cookie?: never;
        };
        /** @description Two var-buffers (lib0): state vector, update; both may be empty. */
        requestBody: {
            content: {
                "application/octet-stream": number[];
            };
        };
        responses: {
            /** @description Two var-buffers: what the client lacks, the server's state vector. */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/octet-stream": number[];
                };
            };
            /** @description The update rests on changes that the server lacks; `stateVector` (base64) says from where to start. */
            422: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
            /** @description What went wrong. */
            default: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
        };
    };
    pushBatch: {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody: {
            content: {
                "application/json": components["schemas"]["Batch"];
            };
        };
        responses: {
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Batched"];
                };
            };
            /** @description What went wrong. */
            default: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
        };
    };
    broadcastMessage: {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody: {
            content: {
                "application/json": components["schemas"]["Broadcast"];
            };
        };
        responses: {
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Sent"];
                };
            };
            /** @description What went wrong. */
            default: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
        };
    };
    cleanUpMessages: {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Cleaned"];
                };
            };
            /** @description What went wrong. */
            default: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
        };
    };
    pollMessages: {
        parameters: {
            query?: {
                /** @description The `timestamp` of the last answer. */
                since?: number;
                /** @description With commas between them; all that the token grants unless said. */
                topics?: components["schemas"]["Name"][];
                /** @description Seconds to wait when there is nothing to tell. */
                wait?: number;
            };
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["InboxPage"];
                };
            };
            /** @description What went wrong. */
            default: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
        };
    };
    sendMessage: {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody: {
            content: {
                "application/json": components["schemas"]["Letter"];
            };
        };
        responses: {
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Sent"];
                };
            };
            /** @description What went wrong. */
            default: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
        };
    };
    getStats: {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Status"];
                };
            };
            /** @description What went wrong. */
            default: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
        };
    };
    getStatus: {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Status"];
                };
            };
            /** @description What went wrong. */
            default: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
        };
    };
}
