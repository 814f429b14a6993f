--# Plain reads: any server that is fresh enough.
SELECT 1
--> replica only_computes
SELECT * FROM users WHERE id = 5
--> replica plain_read
select u.id, count(*) from users u left join orders o on o.user_id = u.id where u.name like 'a%' group by u.id having count(*) > 3 order by 2 desc limit 10 offset 20
--> replica plain_read
SELECT * FROM `for` WHERE `update` = 1;
--> replica plain_read
SELECT 'FOR UPDATE', "INTO @x", 'it''s \' GET_LOCK(1)' FROM t
--> replica plain_read
SELECT 1 /* FOR UPDATE */ -- INTO @x
--> replica only_computes
SELECT t.update, t.into FROM t
--> replica plain_read
SELECT DISTINCT a, b FROM t WHERE a IN (SELECT a FROM u WHERE u.b = t.b) UNION ALL SELECT 1, 2 ORDER BY 1
--> replica plain_read
(SELECT a FROM t) UNION (SELECT b FROM u) LIMIT 5
--> replica plain_read
SELECT SQL_NO_CACHE HIGH_PRIORITY a FROM t USE INDEX FOR ORDER BY (i1) WHERE a BETWEEN 1 AND 2
--> replica plain_read
SELECT /*+ MAX_EXECUTION_TIME(1000) */ * FROM t
--> replica plain_read
WITH RECURSIVE c (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM c WHERE n < 5) SELECT * FROM c
--> replica plain_read
SELECT ROW_NUMBER() OVER (PARTITION BY a ORDER BY b) FROM t WINDOW w AS (ORDER BY a)
--> replica plain_read
SELECT RAND(), UUID(), NOW(6), SLEEP(0), BENCHMARK(1, CRC32('a'))
--> replica only_computes
SELECT * FROM t WHERE a = ? AND b IN (?, ?, ?)
--> replica plain_read
SELECT CURRENT_USER(), DATABASE(), VERSION()
--> replica only_computes

--# Locking clauses, wherever they hide.
SELECT * FROM t FOR UPDATE
--> primary locking_clause
SELECT * FROM t FOR /**/ UPDATE NOWAIT
--> primary locking_clause
SELECT * FROM t FOR SHARE SKIP LOCKED
--> primary locking_clause
SELECT * FROM t LOCK IN SHARE MODE
--> primary locking_clause
SELECT * FROM (SELECT * FROM t FOR UPDATE) d
--> primary locking_clause
WITH c AS (SELECT * FROM t FOR SHARE) SELECT * FROM c
--> primary locking_clause
SELECT 1 UNION (SELECT a FROM t FOR UPDATE)
--> primary locking_clause
SELECT 1e5FOR UPDATE
--> primary locking_clause
SELECT * FROM t WHERE a = 1.FOR UPDATE
--> primary locking_clause

--# INTO
SELECT a INTO @x FROM t
--> primary into_clause | pin @x
SELECT a, b FROM t INTO @x, @`y`
--> primary into_clause | pin @x, pin @y
SELECT * FROM t INTO OUTFILE '/tmp/x'
--> primary into_clause
SELECT * FROM t INTO DUMPFILE '/tmp/x'
--> primary into_clause

--# Data changes behind WITH.
WITH c AS (SELECT 1) DELETE FROM t WHERE a IN (SELECT * FROM c)
--> primary writes
WITH c AS (SELECT 1) UPDATE t, c SET t.a = 1
--> primary writes

--# User variables.
SELECT @x
--> primary reads_user_variable
SELECT @x := 5
--> primary assigns_user_variable | pin @x
SELECT @'Quoted':=1, @`Back`:=2
--> primary assigns_user_variable | pin @quoted, pin @back

