--# EXPLAIN, DESCRIBE, DESC and MariaDB's ANALYZE of reads, which run on the server whose plan they show.
--@ schema test
EXPLAIN SELECT * FROM t
--> replica plain_read
EXPLAIN SELECT 1
--> replica only_computes
EXPLAIN FORMAT = JSON SELECT * FROM t
--> replica plain_read
EXPLAIN FORMAT=TREE SELECT * FROM t
--> replica plain_read
EXPLAIN FORMAT=TRADITIONAL (SELECT 1) UNION (SELECT 2)
--> replica only_computes
EXPLAIN ANALYZE SELECT * FROM t
--> replica plain_read
EXPLAIN ANALYZE FORMAT=TREE SELECT * FROM t
--> replica plain_read
EXPLAIN EXTENDED SELECT 1
--> replica only_computes
EXPLAIN PARTITIONS SELECT * FROM t
--> replica plain_read
EXPLAIN WITH c AS (SELECT 1) SELECT * FROM c
--> replica plain_read
EXPLAIN TABLE t
--> replica plain_read
EXPLAIN VALUES ROW(1)
--> replica only_computes
DESC SELECT 1
--> replica only_computes
DESCRIBE FORMAT=JSON SELECT * FROM t
--> replica plain_read
ANALYZE SELECT * FROM t
--> mysql: primary not_known | pin connection
--> mariadb: replica plain_read
ANALYZE FORMAT = JSON SELECT * FROM t
--> mysql: primary not_known | pin connection
--> mariadb: replica plain_read
ANALYZE FORMAT=JSON WITH c AS (SELECT 1) SELECT * FROM c
--> mysql: primary not_known | pin connection
--> mariadb: replica plain_read
EXPLAIN SELECT * FROM t WHERE f(1)
--> primary unknown_function
EXPLAIN ANALYZE SELECT GET_LOCK('x', 1)
--> primary lock_function | pin lock 'x'
EXPLAIN SELECT * FROM mysql.user
--> primary system_schema
EXPLAIN SELECT @a := 1
--> primary assigns_user_variable | pin @a
EXPLAIN FORMAT = JSON FOR SCHEMA db SELECT * FROM t
--> primary about_this_server
EXPLAIN FOR DATABASE db SELECT * FROM t
--> primary about_this_server
--# Of writes.
EXPLAIN UPDATE t SET a = 1
--> primary writes
EXPLAIN INSERT INTO t VALUES (1)
--> primary writes
EXPLAIN REPLACE INTO t VALUES (1)
--> primary writes
EXPLAIN DELETE FROM t
--> primary writes
EXPLAIN FORMAT=JSON DELETE FROM t
--> primary writes
EXPLAIN ANALYZE DELETE FROM t
--> primary writes
EXPLAIN ANALYZE UPDATE t SET a = 1
--> primary writes
EXPLAIN ANALYZE INSERT INTO t SELECT 1
--> primary writes
EXPLAIN WITH c AS (SELECT 1) DELETE FROM t WHERE a IN (SELECT * FROM c)
--> primary writes
ANALYZE UPDATE t SET a = 1
--> mysql: primary not_known | pin connection
--> mariadb: primary writes
ANALYZE INSERT INTO t VALUES (1)
--> mysql: primary not_known | pin connection
--> mariadb: primary writes
ANALYZE FORMAT=JSON DELETE FROM t
--> mysql: primary not_known | pin connection
--> mariadb: primary writes
ANALYZE REPLACE INTO t VALUES (1)
--> mysql: primary not_known | pin connection
--> mariadb: primary writes
EXPLAIN ALTER TABLE t ADD b INT
--> primary not_known
EXPLAIN CALL p()
--> primary not_known
EXPLAIN CREATE TABLE x AS SELECT 1
--> primary not_known
--# Of another connection.
EXPLAIN FOR CONNECTION 5
--> primary about_this_server
EXPLAIN FORMAT=JSON FOR CONNECTION 5
--> primary about_this_server
DESCRIBE FOR CONNECTION 5
--> primary about_this_server
--# Of a table.
EXPLAIN t
--> replica plain_read
EXPLAIN t a
--> replica plain_read
EXPLAIN db.t
--> replica plain_read
DESCRIBE t
--> replica plain_read
DESCRIBE db.t 'a%'
--> replica plain_read
DESCRIBE `t` `a`
--> replica plain_read
DESC t
--> replica plain_read
DESC analyze
--> replica plain_read
DESCRIBE mysql.user
--> primary system_schema
EXPLAIN
--> primary not_known
--# DO computes and forgets.
DO 1
--> replica only_computes
DO SLEEP(1)
--> replica only_computes
DO 1, 2 + 3, CONCAT('a', 'b')
--> replica only_computes
DO (SELECT COUNT(*) FROM t)
--> primary locking_clause
DO f()
--> primary unknown_function
DO LAST_INSERT_ID(5)
--> primary primary_session_function
DO @a := 1
--> primary assigns_user_variable | pin @a
DO
--> replica only_computes
HELP 'select'
--> primary about_this_server
