//! Owns every bound of the program, each with its reason. What happens there, the spec says.

/// The longest token. Proxies cut headers at 8 KiB, so nothing longer arrives everywhere.
pub const TOKEN_BYTES_MAX: usize = 8 * 1024;

/// The most patterns in one claim: each room asked for is compared with every prefix.
pub const TOKEN_PATTERNS_MAX: usize = 1_000;

/// The longest user id: it is in every change event and in keys of the database's indexes.
pub const USER_ID_BYTES_MAX: usize = 255;

/// The longest name of a user to show. This and the two after it are in every peer's memory and in
/// every join.
pub const USER_NAME_BYTES_MAX: usize = 256;

/// The longest colour of a user.
pub const USER_COLOR_BYTES_MAX: usize = 64;

/// The longest address of a user's picture.
pub const USER_AVATAR_BYTES_MAX: usize = 2_048;

/// The shortest secret for HS256: as long as its hash (RFC 7518, 3.2), or it can be guessed.
pub const JWT_SECRET_BYTES_MIN: usize = 32;

/// How long before its end a client is asked for a fresh token: long enough to fetch one. A quarter
/// of its time, if that is less.
pub const TOKEN_AHEAD_MS: i64 = 60_000;

/// Submissions of a Hocuspocus document that were neither kept nor refused: what leaves a gap stays
/// until something closes it. A backlog has room for fewer.
pub const SUBMISSIONS_WAITING_MAX: usize = 65_536;

const KIB: usize = 1024;
const MIB: usize = 1024 * KIB;

