--# Several statements: the strictest verdict, and the effects of all of them in their order.
--@ schema test
SELECT 1; SELECT * FROM t
--> replica plain_read
SELECT 1; SELECT 2;
--> replica only_computes
SELECT 1;
--> replica only_computes
SELECT 1;;
--> replica only_computes
;;SELECT 1
--> replica only_computes
SELECT 1; -- the end
--> replica only_computes
SELECT 1; /* a */; SELECT 2
--> replica only_computes
SELECT 1; DELETE FROM t
--> primary writes
DELETE FROM t; SELECT 1
--> primary writes
SELECT 1; SELECT 2 FOR UPDATE
--> primary locking_clause
SELECT 1; SELECT f(1)
--> primary unknown_function
SELECT 1; SELECT @x
--> primary reads_user_variable
SELECT 1; SHOW WARNINGS
--> previous previous_statement
SHOW WARNINGS; SELECT 1
--> previous previous_statement
SELECT 1; WHATEVER
--> primary not_known | pin connection
SELECT 1; SET autocommit = 0; SELECT a FROM t
--> primary session_statement | set autocommit:autocommit = 0, autocommit off
SET autocommit = 0; SET time_zone = '+00:00'
--> session session_statement | set autocommit:autocommit = 0, autocommit off, set time_zone:time_zone = '+00:00'
SET NAMES utf8mb4; SET autocommit = 1
--> session session_statement | charset AsciiSafe:NAMES utf8mb4, set autocommit:autocommit = 1, autocommit on
SET @a = 1; SELECT @a
--> primary assigns_user_variable | pin @a, assign @a = 1
USE db2; SELECT * FROM t
--> primary session_statement | use db2
USE mysql; SELECT * FROM user
--> primary session_statement | use mysql
USE db2; CREATE TEMPORARY TABLE t1 (a INT)
--> primary session_statement | use db2, pin temporary table db2.t1
CREATE TEMPORARY TABLE a (b INT); DROP TEMPORARY TABLE a
--> primary writes | pin temporary table test.a, unpin temporary table test.a
BEGIN; UPDATE t SET a = 1; COMMIT
--> primary transaction_control | begin, end
BEGIN; SELECT 1; ROLLBACK
--> primary transaction_control | begin, end
START TRANSACTION READ ONLY; SELECT * FROM t
--> primary transaction_control | begin read only
LOCK TABLES t READ; SELECT * FROM t; UNLOCK TABLES
--> primary session_statement | end, pin table locks, unpin table locks
SELECT GET_LOCK('a', 1); SELECT RELEASE_LOCK('a')
--> primary lock_function | pin lock 'a', unpin lock 'a'
INSERT INTO t VALUES (1); SELECT LAST_INSERT_ID()
--> primary writes
SELECT SQL_CALC_FOUND_ROWS * FROM t LIMIT 1; SELECT FOUND_ROWS()
--> primary previous_statement
PREPARE s FROM 'SELECT 1'; EXECUTE s; DEALLOCATE PREPARE s
--> primary session_statement | pin prepared s, unpin prepared s
CREATE PROCEDURE p() SELECT 1; DELETE FROM t
--> primary writes | end, pin connection
CALL p(); SELECT 1
--> primary writes | pin connection
SET sql_mode = 'ANSI_QUOTES'; SELECT "f"(1)
--> primary session_statement | set sql_mode:sql_mode = 'ANSI_QUOTES', sql_mode SqlMode(ANSI_QUOTES)
SET sql_mode = 'ANSI_QUOTES'; SELECT "a" FROM t
--> primary session_statement | set sql_mode:sql_mode = 'ANSI_QUOTES', sql_mode SqlMode(ANSI_QUOTES)
SET sql_mode = 'NO_BACKSLASH_ESCAPES'; SELECT '\'; DELETE FROM t; -- '
--> primary session_statement | set sql_mode:sql_mode = 'NO_BACKSLASH_ESCAPES', sql_mode SqlMode(NO_BACKSLASH_ESCAPES)
SET NAMES gbk; SELECT 1
--> session session_statement | charset AsciiUnsafe:NAMES gbk
SELECT ';' , `;`, ";" /* ; */ # ;
--> replica only_computes
--# Nothing at all.
/* ping */
--> replica only_computes
-- ping
--> replica only_computes
;
--> replica only_computes
 
--> replica only_computes
/* a */ ; # b
--> replica only_computes
