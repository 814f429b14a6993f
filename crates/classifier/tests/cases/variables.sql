--# User variables live on the primary's connection.
SELECT @x
--> primary reads_user_variable
SELECT @`x y`, @'x', @"x", @x.y, @x$1
--> primary reads_user_variable
SELECT * FROM t WHERE a = @x
--> primary reads_user_variable
SELECT * FROM t LIMIT 1 OFFSET 0
--> replica plain_read
SELECT @
--> primary reads_user_variable
SELECT CONCAT(@a, 'b')
--> primary reads_user_variable
WITH c AS (SELECT @a) SELECT * FROM c
--> primary reads_user_variable
DO @a
--> primary reads_user_variable
SELECT '@x', `@x`, "@x" -- @x
--> replica only_computes
--# Assignments, in each place.
SELECT @x := 5
--> primary assigns_user_variable | pin @x
SELECT @x:=@x+1 FROM t
--> primary assigns_user_variable | pin @x
SELECT @'Quoted':=1, @`Back`:=2
--> primary assigns_user_variable | pin @quoted, pin @back
SELECT * FROM t WHERE (@n := @n + 1) < 5
--> primary assigns_user_variable | pin @n
SELECT * FROM t, (SELECT @n := 0) i
--> primary assigns_user_variable | pin @n
SELECT a FROM t ORDER BY @n := a
--> primary assigns_user_variable | pin @n
SELECT a FROM t GROUP BY @n := a
--> primary assigns_user_variable | pin @n
SELECT IF(a, @n := 1, @n := 2) FROM t
--> primary assigns_user_variable | pin @n, pin @n
WITH c AS (SELECT @a := 1) SELECT * FROM c
--> primary assigns_user_variable | pin @a
SELECT 1 UNION SELECT @a := 1
--> primary assigns_user_variable | pin @a
DO @a := 1
--> primary assigns_user_variable | pin @a

--# System variables: the session's own, or the same on every server.
SELECT @@max_allowed_packet, @@session.auto_increment_increment, @@version_comment LIMIT 1
--> replica only_computes
SELECT @@session.auto_increment_increment AS auto_increment_increment, @@character_set_client AS character_set_client, @@sql_mode AS sql_mode, @@time_zone AS time_zone, @@transaction_isolation AS transaction_isolation, @@wait_timeout AS wait_timeout
--> replica only_computes
SELECT @@SESSION.sql_mode
--> replica only_computes
SELECT @@local.sql_mode
--> replica only_computes
SELECT @@`sql_mode`
--> replica only_computes
SELECT @@lower_case_table_names, @@tx_isolation, @@autocommit
--> replica only_computes
--# The server's, or not known.
SELECT @@server_id
--> primary server_variable
SELECT @@server_uuid
--> primary server_variable
SELECT @@hostname
--> primary server_variable
SELECT @@port
--> primary server_variable
SELECT @@read_only
--> primary server_variable
SELECT @@super_read_only
--> primary server_variable
SELECT @@gtid_executed
--> primary server_variable
SELECT @@gtid_current_pos
--> primary server_variable
SELECT @@gtid_slave_pos
--> primary server_variable
SELECT @@datadir
--> primary server_variable
SELECT @@global.sql_mode
--> primary server_variable
SELECT @@GLOBAL.time_zone
--> primary server_variable
SELECT @@persist.sql_mode
--> primary server_variable
SELECT @@hot_cache.key_buffer_size
--> primary server_variable
SELECT @@session.a.b
--> primary server_variable
SELECT @@whatever
--> primary server_variable
SELECT @@character_set_server
--> primary server_variable
SELECT 1 + @@server_id FROM t
--> primary server_variable
--# The primary's connection, or the previous statement.
SELECT @@identity
--> primary server_variable
SELECT @@last_insert_id
--> primary server_variable
SELECT @@insert_id
--> primary server_variable
SELECT @@in_transaction
--> primary server_variable
SELECT @@pseudo_thread_id
--> primary server_variable
SELECT @@last_gtid
--> primary server_variable
SELECT @@warning_count
--> previous previous_statement
SELECT @@error_count
--> previous previous_statement
SELECT @@warning_count, @@error_count
--> previous previous_statement
SELECT @@session.warning_count FROM t
--> previous previous_statement
