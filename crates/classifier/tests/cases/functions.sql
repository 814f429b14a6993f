--# A function that is not the server's own may do anything.
SELECT my_function(1)
--> primary unknown_function
SELECT mydb.f(1) FROM t
--> primary unknown_function
SELECT mydb . f (1) FROM t
--> primary unknown_function
SELECT `mydb`.`f`(1)
--> primary unknown_function
SELECT `count`(*) FROM t
--> primary unknown_function
SELECT `f`(1)
--> primary unknown_function
SELECT mydb.count(1)
--> primary unknown_function
SELECT COUNT (*) FROM t
--> primary unknown_function
SELECT SUM (a) FROM t
--> primary unknown_function
SELECT CONCAT (a, b) FROM t
--> replica plain_read
SELECT COUNT/**/(*) FROM t
--> primary unknown_function
SELECT a FROM t WHERE b = f(1)
--> primary unknown_function
SELECT a FROM t ORDER BY f(a)
--> primary unknown_function
SELECT a FROM t GROUP BY a HAVING f(a)
--> primary unknown_function
SELECT a FROM t JOIN u ON f(t.a, u.a)
--> primary unknown_function
SELECT CASE WHEN f() THEN 1 END
--> primary unknown_function
SELECT CONCAT('a', f('b'))
--> primary unknown_function
SELECT * FROM (SELECT f(1)) d
--> primary unknown_function
WITH c AS (SELECT f(1)) SELECT * FROM c
--> primary unknown_function
SELECT 1 UNION SELECT f(1)
--> primary unknown_function
SELECT * FROM t WHERE a IN (f(1), 2)
--> primary unknown_function
SELECT a FROM t LIMIT 1 OFFSET f(1)
--> primary unknown_function
VALUES ROW(f(1))
--> primary unknown_function
DO f()
--> primary unknown_function
SELECT SUM(f(a)) OVER (ORDER BY f(b)) FROM t
--> primary unknown_function
SELECT {fn f(1)}
--> primary unknown_function
SELECT {fn LENGTH('a')}
--> replica only_computes
SELECT f /* comment */ (1)
--> primary unknown_function
SELECT sys.format_bytes(1)
--> primary system_schema
SELECT NOT f(1)
--> primary unknown_function
SELECT -f(1)
--> primary unknown_function
SELECT BENCHMARK(10, f(1))
--> primary unknown_function

--# Functions of one server, or of some versions only.
SELECT MD5(a) FROM t
--> replica plain_read
SELECT STRING_TO_VECTOR('[1,2]')
--> mysql: replica plain_read
--> mariadb: primary unknown_function
SELECT VEC_DISTANCE_EUCLIDEAN(a, b) FROM t
--> mysql: primary unknown_function
--> mariadb: replica plain_read
SELECT shop.MD5(a) FROM t
--> primary unknown_function
SELECT SHA2(a, 256) FROM t
--> replica plain_read
SELECT ANY_VALUE(a), BIN_TO_UUID(b), REGEXP_LIKE(a, 'x') FROM t
--> mysql: replica plain_read
--> mariadb: primary unknown_function
SELECT NVL(a, b), ADD_MONTHS(a, 1), TO_CHAR(a) FROM t
--> mysql: primary unknown_function
--> mariadb: replica plain_read
SELECT RANK () OVER (ORDER BY a) FROM t
--> mysql: replica plain_read
--> mariadb: primary unknown_function
SELECT POINT(1)
--> mysql: replica only_computes
--> mariadb: primary unknown_function
SELECT POINT(1, 2)
--> replica only_computes
SELECT POINT((1), (2, 3)), POINT(f(1), 2)
--> primary unknown_function
SELECT POLYGON()
--> mysql: replica only_computes
--> mariadb: primary unknown_function
SELECT json_table(1)
--> mysql: replica only_computes
--> mariadb: primary unknown_function
SELECT against(1)
--> mysql: primary stages_disagree
--> mariadb: primary unknown_function
SELECT a, lateral(1) FROM t
--> mysql: primary stages_disagree
--> mariadb: primary unknown_function
SELECT VALIDATE_PASSWORD_STRENGTH('x')
--> primary about_this_server
SELECT SLEEP(1), BENCHMARK(1000, MD5('a'))
--> mysql: replica plain_read
--> mariadb: replica only_computes

--# The default of a column in MariaDB may be the next value of a sequence.
SELECT DEFAULT(a) FROM t
--> mysql: replica plain_read
--> mariadb: primary writing_function
SELECT a FROM t WHERE b = DEFAULT(b)
--> mysql: replica plain_read
--> mariadb: primary writing_function

