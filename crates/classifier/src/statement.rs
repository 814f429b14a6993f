//! The vocabulary of a verdict: what the classifier says and what the router, the session and `EXPLAIN ROUTE` read.

use std::fmt;
use std::num::ParseIntError;
use std::str::FromStr;

use bitflags::bitflags;

/// The grammar that the server will apply.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Dialect {
    /// MySQL 8.4 and later.
    MySql,
    /// MariaDB 10.11 and later.
    MariaDb,
}

bitflags! {
    /// The parts of `sql_mode` that change where a token ends.
    #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
    pub struct SqlMode: u8 {
        /// `"` quotes an identifier, and a backslash inside is no escape.
        const ANSI_QUOTES = 1;
        /// A backslash in a string is an ordinary character.
        const NO_BACKSLASH_ESCAPES = 1 << 1;
        /// Built-in function names may be followed by white space before `(`.
        const IGNORE_SPACE = 1 << 2;
        /// `||` concatenates.
        const PIPES_AS_CONCAT = 1 << 3;
        /// MariaDB's Oracle mode, or any mode whose effect on the grammar is not known here: nothing is provably a read.
        const UNKNOWN = 1 << 7;
    }
}

/// Whether bytes from 0x80 up may hide an ASCII byte (a quote, a backslash) as the second half of a character.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Charset {
    /// Every byte below 0x80 is the ASCII character (utf8mb4, latin1, ...).
    #[default]
    AsciiSafe,
    /// It may be part of another character (gbk, sjis, big5, gb18030, cp932): only statements in pure ASCII can be reads.
    AsciiUnsafe,
    /// Not even bytes below 0x80 are sure to be ASCII (swe7, ucs2), or the name is not known: nothing is provably a read.
    Unknown,
}

/// How the bytes of a statement are to be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Context<'a> {
    /// The grammar.
    pub dialect: Dialect,
    /// The session's `sql_mode`.
    pub sql_mode: SqlMode,
    /// The session's `character_set_client`.
    pub charset: Charset,
    /// The session's default schema, in which unqualified names are resolved.
    pub schema: Option<&'a str>,
}

bitflags! {
    /// What a statement may do. Empty means: it only computes.
    #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
    pub struct Effects: u32 {
        /// Reads tables.
        const READ_DATA = 1;
        /// May change data, schema, accounts or server settings.
        const WRITE_DATA = 1 << 1;
        /// May take or release locks that outlive the statement.
        const LOCK = 1 << 2;
        /// Changes the session (variables, schema, prepared statements, temporary tables ...).
        const CHANGE_SESSION = 1 << 3;
        /// Begins or ends a transaction.
        const TRANSACTION = 1 << 4;
        /// Reads session state that lives on the primary's connection only (user variables, `LAST_INSERT_ID()` ...).
        const PRIMARY_SESSION = 1 << 5;
        /// Reads what the previous statement left on its connection (`FOUND_ROWS()`, `SHOW WARNINGS` ...).
        const PREVIOUS_STATEMENT = 1 << 6;
        /// Its answer is about the server that runs it (`@@hostname`, `SHOW PROCESSLIST` ...).
        const THIS_SERVER = 1 << 7;
        /// Reads or writes files on the server, or asks the client for one.
        const FILE = 1 << 8;
        /// Could not be understood: anything is possible.
        const UNKNOWN = 1 << 9;
        /// May change the session in ways that its text does not show (`CALL`, `EXECUTE`, a stored function). Where that cannot be left to the
        /// server's session tracking, [`Statement::session`] has a [`Pin::Connection`] as well.
        const SESSION_UNSEEN = 1 << 10;
        /// Creates, changes or renames functions or views: the catalogue is out of date afterwards.
        const DEFINES = 1 << 11;
        /// Reads what an earlier insert left on its connection: `LAST_INSERT_ID()` without an argument, `@@last_insert_id`, `@@identity`;
        /// MariaDB's `LASTVAL(s)`, `PREVIOUS VALUE FOR s` and `@@last_gtid`. Given for writes as well.
        const INSERT_ID = 1 << 12;
        /// Names user variables, to read or to assign them. Given for writes as well.
        const USER_VARIABLES = 1 << 13;
        /// Reads what the previous statement has counted (`FOUND_ROWS()`, `ROW_COUNT()`, `GET DIAGNOSTICS`), not only its warnings. Implies
        /// [`Effects::PREVIOUS_STATEMENT`].
        const COUNTS = 1 << 14;
        /// Reads `FOUND_ROWS()`, which is about the last statement that had a result set. Implies [`Effects::COUNTS`].
        const FOUND_ROWS = 1 << 15;
    }
}

