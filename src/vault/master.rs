//! Master keys: where they come from, and which ones are at hand.
//!
//! The first key of the source is the one that the operator wants in use; all others only open.
//! A file or a command can give several, one per line, and is read again when something is met
//! that is sealed with a key that is not at hand.

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail};
use arc_swap::ArcSwap;
use secrecy::{ExposeSecret, SecretString};
use tokio::io::AsyncReadExt;
use zeroize::Zeroizing;

use super::seal::{Key, MasterId};

/// How long a command may take.
const COMMAND_PATIENCE: Duration = Duration::from_secs(30);

/// Most bytes that are read from a file or command.
const MAX_BYTES: u64 = 64 * 1024;

/// A source that lacked a key is not read again before this time.
const READ_AGAIN_AFTER: Duration = Duration::from_secs(2);

/// Where the master keys come from.
#[derive(Debug, Clone)]
pub enum KeySource {
    /// A setting.
    Setting(SecretString),
    /// A file.
    File(PathBuf),
    /// Program and arguments whose output they are.
    Command(Vec<String>),
}

impl KeySource {
    /// What the operator calls it.
    pub fn place(&self) -> String {
        match self {
            Self::Setting(_) => "PATCHBAY_ENCRYPTION_KEY".to_owned(),
            Self::File(path) => path.display().to_string(),
            Self::Command(_) => "the output of PATCHBAY_ENCRYPTION_KEY_COMMAND".to_owned(),
        }
    }

    async fn read(&self) -> anyhow::Result<Vec<Key>> {
        let text = match self {
            Self::Setting(text) => Zeroizing::new(text.expose_secret().to_owned()),
            Self::File(path) => read_file(path).await?,
            Self::Command(words) => run(words, COMMAND_PATIENCE).await?,
        };
        parse(&text).with_context(|| self.place())
    }
}

/// One key per line, the one to use first.
fn parse(text: &str) -> anyhow::Result<Vec<Key>> {
    let lines = text.lines().map(str::trim).filter(|l| !l.is_empty() && !l.starts_with('#'));
    let keys = lines
        .enumerate()
        .map(|(i, line)| {
            Key::parse(line).with_context(|| {
                format!("key {} is not an encryption key: 32 bytes in base64 or hex", i + 1)
            })
        })
        .collect::<anyhow::Result<Vec<Key>>>()?;
    if keys.is_empty() {
        bail!("there is no encryption key in it");
    }
    Ok(keys)
}

async fn read_all(
    reader: impl tokio::io::AsyncRead + Unpin,
) -> std::io::Result<Zeroizing<Vec<u8>>> {
    // Of full size from the start: growing would leave copies behind.
    let mut bytes = Zeroizing::new(Vec::with_capacity(MAX_BYTES as usize + 1));
    reader.take(MAX_BYTES + 1).read_to_end(&mut bytes).await?;
    Ok(bytes)
}

fn into_text(bytes: &[u8]) -> anyhow::Result<Zeroizing<String>> {
    if bytes.len() as u64 > MAX_BYTES {
        bail!("more than {MAX_BYTES} bytes are no encryption key");
    }
    // The error of the conversion would hold the bytes.
    let text = std::str::from_utf8(bytes).ok().context("this is not text")?;
    Ok(Zeroizing::new(text.to_owned()))
}

async fn read_file(path: &Path) -> anyhow::Result<Zeroizing<String>> {
    let place = path.display();
    let file = tokio::fs::File::open(path).await.with_context(|| format!("cannot read {place}"))?;
    let bytes = read_all(file).await.with_context(|| format!("cannot read {place}"))?;
    into_text(&bytes).with_context(|| place.to_string())
}

