//! How many deliveries does a second of the server's CPU pay for, how late are they, and how many
//! can there be?
//!
//! The real program on SQLite, durably, and its clients on the same cores: they read frames by
//! their headers. A delivery is an update that reached a client other than its writer.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering::Relaxed};
use std::time::{Duration, Instant};

use roundtable::lib0::write_var_uint;
use tokio::task::JoinSet;
use tokio::time::{sleep, sleep_until};

#[allow(dead_code, reason = "every bench takes what it needs")]
#[path = "support/server.rs"]
mod server;
#[path = "support/socket.rs"]
mod socket;

use server::Server;
use socket::{Socket, frame};

const READERS: [usize; 4] = [1, 10, 50, 200];
const CALM_PER_SECOND: f64 = 100.0;
const ROOMS: usize = 10;
const CLIENTS: usize = 20;
const WRITERS: usize = 5;
const P99_MS_MAX: f64 = 50.0;

const WARMS_UP: Duration = Duration::from_millis(400);
const LASTS: Duration = Duration::from_millis(2_000);
/// At saturation so many updates may be on their way.
const WINDOW: u64 = 1_024;
/// A writer that is due to write often writes what is due since.
const TICK: Duration = Duration::from_millis(2);

/// Client ids have five bytes as a var-uint, so that they are found at one place.
const FIRST_CLIENT: u64 = 1 << 31;
const CLIENT_AT: usize = 5;
const CLIENT_BYTES: usize = 5;
/// When it was sent: so many hexadecimal digits of microseconds, before an empty delete set.
const STAMP_BYTES: usize = 8;

#[tokio::main(flavor = "multi_thread", worker_threads = 2)]
async fn main() -> anyhow::Result<()> {
    let folder = tempfile::tempdir()?;
    let url = format!("sqlite://{}/rooms.db", folder.path().display());
    let server = Server::start(&url, folder.path())?;
    println!("one room, one writer, load {}", load());
    println!(
        "{:>8}{:>16}{:>14}{:>18}{:>14}{:>12}{:>12}{:>12}{:>12}",
        "readers",
        "µs CPU at 100/s",
        "p50, p99 ms",
        "deliveries/s most",
        "per CPU s",
        "updates/s",
        "half: p50",
        "p99 ms",
        "µs CPU"
    );
    // `READERS=50` measures these alone: for a profiler.
    if let Ok(readers) = std::env::var("READERS") {
        return one_room(&server, readers.parse()?).await;
    }
    for readers in READERS {
        one_room(&server, readers).await?;
    }
    println!(
        "\n{ROOMS} rooms of {CLIENTS} clients, {WRITERS} write, load {}",
        load()
    );
    println!(
        "{:>12}{:>16}{:>10}{:>10}{:>14}{:>10}",
        "updates/s", "deliveries/s", "p50 ms", "p99 ms", "per CPU s", "server"
    );
    let most = many_rooms(&server).await?;
    println!("most at p99 < {P99_MS_MAX} ms: {most:.0} deliveries/s");
    Ok(())
}

async fn one_room(server: &Server, readers: usize) -> anyhow::Result<()> {
    let mut crowd = Crowd::default();
    crowd
        .join(server, &format!("one-{readers}"), readers + 1, 1)
        .await?;
    let calm = crowd.measure(server, Pace::Rate(CALM_PER_SECOND)).await?;
    let most = crowd.measure(server, Pace::Window(WINDOW)).await?;
    let half = most.updates_per_second() / 2.0;
    let half = crowd.measure(server, Pace::Rate(half)).await?;
    println!(
        "{readers:>8}{:>16.2}{:>14}{:>18.0}{:>14.0}{:>12.0}{:>12.2}{:>12.2}{:>12.2}",
        calm.cpu_us(),
        format!("{:.2}, {:.2}", calm.at(0.5), calm.at(0.99)),
        most.per_second(),
        1e6 / most.cpu_us(),
        most.updates_per_second(),
        half.at(0.5),
        half.at(0.99),
        half.cpu_us(),
    );
    Ok(())
}

/// More and more, until it is too much.
async fn many_rooms(server: &Server) -> anyhow::Result<f64> {
    let mut crowd = Crowd::default();
    for room in 0..ROOMS {
        crowd
            .join(server, &format!("many-{room}"), CLIENTS, WRITERS)
            .await?;
    }
    let mut most = 0_f64;
    let mut rate = 4_000.0;
    let mut is_second = false;
    loop {
        let run = crowd.measure(server, Pace::Rate(rate)).await?;
        println!(
            "{:>12.0}{:>16.0}{:>10.2}{:>10.2}{:>14.0}{:>9.0}%",
            rate,
            run.per_second(),
            run.at(0.5),
            run.at(0.99),
            1e6 / run.cpu_us(),
            run.cpu / run.seconds * 100.0,
        );
        let is_whole = run.delivered as f64 > 0.95 * run.sent as f64 * (CLIENTS - 1) as f64;
        if run.at(0.99) < P99_MS_MAX && is_whole {
            most = most.max(run.per_second());
            rate *= 1.5;
            is_second = false;
        } else if is_second {
            return Ok(most);
        } else {
            // On a shared machine somebody else may have been in the way.
            is_second = true;
        }
    }
}