impl Effects {
    /// What a statement asks of the connection that it runs on, rather than of the server. It is searched for in the expressions of every statement.
    /// What stored programs and prepared statements ask does not show in the text that calls them; that is [`Effects::SESSION_UNSEEN`].
    pub const CONNECTION_MEMORY: Self =
        Self::PREVIOUS_STATEMENT.union(Self::COUNTS).union(Self::FOUND_ROWS).union(Self::INSERT_ID).union(Self::USER_VARIABLES);
}

/// Where a statement may run, as far as the statement alone decides.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Placement {
    /// A plain read: any server that is fresh enough.
    Replica,
    /// Where the session's previous statement ran.
    Previous,
    /// A session change that Pointsman repeats on every connection of the session: any server.
    Session,
    /// The primary.
    Primary,
}

/// The leading keyword(s), for metrics, logs and rules.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[allow(missing_docs, reason = "the names say it")]
pub enum Verb {
    Select,
    With,
    Values,
    Table,
    Show,
    Describe,
    Explain,
    Analyze,
    Do,
    Call,
    Handler,
    Insert,
    Replace,
    Update,
    Delete,
    Truncate,
    Load,
    Import,
    Create,
    Alter,
    Drop,
    Rename,
    Begin,
    Commit,
    Rollback,
    Savepoint,
    ReleaseSavepoint,
    SetTransaction,
    Xa,
    Set,
    Use,
    Prepare,
    Execute,
    Deallocate,
    LockTables,
    UnlockTables,
    LockInstance,
    UnlockInstance,
    Grant,
    Revoke,
    Kill,
    Flush,
    Reset,
    Shutdown,
    Replication,
    Admin,
    Diagnostics,
    Help,
    /// An empty statement or only comments.
    Empty,
    /// Several statements in one packet.
    Batch,
    Other,
}

/// A 128-bit fingerprint of the normalised text: the same for statements that differ only in literals, the length of
/// `IN` lists, the number of `VALUES` rows, and white space.
///
/// It is for people, logs and rules. Its hash (XXH3) is fast, public and not collision-resistant: an attacker who can choose the names in a statement
/// can make two statements with the same digest, or a second one with a given digest, in seconds. So a rule by digest steers well-behaved programs. A
/// rule that refuses a digest is no security boundary, and no other rule that matches text is one (grant less instead). Verdicts are remembered by
/// [`StatementKey`].
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
pub struct Digest(pub u128);

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x}", self.0)
    }
}

impl FromStr for Digest {
    type Err = ParseIntError;

    /// Hexadecimal, as it is displayed.
    fn from_str(text: &str) -> Result<Self, ParseIntError> {
        u128::from_str_radix(text, 16).map(Self)
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// The normalised text, hashed with a secret of this process: no outsider can construct a statement with a given key. It is not for display, and
/// means nothing in another process.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct StatementKey(pub(crate) u128);

impl fmt::Debug for StatementKey {
    /// Without its value, which must stay secret.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("StatementKey(..)")
    }
}

/// Something that lives on one of the session's connections and binds the session to it.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Pin {
    /// `CREATE TEMPORARY TABLE name` until `DROP`. The name has no quotes and keeps its case (where the server folds the case, a pin can only last
    /// too long). It is `schema.name` if it is qualified or the context has a schema.
    TemporaryTable(Box<str>),
    /// `GET_LOCK('name', ..)` until `RELEASE_LOCK`; an empty name where it is not a literal. The servers count: a lock taken
    /// twice has to be released twice (MySQL manual 14.14 "Locking Functions").
    NamedLock(Box<str>),
    /// `LOCK TABLES`, `FLUSH TABLES ... WITH READ LOCK / FOR EXPORT` until `UNLOCK TABLES`.
    TableLocks,
    /// `LOCK INSTANCE FOR BACKUP`, MariaDB's `BACKUP LOCK` and `BACKUP STAGE`.
    InstanceLock,
    /// `SET TRANSACTION ...` without a scope: holds for the next transaction.
    NextTransaction,
    /// `@name` was assigned. Statements that name user variables run on the primary anyway.
    UserVariable(Box<str>),
    /// A session variable was given a value that cannot be repeated on another server.
    SessionVariable(Box<str>),
    /// `HANDLER name OPEN` until `CLOSE`.
    Handler(Box<str>),
    /// `PREPARE name` until `DEALLOCATE PREPARE`.
    PreparedStatement(Box<str>),
    /// An XA transaction between `XA START` and its end.
    Xa,
    /// `BINLOG 'events'`: the connection keeps the format of the events for the statements that follow, whoever logs in on it.
    BinlogFormat,
    /// `SET ROLE`, and everything else that changes the connection for good and is not repeated elsewhere.
    Connection,
}

