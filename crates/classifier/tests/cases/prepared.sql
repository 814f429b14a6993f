--# Prepared statements in text, handlers.
--@ schema test
PREPARE s FROM 'SELECT * FROM t'
--> primary session_statement | pin prepared s
PREPARE s FROM 'UPDATE t SET a = ?'
--> primary session_statement | pin prepared s
PREPARE s FROM 'SET autocommit = 0'
--> primary session_statement | pin prepared s, pin connection
PREPARE s FROM 'CREATE TEMPORARY TABLE x (a INT)'
--> primary session_statement | pin prepared s, pin connection
PREPARE s FROM 'SELECT \'a\''
--> primary session_statement | pin prepared s, pin connection
PREPARE s FROM @text
--> primary session_statement | pin prepared s, pin connection
EXECUTE s USING @a
--> primary not_known
EXECUTE IMMEDIATE 'SELECT 1'
--> primary not_known | pin connection
DEALLOCATE PREPARE S
--> primary session_statement | unpin prepared s
DROP PREPARE s
--> primary session_statement | unpin prepared s
HANDLER t OPEN
--> primary session_statement | pin handler t
HANDLER db.t OPEN AS h
--> primary session_statement | pin handler h
HANDLER h READ FIRST
--> primary session_statement
HANDLER h CLOSE
--> primary session_statement | unpin handler h
PREPARE s FROM "SELECT * FROM t FOR UPDATE"
--> primary session_statement | pin prepared s
PREPARE s FROM 'USE db'
--> primary session_statement | pin prepared s, pin connection
PREPARE s FROM 'SET @a = 1'
--> primary session_statement | pin prepared s, pin connection
PREPARE s FROM 'BEGIN'
--> primary session_statement | pin prepared s, pin connection
PREPARE s FROM 'SELECT GET_LOCK(?, 1)'
--> primary session_statement | pin prepared s, pin connection
PREPARE s FROM 'CALL p()'
--> primary session_statement | pin prepared s, pin connection
PREPARE s FROM 'SELECT 1; SELECT 2'
--> primary session_statement | pin prepared s, pin connection
PREPARE s FROM CONCAT('SELECT ', 1)
--> primary session_statement | pin prepared s, pin connection
PREPARE s FROM (SELECT 'x')
--> primary session_statement | pin prepared s, pin connection
PREPARE `My Stmt` FROM 'DELETE FROM t'
--> primary session_statement | pin prepared my stmt
PREPARE
--> primary session_statement | pin connection
EXECUTE s
--> primary not_known
EXECUTE s USING 1, 'a'
--> primary not_known
EXECUTE IMMEDIATE @sql
--> primary not_known | pin connection
EXECUTE IMMEDIATE CONCAT('DELETE FROM ', 't') USING 1
--> primary not_known | pin connection
DROP PREPARE `My Stmt`
--> primary session_statement | unpin prepared my stmt
HANDLER t OPEN h
--> primary session_statement | pin handler h
HANDLER h READ `PRIMARY` = (1) WHERE a > 1 LIMIT 5
--> primary session_statement
HANDLER h READ NEXT
--> primary session_statement