#[derive(Clone, Copy)]
enum Pace {
    /// Updates per second, of all writers together.
    Rate(f64),
    /// As many as arrive, with so many on their way.
    Window(u64),
}

/// What all clients count together.
struct Tally {
    begun: Instant,
    delivered: AtomicU64,
    latencies: Vec<AtomicU32>,
}

/// What was measured.
struct Run {
    sent: u64,
    delivered: u64,
    seconds: f64,
    cpu: f64,
    latencies: Vec<u32>,
}

impl Run {
    fn per_second(&self) -> f64 {
        self.delivered as f64 / self.seconds
    }

    fn updates_per_second(&self) -> f64 {
        self.sent as f64 / self.seconds
    }

    fn cpu_us(&self) -> f64 {
        self.cpu * 1e6 / self.delivered as f64
    }

    /// Milliseconds within which this part arrived.
    fn at(&self, part: f64) -> f64 {
        let all: u64 = self.latencies.iter().map(|count| u64::from(*count)).sum();
        let mut left = (all as f64 * part) as u64;
        for (bucket, count) in self.latencies.iter().enumerate() {
            match left.checked_sub(u64::from(*count)) {
                Some(rest) => left = rest,
                None => return bound_us(bucket) as f64 / 1e3,
            }
        }
        f64::INFINITY
    }
}

/// Sixteen buckets for each power of two of microseconds.
fn bucket(us: u32) -> usize {
    if us < 16 {
        return us as usize;
    }
    let power = us.ilog2() as usize;
    (power - 3) * 16 + ((us >> (power - 4)) & 15) as usize
}

fn bound_us(bucket: usize) -> u64 {
    if bucket < 16 {
        return bucket as u64 + 1;
    }
    let power = bucket / 16 + 3;
    (16 + bucket as u64 % 16 + 1) << (power - 4)
}

/// Clients and the tasks that read for them.
struct Crowd {
    tally: Arc<Tally>,
    typists: Vec<Typist>,
    readings: JoinSet<()>,
    /// How many others hear of an update.
    audience: u64,
}

impl Default for Crowd {
    fn default() -> Self {
        let tally = Tally {
            begun: Instant::now(),
            delivered: AtomicU64::new(0),
            latencies: (0..=bucket(u32::MAX)).map(|_| AtomicU32::new(0)).collect(),
        };
        Self {
            tally: Arc::new(tally),
            typists: Vec::new(),
            readings: JoinSet::new(),
            audience: 0,
        }
    }
}

impl Crowd {
    /// Joins a room with so many clients, of whom the first so many write.
    async fn join(
        &mut self,
        server: &Server,
        room: &str,
        clients: usize,
        writers: usize,
    ) -> anyhow::Result<()> {
        self.audience = clients as u64 - 1;
        for number in 0..clients {
            let socket = Arc::new(Socket::open(server.address, room).await?);
            socket.synced().await?;
            let mut id = Vec::new();
            write_var_uint(&mut id, FIRST_CLIENT + number as u64);
            self.readings
                .spawn(listen(socket.clone(), id.clone(), self.tally.clone()));
            if number < writers {
                self.typists.push(Typist {
                    socket,
                    id,
                    clock: 0,
                });
            }
        }
        Ok(())
    }

    async fn measure(&mut self, server: &Server, pace: Pace) -> anyhow::Result<Run> {
        self.write(pace, WARMS_UP).await?;
        self.calm().await;
        self.tally.delivered.store(0, Relaxed);
        self.tally
            .latencies
            .iter()
            .for_each(|count| count.store(0, Relaxed));
        let (begun, cpu) = (Instant::now(), server.cpu_seconds());
        let sent = self.write(pace, LASTS).await?;
        let seconds = begun.elapsed().as_secs_f64();
        self.calm().await;
        let counts = self.tally.latencies.iter();
        Ok(Run {
            sent,
            delivered: self.tally.delivered.load(Relaxed),
            seconds,
            cpu: server.cpu_seconds() - cpu,
            latencies: counts.map(|count| count.load(Relaxed)).collect(),
        })
    }

