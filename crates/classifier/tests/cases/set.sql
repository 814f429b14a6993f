--# SET in all its scopes: what can be repeated on another server, what pins, what the lexer has to know.
--@ schema test
SET autocommit = 0
--> session session_statement | set autocommit:autocommit = 0, autocommit off
SET SESSION autocommit = 'ON'
--> session session_statement | set autocommit:autocommit = 'ON', autocommit on
SET autocommit = DEFAULT
--> primary session_statement | pin @@autocommit
SET @@autocommit := 1
--> session session_statement | set autocommit:autocommit := 1, autocommit on
SET sql_mode = 'ANSI_QUOTES,STRICT_TRANS_TABLES'
--> session session_statement | set sql_mode:sql_mode = 'ANSI_QUOTES,STRICT_TRANS_TABLES', sql_mode SqlMode(ANSI_QUOTES)
SET SESSION sql_mode = CONCAT(@@sql_mode, ',STRICT_TRANS_TABLES')
--> primary session_statement | pin @@sql_mode, sql_mode SqlMode(UNKNOWN)
SET sql_mode = DEFAULT
--> session session_statement | set sql_mode:sql_mode = DEFAULT, sql_mode SqlMode(UNKNOWN)
SET sql_mode = ORACLE
--> session session_statement | set sql_mode:sql_mode = ORACLE, sql_mode SqlMode(UNKNOWN)
SET @@session.wait_timeout = 100, @u = 3, GLOBAL max_connections = 5
--> primary session_statement | set wait_timeout:wait_timeout = 100, pin @u
SET GLOBAL max_connections = 5, wait_timeout = 7
--> primary writes
SET time_zone = '+00:00', @@SESSION.sql_auto_is_null = 0
--> session session_statement | set time_zone:time_zone = '+00:00', set sql_auto_is_null:sql_auto_is_null = 0
SET sql_auto_is_null = 1
--> primary session_statement | pin @@sql_auto_is_null
SET foreign_key_checks = @OLD_FOREIGN_KEY_CHECKS
--> primary session_statement | pin @@foreign_key_checks
SET group_concat_max_len = 1 + 1
--> primary session_statement | pin @@group_concat_max_len
SET group_concat_max_len = (SELECT 5)
--> primary session_statement | pin @@group_concat_max_len
SET max_join_size = -1
--> session session_statement | set max_join_size:max_join_size = -1
SET timestamp = 1700000000.5
--> session session_statement | set timestamp:timestamp = 1700000000.5
SET x_unknown = 1
--> primary session_statement | pin @@x_unknown
SET sql_log_bin = 0
--> primary session_statement | pin @@sql_log_bin
SET gtid_next = 'AUTOMATIC'
--> primary session_statement | pin @@gtid_next
SET insert_id = 7
--> primary session_statement | pin @@insert_id
SET session_track_gtids = OWN_GTID
--> primary session_statement | pin @@session_track_gtids
SET `time_zone` = SYSTEM
--> session session_statement | set time_zone:`time_zone` = SYSTEM
SET hot_cache.key_buffer_size = 5
--> primary session_statement | pin @@
SET PERSIST max_connections = 5
--> primary writes
SET @@persist_only.max_connections = 5
--> primary writes
SET @a = 1, @`B c` = (SELECT MAX(a) FROM t)
--> primary assigns_user_variable | pin @a, pin @b c
SET @x = GET_LOCK('L', 1)
--> primary assigns_user_variable | pin @x, pin lock 'l'
SET NAMES utf8mb4
--> session session_statement | charset AsciiSafe:NAMES utf8mb4
SET NAMES 'latin1' COLLATE 'latin1_bin'
--> session session_statement | charset AsciiSafe:NAMES 'latin1' COLLATE 'latin1_bin'
SET NAMES gbk
--> session session_statement | charset AsciiUnsafe:NAMES gbk
SET NAMES DEFAULT
--> session session_statement | charset AsciiUnsafe:NAMES DEFAULT
SET CHARACTER SET utf8mb4
--> session session_statement | charset AsciiSafe:CHARACTER SET utf8mb4
SET CHARSET 'utf8'
--> session session_statement | charset AsciiSafe:CHARSET 'utf8'
SET names utf8mb4, autocommit = 1
--> session session_statement | charset AsciiSafe:names utf8mb4, set autocommit:autocommit = 1, autocommit on
SET character_set_client = latin1
--> session session_statement | set character_set_client:character_set_client = latin1
SET character_set_client = gbk
--> primary session_statement | pin @@character_set_client
SET character_set_results = NULL
--> session session_statement | set character_set_results:character_set_results = NULL
SET TRANSACTION ISOLATION LEVEL READ COMMITTED
--> primary transaction_control | pin next transaction
SET SESSION TRANSACTION ISOLATION LEVEL READ COMMITTED, READ ONLY
--> session session_statement | set transaction_isolation:SESSION TRANSACTION ISOLATION LEVEL READ COMMITTED, set transaction_read_only:SESSION TRANSACTION READ ONLY
SET GLOBAL TRANSACTION READ ONLY
--> primary writes
SET transaction_isolation = 'READ-COMMITTED'
--> session session_statement | set transaction_isolation:transaction_isolation = 'READ-COMMITTED'
SET @@transaction_isolation = 'READ-COMMITTED'
--> primary session_statement | pin next transaction
SET @@session.transaction_read_only = ON
--> session session_statement | set transaction_read_only:transaction_read_only = ON
SET SESSION tx_isolation = 'SERIALIZABLE'
--> session session_statement | set transaction_isolation:tx_isolation = 'SERIALIZABLE'
SET PASSWORD = 'x'
--> primary writes | end
SET PASSWORD FOR u@h = 'x'
--> primary writes | end
SET ROLE admin
--> primary session_statement | pin connection
SET DEFAULT ROLE admin TO u
--> primary writes | end
SET RESOURCE GROUP rg
--> primary session_statement | pin connection
SET STATEMENT max_statement_time = 1 FOR SELECT * FROM t
--> mysql: primary session_statement | pin @@statement
--> mariadb: primary not_known
SET STATEMENT max_statement_time = 1 FOR SELECT GET_LOCK('x', 1)
--> mysql: primary lock_function | pin lock 'x', pin @@statement
--> mariadb: primary lock_function | pin lock 'x'
SET
--> primary not_known | pin connection
SET NAMES
--> primary session_statement | pin connection
SET autocommit
--> primary session_statement | pin @@autocommit
SET SESSION
--> primary not_known | pin connection
