--# Plain reads: any server that is fresh enough.
SELECT 1
--> replica only_computes
SELECT 1 FROM DUAL
--> replica plain_read
SELECT 1 AS `for`, 'x' AS 'update'
--> replica only_computes
SELECT * FROM users WHERE id = 5
--> replica plain_read
SELECT * FROM t;
--> replica plain_read
SELECT ALL a FROM t
--> replica plain_read
SELECT DISTINCTROW a FROM t
--> replica plain_read
SELECT STRAIGHT_JOIN SQL_SMALL_RESULT SQL_BIG_RESULT SQL_BUFFER_RESULT a FROM t
--> replica plain_read
SELECT SQL_NO_CACHE HIGH_PRIORITY a FROM t USE INDEX FOR ORDER BY (i1) WHERE a BETWEEN 1 AND 2
--> replica plain_read
select u.id, count(*) from users u left join orders o on o.user_id = u.id where u.name like 'a%' group by u.id having count(*) > 3 order by 2 desc limit 10 offset 20
--> replica plain_read
SELECT * FROM `for` WHERE `update` = 1;
--> replica plain_read
SELECT 'FOR UPDATE', "INTO @x", 'it''s \' GET_LOCK(1)' FROM t
--> replica plain_read
SELECT 1 /* FOR UPDATE */ -- INTO @x
--> replica only_computes
SELECT 1 # FOR UPDATE
--> replica only_computes
SELECT t.update, t.into FROM t
--> replica plain_read
SELECT a.`into`, b.`lock` FROM db1.a, db2.b
--> replica plain_read
SELECT * FROM t WHERE a = ? AND b IN (?, ?, ?)
--> replica plain_read
SELECT * FROM t LIMIT 5, 10
--> replica plain_read
SELECT * FROM t LIMIT ? OFFSET ?
--> replica plain_read
SELECT * FROM t WHERE a = \N OR b <=> NULL
--> replica plain_read
SELECT N'a', X'41', 0x41, b'1', 0b1, _latin1'a', _utf8mb4 0x41 COLLATE utf8mb4_bin, 1e5, .5, 1.
--> replica only_computes
SELECT 'a' 'b' "c"
--> replica only_computes
SELECT DATE '2026-01-01', TIME'10:00:00', TIMESTAMP '2026-01-01 00:00:00', {d '2026-01-01'}, {t '10:00:00'}, {ts '2026-01-01 00:00:00'}
--> replica only_computes

--# Joins, derived tables, partitions, index hints.
SELECT * FROM a JOIN b USING (id) LEFT JOIN c ON c.id = b.id RIGHT OUTER JOIN d ON d.id = c.id NATURAL JOIN e CROSS JOIN f
--> replica plain_read
SELECT * FROM a STRAIGHT_JOIN b ON a.x = b.x
--> replica plain_read
SELECT * FROM a LEFT JOIN (b, c) ON a.x = b.x
--> replica plain_read
SELECT * FROM a LEFT JOIN (b JOIN c ON b.x = c.x) ON a.x = b.x
--> replica plain_read
SELECT * FROM {OJ a LEFT OUTER JOIN b ON a.x = b.x}
--> replica plain_read
SELECT * FROM { OJ (a LEFT OUTER JOIN b ON a.x = b.x) }
--> replica plain_read
SELECT * FROM t PARTITION (p0, p1) WHERE a = 1
--> replica plain_read
SELECT * FROM t AS x USE INDEX (a, b) IGNORE INDEX FOR JOIN (c) FORCE KEY FOR GROUP BY (d)
--> replica plain_read
SELECT * FROM (SELECT a FROM t) AS d (x)
--> replica plain_read
SELECT d.x FROM (SELECT a AS x FROM t WHERE EXISTS (SELECT 1 FROM u WHERE u.a = t.a)) d
--> replica plain_read
SELECT * FROM t, LATERAL (SELECT t.a) AS d
--> mysql: replica plain_read
--> mariadb: primary unknown_function
SELECT (SELECT MAX(a) FROM u), a IN (SELECT a FROM u), a > ALL (SELECT a FROM u), a = ANY (SELECT a FROM u), (a, b) = ROW(1, 2) FROM t
--> replica plain_read

