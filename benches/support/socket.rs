//! Owns a y-websocket client that costs as little as possible: it reads frames by their headers
//! and decodes nothing.

use std::cell::RefCell;
use std::io;
use std::net::SocketAddr;

use anyhow::Context;
use parking_lot::Mutex;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

const READ_BYTES: usize = 256 * 1024;

thread_local! {
    static BUFFER: RefCell<Vec<u8>> = RefCell::new(vec![0; READ_BYTES]);
}

/// A client of one room.
pub struct Socket {
    stream: TcpStream,
    /// The beginning of a frame whose end has not come.
    rest: Mutex<Vec<u8>>,
}

impl Socket {
    /// Connects, shakes hands and asks for all that the room has.
    pub async fn open(address: SocketAddr, room: &str) -> anyhow::Result<Self> {
        let mut stream = TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        let head = format!(
            "GET /ws/{room} HTTP/1.1\r\nHost: {address}\r\nConnection: Upgrade\r\n\
             Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\n\
             Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
        );
        stream.write_all(head.as_bytes()).await?;
        let mut answer = Vec::new();
        while !answer.ends_with(b"\r\n\r\n") {
            answer.push(stream.read_u8().await?);
        }
        anyhow::ensure!(answer.starts_with(b"HTTP/1.1 101 "), "no upgrade");
        let mut everything = Vec::new();
        frame(&mut everything, &[&[0, 0, 1, 0]]);
        stream.write_all(&everything).await?;
        Ok(Self {
            stream,
            rest: Mutex::default(),
        })
    }

    /// Waits until all that the room has is here; answers how many bytes that was.
    pub async fn synced(&self) -> anyhow::Result<usize> {
        let (mut is_synced, mut bytes) = (false, 0);
        while !is_synced {
            let read = |message: &[u8]| {
                bytes += message.len();
                is_synced |= message.starts_with(&[0, 1]);
            };
            self.read(read).await.context("sync")?;
        }
        Ok(bytes)
    }

    /// Writes frames that were made with [`frame`].
    pub async fn write(&self, mut frames: &[u8]) -> io::Result<()> {
        while !frames.is_empty() {
            self.stream.writable().await?;
            match self.stream.try_write(frames) {
                Ok(count) => frames = &frames[count..],
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    /// Waits until something comes, and hands over each message that is whole.
    pub async fn read(&self, mut each: impl FnMut(&[u8])) -> io::Result<()> {
        self.stream.readable().await?;
        BUFFER.with_borrow_mut(|buffer| {
            let mut rest = self.rest.lock();
            let begin = rest.len();
            if buffer.len() < begin + READ_BYTES {
                buffer.resize(begin + READ_BYTES, 0);
            }
            buffer[..begin].copy_from_slice(&rest);
            let count = match self.stream.try_read(&mut buffer[begin..]) {
                Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
                Ok(count) => count,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(()),
                Err(error) => return Err(error),
            };
            let mut unread = &buffer[..begin + count];
            while let Some((message, after)) = split(unread) {
                each(message);
                unread = after;
            }
            rest.clear();
            rest.extend_from_slice(unread);
            Ok(())
        })
    }
}

/// The first message, if it is whole, and what follows it. A server's frames are not masked.
fn split(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let [_, length, after @ ..] = bytes else {
        return None;
    };
    let (length, after) = match length {
        126 => {
            let (length, after) = after.split_first_chunk()?;
            (usize::from(u16::from_be_bytes(*length)), after)
        }
        127 => {
            let (length, after) = after.split_first_chunk()?;
            (u64::from_be_bytes(*length) as usize, after)
        }
        length => (usize::from(*length), after),
    };
    after.split_at_checked(length)
}

/// Adds a client's frame. Its mask is zero: the bytes are as they are.
pub fn frame(out: &mut Vec<u8>, parts: &[&[u8]]) {
    let length: usize = parts.iter().map(|part| part.len()).sum();
    out.push(0x82);
    match u16::try_from(length) {
        Ok(length) if length < 126 => out.push(0x80 | length as u8),
        Ok(length) => {
            out.push(0x80 | 126);
            out.extend_from_slice(&length.to_be_bytes());
        }
        Err(_) => {
            out.push(0x80 | 127);
            out.extend_from_slice(&(length as u64).to_be_bytes());
        }
    }
    out.extend_from_slice(&[0; 4]);
    for part in parts {
        out.extend_from_slice(part);
    }
}
