--# SET sql_mode: the lexer has to know what it makes of the grammar.
--@ schema test
SET sql_mode = ''
--> session session_statement | set sql_mode:sql_mode = '', sql_mode SqlMode(0x0)
SET sql_mode = 'ANSI_QUOTES,STRICT_TRANS_TABLES'
--> session session_statement | set sql_mode:sql_mode = 'ANSI_QUOTES,STRICT_TRANS_TABLES', sql_mode SqlMode(ANSI_QUOTES)
SET SESSION sql_mode = "STRICT_ALL_TABLES,NO_AUTO_VALUE_ON_ZERO"
--> session session_statement | set sql_mode:sql_mode = "STRICT_ALL_TABLES,NO_AUTO_VALUE_ON_ZERO", sql_mode SqlMode(0x0)
SET @@SESSION.sql_mode = 'TRADITIONAL'
--> session session_statement | set sql_mode:sql_mode = 'TRADITIONAL', sql_mode SqlMode(0x0)
SET SQL_MODE = ANSI
--> session session_statement | set sql_mode:SQL_MODE = ANSI, sql_mode SqlMode(ANSI_QUOTES | IGNORE_SPACE | PIPES_AS_CONCAT)
SET sql_mode = 'NO_BACKSLASH_ESCAPES'
--> session session_statement | set sql_mode:sql_mode = 'NO_BACKSLASH_ESCAPES', sql_mode SqlMode(NO_BACKSLASH_ESCAPES)
SET sql_mode = 'IGNORE_SPACE,PIPES_AS_CONCAT'
--> session session_statement | set sql_mode:sql_mode = 'IGNORE_SPACE,PIPES_AS_CONCAT', sql_mode SqlMode(IGNORE_SPACE | PIPES_AS_CONCAT)
SET sql_mode = DEFAULT
--> session session_statement | set sql_mode:sql_mode = DEFAULT, sql_mode SqlMode(UNKNOWN)
SET sql_mode = ORACLE
--> session session_statement | set sql_mode:sql_mode = ORACLE, sql_mode SqlMode(UNKNOWN)
SET sql_mode = 'MSSQL'
--> session session_statement | set sql_mode:sql_mode = 'MSSQL', sql_mode SqlMode(UNKNOWN)
SET sql_mode = 4
--> session session_statement | set sql_mode:sql_mode = 4, sql_mode SqlMode(UNKNOWN)
SET sql_mode = 'NOT_A_MODE'
--> session session_statement | set sql_mode:sql_mode = 'NOT_A_MODE', sql_mode SqlMode(UNKNOWN)
SET sql_mode = @old_sql_mode
--> primary session_statement | pin @@sql_mode, sql_mode SqlMode(UNKNOWN)
SET sql_mode = @@global.sql_mode
--> primary session_statement | pin @@sql_mode, sql_mode SqlMode(UNKNOWN)
SET GLOBAL sql_mode = 'ANSI_QUOTES'
--> primary writes
SET PERSIST sql_mode = ''
--> primary writes
SET sql_mode = 'ANSI_QUOTES', @x = "a"
--> primary session_statement | set sql_mode:sql_mode = 'ANSI_QUOTES', sql_mode SqlMode(ANSI_QUOTES), pin @x
SET sql_mode = 'STRICT_' 'ALL_TABLES'
--> session session_statement | set sql_mode:sql_mode = 'STRICT_' 'ALL_TABLES', sql_mode SqlMode(UNKNOWN)
SET sql_mode = 'ANSI\_QUOTES'
--> session session_statement | set sql_mode:sql_mode = 'ANSI\_QUOTES', sql_mode SqlMode(UNKNOWN)

