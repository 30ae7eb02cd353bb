//! Logos of toolkits that a project adds.

use sha2::{Digest, Sha256};

use crate::app::App;
use crate::db::toolkit_logo::{self as table, LogoRow};
use crate::domain::id::ProjectId;
use crate::error::{Error, Result, codes};

/// An image that was checked.
#[derive(Debug, Clone)]
pub struct Logo {
    /// Its bytes.
    pub content: Vec<u8>,
    /// `image/png` or `image/jpeg`.
    pub mime_type: &'static str,
}

impl Logo {
    /// The address at which the image can be had without a key: its digest is part of it, so only those
    /// know it who were shown the toolkit, and it never means another image.
    pub(super) fn url(&self, app: &App, project: &ProjectId, slug: &str) -> String {
        let digest = hex::encode(Sha256::digest(&self.content));
        let root = app.config.public_url.trim_end_matches('/');
        format!("{root}/api/v3.1/custom/toolkits/logos/{project}/{slug}/{digest}")
    }
}

/// Keeps the logo of a toolkit; none: there is none any more.
pub(super) async fn keep(
    app: &App,
    project: &ProjectId,
    slug: &str,
    logo: Option<Logo>,
) -> Result<()> {
    let Some(logo) = logo else { return Ok(table::delete(&app.db, project, slug).await?) };
    let row = LogoRow {
        digest: Sha256::digest(&logo.content).to_vec(),
        mime_type: logo.mime_type.to_owned(),
        content: logo.content,
    };
    Ok(table::put(&app.db, project, slug, &row).await?)
}

/// The image at an address.
///
/// # Errors
/// 404 when it is another one by now, or none.
pub async fn get(app: &App, project: &ProjectId, slug: &str, digest: &str) -> Result<LogoRow> {
    let unknown = || Error::not_found(codes::FILE_NOT_FOUND, "Logo of a toolkit", slug);
    let digest = hex::decode(digest).ok().filter(|digest| digest.len() == 32);
    let digest = digest.ok_or_else(unknown)?;
    table::get(&app.db, project, slug, &digest).await?.ok_or_else(unknown)
}
