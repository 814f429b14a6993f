//! The servers' error numbers that Pointsman knows, by the servers' own names, and the SQLSTATE that it sends with each.
//!
//! The names are those of the "MySQL 9.7 Error Reference" (dev.mysql.com/doc/mysql-errors/9.7/en/server-error-reference.html). MariaDB's are in
//! its documentation's "MariaDB Error Codes". Of these numbers, those below 1900 are the same in both servers. The others are MySQL's, unless the
//! constant says otherwise.
//!
//! Not here: the numbers from 2000 to 2999. They belong to client libraries, which take a packet with one of these for a broken one.

#![allow(missing_docs, reason = "the servers' manuals say what each error means")]

/// From here to [`EE_OUT_OF_FILERESOURCES`]: troubles of a server with its machine, in the "Global Error Message Reference" of MySQL's manual. MariaDB has the
/// same numbers.
pub const EE_CANTCREATEFILE: u16 = 1;
pub const EE_READ: u16 = 2;
pub const EE_WRITE: u16 = 3;
pub const EE_OUTOFMEMORY: u16 = 5;
pub const EE_DISK_FULL: u16 = 20;
pub const EE_OUT_OF_FILERESOURCES: u16 = 23;

pub const ER_DISK_FULL: u16 = 1021;
pub const ER_OUTOFMEMORY: u16 = 1037;
pub const ER_CON_COUNT_ERROR: u16 = 1040;
pub const ER_OUT_OF_RESOURCES: u16 = 1041;
/// Pointsman sends it for a server that it cannot connect to: no other number of the servers comes closer.
pub const ER_BAD_HOST_ERROR: u16 = 1042;
pub const ER_HANDSHAKE_ERROR: u16 = 1043;
pub const ER_DBACCESS_DENIED_ERROR: u16 = 1044;
pub const ER_ACCESS_DENIED_ERROR: u16 = 1045;
pub const ER_NO_DB_ERROR: u16 = 1046;
pub const ER_UNKNOWN_COM_ERROR: u16 = 1047;
pub const ER_BAD_DB_ERROR: u16 = 1049;
pub const ER_TABLE_EXISTS_ERROR: u16 = 1050;
/// Drivers take it for a lost connection, and connect again.
pub const ER_SERVER_SHUTDOWN: u16 = 1053;
pub const ER_BAD_FIELD_ERROR: u16 = 1054;
pub const ER_PARSE_ERROR: u16 = 1064;
pub const ER_NO_SUCH_THREAD: u16 = 1094;
pub const ER_KILL_DENIED_ERROR: u16 = 1095;
pub const ER_UNKNOWN_ERROR: u16 = 1105;
pub const ER_UNKNOWN_CHARACTER_SET: u16 = 1115;
pub const ER_HOST_IS_BLOCKED: u16 = 1129;
pub const ER_HOST_NOT_PRIVILEGED: u16 = 1130;
pub const ER_CANT_CREATE_THREAD: u16 = 1135;
pub const ER_TABLEACCESS_DENIED_ERROR: u16 = 1142;
pub const ER_COLUMNACCESS_DENIED_ERROR: u16 = 1143;
pub const ER_NET_PACKET_TOO_LARGE: u16 = 1153;
pub const ER_NET_PACKETS_OUT_OF_ORDER: u16 = 1156;
/// A compressed packet does not decompress.
pub const ER_NET_UNCOMPRESS_ERROR: u16 = 1157;
/// The connection to the server broke. Client libraries would say 2013 themselves.
pub const ER_NET_READ_ERROR: u16 = 1158;
/// The server did not answer in time.
pub const ER_NET_READ_INTERRUPTED: u16 = 1159;
/// `max_user_connections` of the server.
pub const ER_TOO_MANY_USER_CONNECTIONS: u16 = 1203;
pub const ER_WRONG_ARGUMENTS: u16 = 1210;
/// Drivers and frameworks begin the transaction again.
pub const ER_LOCK_DEADLOCK: u16 = 1213;
/// A limit of the account, such as its `MAX_USER_CONNECTIONS`.
pub const ER_USER_LIMIT_REACHED: u16 = 1226;
pub const ER_SPECIFIC_ACCESS_DENIED_ERROR: u16 = 1227;
pub const ER_NOT_SUPPORTED_YET: u16 = 1235;
/// `Last_IO_Errno` where the source has purged what the replica needs. `ER_MASTER_FATAL_ERROR_READING_BINLOG` on MariaDB.
pub const ER_SOURCE_FATAL_ERROR_READING_BINLOG: u16 = 1236;
pub const ER_UNKNOWN_STMT_HANDLER: u16 = 1243;
/// What a read-only server answers to a write. Drivers and pools know it as "go to another server".
pub const ER_OPTION_PREVENTS_STATEMENT: u16 = 1290;
/// Drivers that prepare everything send the text instead.
pub const ER_UNSUPPORTED_PS: u16 = 1295;
/// By `KILL QUERY`.
pub const ER_QUERY_INTERRUPTED: u16 = 1317;
pub const ER_PROCACCESS_DENIED_ERROR: u16 = 1370;
pub const ER_STMT_HAS_NO_OPEN_CURSOR: u16 = 1421;
pub const ER_MAX_PREPARED_STMT_COUNT_REACHED: u16 = 1461;
pub const ER_NEED_REPREPARE: u16 = 1615;
pub const ER_CANT_EXECUTE_IN_READ_ONLY_TRANSACTION: u16 = 1792;
pub const ER_MUST_CHANGE_PASSWORD: u16 = 1820;
pub const ER_MALFORMED_PACKET: u16 = 1835;
/// A write on a server that was started read-only, or whose storage engine is.
pub const ER_READ_ONLY_MODE: u16 = 1836;
pub const ER_MUST_CHANGE_PASSWORD_LOGIN: u16 = 1862;
/// MariaDB only: the last words to a connection that `KILL` ends.
pub const ER_CONNECTION_KILLED: u16 = 1927;
/// MariaDB only: `Last_SQL_Errno` of a replica that has transactions of its own, with `gtid_strict_mode`.
pub const ER_GTID_STRICT_OUT_OF_ORDER: u16 = 1950;
/// A statement took longer than `max_execution_time`. MariaDB says 1969.
pub const ER_QUERY_TIMEOUT: u16 = 3024;
/// `offline_mode`, which MariaDB does not have.
pub const ER_SERVER_OFFLINE_MODE: u16 = 3032;
pub const ER_ACCOUNT_HAS_BEEN_LOCKED: u16 = 3118;
/// MariaDB's number for the same.
pub const ER_ACCOUNT_HAS_BEEN_LOCKED_MARIADB: u16 = 4151;
pub const ER_SECURE_TRANSPORT_REQUIRED: u16 = 3159;
/// `RESTART`, or the end of `CLONE`, where nothing starts the server again.
pub const ER_RESTART_SERVER_FAILED: u16 = 3707;
/// The level of zstd that a client asks for at its login. Only MySQL has it.
pub const ER_WRONG_COMPRESSION_LEVEL_CLIENT: u16 = 3923;
/// The last words to a connection that was idle for longer than `wait_timeout`. To MariaDB, which closes it without a word, the number means
/// something else.
pub const ER_CLIENT_INTERACTION_TIMEOUT: u16 = 4031;