    async fn write(&mut self, pace: Pace, lasts: Duration) -> anyhow::Result<u64> {
        let count = self.typists.len() as f64;
        let (audience, until) = (self.audience, Instant::now() + lasts);
        let mut writing = JoinSet::new();
        for (number, mut typist) in std::mem::take(&mut self.typists).into_iter().enumerate() {
            let tally = self.tally.clone();
            writing.spawn(async move {
                let sent = match pace {
                    Pace::Rate(rate) => {
                        // They do not all write at the same moment.
                        let late = TICK.mul_f64(number as f64 / count);
                        typist
                            .write_at(rate / count, Instant::now() + late, until, &tally)
                            .await
                    }
                    Pace::Window(window) => {
                        typist.write_within(window, audience, until, &tally).await
                    }
                };
                sent.map(|sent| (typist, sent))
            });
        }
        let mut sent = 0;
        while let Some(written) = writing.join_next().await {
            let (typist, of_one) = written??;
            self.typists.push(typist);
            sent += of_one;
        }
        Ok(sent)
    }

    /// Waits until nothing more arrives.
    async fn calm(&self) {
        let mut before = u64::MAX;
        while before != self.tally.delivered.load(Relaxed) {
            before = self.tally.delivered.load(Relaxed);
            sleep(Duration::from_millis(150)).await;
        }
    }
}

/// Counts what others wrote, until the connection ends.
async fn listen(socket: Arc<Socket>, me: Vec<u8>, tally: Arc<Tally>) {
    loop {
        let mut delivered = 0;
        let mut now = None;
        let read = |message: &[u8]| {
            let is_update = message.starts_with(&[0, 2]);
            if !is_update || message[CLIENT_AT..CLIENT_AT + CLIENT_BYTES] == me[..] {
                return;
            }
            delivered += 1;
            let now = *now.get_or_insert_with(|| stamp(tally.begun));
            let end = message.len() - 1;
            let digits = std::str::from_utf8(&message[end - STAMP_BYTES..end]);
            let sent = digits
                .ok()
                .and_then(|digits| u32::from_str_radix(digits, 16).ok());
            let late = now.saturating_sub(sent.expect("a stamp"));
            tally.latencies[bucket(late)].fetch_add(1, Relaxed);
        };
        if socket.read(read).await.is_err() {
            return;
        }
        tally.delivered.fetch_add(delivered, Relaxed);
    }
}

fn stamp(begun: Instant) -> u32 {
    u32::try_from(begun.elapsed().as_micros()).expect("a bench of less than an hour")
}

/// Appends to what it wrote before.
struct Typist {
    socket: Arc<Socket>,
    id: Vec<u8>,
    clock: u64,
}

impl Typist {
    /// Writes so many updates per second.
    async fn write_at(
        &mut self,
        rate: f64,
        begin: Instant,
        until: Instant,
        tally: &Tally,
    ) -> anyhow::Result<u64> {
        let pause = TICK.max(Duration::from_secs_f64(1.0 / rate));
        let (mut sent, mut at) = (0, begin);
        let mut frames = Vec::new();
        while at < until {
            sleep_until(at.into()).await;
            let due = ((at - begin + pause).as_secs_f64() * rate) as u64;
            frames.clear();
            while sent < due {
                self.type_stamp(tally, &mut frames);
                sent += 1;
            }
            self.socket.write(&frames).await?;
            at += pause;
        }
        Ok(sent)
    }

    /// Writes as long as not too much is on its way.
    async fn write_within(
        &mut self,
        window: u64,
        audience: u64,
        until: Instant,
        tally: &Tally,
    ) -> anyhow::Result<u64> {
        let (mut sent, before) = (0, tally.delivered.load(Relaxed));
        let mut frames = Vec::new();
        while Instant::now() < until {
            let arrived = (tally.delivered.load(Relaxed) - before) / audience;
            if sent >= arrived + window {
                sleep(Duration::from_millis(1)).await;
                continue;
            }
            frames.clear();
            for _ in 0..(window / 16) {
                self.type_stamp(tally, &mut frames);
                sent += 1;
            }
            self.socket.write(&frames).await?;
        }
        Ok(sent)
    }

    fn type_stamp(&mut self, tally: &Tally, frames: &mut Vec<u8>) {
        let mut update = vec![1, 1];
        update.extend_from_slice(&self.id);
        write_var_uint(&mut update, self.clock);
        match self.clock.checked_sub(1) {
            // A string with an origin, or the first one of the root.
            Some(origin) => {
                update.push(0x84);
                update.extend_from_slice(&self.id);
                write_var_uint(&mut update, origin);
            }
            None => update.extend_from_slice(b"\x04\x01\x04text"),
        }
        update.push(STAMP_BYTES as u8);
        update.extend_from_slice(format!("{:08x}", stamp(tally.begun)).as_bytes());
        update.push(0);
        self.clock += STAMP_BYTES as u64;
        frame(frames, &[&[0, 2, update.len() as u8], &update]);
    }
}

/// How busy the machine is: figures of a shared one are to be read with it.
fn load() -> String {
    let load = std::fs::read_to_string("/proc/loadavg").unwrap_or_default();
    load.split_whitespace().next().unwrap_or("?").to_owned()
}