--# What builds on the old mode is repeated behind what it builds on, so it goes by a name of its own.
SET SESSION sql_mode = CONCAT(@@sql_mode, ',STRICT_TRANS_TABLES')
--> session session_statement | set sql_mode: sql_mode = CONCAT(@@sql_mode, ',STRICT_TRANS_TABLES'):sql_mode = CONCAT(@@sql_mode, ',STRICT_TRANS_TABLES'), sql_mode SqlMode(0x0)
SET @@SESSION.sql_mode = CONCAT(CONCAT(@@sql_mode, ',STRICT_ALL_TABLES'), ',NO_AUTO_VALUE_ON_ZERO')
--> session session_statement | set sql_mode: sql_mode = CONCAT(CONCAT(@@sql_mode, ',STRICT_ALL_TABLES'), ',NO_AUTO_VALUE_ON_ZERO'):sql_mode = CONCAT(CONCAT(@@sql_mode, ',STRICT_ALL_TABLES'), ',NO_AUTO_VALUE_ON_ZERO'), sql_mode SqlMode(0x0)
SET sql_mode = CONCAT('ANSI_QUOTES,', @@session.sql_mode)
--> session session_statement | set sql_mode: sql_mode = CONCAT('ANSI_QUOTES,', @@session.sql_mode):sql_mode = CONCAT('ANSI_QUOTES,', @@session.sql_mode), sql_mode SqlMode(ANSI_QUOTES)
SET sql_mode = CONCAT(@@SESSION.sql_mode, ',ANSI')
--> session session_statement | set sql_mode: sql_mode = CONCAT(@@SESSION.sql_mode, ',ANSI'):sql_mode = CONCAT(@@SESSION.sql_mode, ',ANSI'), sql_mode SqlMode(ANSI_QUOTES | IGNORE_SPACE | PIPES_AS_CONCAT)
SET sql_mode = CONCAT_WS(',', @@sql_mode, 'NO_BACKSLASH_ESCAPES', 'PIPES_AS_CONCAT')
--> session session_statement | set sql_mode: sql_mode = CONCAT_WS(',', @@sql_mode, 'NO_BACKSLASH_ESCAPES', 'PIPES_AS_CONCAT'):sql_mode = CONCAT_WS(',', @@sql_mode, 'NO_BACKSLASH_ESCAPES', 'PIPES_AS_CONCAT'), sql_mode SqlMode(NO_BACKSLASH_ESCAPES | PIPES_AS_CONCAT)
SET sql_mode = (SELECT CONCAT(@@sql_mode, ',IGNORE_SPACE'))
--> session session_statement | set sql_mode: sql_mode = (SELECT CONCAT(@@sql_mode, ',IGNORE_SPACE')):sql_mode = (SELECT CONCAT(@@sql_mode, ',IGNORE_SPACE')), sql_mode SqlMode(IGNORE_SPACE)
SET sql_mode = @@sql_mode
--> session session_statement | set sql_mode: sql_mode = @@sql_mode:sql_mode = @@sql_mode, sql_mode SqlMode(0x0)
SET @@SESSION.sql_mode = (SELECT REPLACE(@@sql_mode, 'ONLY_FULL_GROUP_BY', ''))
--> session session_statement | set sql_mode: sql_mode = (SELECT REPLACE(@@sql_mode, 'ONLY_FULL_GROUP_BY', '')):sql_mode = (SELECT REPLACE(@@sql_mode, 'ONLY_FULL_GROUP_BY', '')), sql_mode SqlMode(0x0)
SET SESSION sql_mode = REPLACE(REPLACE(@@sql_mode, 'STRICT_TRANS_TABLES,', ''), ',NO_ZERO_DATE', '')
--> session session_statement | set sql_mode: sql_mode = REPLACE(REPLACE(@@sql_mode, 'STRICT_TRANS_TABLES,', ''), ',NO_ZERO_DATE', ''):sql_mode = REPLACE(REPLACE(@@sql_mode, 'STRICT_TRANS_TABLES,', ''), ',NO_ZERO_DATE', ''), sql_mode SqlMode(0x0)
SET sql_mode = CONCAT(REPLACE(@@sql_mode, 'ONLY_FULL_GROUP_BY', ''), ',ANSI_QUOTES'), autocommit = 0
--> session session_statement | set sql_mode: sql_mode = CONCAT(REPLACE(@@sql_mode, 'ONLY_FULL_GROUP_BY', ''), ',ANSI_QUOTES'):sql_mode = CONCAT(REPLACE(@@sql_mode, 'ONLY_FULL_GROUP_BY', ''), ',ANSI_QUOTES'), sql_mode SqlMode(ANSI_QUOTES), set autocommit:autocommit = 0, autocommit off
--# Not where the result is not known.
SET sql_mode = CONCAT(@@sql_mode, 'STRICT_TRANS_TABLES')
--> primary session_statement | pin @@sql_mode, sql_mode SqlMode(UNKNOWN)
SET sql_mode = CONCAT(@@sql_mode, ',ORACLE')
--> session session_statement | set sql_mode: sql_mode = CONCAT(@@sql_mode, ',ORACLE'):sql_mode = CONCAT(@@sql_mode, ',ORACLE'), sql_mode SqlMode(UNKNOWN)
SET sql_mode = CONCAT(@@sql_mode, ",STRICT_ALL_TABLES")
--> primary session_statement | pin @@sql_mode, sql_mode SqlMode(UNKNOWN)
SET sql_mode = CONCAT(@@global.sql_mode, ',ANSI_QUOTES')
--> primary session_statement | pin @@sql_mode, sql_mode SqlMode(UNKNOWN)
SET sql_mode = CONCAT(@@sql_mode, ',', @x)
--> primary session_statement | pin @@sql_mode, sql_mode SqlMode(UNKNOWN)
SET sql_mode = CONCAT(@@sql_mode, @@sql_mode)
--> primary session_statement | pin @@sql_mode, sql_mode SqlMode(UNKNOWN)
SET sql_mode = CONCAT('ANSI_QUOTES', ',STRICT_ALL_TABLES')
--> primary session_statement | pin @@sql_mode, sql_mode SqlMode(UNKNOWN)
SET sql_mode = REPLACE(@@sql_mode, 'ANSI_QUOTES', '')
--> primary session_statement | pin @@sql_mode, sql_mode SqlMode(UNKNOWN)
SET sql_mode = REPLACE(@@sql_mode, 'STRICT', '')
--> primary session_statement | pin @@sql_mode, sql_mode SqlMode(UNKNOWN)
SET sql_mode = REPLACE(@@sql_mode, ',NO_ZERO_DATE,', '')
--> primary session_statement | pin @@sql_mode, sql_mode SqlMode(UNKNOWN)
SET sql_mode = REPLACE(@@sql_mode, 'NO_ZERO_DATE', 'ANSI')
--> primary session_statement | pin @@sql_mode, sql_mode SqlMode(UNKNOWN)
SET sql_mode = (SELECT CONCAT(@@sql_mode, ',ANSI') FROM t)
--> primary session_statement | pin @@sql_mode, sql_mode SqlMode(UNKNOWN)
SET sql_mode = CONCAT(@@sql_mode, ',ANSI') || 'x'
--> primary session_statement | pin @@sql_mode, sql_mode SqlMode(UNKNOWN)
SET sql_mode = mydb.CONCAT(@@sql_mode, ',ANSI')
--> primary session_statement | pin @@sql_mode, sql_mode SqlMode(UNKNOWN)
SET wait_timeout = CONCAT(@@sql_mode, ',ANSI')
--> primary session_statement | pin @@wait_timeout
--@ sql_mode ANSI_QUOTES
SET sql_mode = CONCAT(@@sql_mode, ',NO_BACKSLASH_ESCAPES')
--> session session_statement | set sql_mode: sql_mode = CONCAT(@@sql_mode, ',NO_BACKSLASH_ESCAPES'):sql_mode = CONCAT(@@sql_mode, ',NO_BACKSLASH_ESCAPES'), sql_mode SqlMode(ANSI_QUOTES | NO_BACKSLASH_ESCAPES)
SET sql_mode = CONCAT(@@sql_mode, ",STRICT_ALL_TABLES")
--> primary session_statement | pin @@sql_mode, sql_mode SqlMode(UNKNOWN)
SET sql_mode = REPLACE(@@sql_mode, 'ONLY_FULL_GROUP_BY', '')
--> session session_statement | set sql_mode: sql_mode = REPLACE(@@sql_mode, 'ONLY_FULL_GROUP_BY', ''):sql_mode = REPLACE(@@sql_mode, 'ONLY_FULL_GROUP_BY', ''), sql_mode SqlMode(ANSI_QUOTES)
--@ sql_mode ORACLE
SET sql_mode = CONCAT(@@sql_mode, ',STRICT_ALL_TABLES')
--> primary session_statement | set sql_mode: sql_mode = CONCAT(@@sql_mode, ',STRICT_ALL_TABLES'):sql_mode = CONCAT(@@sql_mode, ',STRICT_ALL_TABLES'), sql_mode SqlMode(UNKNOWN)
SET sql_mode = ''
--> primary session_statement | set sql_mode:sql_mode = '', sql_mode SqlMode(0x0)

