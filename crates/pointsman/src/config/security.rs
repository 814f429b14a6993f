//! `[security]`: who may log in, and what is passed on.

use super::reader::Section;

/// `[security]`.
#[derive(Debug)]
pub(crate) struct Security {
    /// Servers may choose the key with which a password is encrypted for them.
    pub(crate) public_key_retrieval: bool,
    /// `COM_REFRESH` and `COM_DEBUG` are passed on.
    pub(crate) admin_commands: bool,
    /// The commands of replicas are passed on.
    pub(crate) binlog_commands: bool,
    pub(crate) auth: Auth,
}

/// Who may log in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Auth {
    /// The users of the list.
    Configured,
    /// These, and whoever a server lets in.
    Passthrough,
}

impl Security {
    pub(super) fn read(mut section: Section<'_>) -> Self {
        let security = Self {
            public_key_retrieval: section.optional("public_key_retrieval", false),
            admin_commands: section.optional("admin_commands", false),
            binlog_commands: section.optional("binlog_commands", false),
            auth: section.optional("auth", Auth::Configured),
        };
        section.finish();
        security
    }
}