/// Runs a command without a shell and gives what it prints. What it says on standard error is
/// dropped: it may hold secrets of the key store.
async fn run(words: &[String], patience: Duration) -> anyhow::Result<Zeroizing<String>> {
    const WHAT: &str = "PATCHBAY_ENCRYPTION_KEY_COMMAND";
    let (program, arguments) =
        words.split_first().with_context(|| format!("{WHAT}: no program"))?;
    let mut command = tokio::process::Command::new(program);
    command.args(arguments).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null());
    // A group of its own, to end all of it; and none of this server's secrets.
    command.process_group(0).kill_on_drop(true);
    for name in crate::config::own_variables() {
        command.env_remove(name);
    }
    let mut child = command.spawn().with_context(|| format!("{WHAT}: cannot run {program}"))?;
    let group = child.id().and_then(|id| rustix::process::Pid::from_raw(id.try_into().ok()?));
    let output = child.stdout.take().with_context(|| format!("{WHAT}: no output"))?;
    let done = tokio::time::timeout(patience, async {
        let bytes = read_all(output).await?;
        Ok::<_, std::io::Error>((bytes, child.wait().await?))
    })
    .await;
    let Ok(done) = done else {
        if let Some(group) = group {
            let _ = rustix::process::kill_process_group(group, rustix::process::Signal::KILL);
        }
        bail!("{WHAT}: {program} took longer than {} seconds", patience.as_secs());
    };
    let (bytes, status) = done.with_context(|| format!("{WHAT}: {program}"))?;
    if !status.success() {
        bail!("{WHAT}: {program} failed ({status}); run it by hand to see why");
    }
    into_text(&bytes).with_context(|| WHAT.to_owned())
}

/// The master keys that are at hand.
pub struct Masters {
    source: KeySource,
    previous: Vec<SecretString>,
    keys: ArcSwap<Vec<Arc<Key>>>,
    read_at: tokio::sync::Mutex<Instant>,
}

impl std::fmt::Debug for Masters {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Masters").field("keys", &self.keys.load()).finish_non_exhaustive()
    }
}

impl Masters {
    /// Reads the keys; `previous` ones are known besides those of the source.
    ///
    /// # Errors
    /// When the source gives no key, in words for the operator.
    pub async fn read(source: KeySource, previous: &[SecretString]) -> anyhow::Result<Self> {
        let keys = all(&source, previous).await?;
        Ok(Self {
            source,
            previous: previous.to_vec(),
            keys: ArcSwap::from_pointee(keys),
            read_at: tokio::sync::Mutex::new(Instant::now()),
        })
    }

    /// One key, given.
    pub fn one(key: Key, text: SecretString) -> Self {
        Self {
            source: KeySource::Setting(text),
            previous: Vec::new(),
            keys: ArcSwap::from_pointee(vec![Arc::new(key)]),
            read_at: tokio::sync::Mutex::new(Instant::now()),
        }
    }

    /// What the operator calls their source.
    pub fn place(&self) -> String {
        self.source.place()
    }

    /// The source.
    pub fn source(&self) -> &KeySource {
        &self.source
    }

    /// The key that the operator wants in use.
    pub fn wanted(&self) -> Arc<Key> {
        // Never empty: every way to make the list refuses that.
        self.keys.load()[0].clone()
    }

    /// The key with this id, if it is at hand.
    pub fn get(&self, id: MasterId) -> Option<Arc<Key>> {
        self.keys.load().iter().find(|key| key.id() == id).cloned()
    }

    /// Ids of all that are at hand.
    pub fn ids(&self) -> Vec<MasterId> {
        self.keys.load().iter().map(|key| key.id()).collect()
    }

    /// The key with this id; reads the source again when it is not at hand, unless that was
    /// just done.
    pub async fn find(&self, id: MasterId) -> Option<Arc<Key>> {
        if let Some(key) = self.get(id) {
            return Some(key);
        }
        if matches!(self.source, KeySource::Setting(_)) {
            return None;
        }
        let mut read_at = self.read_at.lock().await;
        if let Some(key) = self.get(id) {
            return Some(key);
        }
        if read_at.elapsed() < READ_AGAIN_AFTER {
            return None;
        }
        if let Err(error) = self.read_again().await {
            tracing::error!("the encryption keys could not be read again: {error:#}");
        }
        *read_at = Instant::now();
        self.get(id)
    }

