--# Definitions: implicit commits, temporary tables, stored programs.
--@ schema test
CREATE TEMPORARY TABLE t1 (a INT)
--> primary writes | pin temporary table test.t1
CREATE TEMPORARY TABLE IF NOT EXISTS db2.`T 1` SELECT 1
--> primary writes | pin temporary table db2.T 1
CREATE OR REPLACE TEMPORARY TABLE t1 LIKE t
--> primary writes | pin temporary table test.t1
CREATE TEMPORARY SEQUENCE s
--> primary writes | pin temporary table test.s
DROP TEMPORARY TABLE IF EXISTS t1, db2.t2
--> primary writes | unpin temporary table test.t1, unpin temporary table db2.t2
DROP TABLE t1
--> primary writes | end, unpin temporary table test.t1
DROP TABLES a, b
--> primary writes | end, unpin temporary table test.a, unpin temporary table test.b
DROP DATABASE d
--> primary writes | end
CREATE TABLE t (a INT)
--> primary writes | end
CREATE TABLE t AS SELECT @a := 1, GET_LOCK('x', 1)
--> primary writes | end, pin @a, pin lock 'x'
CREATE PROCEDURE p() SELECT 1
--> primary writes | end
CREATE PROCEDURE p() BEGIN SET autocommit = 0; IF a THEN COMMIT; END IF; CASE x WHEN 1 THEN SELECT 2; END CASE; END
--> primary writes | end
CREATE PROCEDURE p() SELECT 1; SET autocommit = 0
--> primary writes | end, pin connection
CREATE DEFINER = `a`@`b` TRIGGER t BEFORE INSERT ON u FOR EACH ROW SET NEW.a = 1
--> primary writes | end
ALTER EVENT e DO BEGIN DELETE FROM t; END
--> primary writes | end
CREATE VIEW v AS SELECT FOUND_ROWS(), LAST_INSERT_ID(), f(1), GET_LOCK('a', 1)
--> primary writes | end
CREATE TABLE t (a INT, b INT AS (FOUND_ROWS() + LAST_INSERT_ID() + f(a) + GET_LOCK('a', 1)))
--> primary writes | end
CREATE TABLE t (a INT DEFAULT (FOUND_ROWS())) AS SELECT GET_LOCK('a', 1)
--> primary writes | end, pin lock 'a'
CREATE VIEW v AS SELECT 1
--> primary writes | end
CREATE INDEX i ON t (a)
--> primary writes | end
ALTER TABLE t ADD b INT
--> primary writes | end
RENAME TABLE a TO b
--> primary writes | end
TRUNCATE t
--> primary writes | end
TRUNCATE TABLE t
--> primary writes | end
GRANT SELECT ON a.* TO u
--> primary writes | end
REVOKE ALL ON a.* FROM u
--> primary writes | end
CREATE USER u IDENTIFIED BY 'p'
--> primary writes | end
--# Everything that can be created, altered or dropped.
CREATE DATABASE IF NOT EXISTS d
--> primary writes | end
CREATE SCHEMA d CHARACTER SET utf8mb4
--> primary writes | end
CREATE OR REPLACE TABLE t (a INT)
--> primary writes | end
CREATE TABLE t LIKE u
--> primary writes | end
CREATE TABLE t SELECT * FROM u FOR UPDATE
--> primary writes | end
CREATE TABLE t AS WITH c AS (SELECT 1) SELECT * FROM c
--> primary writes | end
CREATE EXTERNAL TABLE t (a INT)
--> primary writes | end
CREATE UNIQUE INDEX i ON t (a)
--> primary writes | end
CREATE FULLTEXT INDEX i ON t (a)
--> primary writes | end
CREATE SPATIAL INDEX i ON t (a)
--> primary writes | end
CREATE OR REPLACE ALGORITHM = MERGE DEFINER = u@h SQL SECURITY INVOKER VIEW v AS SELECT 1
--> primary writes | end
CREATE JSON DUALITY VIEW v AS SELECT JSON_DUALITY_OBJECT('_id': id) FROM t
--> primary writes | end
CREATE OR REPLACE JSON RELATIONAL DUALITY VIEW v AS SELECT JSON_DUALITY_OBJECT('_id': id) FROM t
--> primary writes | end
CREATE SEQUENCE s START WITH 5
--> primary writes | end
CREATE SERVER s FOREIGN DATA WRAPPER mysql OPTIONS (HOST 'x')
--> primary writes | end
CREATE TABLESPACE ts ADD DATAFILE 'x'
--> primary writes | end
CREATE UNDO TABLESPACE ts ADD DATAFILE 'x'
--> primary writes | end
CREATE LOGFILE GROUP g ADD UNDOFILE 'x'
--> primary writes | end
CREATE RESOURCE GROUP rg TYPE = USER
--> primary writes | end
CREATE SPATIAL REFERENCE SYSTEM 4120 NAME 'x' DEFINITION 'y'
--> primary writes | end
CREATE ROLE r
--> primary writes | end
CREATE USER IF NOT EXISTS u@h IDENTIFIED WITH caching_sha2_password BY 'x'
--> primary writes | end
CREATE EVENT e ON SCHEDULE EVERY 1 HOUR DO DELETE FROM t
--> primary writes | end
CREATE EVENT e ON SCHEDULE EVERY 1 HOUR DO BEGIN DELETE FROM t; DELETE FROM u; END
--> primary writes | end
CREATE FUNCTION f() RETURNS INT RETURN 1
--> primary writes | end
CREATE FUNCTION IF NOT EXISTS f() RETURNS INT BEGIN RETURN 1; END
--> primary writes | end
CREATE AGGREGATE FUNCTION f RETURNS INTEGER SONAME 'x.so'
--> primary writes | end
CREATE FUNCTION f(a INT) RETURNS INT LANGUAGE JAVASCRIPT AS $$ return a $$
--> primary writes | end
CREATE LIBRARY l LANGUAGE JAVASCRIPT AS $$ export function f() {} $$
--> primary writes | end
CREATE TRIGGER IF NOT EXISTS t AFTER UPDATE ON u FOR EACH ROW BEGIN SET @a = 1; INSERT INTO v VALUES (1); END
--> primary writes | end
CREATE PACKAGE p AS FUNCTION f RETURN INT; END
--> primary writes | end, pin connection
CREATE PACKAGE BODY p AS FUNCTION f RETURN INT AS BEGIN RETURN 1; END; END
--> primary writes | end, pin connection
CREATE OR REPLACE PROCEDURE p() BEGIN IF a THEN SELECT 1; ELSEIF b THEN SELECT 2; END IF; WHILE c DO SET d = 1; END WHILE; END
--> primary writes | end
CREATE TEMPORARY TABLE `a.b` (c INT)
--> primary writes | pin temporary table test.a.b
CREATE TEMPORARY TABLE db2.t1 AS SELECT * FROM t
--> primary writes | pin temporary table db2.t1
CREATE TEMPORARY
--> primary writes | pin connection
ALTER DATABASE d CHARACTER SET utf8mb4
--> primary writes | end
ALTER SCHEMA d READ ONLY = 1
--> primary writes | end
ALTER TABLE t RENAME TO u
--> primary writes | end
ALTER TABLE t DISCARD TABLESPACE
--> primary writes | end
ALTER ONLINE TABLE t ADD b INT
--> primary writes | end
ALTER VIEW v AS SELECT 1
--> primary writes | end
ALTER SEQUENCE s RESTART 5
--> primary writes | end
ALTER SERVER s OPTIONS (HOST 'x')
--> primary writes | end
ALTER TABLESPACE ts RENAME TO x
--> primary writes | end
ALTER LOGFILE GROUP g ADD UNDOFILE 'x'
--> primary writes | end
ALTER RESOURCE GROUP rg DISABLE
--> primary writes | end
ALTER USER u IDENTIFIED BY 'x'
--> primary writes | end
ALTER USER CURRENT_USER() IDENTIFIED BY 'x'
--> primary writes | end
ALTER PROCEDURE p COMMENT 'x'
--> primary writes | end
ALTER FUNCTION f SQL SECURITY INVOKER
--> primary writes | end
ALTER EVENT e DISABLE
--> primary writes | end
ALTER LIBRARY l COMMENT 'x'
--> primary writes | end
DROP SCHEMA IF EXISTS d
--> primary writes | end
DROP TABLE IF EXISTS a, db2.b CASCADE
--> primary writes | end, unpin temporary table test.a, unpin temporary table db2.b
DROP VIEW IF EXISTS v, w
--> primary writes | end
DROP INDEX i ON t
--> primary writes | end
DROP SEQUENCE s
--> primary writes | end
DROP TEMPORARY SEQUENCE s
--> primary writes | unpin temporary table test.s
DROP SERVER s
--> primary writes | end
DROP TABLESPACE ts
--> primary writes | end
DROP UNDO TABLESPACE ts
--> primary writes | end
DROP LOGFILE GROUP g ENGINE = NDB
--> primary writes | end
DROP RESOURCE GROUP rg FORCE
--> primary writes | end
DROP SPATIAL REFERENCE SYSTEM IF EXISTS 4120
--> primary writes | end
DROP USER IF EXISTS u@h
--> primary writes | end
DROP ROLE r
--> primary writes | end
DROP PROCEDURE IF EXISTS p
--> primary writes | end
DROP FUNCTION f
--> primary writes | end
DROP TRIGGER tr
--> primary writes | end
DROP EVENT e
--> primary writes | end
DROP PACKAGE p
--> primary writes | end
DROP PACKAGE BODY p
--> primary writes | end
DROP LIBRARY l
--> primary writes | end
RENAME TABLES a TO b, c TO d.e
--> primary writes | end
RENAME USER a TO b
--> primary writes | end
GRANT ALL ON *.* TO u WITH GRANT OPTION
--> primary writes | end
GRANT r TO u@h WITH ADMIN OPTION
--> primary writes | end
GRANT PROXY ON a TO b
--> primary writes | end
GRANT EXECUTE ON PROCEDURE d.p TO u
--> primary writes | end
REVOKE r FROM u
--> primary writes | end
REVOKE PROXY ON a FROM b
--> primary writes | end
REVOKE IF EXISTS ALL PRIVILEGES, GRANT OPTION FROM u IGNORE UNKNOWN USER
--> primary writes | end
