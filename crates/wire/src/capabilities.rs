//! The capabilities that the two ends of a connection agreed on, and the status of a session in every OK and EOF packet.
//!
//! Sources: MySQL `group__group__cs__capabilities__flags` and `mysql_com.h`; MariaDB "Connection" (capabilities) and
//! "`OK_Packet`" (status flags). Bits that neither names are kept as they came.

bitflags::bitflags! {
    /// Capability flags of a client or a server: the protocol's 32 bits, and MariaDB's extended 32 above them.
    ///
    /// MariaDB's half exists only where [`Capabilities::LONG_PASSWORD`] is absent: MariaDB calls that bit `CLIENT_MYSQL` and
    /// clears it to say "I am not MySQL".
    #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
    pub struct Capabilities: u64 {
        /// MySQL: assumed since 4.1.1. MariaDB: `CLIENT_MYSQL`, the peer has no extended capabilities.
        const LONG_PASSWORD = 1;
        /// `affected_rows` counts the rows that matched, not those that changed.
        const FOUND_ROWS = 1 << 1;
        /// Longer column flags. Always on.
        const LONG_FLAG = 1 << 2;
        /// The login names a schema.
        const CONNECT_WITH_DB = 1 << 3;
        /// `schema.table.column` is refused.
        const NO_SCHEMA = 1 << 4;
        /// zlib compression after the login.
        const COMPRESS = 1 << 5;
        /// ODBC behaviour; unused by servers since 3.22.
        const ODBC = 1 << 6;
        /// The client can answer LOAD DATA LOCAL.
        const LOCAL_FILES = 1 << 7;
        /// Spaces may stand before a function's parenthesis.
        const IGNORE_SPACE = 1 << 8;
        /// The protocol since 4.1. Nothing else is spoken here.
        const PROTOCOL_41 = 1 << 9;
        /// `interactive_timeout` counts instead of `wait_timeout`.
        const INTERACTIVE = 1 << 10;
        /// TLS, after a short login packet.
        const SSL = 1 << 11;
        /// Client-side only.
        const IGNORE_SIGPIPE = 1 << 12;
        /// Status flags are in OK and EOF packets. Always on.
        const TRANSACTIONS = 1 << 13;
        /// Formerly `CLIENT_PROTOCOL_41`'s bit.
        const RESERVED = 1 << 14;
        /// The 20-byte nonce (`CLIENT_SECURE_CONNECTION`, MySQL 8: `CLIENT_RESERVED2`). Always on.
        const SECURE_CONNECTION = 1 << 15;
        /// Several statements in one `COM_QUERY`.
        const MULTI_STATEMENTS = 1 << 16;
        /// Several results for one `COM_QUERY`.
        const MULTI_RESULTS = 1 << 17;
        /// Several results for one `COM_STMT_EXECUTE`.
        const PS_MULTI_RESULTS = 1 << 18;
        /// Authentication plugins are named and can be switched.
        const PLUGIN_AUTH = 1 << 19;
        /// The login carries connection attributes.
        const CONNECT_ATTRS = 1 << 20;
        /// The authentication response has a length-encoded length.
        const PLUGIN_AUTH_LENENC = 1 << 21;
        /// The client can go on with an expired password.
        const CAN_HANDLE_EXPIRED_PASSWORDS = 1 << 22;
        /// OK packets carry session state.
        const SESSION_TRACK = 1 << 23;
        /// OK packets with header 0xFE in place of EOF packets, and none between definitions and rows.
        const DEPRECATE_EOF = 1 << 24;
        /// The client can do without column definitions (MySQL).
        const OPTIONAL_RESULTSET_METADATA = 1 << 25;
        /// Zstandard compression after the login (MySQL).
        const ZSTD_COMPRESSION = 1 << 26;
        /// Attributes in front of a query's text (MySQL); changes the layout of `COM_QUERY` and `COM_STMT_EXECUTE`.
        const QUERY_ATTRIBUTES = 1 << 27;
        /// Several authentication factors (MySQL).
        const MULTI_FACTOR = 1 << 28;
        /// Client-side only: the capability block is extended (MySQL).
        const CAPABILITY_EXTENSION = 1 << 29;
        /// Client-side only: the server's certificate is verified.
        const SSL_VERIFY_SERVER_CERT = 1 << 30;
        /// Client-side only: options survive a failed connect.
        const REMEMBER_OPTIONS = 1 << 31;

        /// MariaDB: progress reports, as ERR packets with code 0xFFFF.
        const MARIADB_PROGRESS = 1 << 32;
        /// MariaDB: `COM_MULTI` (withdrawn).
        const MARIADB_COM_MULTI = 1 << 33;
        /// MariaDB: `COM_STMT_BULK_EXECUTE`.
        const MARIADB_STMT_BULK_OPERATIONS = 1 << 34;
        /// MariaDB: column definitions carry extended type names (`json`, `uuid`, `point`), as one more `string<lenenc>` after the names.
        const MARIADB_EXTENDED_METADATA = 1 << 35;
        /// MariaDB: column definitions are not repeated at every execution; adds a byte to the column count packet.
        const MARIADB_CACHE_METADATA = 1 << 36;
        /// MariaDB: a result row for each unit of a bulk execution.
        const MARIADB_BULK_UNIT_RESULTS = 1 << 37;

        const _ = !0;
    }
}

