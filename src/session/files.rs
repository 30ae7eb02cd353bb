//! Files that a caller keeps with a session: written and read by signed links, listed and deleted
//! with the project's key, gone with the session.

use axum::body::Bytes;
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};

use crate::app::App;
use crate::db;
use crate::db::session_file::{self, FileContent, FileEntry};
use crate::domain::id::{ProjectId, SessionId};
use crate::domain::session::Session;
use crate::error::{Error, Result, codes};
use crate::storage::link::Link;

/// The only mount of a session.
pub const MOUNT: &str = "files";

/// Where the mount would be in a sandbox.
pub const SANDBOX_PREFIX: &str = "/mnt/files";

/// Most files of a session.
const MAX_FILES: i64 = 10_000;

/// Longest path, and longest name within one, in bytes: what file systems take.
const MAX_PATH: usize = 1024;
const MAX_NAME: usize = 255;

/// Longest media type.
const MAX_MIMETYPE: usize = 200;

/// The type of a file that has none.
pub const OCTETS: &str = "application/octet-stream";

/// Where a file is in the mount: relative, and it leads nowhere else.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MountPath(String);

impl MountPath {
    /// Reads a path; a slash in front of it is the mount's own.
    ///
    /// # Errors
    /// 400 for one that is too long, leaves the mount, or has what no file name has.
    pub fn parse(text: &str) -> Result<Self> {
        let path = text.strip_prefix('/').unwrap_or(text);
        let problem = if path.is_empty() {
            "must name a file"
        } else if path.len() > MAX_PATH {
            "must have at most 1024 bytes"
        } else if path.chars().any(char::is_control) {
            "must have no control characters"
        } else if path.contains('\\') {
            "must separate folders by / and have no \\"
        } else if path.split('/').any(|name| name.len() > MAX_NAME) {
            "must have no name of more than 255 bytes"
        } else if path.split('/').any(|name| matches!(name, "" | "." | "..")) {
            "must have no empty name, no . and no .. in it"
        } else {
            return Ok(Self(path.to_owned()));
        };
        Err(Error::invalid(
            "Invalid mount_relative_path",
            vec![format!("mount_relative_path: {problem}")],
        ))
    }

    /// As [`Self::parse`], for what may be a folder: a slash at the end does not matter.
    ///
    /// # Errors
    /// As [`Self::parse`].
    pub fn parse_any(text: &str) -> Result<Self> {
        Self::parse(text.strip_suffix('/').unwrap_or(text))
    }

    /// The path as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The name of the file.
    pub fn name(&self) -> &str {
        self.0.rsplit('/').next().unwrap_or(&self.0)
    }

    /// The folders that it is in.
    fn folders(&self) -> Vec<String> {
        self.0.match_indices('/').map(|(at, _)| self.0[..at].to_owned()).collect()
    }
}

/// Refuses other mounts than the one there is.
///
/// # Errors
/// 404.
pub fn mount(id: &str) -> Result<()> {
    if id == MOUNT {
        return Ok(());
    }
    Err(Error::not_found(codes::MOUNT_NOT_FOUND, "Mount", id)
        .fix("A session has one mount, `files`"))
}

/// What a link lets its holder do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Act {
    Read,
    Write,
}

/// What the signature of a link covers.
fn parts<'a>(
    act: Act,
    project: &'a ProjectId,
    session: &'a SessionId,
    path: &'a str,
    mimetype: &'a str,
) -> [&'a str; 6] {
    let act = match act {
        Act::Read => "read",
        Act::Write => "write",
    };
    ["session file", act, project.as_str(), session.as_str(), path, mimetype]
}

async fn link(
    app: &App,
    session: &Session,
    act: Act,
    path: &MountPath,
    mimetype: &str,
) -> Result<Link> {
    let (project, id) = (&session.project_id, &session.id);
    let encoded = utf8_percent_encode(path.as_str(), NON_ALPHANUMERIC);
    let mut url = format!("/api/v3/files/session/{project}/{id}?path={encoded}");
    if !mimetype.is_empty() {
        url.push_str("&mimetype=");
        url.extend(utf8_percent_encode(mimetype, NON_ALPHANUMERIC));
    }
    let links = app.files.links();
    links.sign(&url, &parts(act, project, id, path.as_str(), mimetype), links.end()).await
}

