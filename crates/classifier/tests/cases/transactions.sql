--# The default schema, transactions and locks.
--@ schema test
USE db1
--> session session_statement | use db1
USE `my``db`
--> session session_statement | use my`db
USE
--> primary not_known
BEGIN
--> primary transaction_control | begin
BEGIN WORK
--> primary transaction_control | begin
BEGIN NOT ATOMIC SET autocommit = 0; END
--> primary not_known | pin connection
START TRANSACTION
--> primary transaction_control | begin
START TRANSACTION READ ONLY
--> primary transaction_control | begin read only
START TRANSACTION WITH CONSISTENT SNAPSHOT, READ WRITE
--> primary transaction_control | begin
START TRANSACTION WHATEVER
--> primary not_known | pin connection
START REPLICA
--> primary about_this_server
COMMIT
--> primary transaction_control | end
COMMIT WORK AND CHAIN NO RELEASE
--> primary transaction_control | end, begin
COMMIT AND NO CHAIN
--> primary transaction_control | end
ROLLBACK RELEASE
--> primary transaction_control | end, disconnect
ROLLBACK TO SAVEPOINT s
--> primary transaction_control
ROLLBACK WORK TO s
--> primary transaction_control
SAVEPOINT s
--> primary transaction_control
RELEASE SAVEPOINT s
--> primary transaction_control
XA START 'x'
--> primary transaction_control | pin xa
XA END 'x'
--> primary transaction_control
XA PREPARE 'x'
--> primary transaction_control
XA COMMIT 'x' ONE PHASE
--> primary transaction_control | unpin xa
XA ROLLBACK 'x'
--> primary transaction_control | unpin xa
XA RECOVER
--> primary about_this_server
LOCK TABLES t READ, u WRITE
--> primary session_statement | end, pin table locks
LOCK TABLE t READ
--> primary session_statement | end, pin table locks
UNLOCK TABLES
--> primary session_statement | unpin table locks
LOCK INSTANCE FOR BACKUP
--> primary session_statement | pin instance lock
UNLOCK INSTANCE
--> primary session_statement | unpin instance lock
BACKUP STAGE START
--> primary about_this_server | pin instance lock
BACKUP STAGE END
--> primary about_this_server | unpin instance lock
BACKUP LOCK t
--> primary about_this_server | pin instance lock
BACKUP UNLOCK
--> primary about_this_server | unpin instance lock
FLUSH TABLES WITH READ LOCK
--> primary about_this_server | end, pin table locks
FLUSH TABLES t, u FOR EXPORT
--> primary about_this_server | end, pin table locks
FLUSH LOCAL TABLE t WITH READ LOCK
--> primary about_this_server | end, pin table locks
FLUSH LOGS
--> primary about_this_server | end
FLUSH PRIVILEGES
--> primary about_this_server | end
--# The other forms.
USE `Ünïcode`
--> session session_statement | use Ünïcode
USE "db"
--> primary not_known
USE db1; 
--> session session_statement | use db1
BEGIN;
--> primary transaction_control | begin
BEGIN NOT ATOMIC INSERT INTO t VALUES (1); END
--> primary not_known | pin connection
START TRANSACTION READ WRITE
--> primary transaction_control | begin
START TRANSACTION WITH CONSISTENT SNAPSHOT, READ ONLY
--> primary transaction_control | begin read only
START SLAVE
--> primary about_this_server
START ALL SLAVES
--> primary about_this_server
START GROUP_REPLICATION
--> primary about_this_server
ROLLBACK AND NO CHAIN NO RELEASE
--> primary transaction_control | end
COMMIT AND CHAIN
--> primary transaction_control | end, begin
COMMIT RELEASE
--> primary transaction_control | end, disconnect
ROLLBACK
--> primary transaction_control | end
ROLLBACK AND CHAIN
--> primary transaction_control | end, begin
ROLLBACK AND NO CHAIN RELEASE
--> primary transaction_control | end, disconnect
ROLLBACK TO s
--> primary transaction_control
SAVEPOINT `a b`
--> primary transaction_control
XA BEGIN 'x'
--> primary transaction_control | pin xa
XA START 'x', 'y', 1 JOIN
--> primary transaction_control | pin xa
XA START X'41' RESUME
--> primary transaction_control | pin xa
XA END 'x' SUSPEND FOR MIGRATE
--> primary transaction_control
XA RECOVER CONVERT XID
--> primary about_this_server
LOCK TABLES t AS a READ LOCAL, u LOW_PRIORITY WRITE
--> primary session_statement | end, pin table locks
LOCK TABLES t WRITE CONCURRENT
--> primary session_statement | end, pin table locks
LOCK TABLES t READ WAIT 5
--> primary session_statement | end, pin table locks
UNLOCK TABLE
--> primary session_statement | unpin table locks
LOCK WHATEVER
--> primary not_known | pin connection
BACKUP STAGE BLOCK_COMMIT
--> primary about_this_server | pin instance lock
BACKUP STAGE FLUSH
--> primary about_this_server | pin instance lock
FLUSH TABLES
--> primary about_this_server | end
FLUSH TABLES t WITH READ LOCK AND DISABLE CHECKPOINT
--> primary about_this_server | end, pin table locks
FLUSH NO_WRITE_TO_BINLOG TABLES t FOR EXPORT
--> primary about_this_server | end, pin table locks
FLUSH TABLE t
--> primary about_this_server | end
FLUSH STATUS
--> primary about_this_server | end
FLUSH HOSTS, USER_RESOURCES
--> primary about_this_server | end
FLUSH BINARY LOGS
--> primary about_this_server | end
FLUSH RELAY LOGS FOR CHANNEL 'a'
--> primary about_this_server | end
FLUSH OPTIMIZER_COSTS
--> primary about_this_server | end