--# Set operations and parentheses.
SELECT DISTINCT a, b FROM t WHERE a IN (SELECT a FROM u WHERE u.b = t.b) UNION ALL SELECT 1, 2 ORDER BY 1
--> replica plain_read
(SELECT a FROM t) UNION (SELECT b FROM u) LIMIT 5
--> replica plain_read
(SELECT 1)
--> replica only_computes
((SELECT a FROM t ORDER BY a LIMIT 1)) ORDER BY a
--> replica plain_read
SELECT a FROM t EXCEPT SELECT a FROM u
--> replica plain_read
SELECT a FROM t INTERSECT ALL (SELECT a FROM u EXCEPT ALL SELECT 1)
--> replica plain_read
(SELECT 1) UNION DISTINCT (SELECT 2) INTERSECT SELECT 3 ORDER BY 1 LIMIT 2
--> replica only_computes

--# TABLE and VALUES.
TABLE t
--> replica plain_read
TABLE t ORDER BY a LIMIT 3
--> replica plain_read
TABLE db.t UNION TABLE u
--> replica plain_read
VALUES ROW(1, 2), ROW(3, 4)
--> replica only_computes
VALUES ROW(1, 'a'), ROW(2, 'b') ORDER BY column_0 LIMIT 1
--> replica only_computes
VALUES (1, 2), (3, 4)
--> replica only_computes
SELECT * FROM (VALUES ROW(1), ROW(2)) v (a)
--> replica plain_read
SELECT 1 UNION VALUES ROW(2)
--> replica only_computes

--# WITH.
WITH c AS (SELECT 1 AS x) SELECT * FROM c
--> replica plain_read
WITH a AS (TABLE t), b (x, y) AS (SELECT 1, 2) SELECT * FROM a, b
--> replica plain_read
WITH RECURSIVE c (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM c WHERE n < 5) SELECT * FROM c
--> replica plain_read
WITH RECURSIVE c AS (SELECT 1 AS a, 2 AS b UNION SELECT 2, 2 FROM c) CYCLE a, b RESTRICT SELECT * FROM c
--> mysql: primary not_known
--> mariadb: replica plain_read
SELECT * FROM (WITH c AS (SELECT 1) SELECT * FROM c) d
--> replica plain_read
(WITH c AS (SELECT 1) SELECT * FROM c)
--> replica plain_read

--# Grouping and windows.
SELECT a, COUNT(*), GROUP_CONCAT(DISTINCT b ORDER BY c DESC SEPARATOR ', ') FROM t GROUP BY a WITH ROLLUP HAVING COUNT(*) > 1
--> replica plain_read
SELECT a, GROUPING(a) FROM t GROUP BY ROLLUP (a)
--> mysql: replica plain_read
--> mariadb: primary unknown_function
SELECT ROW_NUMBER() OVER (PARTITION BY a ORDER BY b) FROM t WINDOW w AS (ORDER BY a)
--> replica plain_read
SELECT SUM(a) OVER (ORDER BY b ROWS BETWEEN 2 PRECEDING AND CURRENT ROW), RANK() OVER w FROM t WINDOW w AS (PARTITION BY c ORDER BY d RANGE UNBOUNDED PRECEDING)
--> replica plain_read
SELECT LAG(a, 1, 0) OVER w, NTH_VALUE(a, 2) OVER w, FIRST_VALUE(a) OVER w, NTILE(4) OVER w FROM t WINDOW w AS (ORDER BY a)
--> replica plain_read
SELECT MEDIAN(a) OVER (PARTITION BY b), PERCENTILE_CONT(0.5) WITHIN GROUP (ORDER BY a) OVER (PARTITION BY b) FROM t
--> mysql: primary unknown_function
--> mariadb: replica plain_read

