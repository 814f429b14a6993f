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
