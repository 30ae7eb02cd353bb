//! Channels. A project has two; there are no others.

use crate::domain::id::ProjectId;

/// A channel of a project.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Channel {
    /// `private-{project}_triggers`: what SDKs listen to.
    Triggers,
    /// `private-cli-{project}`: what the command line listens to.
    Cli,
}

impl Channel {
    /// Both.
    pub const ALL: [Self; 2] = [Self::Triggers, Self::Cli];

    /// Its name.
    pub fn name(self, project: &ProjectId) -> String {
        match self {
            Self::Triggers => format!("private-{project}_triggers"),
            Self::Cli => format!("private-cli-{project}"),
        }
    }

    /// The channel of that name, if it is one of the project's.
    pub fn of(name: &str, project: &ProjectId) -> Option<Self> {
        Self::ALL.into_iter().find(|channel| channel.name(project) == name)
    }

    /// Its place in a set of channels.
    pub(super) fn bit(self) -> u8 {
        match self {
            Self::Triggers => 1,
            Self::Cli => 2,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_a_channel_of_its_own_project_alone() {
        let (own, other) = (ProjectId::from("pr_a"), ProjectId::from("pr_b"));
        for channel in Channel::ALL {
            assert_eq!(Channel::of(&channel.name(&own), &own), Some(channel));
            assert_eq!(Channel::of(&channel.name(&own), &other), None);
        }
        for name in ["", "pr_a", "pr_a_triggers", "presence-pr_a", "private-pr_a_triggers "] {
            assert_eq!(Channel::of(name, &own), None, "{name}");
        }
    }
}