--# What the modes change. ANSI_QUOTES: double quotes are names, with a backslash that is no escape.
--@ sql_mode ANSI_QUOTES
SELECT "a" FROM "t"
--> replica plain_read
SELECT "f"(1)
--> primary unknown_function
SELECT * FROM "mysql"."user"
--> primary system_schema
SELECT "a\" FROM t FOR UPDATE -- "
--> primary locking_clause
SELECT @"x"
--> primary reads_user_variable
SELECT 'a"b' FROM t
--> replica plain_read
--@ sql_mode
SELECT "a\" FROM t FOR UPDATE -- "
--> replica only_computes
SELECT "f"
--> replica only_computes
--# NO_BACKSLASH_ESCAPES: a string ends at its quote.
SELECT '\'; DELETE FROM t; -- '
--> replica only_computes
SELECT 'it\'s' FROM t
--> replica plain_read
SELECT '\\' FROM t FOR UPDATE -- '
--> primary locking_clause
--@ sql_mode NO_BACKSLASH_ESCAPES
SELECT '\'; DELETE FROM t; -- '
--> primary writes
SELECT 'C:\' FROM t
--> replica plain_read
SELECT "\" FROM t FOR UPDATE -- "
--> primary locking_clause
--# IGNORE_SPACE: a space does not make COUNT somebody's function.
--@ sql_mode IGNORE_SPACE
SELECT COUNT (*) FROM t
--> replica plain_read
SELECT f (*) FROM t
--> primary unknown_function
SELECT GET_LOCK ('a', 1)
--> primary lock_function | pin lock 'a'
--@ sql_mode PIPES_AS_CONCAT
SELECT a || 'b' FROM t
--> replica plain_read
--@ sql_mode ANSI
SELECT "a" || COUNT (*) FROM t
--> replica plain_read
--# Oracle mode has a grammar of its own: nothing is provably a read.
--@ sql_mode ORACLE
SELECT 1
--> primary unknown_sql_mode
SELECT * FROM t
--> primary unknown_sql_mode
SHOW TABLES
--> primary unknown_sql_mode
SELECT s.nextval
--> mysql: primary unknown_sql_mode
--> mariadb: primary sequence
INSERT INTO t VALUES (1)
--> primary writes