    /// Reads the source now.
    ///
    /// # Errors
    /// As [`Masters::read`]; the keys at hand stay.
    pub async fn read_again(&self) -> anyhow::Result<()> {
        let keys = all(&self.source, &self.previous).await?;
        self.keys.store(Arc::new(keys));
        Ok(())
    }
}

async fn all(source: &KeySource, previous: &[SecretString]) -> anyhow::Result<Vec<Arc<Key>>> {
    let mut keys = source.read().await?;
    for text in previous {
        let key = Key::parse(text.expose_secret())
            .context("PATCHBAY_PREVIOUS_ENCRYPTION_KEYS: not an encryption key")?;
        keys.push(key);
    }
    Ok(keys.into_iter().map(Arc::new).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(command: &[&str]) -> Vec<String> {
        command.iter().map(|w| (*w).to_owned()).collect()
    }

    #[test]
    fn the_first_line_is_the_key_to_use_and_wrong_lines_are_not_repeated() {
        let (a, b) = (hex::encode([1; 32]), hex::encode([2; 32]));
        let keys = parse(&format!("# since May\n{a}\n\n  {b}  \n")).unwrap();
        assert_eq!(keys.len(), 2);
        assert_eq!(keys[0].bytes(), &[1; 32]);
        let wrong = format!("{:#}", parse(&format!("{a}\nhunter2hunter2")).unwrap_err());
        assert!(wrong.contains("key 2") && !wrong.contains("hunter2"), "{wrong}");
        assert!(parse("\n# nothing\n").is_err());
    }

    #[tokio::test]
    async fn a_command_gives_keys_without_a_shell() {
        let key = hex::encode([3; 32]);
        let text = run(&words(&["/bin/echo", &key, "$HOME; rm"]), COMMAND_PATIENCE).await.unwrap();
        assert_eq!(text.trim(), format!("{key} $HOME; rm"), "nothing is expanded");
        let source = KeySource::Command(words(&["/bin/echo", &key]));
        assert_eq!(Masters::read(source, &[]).await.unwrap().wanted().bytes(), &[3; 32]);
    }

    #[tokio::test]
    async fn a_command_that_fails_or_hangs_is_named_without_what_it_said() {
        let secret = "token-0123456789";
        let script = format!("echo {secret}; echo {secret} >&2; exit 3");
        let error = run(&words(&["/bin/sh", "-c", &script]), COMMAND_PATIENCE).await.unwrap_err();
        let text = format!("{error:#}");
        assert!(text.contains("exit status: 3") && !text.contains(secret), "{text}");
        let hangs = words(&["/bin/sh", "-c", "sleep 600 & sleep 600"]);
        let error = run(&hangs, Duration::from_millis(50)).await.unwrap_err();
        assert!(error.to_string().contains("took longer"), "{error}");
        let error = run(&words(&["/does/not/exist"]), COMMAND_PATIENCE).await.unwrap_err();
        assert!(error.to_string().contains("cannot run /does/not/exist"), "{error}");
        let endless = words(&["/bin/sh", "-c", "yes"]);
        assert!(run(&endless, COMMAND_PATIENCE).await.is_err());
    }

    #[tokio::test]
    async fn a_file_is_read_again_for_a_key_that_is_not_at_hand() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("keys");
        let (a, b) = (hex::encode([1; 32]), hex::encode([2; 32]));
        std::fs::write(&path, &a).unwrap();
        let masters = Masters::read(KeySource::File(path.clone()), &[]).await.unwrap();
        let wanted = Key::parse(&b).unwrap().id();
        std::fs::write(&path, format!("{b}\n{a}\n")).unwrap();
        assert!(masters.find(wanted).await.is_none(), "it was read a moment ago");
        *masters.read_at.lock().await = Instant::now() - READ_AGAIN_AFTER;
        assert!(masters.find(wanted).await.is_some());
        assert_eq!(masters.wanted().id(), wanted);
        std::fs::write(&path, "broken").unwrap();
        assert!(masters.read_again().await.is_err());
        assert!(masters.get(wanted).is_some(), "what is at hand stays");
        assert!(!format!("{masters:?}").contains(&a));
    }
}