/// A link that a file can be written with, again and again until it ends.
///
/// # Errors
/// 400 when the path or the type cannot be, or another file is in the way.
pub async fn upload_link(
    app: &App,
    session: &Session,
    path: &MountPath,
    mimetype: Option<&str>,
) -> Result<Link> {
    let mimetype = mimetype.unwrap_or_default();
    if mimetype.len() > MAX_MIMETYPE || !mimetype.bytes().all(|b| (b' '..=b'~').contains(&b)) {
        return Err(Error::invalid("Invalid mimetype", vec!["mimetype: is none".to_owned()]));
    }
    let mut db = app.db.acquire().await?;
    room(&mut db, &session.project_id, &session.id, path).await?;
    drop(db);
    link(app, session, Act::Write, path, mimetype).await
}

/// A link that a file can be read with.
///
/// # Errors
/// 404 when there is no such file.
pub async fn download_link(app: &App, session: &Session, path: &MountPath) -> Result<Link> {
    if !session_file::exists(&app.db, &session.project_id, &session.id, path.as_str()).await? {
        return Err(no_file(path));
    }
    link(app, session, Act::Read, path, "").await
}

/// What came with a link.
#[derive(Debug, Clone, Copy)]
pub struct Signed<'a> {
    /// The project.
    pub project: &'a ProjectId,
    /// The session.
    pub session: &'a SessionId,
    /// The file.
    pub path: &'a str,
    /// The type of what is written; empty when the link says none.
    pub mimetype: &'a str,
    /// When the link ends.
    pub expires: i64,
    /// Its signature.
    pub signature: &'a str,
}

impl Signed<'_> {
    async fn check(&self, app: &App, act: Act) -> Result<MountPath> {
        let parts = parts(act, self.project, self.session, self.path, self.mimetype);
        if !app.files.links().holds(&parts, self.expires, self.signature).await? {
            return Err(no_link());
        }
        // A link of a session or a project that is gone opens nothing, however long it has to live.
        app.cache.session(self.project, self.session).await?.ok_or_else(no_link)?;
        app.cache.project(self.project).await?.ok_or_else(no_link)?;
        MountPath::parse(self.path)
    }

    /// Whether something may be written with the link. To be asked before anything is read.
    ///
    /// # Errors
    /// 404 for a link that this server did not make, that ended, or whose session is gone.
    pub async fn may_write(&self, app: &App) -> Result<MountPath> {
        self.check(app, Act::Write).await
    }

    /// The file behind the link.
    ///
    /// # Errors
    /// As [`Self::may_write`], and 404 when the file is gone.
    pub async fn read(&self, app: &App) -> Result<(MountPath, FileContent)> {
        let path = self.check(app, Act::Read).await?;
        let file = session_file::get(&app.db, self.project, self.session, path.as_str()).await?;
        Ok((path, file.ok_or_else(no_link)?))
    }
}

/// Writes a file.
///
/// # Errors
/// 400 when another file is in the way, 413 when the session is full, 404 when it is gone.
pub async fn write(
    app: &App,
    project: &ProjectId,
    session: &SessionId,
    path: &MountPath,
    mimetype: &str,
    content: &Bytes,
) -> Result<()> {
    let mut tx = app.db.begin().await?;
    // Also keeps others from writing meanwhile, so that together they do not take more than there is.
    if !db::session::lock(&mut tx, project, session).await? {
        return Err(no_link());
    }
    room(&mut tx, project, session, path).await?;
    let used = session_file::usage(&mut *tx, project, session, path.as_str()).await?;
    let most = app.config.session_files_max_bytes;
    let bytes = u64::try_from(used.bytes).unwrap_or(u64::MAX);
    if used.files >= MAX_FILES || bytes.saturating_add(content.len() as u64) > most {
        return Err(full(most));
    }
    session_file::put(&mut *tx, project, session, path.as_str(), mimetype, content).await?;
    tx.commit().await?;
    Ok(())
}

