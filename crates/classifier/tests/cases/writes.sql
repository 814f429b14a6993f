--# Data changes and administration: always the primary.
--@ schema test
INSERT INTO t (a, b) VALUES (1, 2)
--> primary writes
INSERT INTO t SELECT @a := 1
--> primary writes | pin @a
INSERT INTO t VALUES (GET_LOCK('Job', 1))
--> primary writes | pin lock 'job'
REPLACE INTO t VALUES (1)
--> primary writes
UPDATE t SET a = 1
--> primary writes
DELETE FROM t WHERE a = 1
--> primary writes
LOAD DATA INFILE 'x' INTO TABLE t (@a, b) SET c = @a
--> primary writes | pin @a, pin @a
LOAD XML INFILE 'x' INTO TABLE t
--> primary writes
LOAD INDEX INTO CACHE t
--> primary about_this_server
IMPORT TABLE FROM 'x'
--> primary writes
CALL p(1, @out)
--> primary writes | pin @out, pin connection
CALL db.p
--> primary writes | pin connection
--# Every form of the data changes.
INSERT INTO t SET a = 1
--> primary writes
INSERT t VALUES ()
--> primary writes
INSERT INTO t DEFAULT VALUES
--> primary writes
INSERT LOW_PRIORITY IGNORE INTO t VALUES (1) ON DUPLICATE KEY UPDATE a = VALUES(a)
--> primary writes
INSERT INTO t VALUES (1) AS new ON DUPLICATE KEY UPDATE a = new.a
--> primary writes
INSERT DELAYED INTO t VALUES (1)
--> primary writes
INSERT INTO t TABLE u
--> primary writes
INSERT INTO t WITH c AS (SELECT 1) SELECT * FROM c
--> primary writes
INSERT INTO t VALUES (1) RETURNING id
--> primary writes
INSERT INTO t (a) SELECT a FROM u WHERE b = LAST_INSERT_ID()
--> primary writes
INSERT INTO t VALUES (NEXT VALUE FOR s)
--> primary writes
REPLACE t SET a = 1
--> primary writes
REPLACE INTO t VALUES (1) RETURNING *
--> primary writes
REPLACE DELAYED INTO t SELECT * FROM u
--> primary writes
UPDATE LOW_PRIORITY IGNORE t SET a = a + 1 ORDER BY b LIMIT 1
--> primary writes
UPDATE t, u SET t.a = u.a WHERE t.id = u.id
--> primary writes
UPDATE t JOIN u USING (id) SET t.a = 1
--> primary writes
UPDATE t SET a = @n := @n + 1
--> primary writes | pin @n
UPDATE t SET id = LAST_INSERT_ID(id + 1)
--> primary writes
UPDATE t FOR PORTION OF p FROM '2026-01-01' TO '2026-02-01' SET a = 1
--> primary writes
UPDATE t PARTITION (p0) SET a = DEFAULT
--> primary writes
DELETE QUICK FROM t ORDER BY a LIMIT 1
--> primary writes
DELETE a, b FROM a JOIN b USING (id)
--> primary writes
DELETE FROM a, b USING a JOIN b
--> primary writes
DELETE FROM t WHERE a = 1 RETURNING id
--> primary writes
DELETE HISTORY FROM t
--> primary writes
DELETE HISTORY FROM t BEFORE SYSTEM_TIME '2026-01-01'
--> primary writes
DELETE FROM t FOR PORTION OF p FROM '2026-01-01' TO '2026-02-01'
--> primary writes
DELETE FROM t PARTITION (p0)
--> primary writes
WITH c AS (SELECT 1) DELETE FROM t WHERE a IN (SELECT * FROM c)
--> primary writes
WITH c AS (SELECT 1) UPDATE t, c SET t.a = 1
--> primary writes
WITH RECURSIVE c AS (SELECT 1) DELETE t FROM t JOIN c
--> primary writes
WITH c AS (SELECT 1) INSERT INTO t SELECT * FROM c
--> primary writes
WITH c AS (SELECT 1) REPLACE INTO t SELECT * FROM c
--> primary writes
WITH c AS (DELETE FROM t RETURNING *) SELECT * FROM c
--> primary writes
LOAD DATA LOCAL INFILE 'x' INTO TABLE t
--> primary writes
LOAD DATA LOW_PRIORITY INFILE 'x' REPLACE INTO TABLE t FIELDS TERMINATED BY ','
--> primary writes
LOAD DATA FROM INFILE 'x' INTO TABLE t ALGORITHM = BULK
--> primary writes
LOAD XML LOCAL INFILE 'x' INTO TABLE t ROWS IDENTIFIED BY '<a>'
--> primary writes
CALL p
--> primary writes | pin connection
CALL `db`.`p`('a')
--> primary writes | pin connection
