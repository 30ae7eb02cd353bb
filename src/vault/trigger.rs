//! Sealing what triggers and webhooks keep secret.

use serde_json::{Map, Value};

use super::{Context, Vault};
use crate::db::webhook_subscription::SubscriptionRow;
use crate::domain::id::{EndpointId, ProjectId, SubscriptionId, TriggerId};
use crate::domain::secret::{ExposeSecret, SecretString};
use crate::domain::webhook::{Subscription, Version};
use crate::error::{Error, Result};

fn trigger<'a>(project: &'a ProjectId, id: &'a TriggerId) -> Context<'a> {
    Context { column: "trigger_instance.secrets", project: project.as_str(), row: id.as_str() }
}

fn endpoint<'a>(project: &'a ProjectId, id: &'a EndpointId) -> Context<'a> {
    Context { column: "webhook_endpoint.data", project: project.as_str(), row: id.as_str() }
}

fn subscription<'a>(project: &'a ProjectId, id: &'a SubscriptionId) -> Context<'a> {
    Context { column: "webhook_subscription.secret", project: project.as_str(), row: id.as_str() }
}

impl Vault {
    /// Seals the secrets of a trigger instance.
    ///
    /// # Errors
    /// As [`Vault::seal`].
    pub async fn seal_trigger(
        &self,
        project: &ProjectId,
        id: &TriggerId,
        secrets: &Map<String, Value>,
    ) -> Result<Vec<u8>> {
        self.seal_map(trigger(project, id), secrets).await
    }

    /// Opens the secrets of a trigger instance.
    ///
    /// # Errors
    /// As [`Vault::open`].
    pub async fn open_trigger(
        &self,
        project: &ProjectId,
        id: &TriggerId,
        sealed: &[u8],
    ) -> Result<Map<String, Value>> {
        self.open_map(trigger(project, id), sealed).await
    }

    /// Seals what belongs to a webhook endpoint.
    ///
    /// # Errors
    /// As [`Vault::seal`].
    pub async fn seal_endpoint(
        &self,
        project: &ProjectId,
        id: &EndpointId,
        data: &Map<String, Value>,
    ) -> Result<Vec<u8>> {
        self.seal_map(endpoint(project, id), data).await
    }

    /// Opens what belongs to a webhook endpoint.
    ///
    /// # Errors
    /// As [`Vault::open`].
    pub async fn open_endpoint(
        &self,
        project: &ProjectId,
        id: &EndpointId,
        sealed: &[u8],
    ) -> Result<Map<String, Value>> {
        self.open_map(endpoint(project, id), sealed).await
    }

    /// Seals the secret that signs what a subscription is sent.
    ///
    /// # Errors
    /// As [`Vault::seal`].
    pub async fn seal_subscription(
        &self,
        project: &ProjectId,
        id: &SubscriptionId,
        secret: &SecretString,
    ) -> Result<Vec<u8>> {
        self.seal(subscription(project, id), secret.expose_secret().as_bytes()).await
    }

    /// Opens the secret that signs what a subscription is sent.
    ///
    /// # Errors
    /// As [`Vault::open`].
    pub async fn open_subscription(
        &self,
        project: &ProjectId,
        id: &SubscriptionId,
        sealed: &[u8],
    ) -> Result<SecretString> {
        let plain = self.open(subscription(project, id), sealed).await?;
        Ok(String::from_utf8_lossy(&plain).into_owned().into())
    }

    /// Opens a webhook subscription.
    ///
    /// # Errors
    /// As [`Vault::open`].
    pub async fn open_webhook_subscription(&self, row: SubscriptionRow) -> Result<Subscription> {
        let secret = self.open_subscription(&row.project_id, &row.id, &row.secret).await?;
        Ok(Subscription {
            url: row.webhook_url.parse().map_err(|_| Error::internal("a stored URL is none"))?,
            version: Version::parse(&row.version).unwrap_or_default(),
            is_enabled: row.disabled_at.is_none(),
            project_id: row.project_id,
            id: row.id,
            secret,
        })
    }
}