impl Capabilities {
    /// MariaDB's own half.
    pub const MARIADB_EXTENDED: Self = Self::from_bits_retain(0xffff_ffff_0000_0000);

    /// From the two fields of a packet.
    pub const fn from_halves(protocol: u32, mariadb: u32) -> Self {
        Self::from_bits_retain(protocol as u64 | (mariadb as u64) << 32)
    }

    /// The protocol's 32 bits.
    #[expect(clippy::cast_possible_truncation, reason = "the low half is what is wanted")]
    pub const fn protocol_half(self) -> u32 {
        self.bits() as u32
    }

    /// MariaDB's extended 32 bits; zero with [`Capabilities::LONG_PASSWORD`], where the packet has no room for them.
    pub const fn mariadb_half(self) -> u32 {
        if self.contains(Self::LONG_PASSWORD) { 0 } else { (self.bits() >> 32) as u32 }
    }
}

bitflags::bitflags! {
    /// The server's status flags in OK and EOF packets.
    #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
    pub struct StatusFlags: u16 {
        /// A transaction is open.
        const IN_TRANS = 1;
        /// autocommit is on.
        const AUTOCOMMIT = 1 << 1;
        /// Another result follows.
        const MORE_RESULTS = 1 << 3;
        /// The optimizer found no good index.
        const NO_GOOD_INDEX_USED = 1 << 4;
        /// The optimizer found no index.
        const NO_INDEX_USED = 1 << 5;
        /// A cursor was opened; rows come by `COM_STMT_FETCH`.
        const CURSOR_EXISTS = 1 << 6;
        /// The cursor is at its end.
        const LAST_ROW_SENT = 1 << 7;
        /// A schema was dropped.
        const DB_DROPPED = 1 << 8;
        /// A backslash is an ordinary character in strings (`sql_mode` `NO_BACKSLASH_ESCAPES`).
        const NO_BACKSLASH_ESCAPES = 1 << 9;
        /// The definitions of a prepared statement's result have changed.
        const METADATA_CHANGED = 1 << 10;
        /// The statement was slow.
        const QUERY_WAS_SLOW = 1 << 11;
        /// This result set holds a procedure's OUT parameters.
        const PS_OUT_PARAMS = 1 << 12;
        /// The open transaction is READ ONLY.
        const IN_TRANS_READONLY = 1 << 13;
        /// The OK packet carries session state.
        const SESSION_STATE_CHANGED = 1 << 14;
        /// A double quote delimits identifiers (`sql_mode` `ANSI_QUOTES`; MariaDB).
        const ANSI_QUOTES = 1 << 15;

        const _ = !0;
    }
}
