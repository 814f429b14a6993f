--# INTO stores the result in variables or files, in each place where the grammars have it.
SELECT a INTO @x FROM t
--> primary into_clause | pin @x
SELECT 1 INTO @x
--> primary into_clause | pin @x
SELECT a, b FROM t INTO @x, @`y`
--> primary into_clause | pin @x, pin @y
SELECT a FROM t WHERE b = 1 LIMIT 1 INTO @'Quoted'
--> primary into_clause | pin @quoted
SELECT a INTO @x FROM t FOR UPDATE
--> primary into_clause | pin @x
SELECT a FROM t INTO @x FOR UPDATE
--> primary into_clause | pin @x
SELECT a FROM t UNION SELECT b FROM u INTO @x
--> primary into_clause | pin @x
(SELECT a FROM t) UNION (SELECT b FROM u) INTO @x
--> primary into_clause | pin @x
(SELECT 1 INTO @x)
--> primary into_clause | pin @x
WITH c AS (SELECT 1 AS a) SELECT a FROM c INTO @x
--> primary into_clause | pin @x
SELECT 1 INTO local_variable
--> primary into_clause
SELECT a FROM t INTO a, b
--> primary into_clause
VALUES ROW(1) INTO @x
--> primary into_clause | pin @x
TABLE t INTO @x, @y
--> primary into_clause | pin @x, pin @y
EXPLAIN SELECT 1 INTO @x
--> primary into_clause | pin @x
EXPLAIN FORMAT = JSON INTO @v SELECT * FROM t
--> primary into_clause | pin @v
EXPLAIN FORMAT = JSON INTO @v UPDATE t SET a = 1
--> primary into_clause | pin @v
SELECT * FROM t INTO OUTFILE '/tmp/x'
--> primary into_clause
SELECT * INTO OUTFILE '/tmp/x' CHARACTER SET utf8mb4 FIELDS TERMINATED BY ',' ENCLOSED BY '"' LINES TERMINATED BY '\n' FROM t
--> primary into_clause
SELECT * FROM t ORDER BY a INTO OUTFILE '/tmp/x' FIELDS ESCAPED BY '\\'
--> primary into_clause
SELECT * FROM t UNION SELECT * FROM u INTO OUTFILE '/tmp/x'
--> primary into_clause
(SELECT * FROM t) INTO OUTFILE '/tmp/x'
--> primary into_clause
SELECT * FROM t INTO DUMPFILE '/tmp/x'
--> primary into_clause
SELECT a INTO DUMPFILE '/tmp/x' FROM t
--> primary into_clause
SELECT * FROM (SELECT 1 INTO OUTFILE '/tmp/x') d
--> primary into_clause
TABLE t INTO OUTFILE 'x'
--> primary into_clause
WITH c AS (SELECT 1) SELECT * FROM c INTO DUMPFILE 'x'
--> primary into_clause
SELECT 1INTO @x
--> primary reads_user_variable
SELECT 'a'INTO @x
--> primary into_clause | pin @x
SELECT(1)INTO @x
--> primary into_clause | pin @x
SELECT 1 /*! INTO @x */
--> primary into_clause | pin @x
SELECT 'INTO @x', `into`, t.into FROM t -- INTO @x
--> replica plain_read