/// Refuses a path that a file system could not have besides what is there.
async fn room(
    db: &mut sqlx::PgConnection,
    project: &ProjectId,
    session: &SessionId,
    path: &MountPath,
) -> Result<()> {
    let folders = path.folders();
    let found = session_file::in_the_way(db, project, session, path.as_str(), &folders).await?;
    found.map_or(Ok(()), |other| {
        let problem = format!("mount_relative_path: there is a file at `{other}` already");
        Err(Error::invalid("A name cannot be a file and a folder", vec![problem]))
    })
}

/// Files whose path begins with `prefix`, by path, at most `limit`; with the last path of the page
/// when there are more.
///
/// # Errors
/// When the database is away.
pub async fn list(
    app: &App,
    session: &Session,
    prefix: &str,
    after: &str,
    limit: i64,
) -> Result<(Vec<FileEntry>, Option<String>)> {
    let prefix = prefix.strip_prefix('/').unwrap_or(prefix);
    let (project, id) = (&session.project_id, &session.id);
    let mut found = session_file::list(&app.db, project, id, prefix, after, limit + 1).await?;
    let more = found.len() as i64 > limit;
    if more {
        found.pop();
    }
    let last = more.then(|| found.last().map(|file| file.path.clone())).flatten();
    Ok((found, last))
}

/// Deletes a file, or a folder with all that is in it.
///
/// # Errors
/// 404 when there is none.
pub async fn delete(app: &App, session: &Session, path: &MountPath) -> Result<()> {
    let mut db = app.db.acquire().await?;
    let (project, id) = (&session.project_id, &session.id);
    match session_file::delete(&mut db, project, id, path.as_str()).await? {
        0 => Err(no_file(path)),
        _ => Ok(()),
    }
}

fn no_file(path: &MountPath) -> Error {
    Error::not_found(codes::FILE_NOT_FOUND, "File", path.as_str())
        .fix("GET …/mounts/files/items lists the session's files")
}

/// One answer for whatever is wrong with a link, so that nothing can be tried out.
fn no_link() -> Error {
    Error::new(codes::FILE_NOT_FOUND, "There is no such file, or the link to it has ended")
        .fix("Ask for a new link with the session's id and the project's key")
}

fn full(most: u64) -> Error {
    Error::new(
        codes::SESSION_FILES_FULL,
        format!("The session would have more than {MAX_FILES} files, or more than {most} bytes"),
    )
    .fix("Delete files of the session, or raise session_files_max_bytes")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_stays_in_the_mount() {
        for (given, path) in [
            ("report.pdf", "report.pdf"),
            ("/output/report.pdf", "output/report.pdf"),
            ("a b/ä…/.hidden", "a b/ä…/.hidden"),
            ("...", "..."),
        ] {
            assert_eq!(MountPath::parse(given).unwrap().as_str(), path);
        }
        let long = "a/".repeat(512) + "a";
        let name = "a".repeat(256);
        for wrong in [
            "", "/", "//a", "a//b", "a/", "..", "../a", "a/../b", "a/..", "./a", "a/.", "a\\b",
            "a\nb", "a\u{0}", "a\u{7f}", "a\u{85}b", &long, &name,
        ] {
            assert!(MountPath::parse(wrong).is_err(), "{wrong:?}");
        }
        assert_eq!(MountPath::parse_any("a/b/").unwrap().as_str(), "a/b");
        assert!(MountPath::parse_any("/").is_err());
        assert!(MountPath::parse_any("a//").is_err());
    }

    #[test]
    fn a_path_knows_its_name_and_its_folders() {
        let path = MountPath::parse("a/b/c.txt").unwrap();
        assert_eq!(
            (path.name(), path.folders()),
            ("c.txt", vec!["a".to_owned(), "a/b".to_owned()])
        );
        assert_eq!(MountPath::parse("c.txt").unwrap().folders(), Vec::<String>::new());
    }
}