--# Expressions with a grammar of their own.
SELECT CASE a WHEN 1 THEN 'x' ELSE 'y' END, IF(a, b, c), a IS NOT TRUE, NOT a, a XOR b, a DIV b, a MOD b FROM t
--> replica plain_read
SELECT CAST(a AS UNSIGNED), CAST(b AS DECIMAL(10, 2)), CONVERT(c USING utf8mb4), CONVERT(d, CHAR(5)), BINARY e FROM t
--> replica plain_read
SELECT NOW() + INTERVAL 1 DAY, DATE_ADD(a, INTERVAL '1:30' HOUR_MINUTE), INTERVAL(5, 1, 10), a - INTERVAL b MONTH FROM t
--> replica plain_read
SELECT EXTRACT(DAY_HOUR FROM a), TRIM(LEADING 'x' FROM b), SUBSTRING(c FROM 2 FOR 3), POSITION('a' IN d), TIMESTAMPDIFF(DAY, a, b) FROM t
--> replica plain_read
SELECT a REGEXP 'x', a RLIKE 'y', a LIKE 'b!%' ESCAPE '!', a SOUNDS LIKE 'c', a NOT IN (1, 2) FROM t
--> replica plain_read
SELECT id FROM t WHERE MATCH (a, b) AGAINST ('x' IN BOOLEAN MODE) AND (a, b) = ROW(1, 2)
--> replica plain_read
SELECT MATCH a AGAINST ('x' WITH QUERY EXPANSION) FROM t
--> mysql: replica plain_read
--> mariadb: primary unknown_function
SELECT doc->'$.a', doc->>'$.b', JSON_EXTRACT(doc, '$.c'), JSON_VALUE(doc, '$.d' RETURNING DATE DEFAULT '2026-01-01' ON EMPTY NULL ON ERROR) FROM t
--> replica plain_read
SELECT 'a' MEMBER OF ('["a"]')
--> mysql: replica only_computes
--> mariadb: primary unknown_function
SELECT j.x FROM t, JSON_TABLE(t.doc, '$[*]' COLUMNS (x VARCHAR(10) PATH '$.x')) AS j
--> replica plain_read
SELECT * FROM JSON_TABLE('[]', '$[*]' COLUMNS (n FOR ORDINALITY, a INT EXISTS PATH '$.a', NESTED PATH '$.b[*]' COLUMNS (b INT PATH '$' DEFAULT '0' ON EMPTY))) j
--> replica plain_read
SELECT ST_Distance(a, ST_GeomFromText('POINT(1 1)')), ST_AsText(POINT(1, 2)), ST_X(a) FROM t
--> replica plain_read
SELECT LINESTRING(POINT(1, 1), POINT(2, 2)), POLYGON(a), GEOMETRYCOLLECTION(a) FROM t
--> replica plain_read
SELECT RAND(), UUID(), NOW(6), SLEEP(0), BENCHMARK(1, CRC32('a'))
--> replica only_computes
SELECT CURRENT_USER(), DATABASE(), VERSION()
--> replica only_computes
SELECT CURRENT_USER, CURRENT_TIMESTAMP, CURRENT_DATE, UTC_TIMESTAMP, LOCALTIME(3)
--> replica only_computes

--# MariaDB: system-versioned tables, LIMIT ROWS EXAMINED, FETCH, sequences of numbers.
SELECT * FROM t FOR SYSTEM_TIME AS OF TIMESTAMP '2026-01-01 00:00:00'
--> replica plain_read
SELECT * FROM t FOR SYSTEM_TIME ALL
--> replica plain_read
SELECT * FROM t FOR SYSTEM_TIME BETWEEN '2026-01-01' AND '2026-02-01'
--> replica plain_read
SELECT * FROM t FOR SYSTEM_TIME FROM '2026-01-01' TO '2026-02-01' WHERE a = 1
--> replica plain_read
SELECT * FROM t LIMIT 5 ROWS EXAMINED 100
--> replica plain_read
SELECT * FROM t LIMIT ROWS EXAMINED 100
--> replica plain_read
SELECT * FROM t ORDER BY a OFFSET 5 ROWS FETCH FIRST 5 ROWS ONLY
--> replica plain_read
SELECT * FROM t ORDER BY a FETCH NEXT 5 ROWS WITH TIES
--> replica plain_read
SELECT seq FROM seq_1_to_10
--> replica plain_read
SELECT COLUMN_GET(a, 'x' AS CHAR), COLUMN_JSON(a) FROM t
--> mysql: primary unknown_function
--> mariadb: replica plain_read

--# Not reads, whatever they begin with.
SELECT * FROM t PROCEDURE ANALYSE(10, 2000)
--> primary not_known
SELECT a FROM t QUALIFY ROW_NUMBER() OVER (ORDER BY a) = 1
--> replica plain_read