/// A [`Pin`] without its name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[allow(missing_docs, reason = "each is the variant of Pin")]
pub enum PinKind {
    TemporaryTable,
    NamedLock,
    TableLocks,
    InstanceLock,
    NextTransaction,
    UserVariable,
    SessionVariable,
    Handler,
    PreparedStatement,
    Xa,
    BinlogFormat,
    Connection,
    /// No pin of a statement: the session's password has expired, or had.
    ExpiredPassword,
}

impl PinKind {
    /// The name in metrics and logs.
    pub fn label(self) -> &'static str {
        match self {
            Self::TemporaryTable => "temporary_table",
            Self::NamedLock => "named_lock",
            Self::TableLocks => "table_locks",
            Self::InstanceLock => "instance_lock",
            Self::NextTransaction => "next_transaction",
            Self::UserVariable => "user_variable",
            Self::SessionVariable => "session_variable",
            Self::Handler => "handler",
            Self::PreparedStatement => "prepared_statement",
            Self::Xa => "xa",
            Self::BinlogFormat => "binlog_format",
            Self::Connection => "connection",
            Self::ExpiredPassword => "expired_password",
        }
    }

    /// A read that does not name the item would miss it elsewhere. Statements that name user variables or prepared statements run on the
    /// primary by themselves.
    pub fn binds_reads(self) -> bool {
        !matches!(self, Self::UserVariable | Self::PreparedStatement)
    }
}

impl Pin {
    /// What kind of thing it is.
    pub fn kind(&self) -> PinKind {
        match self {
            Self::TemporaryTable(_) => PinKind::TemporaryTable,
            Self::NamedLock(_) => PinKind::NamedLock,
            Self::TableLocks => PinKind::TableLocks,
            Self::InstanceLock => PinKind::InstanceLock,
            Self::NextTransaction => PinKind::NextTransaction,
            Self::UserVariable(_) => PinKind::UserVariable,
            Self::SessionVariable(_) => PinKind::SessionVariable,
            Self::Handler(_) => PinKind::Handler,
            Self::PreparedStatement(_) => PinKind::PreparedStatement,
            Self::Xa => PinKind::Xa,
            Self::BinlogFormat => PinKind::BinlogFormat,
            Self::Connection => PinKind::Connection,
        }
    }
}

impl fmt::Display for Pin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TemporaryTable(name) => write!(f, "temporary table {name}"),
            Self::NamedLock(name) if name.is_empty() => f.write_str("named lock"),
            Self::NamedLock(name) => write!(f, "named lock '{name}'"),
            Self::TableLocks => f.write_str("table locks"),
            Self::InstanceLock => f.write_str("instance lock"),
            Self::NextTransaction => f.write_str("next transaction"),
            Self::UserVariable(name) => write!(f, "user variable @{name}"),
            Self::SessionVariable(name) => write!(f, "session variable {name}"),
            Self::Handler(name) => write!(f, "handler {name}"),
            Self::PreparedStatement(name) => write!(f, "prepared statement {name}"),
            Self::Xa => f.write_str("XA transaction"),
            Self::BinlogFormat => f.write_str("format of BINLOG statements"),
            Self::Connection => f.write_str("connection"),
        }
    }
}

/// What a statement does to the session when the server says that it succeeded, in order.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum SessionEffect {
    /// `BEGIN`, `START TRANSACTION`.
    Begin {
        /// `START TRANSACTION READ ONLY`.
        read_only: bool,
    },
    /// `COMMIT`, `ROLLBACK` and statements that commit implicitly.
    End,
    /// `COMMIT RELEASE`, `ROLLBACK RELEASE`: the server closes the connection after the answer.
    Disconnect,
    /// `USE schema`: the name without quotes, in the session's character set.
    Use(Box<[u8]>),
    /// One repeatable assignment of a session variable: `SET <sql>` repeats it on another server. It ends a
    /// [`Pin::SessionVariable`] of the same name.
    Set {
        /// The variable's name, lower case, without scope. For an assignment that builds on the old value (`SET sql_mode = CONCAT(@@sql_mode, ..)`, flags
        /// of `optimizer_switch`) the name includes its text, because it must be repeated after the ones before it.
        name: Box<str>,
        /// `name = value` as written.
        sql: Box<[u8]>,
    },
    /// `SET NAMES ...` or `SET CHARACTER SET ...`: `SET <sql>` repeats it. It replaces earlier [`SessionEffect::Set`]s of
    /// `character_set_client`, `_connection`, `_results` and `collation_connection`, and is itself repeated before later ones.
    SetCharset {
        /// The text after `SET`.
        sql: Box<[u8]>,
        /// What it makes of `character_set_client`.
        charset: Charset,
    },
    /// `SET autocommit = ...` (also given as [`SessionEffect::Set`]). Switching it on commits an open transaction.
    Autocommit(bool),
    /// `SET sql_mode = ...` (also given as [`SessionEffect::Set`]; with a value that cannot be repeated as a pin, and then
    /// the mode is [`SqlMode::UNKNOWN`]).
    SqlMode(SqlMode),
    /// `SET @name = literal`, after the [`Pin::UserVariable`] that says so: `SET <sql>` gives the variable the same value on another connection.
    Assign {
        /// The variable's name, as in its pin.
        name: Box<str>,
        /// `@name = literal` as written.
        sql: Box<[u8]>,
    },
    /// The session now has this item.
    Pin(Pin),
    /// The session no longer has this item. `NamedLock("")` releases every named lock.
    Unpin(Pin),
}

