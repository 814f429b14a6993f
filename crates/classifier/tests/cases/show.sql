--# SHOW: definitions are the same everywhere.
--@ schema test
SHOW TABLES
--> replica plain_read
SHOW FULL TABLES FROM db LIKE 'a%'
--> replica plain_read
SHOW EXTENDED FULL TABLES
--> replica plain_read
SHOW TABLES IN db WHERE `Tables_in_db` LIKE 'a%'
--> replica plain_read
SHOW COLUMNS FROM t
--> replica plain_read
SHOW FULL FIELDS FROM t FROM db
--> replica plain_read
SHOW EXTENDED COLUMNS FROM t
--> replica plain_read
SHOW INDEX FROM t
--> replica plain_read
SHOW INDEXES IN t
--> replica plain_read
SHOW EXTENDED KEYS FROM t
--> replica plain_read
SHOW CREATE TABLE t
--> replica plain_read
SHOW CREATE TABLE db.t
--> replica plain_read
SHOW CREATE VIEW v
--> replica plain_read
SHOW CREATE PROCEDURE p
--> replica plain_read
SHOW CREATE FUNCTION f
--> replica plain_read
SHOW CREATE TRIGGER tr
--> replica plain_read
--# A replica has it disabled.
SHOW CREATE EVENT e
--> primary about_this_server
--# Not replicated by MySQL.
SHOW CREATE SERVER s
--> primary about_this_server
--# Whatever comes with later versions, and what cannot be tried on both kinds of servers.
SHOW CREATE THING s
--> primary about_this_server
SHOW CREATE LIBRARY l
--> primary about_this_server
SHOW CREATE DATABASE d
--> replica plain_read
SHOW CREATE SCHEMA IF NOT EXISTS d
--> replica plain_read
SHOW CREATE SEQUENCE s
--> replica plain_read
SHOW CREATE PACKAGE p
--> replica plain_read
SHOW CREATE PACKAGE BODY p
--> replica plain_read
SHOW CREATE USER u@localhost
--> primary about_this_server
SHOW CREATE USER 'u'@'%'
--> primary about_this_server
SHOW CREATE USER CURRENT_USER()
--> primary about_this_server
SHOW DATABASES
--> replica plain_read
SHOW SCHEMAS LIKE 'a%'
--> replica plain_read
SHOW TABLE STATUS
--> replica plain_read
SHOW TABLE STATUS FROM db LIKE 'a%'
--> replica plain_read
SHOW TRIGGERS
--> replica plain_read
SHOW FULL TRIGGERS FROM db
--> replica plain_read
SHOW EVENTS
--> primary about_this_server
SHOW TABLES WHERE EXISTS (SELECT * FROM t)
--> primary locking_clause
SHOW COLUMNS FROM t WHERE Field IN (TABLE u)
--> primary locking_clause
SHOW PROCEDURE STATUS
--> replica plain_read
SHOW FUNCTION STATUS LIKE 'f%'
--> replica plain_read
SHOW PACKAGE STATUS
--> replica plain_read
SHOW PACKAGE BODY STATUS
--> replica plain_read
SHOW CHARACTER SET
--> replica plain_read
SHOW CHARSET LIKE 'utf8%'
--> replica plain_read
SHOW COLLATION
--> replica plain_read
SHOW COLLATION WHERE `Charset` = 'utf8mb4'
--> replica plain_read
SHOW GRANTS
--> replica plain_read
SHOW GRANTS FOR 'u'@'h'
--> replica plain_read
SHOW GRANTS FOR u@h USING r1, r2
--> replica plain_read
SHOW GRANTS FOR CURRENT_USER()
--> replica plain_read
SHOW PRIVILEGES
--> replica plain_read
--# Expressions in WHERE may do more.
SHOW COLLATION WHERE f(1)
--> primary unknown_function
SHOW TABLES WHERE GET_LOCK('x', 1)
--> primary lock_function | pin lock 'x'
SHOW TABLES WHERE @a := 1
--> primary assigns_user_variable | pin @a
SHOW COLUMNS FROM t WHERE Field IN (SELECT a FROM u FOR UPDATE)
--> primary locking_clause
--# System schemas.
SHOW TABLES FROM mysql
--> primary system_schema
SHOW COLUMNS FROM user FROM mysql
--> primary system_schema
SHOW CREATE TABLE mysql.user
--> primary system_schema
SHOW INDEX FROM performance_schema.threads
--> primary system_schema
--# What the previous statement left.
SHOW WARNINGS
--> previous previous_statement
SHOW WARNINGS LIMIT 1, 5
--> previous previous_statement
SHOW COUNT(*) WARNINGS
--> previous previous_statement
SHOW COUNT(*) ERRORS
--> previous previous_statement
SHOW ERRORS
--> previous previous_statement
SHOW ERRORS LIMIT 1
--> previous previous_statement
--# One variable of the session.
SHOW VARIABLES LIKE 'sql_mode'
--> replica only_computes
SHOW SESSION VARIABLES LIKE 'lower_case_table_names'
--> replica only_computes
SHOW LOCAL VARIABLES LIKE "autocommit"
--> replica only_computes
SHOW SESSION VARIABLES LIKE 'lower_case_%'
--> primary about_this_server
SHOW VARIABLES LIKE 'server_id'
--> primary about_this_server
SHOW VARIABLES WHERE Variable_name = 'sql_mode'
--> primary about_this_server
SHOW VARIABLES
--> primary about_this_server
SHOW GLOBAL VARIABLES LIKE 'sql_mode'
--> primary about_this_server
--# The server.
SHOW PROCESSLIST
--> primary about_this_server
SHOW FULL PROCESSLIST
--> primary about_this_server
SHOW STATUS
--> primary about_this_server
SHOW SESSION STATUS LIKE 'Ssl_cipher'
--> primary about_this_server
SHOW GLOBAL STATUS
--> primary about_this_server
SHOW BINARY LOG STATUS
--> primary about_this_server
SHOW BINARY LOGS
--> primary about_this_server
SHOW MASTER STATUS
--> primary about_this_server
SHOW MASTER LOGS
--> primary about_this_server
SHOW REPLICA STATUS
--> primary about_this_server
SHOW REPLICA STATUS FOR CHANNEL 'a'
--> primary not_known
SHOW SLAVE STATUS
--> primary about_this_server
SHOW ALL SLAVES STATUS
--> primary about_this_server
SHOW REPLICAS
--> primary about_this_server
SHOW SLAVE HOSTS
--> primary about_this_server
SHOW BINLOG EVENTS
--> primary about_this_server
SHOW RELAYLOG EVENTS
--> primary about_this_server
SHOW ENGINE INNODB STATUS
--> primary about_this_server
SHOW ENGINES
--> primary about_this_server
SHOW STORAGE ENGINES
--> primary about_this_server
SHOW PLUGINS
--> primary about_this_server
SHOW PLUGINS SONAME 'a'
--> primary about_this_server
SHOW OPEN TABLES
--> primary about_this_server
SHOW PROFILES
--> primary about_this_server
SHOW PROFILE FOR QUERY 1
--> primary not_known
SHOW EXPLAIN FOR 5
--> primary not_known
SHOW ANALYZE FOR 5
--> primary not_known
SHOW EXPLAIN FORMAT = JSON FOR 5
--> primary not_known
SHOW PARSE_TREE SELECT 1
--> primary about_this_server
SHOW PARSE_TREE SELECT * FROM t FOR UPDATE
--> primary locking_clause
SHOW LOCALES
--> primary about_this_server
SHOW AUTHORS
--> primary about_this_server
SHOW CONTRIBUTORS
--> primary about_this_server
SHOW CLIENT_STATISTICS
--> primary about_this_server
SHOW INDEX_STATISTICS
--> primary about_this_server
SHOW USER_STATISTICS
--> primary about_this_server
SHOW QUERY_RESPONSE_TIME
--> primary about_this_server
SHOW WSREP_STATUS
--> primary about_this_server
SHOW PROCEDURE CODE p
--> primary not_known
SHOW FUNCTION CODE f
--> primary about_this_server
SHOW
--> primary about_this_server
SHOW WHATEVER
--> primary about_this_server
