--# What is not known may do anything, to the data and to the session.
--@ schema test
WHATEVER 1
--> primary not_known | pin connection
123
--> primary not_known | pin connection
'abc'
--> primary not_known | pin connection
`SELECT` 1
--> primary not_known | pin connection
SELECTED 1
--> primary not_known | pin connection
@a
--> primary not_known | pin connection
?
--> primary not_known | pin connection
(DELETE FROM t)
--> primary not_known | pin connection
(UPDATE t SET a = 1)
--> primary not_known | pin connection
((INSERT INTO t VALUES (1)))
--> primary not_known | pin connection
(SHOW TABLES)
--> primary not_known | pin connection
MERGE INTO t USING u ON a = b WHEN MATCHED THEN DELETE
--> primary not_known | pin connection
FROM t SELECT a
--> primary not_known | pin connection
DECLARE a INT
--> primary not_known | pin connection
IF 1 THEN SELECT 1; END IF
--> primary not_known | pin connection
WHILE 1 DO SELECT 1; END WHILE
--> primary not_known | pin connection
OPEN c
--> primary not_known | pin connection
SELECT 1 SELECT 2
--> primary not_parsed
SELECT (1
--> primary not_parsed
SELECT 1)
--> primary not_parsed
SELECT a FROM t WHERE
--> replica plain_read
SELECT `a
--> primary not_known
SELECT 'a
--> primary not_known
SELECT "a
--> primary not_known
SELECT $$ a $$
--> mysql: primary not_known
--> mariadb: replica only_computes
SELECT 1:2
--> primary not_parsed
SELECT a :: int
--> replica only_computes
SELECT a[1]
--> replica only_computes
