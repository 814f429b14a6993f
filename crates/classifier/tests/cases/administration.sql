--# Administration: the primary, because it is the primary that is meant.
--@ schema test
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
--> primary about_this_server | pin binlog format
GET DIAGNOSTICS @n = NUMBER
--> primary previous_statement | pin @n
SIGNAL SQLSTATE '45000'
--> primary not_known
--# Tables.
ANALYZE TABLE t UPDATE HISTOGRAM ON a WITH 4 BUCKETS
--> primary writes | end
ANALYZE LOCAL TABLE t
--> primary writes | end
ANALYZE TABLES t, u
--> primary writes | end
ANALYZE TABLE t PERSISTENT FOR ALL
--> primary writes | end
OPTIMIZE NO_WRITE_TO_BINLOG TABLE t
--> primary writes | end
REPAIR LOCAL TABLE t QUICK
--> primary writes | end
REPAIR VIEW v
--> primary writes | end
CHECK TABLE t FOR UPGRADE
--> primary writes | end
CHECK VIEW v
--> primary writes | end
CHECKSUM TABLES t, u EXTENDED
--> primary about_this_server
CACHE INDEX t IN hot_cache
--> primary writes | end
LOAD INDEX INTO CACHE t IGNORE LEAVES
--> primary about_this_server
--# The server and its connections.
KILL CONNECTION 5
--> primary about_this_server
KILL HARD QUERY ID 5
--> primary about_this_server
KILL USER u
--> primary about_this_server
SHUTDOWN WAIT FOR ALL REPLICAS
--> primary about_this_server
RESET MASTER
--> primary about_this_server
RESET REPLICA ALL
--> primary about_this_server
RESET SLAVE
--> primary about_this_server
RESET QUERY CACHE
--> primary about_this_server
RESET PERSIST
--> primary about_this_server
RESET PERSIST IF EXISTS max_connections
--> primary about_this_server
CLONE INSTANCE FROM u@h:3306 IDENTIFIED BY 'x'
--> primary about_this_server
ALTER INSTANCE ROTATE INNODB MASTER KEY
--> primary writes | end
ALTER INSTANCE RELOAD TLS
--> primary writes | end
INSTALL COMPONENT 'file://x'
--> primary about_this_server
INSTALL SONAME 'x'
--> primary about_this_server
UNINSTALL PLUGIN p
--> primary about_this_server
UNINSTALL COMPONENT 'file://x'
--> primary about_this_server
UNINSTALL SONAME 'x'
--> primary about_this_server
HELP contents
--> primary about_this_server
--# Replication.
CHANGE REPLICATION FILTER REPLICATE_DO_DB = (a)
--> primary about_this_server
CHANGE MASTER TO MASTER_HOST = 'x'
--> primary about_this_server
CHANGE MASTER 'a' TO MASTER_HOST = 'x'
--> primary about_this_server
START REPLICA UNTIL SQL_AFTER_GTIDS = 'a:1'
--> primary about_this_server
START SLAVE SQL_THREAD
--> primary about_this_server
STOP SLAVE
--> primary about_this_server
STOP ALL SLAVES
--> primary about_this_server
STOP GROUP_REPLICATION
--> primary about_this_server
PURGE BINARY LOGS BEFORE '2026-01-01'
--> primary about_this_server
PURGE MASTER LOGS TO 'x'
--> primary about_this_server
--# Diagnostics.
GET DIAGNOSTICS @n = NUMBER, @r = ROW_COUNT
--> primary previous_statement | pin @n, pin @r
GET CURRENT DIAGNOSTICS CONDITION 1 @m = MESSAGE_TEXT
--> primary previous_statement | pin @m
GET STACKED DIAGNOSTICS CONDITION 1 @m = MESSAGE_TEXT
--> primary previous_statement | pin @m
SIGNAL SQLSTATE '01000' SET MESSAGE_TEXT = 'x'
--> primary not_known
RESIGNAL
--> primary not_known
RETURN 1
--> primary not_known | pin connection
ANALYZE NO_WRITE_TO_BINLOG TABLE t
--> primary writes | end
