//! A provider whose behaviour changes on demand.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use crate::net::fault::response;

/// What the provider does with a request.
#[derive(Clone, Debug)]
pub enum Mode {
    /// A JSON object.
    Good,
    /// Nothing, ever.
    Hang,
    /// One byte every so often.
    Trickle,
    /// Half an answer, then a reset.
    Reset,
    /// Bytes without end.
    Endless,
    /// Exactly these bytes.
    Bytes(Vec<u8>),
    /// The request's own head and body, as text.
    Echo,
}

/// Head and body of a request.
#[derive(Clone, Debug)]
pub struct Seen {
    pub head: String,
    pub body: String,
}

impl Seen {
    /// The target of the request line.
    pub fn target(&self) -> &str {
        self.head.split(' ').nth(1).unwrap()
    }

    /// The values of a header.
    pub fn header(&self, name: &str) -> Vec<&str> {
        let lines = self.head.lines().filter_map(|line| line.split_once(": "));
        lines.filter(|(known, _)| known.eq_ignore_ascii_case(name)).map(|(_, v)| v).collect()
    }
}

pub struct Provider {
    pub address: SocketAddr,
    mode: Arc<Mutex<Mode>>,
    seen: Arc<Mutex<Vec<Seen>>>,
}

impl Provider {
    pub async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let mode = Arc::new(Mutex::new(Mode::Good));
        let seen: Arc<Mutex<Vec<Seen>>> = Arc::default();
        let (now, log) = (mode.clone(), seen.clone());
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(answer(stream, now.clone(), log.clone()));
            }
        });
        Self { address, mode, seen }
    }

    pub fn set(&self, mode: Mode) {
        *self.mode.lock().unwrap() = mode;
    }

    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// What came since the last call.
    pub fn take(&self) -> Vec<Seen> {
        std::mem::take(&mut *self.seen.lock().unwrap())
    }
}

async fn answer(
    mut stream: TcpStream,
    mode: Arc<Mutex<Mode>>,
    log: Arc<Mutex<Vec<Seen>>>,
) -> std::io::Result<()> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(stream.read_u8().await?);
    }
    let head = String::from_utf8_lossy(&head).into_owned();
    let mut seen = Seen { head, body: String::new() };
    let length = seen.header("content-length").first().and_then(|v| v.parse().ok()).unwrap_or(0);
    let mut body = vec![0; length];
    stream.read_exact(&mut body).await?;
    seen.body = String::from_utf8_lossy(&body).into_owned();
    let text = format!("{}{}", seen.head, seen.body);
    log.lock().unwrap().push(seen);
    let json = [("content-type", "application/json")];
    let mode = mode.lock().unwrap().clone();
    match mode {
        Mode::Good => stream.write_all(&response("200 OK", &json, br#"{"fine": true}"#)).await?,
        Mode::Hang => std::future::pending::<()>().await,
        Mode::Trickle => {
            stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 50000\r\n\r\n").await?;
            loop {
                stream.write_all(b" ").await?;
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        }
        Mode::Reset => {
            stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\n{\"half").await?;
            stream.flush().await?;
            stream.set_zero_linger()?;
            return Ok(());
        }
        Mode::Endless => {
            stream.write_all(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n").await?;
            let chunk = [b"10000\r\n".as_slice(), &[b'x'; 65536], b"\r\n"].concat();
            loop {
                stream.write_all(&chunk).await?;
            }
        }
        Mode::Bytes(bytes) => stream.write_all(&bytes).await?,
        Mode::Echo => {
            let body = serde_json::json!({ "message": text }).to_string();
            stream.write_all(&response("400 Bad Request", &json, body.as_bytes())).await?;
        }
    }
    stream.shutdown().await
}
