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
ANALYZE TABLE t
--> primary writes | end
OPTIMIZE TABLE t
--> primary writes | end
REPAIR TABLE t
--> primary writes | end
CHECK TABLE t
--> primary writes | end
CHECKSUM TABLE t
--> primary about_this_server
KILL 5
--> primary about_this_server
KILL QUERY 5
--> primary about_this_server
SHUTDOWN
--> primary about_this_server
RESTART
--> primary about_this_server
RESET BINARY LOGS AND GTIDS
--> primary about_this_server
CHANGE REPLICATION SOURCE TO SOURCE_HOST = 'x'
--> primary about_this_server
STOP REPLICA
--> primary about_this_server
PURGE BINARY LOGS TO 'x'
--> primary about_this_server
CLONE LOCAL DATA DIRECTORY = 'x'
--> primary about_this_server
INSTALL PLUGIN p SONAME 'x'
--> primary about_this_server
HELP 'select'
--> primary about_this_server
BINLOG 'x'
--> primary about_this_server
GET DIAGNOSTICS @n = NUMBER
--> primary previous_statement | pin @n
SIGNAL SQLSTATE '45000'
--> primary not_known
