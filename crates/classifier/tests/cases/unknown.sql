--# What is not known, executable comments, batches.
--@ schema test
WHATEVER 1
--> primary not_known | pin connection
123
--> primary not_known | pin connection
'abc'
--> primary not_known | pin connection
(DELETE FROM t)
--> primary not_known | pin connection
/*!40101 SET NAMES utf8 */
--> primary executable_comment | charset AsciiSafe:NAMES utf8
/*!40101 SET @OLD_SQL_MODE=@@SQL_MODE, SQL_MODE='NO_AUTO_VALUE_ON_ZERO' */
--> primary assigns_user_variable | pin @old_sql_mode, set sql_mode:SQL_MODE='NO_AUTO_VALUE_ON_ZERO', sql_mode SqlMode(0x0)
/*!99999 SET autocommit = 0 */
--> primary executable_comment | set autocommit:autocommit = 0, autocommit off, pin connection
/*!50003 CREATE*/ /*!50017 DEFINER=`a`@`b`*/ /*!50003 TRIGGER t BEFORE INSERT ON u FOR EACH ROW SET NEW.a = 1 */
--> primary writes | end
/*!40000 ALTER TABLE `t` DISABLE KEYS */
--> primary writes | end
USE db2; CREATE TEMPORARY TABLE t1 (a INT)
--> primary session_statement | use db2, pin temporary table db2.t1
SET sql_mode = 'ANSI_QUOTES'; SELECT "f"(1)
--> primary session_statement | set sql_mode:sql_mode = 'ANSI_QUOTES', sql_mode SqlMode(ANSI_QUOTES)
BEGIN; UPDATE t SET a = 1; COMMIT
--> primary transaction_control | begin, end
INSERT INTO t VALUES (1); SELECT LAST_INSERT_ID()
--> primary writes