/// The SQLSTATE "transaction resolution unknown", by which a client can tell that a write may or may not have taken effect.
pub const RESOLUTION_UNKNOWN: [u8; 5] = *b"08007";

/// The SQLSTATE that Pointsman sends with an error of its own: `HY000`, "general error", unless the number has one here.
pub const fn sqlstate(code: u16) -> [u8; 5] {
    match code {
        ER_CON_COUNT_ERROR => *b"08004",
        ER_BAD_HOST_ERROR
        | ER_HANDSHAKE_ERROR
        | ER_UNKNOWN_COM_ERROR
        | ER_SERVER_SHUTDOWN
        | ER_NET_PACKET_TOO_LARGE
        | ER_NET_PACKETS_OUT_OF_ORDER
        | ER_NET_UNCOMPRESS_ERROR
        | ER_NET_READ_ERROR
        | ER_NET_READ_INTERRUPTED => *b"08S01",
        ER_ACCESS_DENIED_ERROR => *b"28000",
        ER_LOCK_DEADLOCK => *b"40001",
        ER_UNKNOWN_CHARACTER_SET
        | ER_SPECIFIC_ACCESS_DENIED_ERROR
        | ER_NOT_SUPPORTED_YET
        | ER_MAX_PREPARED_STMT_COUNT_REACHED => *b"42000",
        ER_CANT_EXECUTE_IN_READ_ONLY_TRANSACTION => *b"25006",
        ER_QUERY_INTERRUPTED => *b"70100",
        _ => crate::ErrPacket::GENERAL,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As in both servers' lists of errors.
    #[test]
    fn an_error_has_the_sqlstate_that_the_servers_give_it() {
        for (code, expected) in [
            (ER_CON_COUNT_ERROR, b"08004"),
            (ER_HANDSHAKE_ERROR, b"08S01"),
            (ER_ACCESS_DENIED_ERROR, b"28000"),
            (ER_LOCK_DEADLOCK, b"40001"),
            (ER_NOT_SUPPORTED_YET, b"42000"),
            (ER_CANT_EXECUTE_IN_READ_ONLY_TRANSACTION, b"25006"),
            (ER_QUERY_INTERRUPTED, b"70100"),
            (ER_DISK_FULL, b"HY000"),
        ] {
            assert_eq!(&sqlstate(code), expected, "{code}");
        }
    }
}
