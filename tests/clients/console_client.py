"""What graphical clients send to a server when they connect, sent to the console: console_client.py HOST PORT TOKEN

The statements are those of MySQL Workbench 8.0 and of DBeaver with Connector/J 8, from their sources and from servers' general logs. Each must get an
answer, or an error after which the connection goes on.
"""

import sys

import pymysql

WORKBENCH = """
SET NAMES 'utf8mb4'
SET SESSION TRANSACTION ISOLATION LEVEL REPEATABLE READ
SET CHARACTER SET utf8
SET SQL_SAFE_UPDATES=1
SELECT CONNECTION_ID()
SHOW SESSION STATUS LIKE 'Ssl_cipher'
SELECT current_user()
SHOW SESSION VARIABLES LIKE 'lower_case_table_names'
SHOW SESSION VARIABLES LIKE 'sql_mode'
SHOW SESSION VARIABLES LIKE 'version_comment'
SHOW SESSION VARIABLES LIKE 'version'
SELECT @@version
SHOW DATABASES
SHOW VARIABLES
SHOW GLOBAL VARIABLES
SHOW GLOBAL STATUS
SHOW PLUGINS
SHOW ENGINES
SHOW GRANTS
SHOW CHARSET
SHOW COLLATION
SHOW FULL TABLES FROM `pointsman`
SHOW PROCEDURE STATUS WHERE Db='pointsman'
SHOW FUNCTION STATUS WHERE Db='pointsman'
SHOW FULL COLUMNS FROM `servers`
SHOW INDEX FROM `servers`
SHOW FULL PROCESSLIST
SELECT * FROM pointsman.servers LIMIT 0, 1000
SHOW WARNINGS
""".strip().splitlines()

CONNECTOR_J = """/* mysql-connector-j-8.0.33 (Revision: 7d6b0800528b6b25c68b52dc10d6c1c8429c100c) */SELECT  @@session.auto_increment_increment AS \
auto_increment_increment, @@character_set_client AS character_set_client, @@character_set_connection AS character_set_connection, \
@@character_set_results AS character_set_results, @@character_set_server AS character_set_server, @@collation_server AS collation_server, \
@@collation_connection AS collation_connection, @@init_connect AS init_connect, @@interactive_timeout AS interactive_timeout, @@license AS \
license, @@lower_case_table_names AS lower_case_table_names, @@max_allowed_packet AS max_allowed_packet, @@net_write_timeout AS \
net_write_timeout, @@performance_schema AS performance_schema, @@sql_mode AS sql_mode, @@system_time_zone AS system_time_zone, @@time_zone AS \
time_zone, @@transaction_isolation AS transaction_isolation, @@wait_timeout AS wait_timeout"""

DBEAVER = [CONNECTOR_J] + """
SET character_set_results = NULL
SET autocommit=1
SET sql_mode='STRICT_TRANS_TABLES'
/* ApplicationName=DBeaver 23.3.0 - Main */ SET SESSION sql_mode='STRICT_TRANS_TABLES'
SELECT @@session.transaction_isolation
SELECT @@session.transaction_read_only
/* ApplicationName=DBeaver 23.3.0 - Metadata */ SELECT DATABASE()
SHOW VARIABLES LIKE 'aurora\\_version'
SHOW VARIABLES LIKE 'lower_case_%'
SELECT @@GLOBAL.character_set_server,@@GLOBAL.collation_server
SHOW ENGINES
SHOW CHARSET
SHOW COLLATION
SHOW PRIVILEGES
SHOW PLUGINS
SHOW DATABASES
SELECT * FROM information_schema.SCHEMATA
SELECT * FROM mysql.user ORDER BY User
SHOW FULL TABLES FROM pointsman
SHOW TABLE STATUS FROM `pointsman`
SELECT * FROM information_schema.COLUMNS c WHERE TABLE_SCHEMA='pointsman' ORDER BY ORDINAL_POSITION
SELECT x.* FROM pointsman.sessions x
SELECT count(*) FROM pointsman.sessions
""".strip().splitlines()

host, port, token = sys.argv[1], int(sys.argv[2]), sys.argv[3]
# What a client cannot go on without.
needed = {CONNECTOR_J, "SHOW DATABASES", "SHOW VARIABLES", "SELECT * FROM pointsman.servers LIMIT 0, 1000", "SELECT x.* FROM pointsman.sessions x"}

for statements in [WORKBENCH, DBEAVER]:
    connection = pymysql.connect(host=host, port=port, user="admin", password=token, charset="utf8mb4", database="pointsman")
    cursor = connection.cursor()
    refused = []
    for statement in statements:
        try:
            cursor.execute(statement)
            cursor.fetchall()
        except pymysql.err.ProgrammingError as error:
            assert error.args[0] == 1064, (statement, error)
            refused.append(statement)
        connection.ping(reconnect=False)
    assert not needed.intersection(refused), refused
    # The tables that the console does not have.
    assert all("information_schema" in statement or "mysql.user" in statement for statement in refused), refused
    cursor.execute("SELECT @@session.auto_increment_increment AS i, @@time_zone AS z, @@no_such_variable AS n")
    assert cursor.fetchall() == (("1", "SYSTEM", None),)
    connection.close()
print("good")
