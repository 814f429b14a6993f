//! `[security]`: who may log in, and what is passed on.

use frontend::Plugin;

use super::reader::Section;

/// `[security]`.
#[allow(clippy::struct_excessive_bools, reason = "independent switches")]
#[derive(Debug)]
pub(crate) struct Security {
    /// Servers may choose the key with which a password is encrypted for them.
    pub(crate) public_key_retrieval: bool,
    /// `COM_REFRESH` and `COM_DEBUG` are passed on.
    pub(crate) admin_commands: bool,
    /// The commands of replicas are passed on.
    pub(crate) binlog_commands: bool,
    pub(crate) auth: Auth,
    /// The servers are told where each client is.
    pub(crate) server_proxy_protocol: bool,
    pub(crate) default_auth_plugin: AuthPlugin,
}

/// The plugin of the greeting.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Deserialize, serde::Serialize)]
pub(crate) enum AuthPlugin {
    /// That of the servers' kind.
    #[serde(rename = "auto")]
    Auto,
    #[serde(rename = "caching_sha2_password")]
    CachingSha2,
    #[serde(rename = "mysql_native_password")]
    Native,
}

impl AuthPlugin {
    /// `None`: that of the servers' kind.
    pub(crate) fn plugin(self) -> Option<Plugin> {
        match self {
            Self::Auto => None,
            Self::CachingSha2 => Some(Plugin::CachingSha2),
            Self::Native => Some(Plugin::Native),
        }
    }
}

/// Who may log in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Deserialize, serde::Serialize)]
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
            server_proxy_protocol: section.optional("server_proxy_protocol", false),
            default_auth_plugin: section.optional("default_auth_plugin", AuthPlugin::Auto),
        };
        section.finish();
        security
    }
}
