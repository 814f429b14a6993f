--# Locking clauses, wherever they hide.
SELECT * FROM t FOR UPDATE
--> primary locking_clause
select * from t for update
--> primary locking_clause
SELECT * FROM t FOR UPDATE;
--> primary locking_clause
SELECT * FROM t FOR /**/ UPDATE NOWAIT
--> primary locking_clause
SELECT * FROM t FOR UPDATE SKIP LOCKED
--> primary locking_clause
SELECT * FROM t FOR UPDATE WAIT 5
--> primary locking_clause
SELECT * FROM t FOR UPDATE OF t
--> primary locking_clause
SELECT * FROM t, u FOR UPDATE OF t NOWAIT FOR SHARE OF u SKIP LOCKED
--> primary locking_clause
SELECT * FROM t FOR SHARE
--> primary locking_clause
SELECT * FROM t FOR SHARE NOWAIT
--> primary locking_clause
SELECT * FROM t FOR SHARE SKIP LOCKED
--> primary locking_clause
SELECT * FROM t LOCK IN SHARE MODE
--> primary locking_clause
SELECT * FROM t LOCK IN SHARE MODE NOWAIT
--> primary locking_clause
SELECT * FROM t LOCK IN SHARE MODE SKIP LOCKED
--> primary locking_clause
SELECT * FROM t LOCK IN SHARE MODE WAIT 10
--> primary locking_clause
SELECT * FROM t WHERE a = 1 ORDER BY b LIMIT 1 FOR UPDATE
--> primary locking_clause
SELECT * FROM t LIMIT 1 LOCK IN SHARE MODE
--> primary locking_clause
SELECT 1 FOR UPDATE
--> primary locking_clause
SELECT 1 FROM DUAL FOR SHARE
--> primary locking_clause
SELECT a FROM t GROUP BY a HAVING a > 1 FOR UPDATE
--> primary locking_clause
SELECT * FROM t FOR UPDATE INTO @x
--> primary locking_clause | pin @x
SELECT * INTO @x FROM t FOR UPDATE
--> primary into_clause | pin @x
SELECT * FROM t FOR SYSTEM_TIME ALL FOR UPDATE
--> primary locking_clause
SELECT * FROM t USE INDEX FOR JOIN (i) FOR UPDATE
--> primary locking_clause

--# In subqueries, common table expressions, arms and parentheses.
SELECT * FROM (SELECT * FROM t FOR UPDATE) d
--> primary locking_clause
SELECT * FROM (SELECT * FROM t LOCK IN SHARE MODE) d
--> primary locking_clause
SELECT (SELECT a FROM t LIMIT 1 FOR UPDATE)
--> primary locking_clause
SELECT * FROM t WHERE a IN (SELECT a FROM u FOR SHARE)
--> primary locking_clause
SELECT * FROM t JOIN (SELECT * FROM u FOR UPDATE SKIP LOCKED) d ON d.a = t.a
--> primary locking_clause
SELECT * FROM t, LATERAL (SELECT * FROM u WHERE u.a = t.a FOR UPDATE) d
--> primary locking_clause
WITH c AS (SELECT * FROM t FOR SHARE) SELECT * FROM c
--> primary locking_clause
WITH c AS (SELECT * FROM t) SELECT * FROM c FOR UPDATE
--> primary locking_clause
WITH a AS (SELECT 1), b AS (SELECT * FROM t LOCK IN SHARE MODE) SELECT * FROM a, b
--> primary locking_clause
SELECT 1 UNION (SELECT a FROM t FOR UPDATE)
--> primary locking_clause
(SELECT a FROM t FOR UPDATE) UNION SELECT 1
--> primary locking_clause
SELECT a FROM t UNION SELECT a FROM u FOR UPDATE
--> primary locking_clause
SELECT a FROM t UNION SELECT a FROM u LOCK IN SHARE MODE
--> primary locking_clause
(SELECT a FROM t) INTERSECT (SELECT a FROM u LOCK IN SHARE MODE)
--> primary locking_clause
(SELECT * FROM t) FOR UPDATE
--> primary locking_clause
((SELECT * FROM t FOR UPDATE))
--> primary locking_clause
(SELECT * FROM t FOR UPDATE) ORDER BY 1 LIMIT 1
--> primary locking_clause
TABLE t FOR UPDATE
--> primary locking_clause
VALUES ROW(1) FOR UPDATE
--> primary locking_clause
EXPLAIN SELECT * FROM t FOR UPDATE
--> primary locking_clause
DESC SELECT * FROM t LOCK IN SHARE MODE
--> primary locking_clause
DO (SELECT a FROM t LIMIT 1 FOR UPDATE)
--> primary locking_clause

--# Where a keyword touches what stands before it, or a comment stands between.
SELECT 1e5FOR UPDATE
--> primary locking_clause
SELECT * FROM t WHERE a = 1.FOR UPDATE
--> primary locking_clause
SELECT * FROM t WHERE a = 'x'FOR UPDATE
--> primary locking_clause
SELECT * FROM `t`FOR UPDATE
--> primary locking_clause
SELECT(1)FOR UPDATE
--> primary locking_clause
SELECT * FROM t WHERE (a = 1)FOR UPDATE
--> primary locking_clause
SELECT * FROM t WHERE a = ?FOR UPDATE
--> primary locking_clause
SELECT * FROM t WHERE a = 0x1F FOR UPDATE
--> primary locking_clause
SELECT * FROM t/**/FOR/**/UPDATE
--> primary locking_clause
SELECT * FROM t LOCK/* */IN/* */SHARE/* */MODE
--> primary locking_clause
SELECT * FROM t /*! FOR UPDATE */
--> primary locking_clause
SELECT * FROM t /*!99999 FOR UPDATE */
--> primary locking_clause | pin connection

--# Names and strings that only look like it.
SELECT `for`, `update`, `lock`, `share` FROM `for update`
--> replica plain_read
SELECT 'FOR UPDATE', "LOCK IN SHARE MODE"
--> replica only_computes
SELECT a AS "for update" FROM t -- FOR UPDATE
--> replica plain_read
SELECT share, nowait, skip, locked, mode FROM t
--> replica plain_read
SELECT t.for, t.lock FROM t
--> replica plain_read
