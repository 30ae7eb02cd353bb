//! A TCP server that misbehaves in ways that no real one would on demand.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

/// What the server does with each connection after it has read a request's head.
#[derive(Clone)]
pub enum Fault {
    /// Says nothing, ever.
    Hang,
    /// Sends one byte of the body every so often.
    Trickle(Duration),
    /// Announces a body, sends half and resets the connection.
    ResetMidBody,
    /// Sends bytes without end in chunks.
    EndlessBody,
    /// Exactly these bytes.
    Bytes(Vec<u8>),
    /// Bytes by request path; the first prefix that matches.
    ByPath(Vec<(&'static str, Vec<u8>)>),
}

pub struct FaultServer {
    pub address: SocketAddr,
    heads: Arc<Mutex<Vec<String>>>,
}

impl FaultServer {
    pub async fn start(fault: Fault) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let heads = Arc::new(Mutex::new(Vec::new()));
        let seen = heads.clone();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(answer(stream, fault.clone(), seen.clone()));
            }
        });
        Self { address, heads }
    }

    pub fn url(&self, path: &str) -> url::Url {
        format!("http://{}{path}", self.address).parse().unwrap()
    }

    /// Heads of the requests so far, as they came.
    pub fn heads(&self) -> Vec<String> {
        self.heads.lock().unwrap().clone()
    }
}

/// An answer that closes its connection.
pub fn response(status: &str, headers: &[(&str, &str)], body: &[u8]) -> Vec<u8> {
    let mut head = format!("HTTP/1.1 {status}\r\ncontent-length: {}\r\n", body.len());
    for (name, value) in headers {
        head.push_str(&format!("{name}: {value}\r\n"));
    }
    head.push_str("connection: close\r\n\r\n");
    [head.as_bytes(), body].concat()
}

async fn answer(
    mut stream: TcpStream,
    fault: Fault,
    heads: Arc<Mutex<Vec<String>>>,
) -> std::io::Result<()> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(stream.read_u8().await?);
    }
    let head = String::from_utf8_lossy(&head).into_owned();
    let path = head.split(' ').nth(1).unwrap_or_default().to_owned();
    heads.lock().unwrap().push(head);
    match fault {
        Fault::Hang => std::future::pending::<()>().await,
        Fault::Trickle(pause) => {
            stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 50000\r\n\r\n").await?;
            loop {
                stream.write_all(b"x").await?;
                tokio::time::sleep(pause).await;
            }
        }
        Fault::ResetMidBody => {
            stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\n").await?;
            stream.write_all(&[b'x'; 50]).await?;
            stream.set_zero_linger()?;
        }
        Fault::EndlessBody => {
            stream.write_all(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n").await?;
            let chunk = [b"10000\r\n".as_slice(), &[b'x'; 65536], b"\r\n"].concat();
            loop {
                stream.write_all(&chunk).await?;
            }
        }
        Fault::Bytes(bytes) => stream.write_all(&bytes).await?,
        Fault::ByPath(answers) => {
            let found = answers.iter().find(|(prefix, _)| path.starts_with(prefix));
            stream.write_all(&found.unwrap().1).await?;
        }
    }
    stream.shutdown().await
}
