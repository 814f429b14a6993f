--# information_schema: what is about the data is the same everywhere.
SELECT * FROM information_schema.TABLES WHERE table_schema = 'x'
--> replica plain_read
SELECT * FROM INFORMATION_SCHEMA.COLUMNS c JOIN information_schema.statistics s USING (table_name)
--> replica plain_read
SELECT * FROM information_schema.KEY_COLUMN_USAGE
--> replica plain_read
SELECT * FROM information_schema.REFERENTIAL_CONSTRAINTS
--> replica plain_read
SELECT * FROM information_schema.ROUTINES
--> replica plain_read
SELECT * FROM information_schema.PARAMETERS
--> replica plain_read
SELECT * FROM information_schema.VIEWS
--> replica plain_read
SELECT * FROM information_schema.TRIGGERS
--> replica plain_read
SELECT * FROM information_schema.EVENTS
--> primary system_schema
SELECT * FROM information_schema.SCHEMATA
--> replica plain_read
SELECT * FROM information_schema.PARTITIONS
--> replica plain_read
SELECT * FROM information_schema.CHARACTER_SETS
--> replica plain_read
SELECT * FROM information_schema.COLLATIONS
--> replica plain_read
SELECT * FROM information_schema.USER_PRIVILEGES
--> replica plain_read
SELECT * FROM information_schema.LIBRARIES
--> replica plain_read
SELECT * FROM `information_schema`.`tables`
--> replica plain_read
SELECT information_schema.tables.table_name FROM information_schema.tables
--> replica plain_read
--# What is about the server is not.
SELECT * FROM information_schema.PROCESSLIST
--> primary system_schema
SELECT * FROM information_schema.GLOBAL_STATUS
--> primary system_schema
SELECT * FROM information_schema.GLOBAL_VARIABLES
--> primary system_schema
SELECT * FROM information_schema.SESSION_VARIABLES
--> primary system_schema
SELECT * FROM information_schema.SYSTEM_VARIABLES
--> primary system_schema
SELECT * FROM information_schema.ENGINES
--> primary system_schema
SELECT * FROM information_schema.PLUGINS
--> primary system_schema
SELECT * FROM information_schema.FILES
--> primary system_schema
SELECT * FROM information_schema.INNODB_TRX
--> primary system_schema
SELECT * FROM information_schema.INNODB_METRICS
--> primary system_schema
SELECT * FROM information_schema.INNODB_BUFFER_POOL_STATS
--> primary system_schema
SELECT * FROM information_schema.OPTIMIZER_TRACE
--> primary system_schema
SELECT * FROM information_schema.PROFILING
--> primary system_schema
SELECT * FROM information_schema.USER_STATISTICS
--> primary system_schema
SELECT * FROM t WHERE a IN (SELECT id FROM information_schema.processlist)
--> primary system_schema
WITH c AS (SELECT * FROM information_schema.innodb_trx) SELECT * FROM c
--> primary system_schema
--# The other system schemas are.
SELECT * FROM performance_schema.threads
--> primary system_schema
SELECT * FROM Performance_Schema.threads
--> primary system_schema
SELECT * FROM sys.processlist
--> primary system_schema
SELECT * FROM `mysql`.`user`
--> primary system_schema
SELECT * FROM mysql . user
--> primary system_schema
SELECT * FROM mysql.gtid_slave_pos
--> primary system_schema
SELECT mysql.user.host FROM mysql.user
--> primary system_schema
SELECT * FROM t JOIN mysql.user u
--> primary system_schema
SELECT * FROM (SELECT * FROM mysql.proc) d
--> primary system_schema
TABLE mysql.user
--> primary system_schema
SELECT * FROM mydb.mysql, t.sys
--> replica plain_read
--# Behind USE too.
--@ schema mysql
SELECT * FROM user
--> primary system_schema
SELECT 1
--> replica only_computes
SHOW TABLES
--> primary system_schema
DESCRIBE user
--> primary system_schema
SELECT * FROM shop.orders
--> primary system_schema
--@ schema information_schema
SELECT * FROM tables
--> primary system_schema
SHOW TABLES
--> primary system_schema
--@ schema performance_schema
SELECT * FROM threads
--> primary system_schema
TABLE threads
--> primary system_schema
EXPLAIN threads
--> primary system_schema
--@ schema sys
SELECT * FROM version
--> primary system_schema
--@ schema MySQL
SELECT * FROM user
--> primary system_schema
