//! Runs the program as an operator would.

use std::io::{BufRead, BufReader, Read};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};

use crate::support::client::TestClient;

/// Longest wait for anything; only a bug makes a test wait that long.
const PATIENCE: Duration = Duration::from_secs(60);

/// A data directory that goes away with the test.
pub struct Home {
    folder: tempfile::TempDir,
}

impl Home {
    pub fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        // Root's database runs as another user, who must get through.
        std::fs::set_permissions(folder.path(), std::fs::Permissions::from_mode(0o755)).unwrap();
        Self { folder }
    }

    pub fn path(&self) -> &Path {
        self.folder.path()
    }

    pub fn data_dir(&self) -> PathBuf {
        self.folder.path().join("data")
    }

    /// The program with this data directory, a free port, and nothing else of the environment.
    pub fn command(&self, settings: &[(&str, &str)]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_patchbay"));
        command
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap())
            .env("PATCHBAY_DATA_DIR", self.data_dir())
            .env("PATCHBAY_LISTEN", "127.0.0.1:0")
            .envs(settings.iter().copied())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        command
    }

    /// Starts the server and waits until it says that it is ready.
    pub fn start(&self, settings: &[(&str, &str)]) -> Server {
        Server::spawn(self.command(settings))
    }

    /// Runs a start that must fail; gives the exit code and what it said.
    pub fn refused(&self, settings: &[(&str, &str)]) -> (i32, String) {
        let output = self.command(settings).output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(!output.status.success(), "it started: {said}");
        (output.status.code().unwrap(), said)
    }

    pub fn file(&self, name: &str) -> String {
        std::fs::read_to_string(self.data_dir().join(name)).unwrap().trim().to_owned()
    }

    /// Processes whose command line names this data directory: the database's.
    pub fn processes(&self) -> Vec<String> {
        let needle = self.path().display().to_string();
        let commands: Vec<String> = match std::fs::read_dir("/proc") {
            Ok(entries) => entries
                .flatten()
                .filter_map(|e| std::fs::read(e.path().join("cmdline")).ok())
                .map(|bytes| String::from_utf8_lossy(&bytes).replace('\0', " "))
                .collect(),
            Err(_) => {
                let output = Command::new("ps").args(["-A", "-ww", "-o", "command="]).output();
                let text = String::from_utf8_lossy(&output.unwrap().stdout).into_owned();
                text.lines().map(str::to_owned).collect()
            }
        };
        commands.into_iter().filter(|c| c.contains(&needle)).collect()
    }

    /// Waits until no process uses this data directory any more.
    pub fn wait_until_quiet(&self) {
        for _ in 0..PATIENCE.as_millis() / 20 {
            if self.processes().is_empty() {
                return;
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        panic!("still there: {:?}", self.processes());
    }
}

/// A running server; killed when dropped.
pub struct Server {
    child: Child,
    output: Receiver<String>,
    /// What it printed until it was ready.
    pub greeting: String,
    /// Its address.
    pub address: std::net::SocketAddr,
}

impl Server {
    pub fn spawn(mut command: Command) -> Self {
        let mut child = command.spawn().unwrap();
        let mut stderr = child.stderr.take().unwrap();
        let said = std::thread::spawn(move || {
            let mut text = String::new();
            let _ = stderr.read_to_string(&mut text);
            text
        });
        let stdout = child.stdout.take().unwrap();
        let (sender, output) = channel();
        std::thread::spawn(move || {
            for line in BufReader::new(stdout).lines().map_while(Result::ok) {
                let _ = sender.send(line);
            }
        });
        let mut greeting = String::new();
        let address = loop {
            match output.recv_timeout(PATIENCE) {
                Ok(line) => {
                    greeting.push_str(&line);
                    greeting.push('\n');
                    if let Some(url) = line.strip_prefix("Patchbay is ready on http://") {
                        break url.parse().unwrap();
                    }
                }
                Err(_) => {
                    let _ = child.kill();
                    panic!("it did not start: {greeting}\n{}", said.join().unwrap());
                }
            }
        };
        Self { child, output, greeting, address }
    }

    pub fn signal(&self, signal: Signal) {
        let pid = Pid::from_raw(i32::try_from(self.child.id()).unwrap()).unwrap();
        kill_process(pid, signal).unwrap();
    }

    pub fn wait(mut self) -> ExitStatus {
        let status = self.child.wait().unwrap();
        // Nothing but the greeting goes to standard output.
        assert_eq!(self.output.try_iter().count(), 0);
        status
    }

    /// Stops it as a service manager does.
    pub fn stop(self) {
        self.signal(Signal::TERM);
        let status = self.wait();
        assert!(status.success(), "{status}");
    }

    /// Stops it as the kernel does when memory is short.
    pub fn kill(self) {
        self.signal(Signal::KILL);
        self.wait();
    }

    pub fn client(&self, key: &str) -> TestClient {
        TestClient::new(self.address).header("x-api-key", key)
    }

    pub fn org_client(&self, key: &str) -> TestClient {
        TestClient::new(self.address).header("x-org-api-key", key)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
