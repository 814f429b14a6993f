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
SET @@session.wait_timeout = 100, @u = 3, GLOBAL max_connections = 5
--> primary session_statement | set wait_timeout:wait_timeout = 100, pin @u, assign @u = 3
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
SET session_track_schema = 1, session_track_transaction_info = 'STATE'
--> session session_statement | set session_track_schema:session_track_schema = 1, set session_track_transaction_info:session_track_transaction_info = 'STATE'
SET session_track_schema = OFF
--> primary session_statement | pin @@session_track_schema
SET session_track_state_change = ON
--> primary session_statement | pin @@session_track_state_change
SET character_set_server = 'utf8mb4'
--> session session_statement | set character_set_server:character_set_server = 'utf8mb4'
SET collation_server = 'utf8mb4_unicode_ci'
--> session session_statement | set collation_server:collation_server = 'utf8mb4_unicode_ci'
SET `time_zone` = SYSTEM
--> session session_statement | set time_zone:`time_zone` = SYSTEM
SET hot_cache.key_buffer_size = 5
--> primary session_statement | pin @@
SET PERSIST max_connections = 5
--> primary writes
SET @@persist_only.max_connections = 5
--> primary writes
SET @a = 1, @`B c` = (SELECT MAX(a) FROM t)
--> primary assigns_user_variable | pin @a, assign @a = 1, pin @b c
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
--# Scopes: a scope keyword also holds for the assignments behind it.
SET SESSION autocommit = 1, wait_timeout = 5
--> session session_statement | set autocommit:autocommit = 1, autocommit on, set wait_timeout:wait_timeout = 5
SET LOCAL autocommit = 0
--> session session_statement | set autocommit:autocommit = 0, autocommit off
SET @@local.autocommit = 0
--> session session_statement | set autocommit:autocommit = 0, autocommit off
SET GLOBAL max_connections = 5, wait_timeout = 5
--> primary writes
SET @@global.max_connections = 5
--> primary writes
SET autocommit = 0, GLOBAL read_only = 1
--> primary session_statement | set autocommit:autocommit = 0, autocommit off
SET SESSION wait_timeout = 5, GLOBAL wait_timeout = 6, SESSION sort_buffer_size = 7
--> primary session_statement | set wait_timeout:wait_timeout = 5, set sort_buffer_size:sort_buffer_size = 7
SET PERSIST read_only = 1
--> primary writes
SET PERSIST_ONLY max_connections = 5
--> primary writes
SET @@persist.max_connections = 5
--> primary writes
SET GLOBAL TRANSACTION ISOLATION LEVEL SERIALIZABLE
--> primary writes
SET LOCAL TRANSACTION READ ONLY
--> session session_statement | set transaction_read_only:SESSION TRANSACTION READ ONLY
SET TRANSACTION READ ONLY
--> primary transaction_control | pin next transaction
SET TRANSACTION READ WRITE, ISOLATION LEVEL SERIALIZABLE
--> primary transaction_control | pin next transaction
SET @@session.transaction_isolation = 'SERIALIZABLE'
--> session session_statement | set transaction_isolation:transaction_isolation = 'SERIALIZABLE'
SET tx_read_only = 1
--> session session_statement | set transaction_read_only:tx_read_only = 1
--# Values that cannot be repeated elsewhere.
SET foreign_key_checks = @@global.foreign_key_checks
--> primary session_statement | pin @@foreign_key_checks
SET SESSION foreign_key_checks = @old
--> primary session_statement | pin @@foreign_key_checks
SET time_zone = (SELECT tz FROM t)
--> primary session_statement | pin @@time_zone
SET wait_timeout = my_function()
--> primary unknown_function | pin @@wait_timeout
SET group_concat_max_len = LAST_INSERT_ID()
--> primary primary_session_function | pin @@group_concat_max_len
SET optimizer_switch = 'index_merge=off'
--> session session_statement | set optimizer_switch: optimizer_switch = 'index_merge=off':optimizer_switch = 'index_merge=off'
SET SESSION optimizer_switch = 'default'
--> session session_statement | set optimizer_switch:optimizer_switch = 'default'
SET @@optimizer_switch := DEFAULT
--> session session_statement | set optimizer_switch:optimizer_switch := DEFAULT
SET optimizer_switch = @saved
--> primary session_statement | pin @@optimizer_switch
SET time_zone = '+00:00'
--> session session_statement | set time_zone:time_zone = '+00:00'
SET lc_time_names = 'de_DE'
--> session session_statement | set lc_time_names:lc_time_names = 'de_DE'
SET foreign_key_checks = OFF, unique_checks = 0
--> session session_statement | set foreign_key_checks:foreign_key_checks = OFF, set unique_checks:unique_checks = 0
SET SESSION group_concat_max_len = 1000000
--> session session_statement | set group_concat_max_len:group_concat_max_len = 1000000
SET innodb_lock_wait_timeout = 5
--> session session_statement | set innodb_lock_wait_timeout:innodb_lock_wait_timeout = 5
SET max_execution_time = 1000
--> session session_statement | set max_execution_time:max_execution_time = 1000
SET max_statement_time = 2.5
--> session session_statement | set max_statement_time:max_statement_time = 2.5
SET collation_connection = utf8mb4_bin
--> session session_statement | set collation_connection:collation_connection = utf8mb4_bin
SET pseudo_thread_id = 5
--> primary session_statement | pin @@pseudo_thread_id
SET rand_seed1 = 1
--> primary session_statement | pin @@rand_seed1
SET last_insert_id = 5
--> primary session_statement | pin @@last_insert_id
SET identity = 5
--> primary session_statement | pin @@identity
SET debug = '+d,x'
--> primary session_statement | pin @@debug
SET profiling = 1
--> primary session_statement | pin @@profiling
SET sql_log_off = 1
--> primary session_statement | pin @@sql_log_off
SET gtid_domain_id = 5
--> primary session_statement | pin @@gtid_domain_id
SET skip_replication = 1
--> primary session_statement | pin @@skip_replication
SET session_track_state_change = 0
--> primary session_statement | pin @@session_track_state_change
SET default_master_connection = 'a'
--> primary session_statement | pin @@default_master_connection
--# User variables.
SET @a := 5
--> primary assigns_user_variable | pin @a, assign @a := 5
SET @a = NULL, @b = -1.5, @c = 'it is plain', @d = true
--> primary assigns_user_variable | pin @a, assign @a = NULL, pin @b, assign @b = -1.5, pin @c, assign @c = 'it is plain', pin @d, assign @d = true
SET @a = 'it''s', @b = 'a\nb', @c = "d", @e = _latin1'f', @g = 1 + 1, @h = 'ä'
--> primary assigns_user_variable | pin @a, pin @b, pin @c, pin @e, pin @g, pin @h
SET @a = 1, autocommit = 0
--> primary assigns_user_variable | pin @a, assign @a = 1, set autocommit:autocommit = 0, autocommit off
SET @a = (SELECT id FROM t FOR UPDATE)
--> primary assigns_user_variable | pin @a
SET @a = @b := 5
--> primary assigns_user_variable | pin @a, pin @b
SET @a = f(1)
--> primary assigns_user_variable | pin @a
SET @`a b` = 'x', @"c" = 2
--> primary assigns_user_variable | pin @a b, assign @`a b` = 'x', pin @c, assign @"c" = 2
--# Names of variables that are keywords elsewhere.
SET password = 'x'
--> primary writes | end
SET names = 1
--> primary session_statement | pin @@names
SET character_set_client = utf8mb4, character_set_results = utf8mb4, collation_connection = utf8mb4_bin
--> session session_statement | set character_set_client:character_set_client = utf8mb4, set character_set_results:character_set_results = utf8mb4, set collation_connection:collation_connection = utf8mb4_bin
SET character_set_server = latin1
--> session session_statement | set character_set_server:character_set_server = latin1
SET CHARACTER SET DEFAULT
--> session session_statement | charset AsciiUnsafe:CHARACTER SET DEFAULT
SET CHARACTER SET 'gbk'
--> session session_statement | charset AsciiUnsafe:CHARACTER SET 'gbk'
SET NAMES utf8mb4 COLLATE utf8mb4_unicode_ci
--> session session_statement | charset AsciiSafe:NAMES utf8mb4 COLLATE utf8mb4_unicode_ci
SET NAMES sjis
--> session session_statement | charset AsciiUnsafe:NAMES sjis
SET NAMES nothing_known
--> session session_statement | charset Unknown:NAMES nothing_known
SET NAMES "utf8"
--> session session_statement | charset AsciiSafe:NAMES "utf8"
SET NAMES @x
--> primary session_statement | pin connection
--# Roles, accounts, resource groups.
SET ROLE NONE
--> primary session_statement | pin connection
SET ROLE ALL EXCEPT a
--> primary session_statement | pin connection
SET ROLE DEFAULT
--> primary session_statement | pin connection
SET DEFAULT ROLE NONE TO u
--> primary writes | end
SET DEFAULT ROLE r FOR u
--> primary writes | end
SET PASSWORD FOR 'u'@'h' = PASSWORD('x')
--> primary writes | end
SET PASSWORD TO RANDOM
--> primary writes | end
SET RESOURCE GROUP rg FOR 1, 2
--> primary session_statement | pin connection
--# MariaDB's settings for one statement.
SET STATEMENT max_statement_time = 1, sort_buffer_size = 5 FOR UPDATE t SET a = 1
--> mysql: primary session_statement | pin @@statement, pin @@sort_buffer_size
--> mariadb: primary writes
SET STATEMENT sql_mode = 'ANSI_QUOTES' FOR SELECT "a" FROM t
--> mysql: primary session_statement | pin @@statement
--> mariadb: primary not_known
SET STATEMENT max_statement_time = 1 FOR CREATE TEMPORARY TABLE x (a INT)
--> mysql: primary unknown_function | pin @@statement
--> mariadb: primary writes | pin temporary table test.x
SET STATEMENT max_statement_time = 1 FOR SET autocommit = 0
--> mysql: primary session_statement | pin @@statement
--> mariadb: primary session_statement | set autocommit:autocommit = 0, autocommit off
SET STATEMENT max_statement_time = 1
--> mysql: primary session_statement | pin @@statement
--> mariadb: primary not_known | pin connection
SET STATEMENT = 5
--> primary session_statement | pin @@statement
--# MariaDB Connector/J 3 sets the list of trackers in every session.
set session_track_system_variables = CONCAT(@@global.session_track_system_variables,',transaction_isolation'),NAMES utf8mb4
--> session session_statement | set session_track_system_variables:session_track_system_variables = CONCAT(@@global.session_track_system_variables,',transaction_isolation'), charset AsciiSafe:NAMES utf8mb4
SET SESSION session_track_system_variables = 'autocommit, time_zone'
--> session session_statement | set session_track_system_variables:session_track_system_variables = 'autocommit, time_zone'
SET session_track_system_variables = CONCAT(@@session_track_system_variables,',transaction_isolation')
--> primary session_statement | pin @@session_track_system_variables
SET session_track_system_variables = 'autocommit,Last_Gtid'
--> primary session_statement | pin @@session_track_system_variables
SET session_track_system_variables = '*'
--> primary session_statement | pin @@session_track_system_variables
SET session_track_system_variables = CONCAT(@@global.session_track_system_variables, ',a', f())
--> primary unknown_function | pin @@session_track_system_variables
SET session_track_system_variables = CONCAT(@@global.sql_mode,',transaction_isolation')
--> primary session_statement | pin @@session_track_system_variables
