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
