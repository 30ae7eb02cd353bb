//! A provider that does not answer, and sees how its caller leaves.

use std::net::SocketAddr;

use tokio::io::AsyncReadExt;
use tokio::net::TcpListener;
use tokio::sync::mpsc;

use crate::support::TestApp;

/// What happened to a connection.
#[derive(Debug, PartialEq, Eq)]
pub enum Event {
    /// A request arrived.
    Asked,
    /// The caller closed the connection.
    Left,
}

pub struct Slow {
    pub events: mpsc::UnboundedReceiver<Event>,
    toolkits: tempfile::TempDir,
}

const TOOLKIT: &str = r#"
spec: 1
slug: slow
name: Slow
description: A provider that never answers.
versions: ["20260101_00"]
base_url: http://PROVIDER
auth:
  - scheme: NO_AUTH
"#;
const TOOLS: &str = r#"
tools:
  - slug: SLOW_WAIT
    name: Wait
    description: Waits.
    hints: {read_only: true}
    request: {method: GET, path: /wait}
"#;

impl Slow {
    pub async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address: SocketAddr = listener.local_addr().unwrap();
        let (tell, events) = mpsc::unbounded_channel();
        tokio::spawn(async move {
            while let Ok((mut socket, _)) = listener.accept().await {
                let tell = tell.clone();
                tokio::spawn(async move {
                    let mut read = Vec::new();
                    let mut asked = false;
                    let mut chunk = [0u8; 4096];
                    loop {
                        match socket.read(&mut chunk).await {
                            Ok(0) | Err(_) => break,
                            Ok(count) => read.extend_from_slice(&chunk[..count]),
                        }
                        if !asked && read.windows(4).any(|end| end == b"\r\n\r\n") {
                            asked = true;
                            let _ = tell.send(Event::Asked);
                        }
                    }
                    let _ = tell.send(Event::Left);
                });
            }
        });
        let toolkits = tempfile::tempdir().unwrap();
        let folder = toolkits.path().join("slow");
        std::fs::create_dir_all(folder.join("tools")).unwrap();
        let toolkit = TOOLKIT.replace("PROVIDER", &address.to_string());
        std::fs::write(folder.join("toolkit.yaml"), toolkit).unwrap();
        std::fs::write(folder.join("tools/all.yaml"), TOOLS).unwrap();
        Self { events, toolkits }
    }

    pub async fn app(&self) -> TestApp {
        TestApp::with(&[
            ("PATCHBAY_TOOLKITS_DIR", self.toolkits.path().to_str().unwrap()),
            ("PATCHBAY_OUTBOUND_READ_TIMEOUT_S", "300"),
            ("PATCHBAY_OUTBOUND_TIMEOUT_S", "300"),
        ])
        .await
    }

    pub async fn next(&mut self) -> Event {
        self.events.recv().await.unwrap()
    }
}