--# Functions.
SELECT my_function(1)
--> primary unknown_function
SELECT mydb.f(1) FROM t
--> primary unknown_function
SELECT `count`(*) FROM t
--> primary unknown_function
SELECT COUNT (*) FROM t
--> primary unknown_function
SELECT GET_LOCK('Job', 10)
--> primary lock_function | pin lock 'job'
SELECT GET_LOCK(CONCAT('a', 'b'), 10)
--> primary lock_function | pin lock ''
SELECT RELEASE_LOCK('Job')
--> primary lock_function | unpin lock 'job'
SELECT IF(a, RELEASE_LOCK('Job'), 1) FROM t
--> primary lock_function
SELECT RELEASE_ALL_LOCKS()
--> primary lock_function | unpin lock ''
SELECT IS_FREE_LOCK('Job')
--> primary lock_function
SELECT LAST_INSERT_ID()
--> primary primary_session_function
SELECT CONNECTION_ID()
--> primary primary_session_function
SELECT FOUND_ROWS()
--> previous previous_statement
SELECT ROW_COUNT()
--> previous previous_statement
SELECT SQL_CALC_FOUND_ROWS * FROM t LIMIT 1
--> primary previous_statement
SELECT LOAD_FILE('/etc/passwd')
--> primary file
SELECT UUID_SHORT()
--> primary about_this_server
SELECT NEXTVAL(s)
--> mysql: primary unknown_function
--> mariadb: primary sequence
SELECT NEXT VALUE FOR s
--> primary sequence

--# Keywords before a parenthesis are no calls; MariaDB has some that may be.
SELECT id FROM t WHERE MATCH (a, b) AGAINST ('x' IN BOOLEAN MODE) AND (a, b) = ROW(1, 2)
--> replica plain_read
SELECT j.x FROM t, JSON_TABLE(t.doc, '$[*]' COLUMNS (x VARCHAR(10) PATH '$.x')) AS j
--> replica plain_read
SELECT against(1)
--> mysql: primary stages_disagree
--> mariadb: primary unknown_function
SELECT a, lateral(1) FROM t
--> mysql: primary stages_disagree
--> mariadb: primary unknown_function
SELECT * FROM t, LATERAL (SELECT t.a) AS d
--> mysql: replica plain_read
--> mariadb: primary unknown_function

--# System variables and schemas.
SELECT @@max_allowed_packet, @@session.auto_increment_increment, @@version_comment LIMIT 1
--> replica only_computes
SELECT @@server_id
--> primary server_variable
SELECT @@global.sql_mode
--> primary server_variable
SELECT @@identity
--> primary server_variable
SELECT @@warning_count
--> previous previous_statement
SELECT * FROM information_schema.TABLES WHERE table_schema = 'x'
--> replica plain_read
SELECT * FROM information_schema.PROCESSLIST
--> primary system_schema
SELECT * FROM performance_schema.threads
--> primary system_schema
SELECT * FROM `mysql`.`user`
--> primary system_schema

--# Comments that may be code.
SELECT /*!40001 SQL_NO_CACHE */ * FROM t
--> primary executable_comment
SELECT 1 /*M!100100 FOR UPDATE */
--> mysql: primary locking_clause | pin connection
--> mariadb: primary locking_clause

--# Several statements: the strictest verdict.
SELECT 1; SELECT * FROM t
--> replica plain_read
SELECT 1; DELETE FROM t
--> primary writes
SELECT 1; SET autocommit = 0; SELECT a FROM t
--> primary session_statement | set autocommit:autocommit = 0, autocommit off

--# Nothing at all.
/* ping */
--> replica only_computes
;
--> replica only_computes

--@ sql_mode NO_BACKSLASH_ESCAPES
SELECT '\'; DELETE FROM t; -- '
--> primary writes
--@ sql_mode
SELECT '\'; DELETE FROM t; -- '
--> replica only_computes
--@ sql_mode ANSI_QUOTES
SELECT "f"(1)
--> primary unknown_function
SELECT "a" FROM "t"
--> replica plain_read
--@ sql_mode ORACLE
SELECT 1
--> primary unknown_sql_mode
--@ sql_mode IGNORE_SPACE
SELECT COUNT (*) FROM t
--> replica plain_read
--@ sql_mode
--@ charset gbk
SELECT 'ä' FROM t
--> primary unsafe_charset
SELECT 'a' FROM t
--> replica plain_read
--@ charset latin1
SELECT a FROM größe
--> replica plain_read
SELECT a FROM t FOR UPDATE
--> primary locking_clause
--@ charset utf16
SELECT 1
--> primary unsafe_charset
--@ charset utf8mb4
--# MySQL 9.6 took MD5 and SHA out of the server, so that a stored function may have the name.
SELECT MD5(a) FROM t
--> mysql: primary unknown_function
--> mariadb: replica plain_read
SELECT RANK () OVER (ORDER BY a) FROM t
--> mysql: replica plain_read
--> mariadb: primary unknown_function
SELECT json_table(1)
--> mysql: replica only_computes
--> mariadb: primary unknown_function
SELECT POINT(1)
--> mysql: replica only_computes
--> mariadb: primary unknown_function