/// The bounds that settings or tests may move. [`Limits::default`] is what the server runs with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Limits {
    // What one message may be.
    /// A frame is in memory whole before it can be judged; a pasted picture still fits.
    pub frame_bytes_max: usize,
    /// An update is one frame's content, so it may be as large.
    pub update_bytes_max: usize,
    /// A state vector has one line per writer; 1 MiB is over 100,000 of them.
    pub state_vector_bytes_max: usize,
    /// One client's awareness goes to every peer at every move.
    pub awareness_bytes_max: usize,
    /// The same for a JSON presence state: a cursor and a selection, not a document.
    pub presence_state_bytes_max: usize,

    /// A message that nobody keeps goes to everyone in its room.
    pub message_bytes_max: usize,

    // Who is here.
    /// A session speaks for itself and for the few devices a provider shares it with.
    pub presence_per_session_max: usize,
    /// Every joiner is sent all of it.
    pub presence_per_room_max: usize,
    /// A cursor told 20 times a second is seen to move, and every tick is one write per peer.
    pub presence_tick_ms: u64,
    /// A client that polls is here for so long after it said so, if it does not say how long.
    pub presence_lease_ms: u64,
    /// The longest that it may say.
    pub presence_lease_ms_max: u64,
    /// A reload or a change of network takes less, and peers should not see it as leaving.
    pub presence_grace_ms: u64,

    // What a room holds in memory.
    /// Inputs that wait for the room's task: enough for a burst, and a bound for each sender.
    pub mailbox_len: usize,
    /// Recent live frames, per generation: a reader that is further behind gets one diff.
    pub ring_bytes_max: usize,
    /// What one session may leave untaken of what is said to it alone: a reader that asks takes it
    /// before it asks again, so only one that is stuck has so much waiting.
    pub outbox_events_max: usize,
    /// Recent messages for JSON readers, of a room that has such: a reader that is further behind
    /// reads on from the log.
    pub told_bytes_max: usize,
    /// Recent entries in memory: a reconnect after a short absence does not ask the database.
    pub recent_bytes_max: usize,
    /// The same by number, since small entries cost more than their bytes.
    pub recent_entries_max: usize,
    /// A batch is closed here, so that one row stays cheap to read; a larger update goes alone.
    pub entry_bytes_max: usize,
    /// What may wait per room while the database is away; after it, writes are refused.
    pub backlog_bytes_max: usize,
    /// Answers that wait for what is on its way already: asking costs a peer nothing, and each
    /// takes some hundred bytes until the database is back.
    pub answers_waiting_max: usize,

    /// Operations that wait for the store to say what it knows of them: some reads' worth.
    pub operations_waiting_max: usize,

    // What one JSON socket may do.
    /// Rooms it subscribes to: each is a session, and is looked at when the socket is woken.
    pub rooms_per_socket_max: usize,
    /// Pushes that wait for the store; beyond it nothing more is read.
    pub pushes_waiting_max: usize,
    // What one Hocuspocus socket may do, whose documents count as rooms.
    /// What waits for a token, of all its documents together: a client does not wait to be let in
    /// before it speaks.
    pub outside_bytes_max: usize,
    /// The same by number.
    pub outside_messages_max: usize,

    // What any socket may do.
    /// Messages at once: what was made offline, or the cursors of a fast hand.
    pub messages_burst_max: u32,
    /// Messages per second in the long run.
    pub messages_per_second_max: u32,

    // How many.
    /// Rooms in memory; each costs tens of kilobytes and a task.
    pub rooms_max: usize,
    /// Rooms that one user may have open: a stolen token shall not load the whole database.
    pub rooms_per_user_max: usize,
    /// Connections; each costs a file descriptor and some kilobytes.
    pub connections_max: usize,
    /// Sessions of one room: a delta is written once for each of them.
    pub sessions_per_room_max: usize,
    /// Bad tokens of one address in a minute, before it is answered with "too fast"; 0 is any.
    pub auth_failures_per_minute_max: u32,
    /// Ordinary requests of one user within [`Self::requests_window_ms`]; 0 is any.
    pub requests_max: u32,
    /// Polls, streams and waiting requests of one user in that window: who waits in a busy room
    /// asks again with every version. 0 is any.
    pub polls_max: u32,
    /// The window for both.
    pub requests_window_ms: u64,

    // How long.
    /// From the upgrade until a good token and the first room are there.
    pub handshake_ms_max: u64,
    /// Some data frame at least this often: Yjs clients give a silent socket up after 30 seconds.
    pub heartbeat_ms: u64,
    /// Without any frame or pong for this long a peer is gone: four heartbeats.
    pub idle_ms_max: u64,
    /// A socket that takes nothing for this long is not slow but stuck.
    pub write_stall_ms_max: u64,
    /// A room without connections stays in memory this long: a reload finds it there.
    pub room_idle_ms: u64,
    /// The first pause after a failed append; it doubles.
    pub retry_ms_min: u64,
    /// The longest pause: how long after the database is back a room may notice.
    pub retry_ms_max: u64,
    /// The window over which a stopping server sends its connections away.
    pub drain_ms: u64,
    /// The longest that `changes?wait=` holds a request; proxies cut at about a minute.
    pub long_poll_ms_max: u64,

    // Messages to users.
    /// A client without a socket that polls every few seconds finds all that was said meanwhile.
    pub inbox_kept_ms: u64,
    /// Messages that one user has waiting; the oldest goes first.
    pub inbox_messages_max: usize,
    /// The same in bytes.
    pub inbox_user_bytes_max: usize,
    /// A message says that something happened; what happened is in a room.
    pub inbox_message_bytes_max: usize,
    /// Users with messages waiting: anybody may be written to, also who never comes.
    pub inbox_users_max: usize,
    /// All messages together, each counted once however many it is addressed to.
    pub inbox_bytes_max: usize,
    /// What one listener may leave untaken: the oldest is lost to it, and still there to be polled.
    pub inbox_untaken_max: usize,
    /// Topics of one listener, and of one broadcast.
    pub inbox_topics_max: usize,

    // What is kept.
    /// Entries after which a snapshot is due: what a cold load has to replay at most.
    pub snapshot_every_entries: u64,
    /// The same by bytes, for rooms with large entries.
    pub snapshot_every_bytes: u64,
    /// The same by updates, since a burst becomes few entries: folding so many takes 3 ms.
    pub snapshot_every_updates: u64,
    /// So many updates are worth a snapshot once nothing more comes: what follows is opened fast.
    pub snapshot_quiet_updates: u64,
    /// How long nothing more comes.
    pub snapshot_quiet_ms: u64,
    /// Log rows that a snapshot covers are kept this long, for replay and history.
    pub log_retention_ms: u64,
    /// And of each room at most so many, however young.
    pub log_versions_max: u64,
    /// Audit lines are kept this long.
    pub audit_retention_ms: u64,
    /// Audit lines that wait for the database: minutes of its absence, and some megabytes.
    pub audit_waiting_max: usize,

    // What one answer holds.
    /// A large first sync travels in updates of about this size, so that no frame blocks a socket.
    pub sync_chunk_bytes: usize,
    /// Versions that are replayed to a JSON reader; who missed more is given the whole state.
    pub replay_versions_max: u64,
    /// Change events in one page when the client does not say.
    pub changes_page_events: usize,
    /// The most it may ask for: a page is built in memory.
    pub changes_page_events_max: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            frame_bytes_max: 16 * MIB,
            update_bytes_max: 16 * MIB,
            state_vector_bytes_max: MIB,
            awareness_bytes_max: 64 * KIB,
            presence_state_bytes_max: 16 * KIB,
            message_bytes_max: 64 * KIB,
            presence_per_session_max: 16,
            presence_per_room_max: 10_000,
            presence_tick_ms: 50,
            presence_lease_ms: 30_000,
            presence_lease_ms_max: 5 * 60 * 1_000,
            presence_grace_ms: 5_000,
            mailbox_len: 1_024,
            ring_bytes_max: 512 * KIB,
            outbox_events_max: 8_192,
            told_bytes_max: 512 * KIB,
            recent_bytes_max: MIB,
            recent_entries_max: 4_096,
            entry_bytes_max: MIB,
            backlog_bytes_max: 8 * MIB,
            answers_waiting_max: 20_000,
            operations_waiting_max: 10_000,
            rooms_per_socket_max: 256,
            pushes_waiting_max: 512,
            outside_bytes_max: 5 * MIB,
            outside_messages_max: 1_000,
            messages_burst_max: 4_000,
            messages_per_second_max: 500,
            rooms_max: 100_000,
            rooms_per_user_max: 1_000,
            connections_max: 100_000,
            sessions_per_room_max: 20_000,
            auth_failures_per_minute_max: 60,
            requests_max: 1_000,
            polls_max: 10_000,
            requests_window_ms: 15 * 60 * 1_000,
            handshake_ms_max: 10_000,
            heartbeat_ms: 15_000,
            idle_ms_max: 60_000,
            write_stall_ms_max: 30_000,
            room_idle_ms: 30_000,
            retry_ms_min: 100,
            retry_ms_max: 5_000,
            drain_ms: 20_000,
            long_poll_ms_max: 60_000,
            inbox_kept_ms: 5 * 60 * 1_000,
            inbox_messages_max: 1_000,
            inbox_user_bytes_max: MIB,
            inbox_message_bytes_max: 64 * KIB,
            inbox_users_max: 100_000,
            inbox_bytes_max: 256 * MIB,
            inbox_untaken_max: 1_000,
            inbox_topics_max: 100,
            snapshot_every_entries: 1_000,
            snapshot_every_bytes: 4 * MIB as u64,
            snapshot_every_updates: 2_000,
            snapshot_quiet_updates: 500,
            snapshot_quiet_ms: 5_000,
            log_retention_ms: 30 * 24 * 60 * 60 * 1_000,
            log_versions_max: 1_000_000,
            audit_retention_ms: 90 * 24 * 60 * 60 * 1_000,
            audit_waiting_max: 10_000,
            sync_chunk_bytes: 256 * KIB,
            replay_versions_max: 4_000,
            changes_page_events: 1_000,
            changes_page_events_max: 10_000,
        }
    }
}
