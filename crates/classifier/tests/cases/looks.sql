--# DO, EXPLAIN, DESCRIBE, ANALYZE, TABLE, VALUES, SHOW.
--@ schema test
DO 1
--> replica only_computes
DO SLEEP(1)
--> replica only_computes
DO RELEASE_LOCK('Job')
--> primary lock_function | unpin lock 'job'
DO GET_LOCK('Job', 1)
--> primary lock_function | pin lock 'job'
DO f()
--> primary unknown_function
DO @a := 1
--> primary assigns_user_variable | pin @a
EXPLAIN SELECT * FROM t
--> replica plain_read
EXPLAIN FORMAT = JSON SELECT * FROM t
--> replica plain_read
EXPLAIN ANALYZE SELECT * FROM t
--> replica plain_read
EXPLAIN EXTENDED SELECT 1
--> replica only_computes
EXPLAIN SELECT * FROM t FOR UPDATE
--> primary locking_clause
EXPLAIN UPDATE t SET a = 1
--> primary writes
EXPLAIN ANALYZE DELETE FROM t
--> primary writes
EXPLAIN FOR CONNECTION 5
--> primary about_this_server
EXPLAIN FORMAT = JSON INTO @v SELECT * FROM t
--> primary into_clause | pin @v
EXPLAIN t
--> replica plain_read
EXPLAIN t a
--> replica plain_read
DESCRIBE db.t 'a%'
--> replica plain_read
DESC t
--> replica plain_read
DESC SELECT 1
--> replica only_computes
DESCRIBE mysql.user
--> primary system_schema
ANALYZE SELECT * FROM t
--> mysql: primary not_known | pin connection
--> mariadb: replica plain_read
ANALYZE FORMAT = JSON SELECT * FROM t
--> mysql: primary not_known | pin connection
--> mariadb: replica plain_read
ANALYZE UPDATE t SET a = 1
--> mysql: primary not_known | pin connection
--> mariadb: primary writes
ANALYZE NO_WRITE_TO_BINLOG TABLE t
--> primary writes | end
TABLE t
--> replica plain_read
TABLE t ORDER BY a LIMIT 3
--> replica plain_read
TABLE t INTO OUTFILE 'x'
--> primary into_clause
TABLE mysql.user
--> primary system_schema
VALUES ROW(1, 2), ROW(3, 4)
--> replica only_computes
VALUES (1, 2), (3, 4)
--> replica only_computes
SHOW TABLES
--> replica plain_read
SHOW FULL TABLES FROM db LIKE 'a%'
--> replica plain_read
SHOW COLUMNS FROM t
--> replica plain_read
SHOW FULL FIELDS FROM t FROM db
--> replica plain_read
SHOW INDEX FROM t
--> replica plain_read
SHOW CREATE TABLE t
--> replica plain_read
SHOW CREATE PROCEDURE p
--> replica plain_read
SHOW CREATE DATABASE d
--> replica plain_read
SHOW DATABASES
--> replica plain_read
SHOW TABLE STATUS
--> replica plain_read
SHOW TRIGGERS
--> replica plain_read
SHOW EVENTS
--> replica plain_read
SHOW PROCEDURE STATUS
--> replica plain_read
SHOW CHARACTER SET
--> replica plain_read
SHOW COLLATION WHERE f(1)
--> primary unknown_function
SHOW COLLATION WHERE `Charset` = 'utf8mb4'
--> replica plain_read
SHOW GRANTS
--> replica plain_read
SHOW GRANTS FOR 'u'@'h'
--> replica plain_read
SHOW WARNINGS
--> previous previous_statement
SHOW COUNT(*) ERRORS
--> previous previous_statement
SHOW ERRORS LIMIT 1
--> previous previous_statement
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
SHOW VARIABLES
--> primary about_this_server
SHOW VARIABLES LIKE 'sql_mode'
--> replica only_computes
SHOW SESSION VARIABLES LIKE 'lower_case_%'
--> primary about_this_server
SHOW SESSION VARIABLES LIKE 'lower_case_table_names'
--> replica only_computes
SHOW GLOBAL VARIABLES LIKE 'sql_mode'
--> primary about_this_server
SHOW VARIABLES LIKE 'server_id'
--> primary about_this_server
SHOW BINARY LOG STATUS
--> primary about_this_server
SHOW MASTER STATUS
--> primary about_this_server
SHOW REPLICA STATUS
--> primary about_this_server
SHOW SLAVE HOSTS
--> primary about_this_server
SHOW BINLOG EVENTS
--> primary about_this_server
SHOW ENGINE INNODB STATUS
--> primary about_this_server
SHOW ENGINES
--> primary about_this_server
SHOW PLUGINS
--> primary about_this_server
SHOW OPEN TABLES
--> primary about_this_server
SHOW PROFILES
--> primary about_this_server
SHOW TABLES WHERE GET_LOCK('x', 1)
--> primary lock_function | pin lock 'x'