/// Why a statement has its verdict: a metric label, a log field, and a line of `EXPLAIN ROUTE`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[allow(missing_docs, reason = "label() says it")]
pub enum Reason {
    PlainRead,
    OnlyComputes,
    SessionStatement,
    TransactionControl,
    Writes,
    LockingClause,
    IntoClause,
    AssignsUserVariable,
    ReadsUserVariable,
    UnknownFunction,
    WritingFunction,
    LockFunction,
    PrimarySessionFunction,
    PreviousStatement,
    AboutThisServer,
    ServerVariable,
    SystemSchema,
    Sequence,
    File,
    ExecutableComment,
    UnsafeCharset,
    UnknownSqlMode,
    Batch,
    TooLarge,
    TooComplex,
    TooCostly,
    NotParsed,
    StagesDisagree,
    NotKnown,
    DoubtfulView,
    CatalogueUnknown,
    LearnedWrite,
}

/// The verdict on one statement (or one batch of statements, which takes the strictest verdict of its parts).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Statement {
    /// Its leading keyword.
    pub verb: Verb,
    /// What it may do.
    pub effects: Effects,
    /// The reason for its placement.
    pub because: Reason,
    /// For people, logs and rules.
    pub digest: Digest,
    /// The key under which this process remembers the verdict.
    pub key: StatementKey,
    /// With [`Effects::DEFINES`]: how many statements of the batch come before the first one that defines something. Each of them has at least one
    /// result. So if the server reports an error after that many results or fewer, no definition was changed by the statements before the error.
    pub first_definition: u16,
    /// What it does to the session, in order; empty for nearly all statements.
    pub session: Vec<SessionEffect>,
}

impl Placement {
    /// The name in audits.
    pub fn label(self) -> &'static str {
        match self {
            Self::Replica => "replica",
            Self::Previous => "previous",
            Self::Session => "session",
            Self::Primary => "primary",
        }
    }
}

impl Statement {
    /// Its class in one word: the gravest of its effects.
    pub fn class(&self) -> &'static str {
        const CLASSES: &[(Effects, &str)] = &[
            (Effects::WRITE_DATA, "write"),
            (Effects::UNKNOWN, "unknown"),
            (Effects::FILE, "file"),
            (Effects::LOCK, "lock"),
            (Effects::TRANSACTION, "transaction"),
            (Effects::CHANGE_SESSION, "session"),
            (Effects::PRIMARY_SESSION, "primary_session"),
            (Effects::PREVIOUS_STATEMENT, "previous_statement"),
            (Effects::THIS_SERVER, "server"),
        ];
        let gravest = CLASSES.iter().find(|(effect, _)| self.effects.intersects(*effect));
        gravest.map_or(if self.session.is_empty() { "read" } else { "session" }, |(_, class)| class)
    }

    /// Where it may run. Only what is proved to read data, or to compute, leaves the primary.
    pub fn placement(&self) -> Placement {
        let is_within = |allowed: Effects| allowed.contains(self.effects);
        if is_within(Effects::READ_DATA) {
            Placement::Replica
        } else if is_within(Effects::CHANGE_SESSION) && self.session.iter().all(SessionEffect::is_repeatable) {
            Placement::Session
        } else if is_within(Effects::PREVIOUS_STATEMENT | Effects::COUNTS | Effects::FOUND_ROWS | Effects::READ_DATA) {
            Placement::Previous
        } else {
            Placement::Primary
        }
    }
}

impl SessionEffect {
    /// Whether Pointsman can bring this over to another connection.
    pub fn is_repeatable(&self) -> bool {
        match self {
            Self::Use(_) | Self::Set { .. } | Self::SetCharset { .. } | Self::Autocommit(_) | Self::SqlMode(_) => true,
            Self::Begin { .. } | Self::End | Self::Disconnect | Self::Pin(_) | Self::Unpin(_) | Self::Assign { .. } => false,
        }
    }
}