--# Named locks.
SELECT GET_LOCK('Job', 10)
--> primary lock_function | pin lock 'job'
SELECT get_lock ( 'Job' , 10 )
--> primary lock_function | pin lock 'job'
SELECT GET_LOCK("Job", -1)
--> primary lock_function | pin lock 'job'
SELECT GET_LOCK(CONCAT('a', 'b'), 10)
--> primary lock_function | pin lock ''
SELECT GET_LOCK('it''s', 1)
--> primary lock_function | pin lock ''
SELECT GET_LOCK(?, 10)
--> primary lock_function | pin lock ''
SELECT GET_LOCK('a', 1), GET_LOCK('b', 1)
--> primary lock_function | pin lock 'a', pin lock 'b'
SELECT * FROM t WHERE GET_LOCK('a', 1)
--> primary lock_function | pin lock 'a'
SELECT (SELECT GET_LOCK('a', 1))
--> primary lock_function | pin lock 'a'
SELECT RELEASE_LOCK('Job')
--> primary lock_function | unpin lock 'job'
SELECT IF(a, RELEASE_LOCK('Job'), 1) FROM t
--> primary lock_function
SELECT RELEASE_LOCK(a) FROM t
--> primary lock_function
SELECT RELEASE_ALL_LOCKS()
--> primary lock_function | unpin lock ''
SELECT IS_FREE_LOCK('Job')
--> primary lock_function
SELECT IS_USED_LOCK('Job')
--> primary lock_function
DO GET_LOCK('Job', 1)
--> primary lock_function | pin lock 'job'
DO RELEASE_LOCK('Job')
--> primary lock_function | unpin lock 'job'
DO RELEASE_ALL_LOCKS()
--> primary lock_function | unpin lock ''

--# What lives on the primary's connection, or was left by the previous statement.
SELECT LAST_INSERT_ID()
--> primary primary_session_function
SELECT LAST_INSERT_ID(5)
--> primary primary_session_function
SELECT last_insert_id ()
--> primary primary_session_function
SELECT * FROM t WHERE id = LAST_INSERT_ID()
--> primary primary_session_function
SELECT CONNECTION_ID()
--> primary primary_session_function
SELECT FOUND_ROWS()
--> previous previous_statement
SELECT ROW_COUNT()
--> previous previous_statement
SELECT a, ROW_COUNT() FROM t
--> previous previous_statement
SELECT SQL_CALC_FOUND_ROWS * FROM t LIMIT 1
--> primary previous_statement
SELECT * FROM (SELECT SQL_CALC_FOUND_ROWS * FROM t) d
--> primary previous_statement

--# About the server, or its files.
SELECT UUID_SHORT()
--> primary about_this_server
SELECT LOAD_FILE('/etc/passwd')
--> primary file
SELECT MASTER_POS_WAIT('a', 4)
--> primary about_this_server
SELECT SOURCE_POS_WAIT('a', 4)
--> mysql: primary about_this_server
--> mariadb: primary unknown_function
SELECT WAIT_FOR_EXECUTED_GTID_SET('a:1')
--> mysql: primary about_this_server
--> mariadb: primary unknown_function
SELECT MASTER_GTID_WAIT('0-1-2')
--> mysql: primary unknown_function
--> mariadb: primary about_this_server
SELECT BINLOG_GTID_POS('a', 4)
--> mysql: primary unknown_function
--> mariadb: primary about_this_server
SELECT PS_CURRENT_THREAD_ID(), PS_THREAD_ID(1)
--> mysql: primary about_this_server
--> mariadb: primary unknown_function
SELECT WSREP_LAST_SEEN_GTID()
--> mysql: primary unknown_function
--> mariadb: primary about_this_server
SELECT GTID_SUBSET('a:1', 'a:1-2')
--> mysql: replica only_computes
--> mariadb: primary unknown_function

--# Sequences.
SELECT NEXTVAL(s)
--> mysql: primary unknown_function
--> mariadb: primary sequence
SELECT NEXT VALUE FOR s
--> primary sequence
SELECT NEXT VALUE FOR db.s
--> primary sequence
SELECT 1 + NEXT VALUE FOR s
--> primary sequence
SELECT PREVIOUS VALUE FOR s
--> primary sequence
SELECT LASTVAL(s)
--> mysql: primary unknown_function
--> mariadb: primary sequence
SELECT SETVAL(s, 5)
--> mysql: primary unknown_function
--> mariadb: primary sequence
SELECT SETVAL(s, 5, 1, 0)
--> mysql: primary unknown_function
--> mariadb: primary sequence
SELECT * FROM t WHERE a = NEXTVAL(s)
--> mysql: primary unknown_function
--> mariadb: primary sequence
WITH c AS (SELECT NEXT VALUE FOR s) SELECT * FROM c
--> primary sequence
DO NEXTVAL(s)
--> mysql: primary unknown_function
--> mariadb: primary sequence
DO SETVAL(s, 1)
--> mysql: primary unknown_function
--> mariadb: primary sequence
SELECT s.nextval
--> mysql: replica only_computes
--> mariadb: primary sequence
SELECT s.currval FROM t
--> mysql: replica plain_read
--> mariadb: primary sequence
--@ sql_mode ORACLE
SELECT s.nextval
--> mysql: primary unknown_sql_mode
--> mariadb: primary sequence
SELECT s.currval FROM t
--> mysql: primary unknown_sql_mode
--> mariadb: primary sequence
SELECT s.nextval FROM DUAL
--> mysql: primary unknown_sql_mode
--> mariadb: primary sequence
--@ sql_mode
--# Behind AS stands a type or an alias with names, and nothing else.
SELECT CAST(a AS CHAR(10)), CAST(b AS DECIMAL(10, 2)), COLUMN_GET(c, 'x' AS DATETIME(6)) FROM t
--> mysql: primary unknown_function
--> mariadb: replica plain_read
SELECT * FROM (SELECT 1, 2) AS d (x, `y`)
--> replica plain_read
SELECT a AS GET_LOCK('l', 1) FROM t
--> primary lock_function | pin lock 'l'
SELECT CAST(a AS f(g(1))) FROM t
--> primary unknown_function
