--# Comments.
--@ schema test
SELECT 1 /* a */ + /**/ 2 -- b
--> replica only_computes
SELECT 1 --b
--> replica only_computes
SELECT 1 --1
--> replica only_computes
SELECT 1 # ; DELETE FROM t
--> replica only_computes
/* a */ SELECT 1
--> replica only_computes
-- a
--> replica only_computes
SELECT /* ' */ 1 /* ' FOR UPDATE */ FROM t
--> replica plain_read
SELECT /* /* */ 1 FROM t
--> replica plain_read
SELECT 1 /* open
--> primary not_known
SELECT 1 */ 2
--> replica only_computes

--# Executable comments that every supported version of both servers runs are a part of the statement.
SELECT /*!40001 SQL_NO_CACHE */ * FROM t
--> replica plain_read
SELECT /*! STRAIGHT_JOIN */ * FROM t
--> replica plain_read
SELECT * FROM t /*!50000 FOR UPDATE */
--> primary locking_clause
SELECT * FROM t /*! LOCK IN SHARE MODE */
--> primary locking_clause
SELECT 1 /*!40000 + f(1) */
--> primary unknown_function
SELECT 1 /*!40000 INTO @x */
--> primary into_clause | pin @x
SELECT '/*! FOR UPDATE */', `/*! x */`
--> replica only_computes
/*!40101 SELECT 1 */
--> replica only_computes
/*!40000 DELETE FROM t */
--> primary writes
SELECT /*!40001 SQL_NO_CACHE * FROM t
--> primary executable_comment
--# The others may be code or not.
SELECT 1 /*!50701 + 1 */
--> mysql: replica only_computes
--> mariadb: primary executable_comment | pin connection
SELECT 1 /*!80400 + 1 */
--> mysql: replica only_computes
--> mariadb: primary executable_comment | pin connection
SELECT 1 /*!80401 + 1 */
--> primary executable_comment | pin connection
SELECT 1 /*!90700 + 1 */
--> primary executable_comment | pin connection
SELECT 1 /*!99999 FOR UPDATE */
--> primary locking_clause | pin connection
SELECT 1 /*!100100 + 1 */
--> mysql: primary executable_comment | pin connection
--> mariadb: replica only_computes
SELECT 1 /*!101100 + 1 */
--> mysql: primary executable_comment | pin connection
--> mariadb: replica only_computes
SELECT 1 /*!101200 + 1 */
--> primary executable_comment | pin connection
SELECT 1 /*!110800 + 1 */
--> primary executable_comment | pin connection
SELECT 1 /*!080400 + 1 */
--> primary executable_comment | pin connection
SELECT 1 /*!4000 + 1 */
--> primary executable_comment | pin connection
SELECT 1 /*M! + 1 */
--> mysql: primary executable_comment | pin connection
--> mariadb: primary executable_comment
SELECT 1 /*M!100100 FOR UPDATE */
--> mysql: primary locking_clause | pin connection
--> mariadb: primary locking_clause
SELECT 1 /*M!100100 + 1 */
--> mysql: primary executable_comment | pin connection
--> mariadb: primary executable_comment
SELECT 1 /*M!999999 + 1 */
--> primary executable_comment | pin connection
/*M! DELETE FROM t */
--> mysql: primary writes | pin connection
--> mariadb: primary writes
SELECT 1 /*! + 1 /*! + 1 */ */
--> primary not_known
SELECT 1 /*! + 1 /* a */ */
--> replica only_computes
SELECT 1 /*! + 1
--> primary executable_comment
SELECT 1 /*m! + 1 */
--> replica only_computes
/*!40101 SET NAMES utf8 */
--> primary executable_comment | charset AsciiSafe:NAMES utf8
/*!40101 SET @OLD_SQL_MODE=@@SQL_MODE, SQL_MODE='NO_AUTO_VALUE_ON_ZERO' */
--> primary assigns_user_variable | pin @old_sql_mode, set sql_mode:SQL_MODE='NO_AUTO_VALUE_ON_ZERO', sql_mode SqlMode(0x0)
/*!40103 SET TIME_ZONE='+00:00' */
--> primary executable_comment | set time_zone:TIME_ZONE='+00:00'
/*!40014 SET FOREIGN_KEY_CHECKS=@OLD_FOREIGN_KEY_CHECKS */
--> primary executable_comment | pin @@foreign_key_checks
/*!40111 SET SQL_NOTES=0 */
--> primary executable_comment | set sql_notes:SQL_NOTES=0
/*!40000 ALTER TABLE `t` DISABLE KEYS */
--> primary writes | end
/*!99999 SET autocommit = 0 */
--> primary executable_comment | set autocommit:autocommit = 0, autocommit off, pin connection
/*M!999999\- enable the sandbox mode */
--> primary not_known | pin connection
/*!50003 CREATE*/ /*!50017 DEFINER=`a`@`b`*/ /*!50003 TRIGGER t BEFORE INSERT ON u FOR EACH ROW SET NEW.a = 1 */
--> primary writes | end
CREATE TABLE t (a INT) /*!50100 PARTITION BY KEY (a) */
--> primary writes | end
INSERT INTO t VALUES (1) /*! ON DUPLICATE KEY UPDATE a = 1 */
--> primary writes

--# Hints to the optimizer hold for one statement.
SELECT /*+ MAX_EXECUTION_TIME(1000) */ * FROM t
--> replica plain_read
SELECT /*+ BKA(t1) NO_ICP(t2@qb) QB_NAME(x) */ * FROM t1, t2
--> replica plain_read
SELECT /*+ INDEX(`t` `i`) */ * FROM t
--> replica plain_read
SELECT /*+ SET_VAR(sort_buffer_size = 16M) */ a FROM t ORDER BY a
--> replica plain_read
SELECT /*+ SET_VAR(optimizer_switch = 'mrr=off') */ a FROM t
--> replica plain_read
SELECT /*+ RESOURCE_GROUP(rg) */ a FROM t
--> replica plain_read
SELECT /*+ SUBQUERY(INTOEXISTS) */ a FROM t
--> replica plain_read
SELECT /*+ NO_SUCH_HINT */ a FROM t
--> replica plain_read
SELECT /*+ BKA(t) */ a FROM t FOR UPDATE
--> primary locking_clause
SELECT /*+ SET_VAR(sql_auto_is_null = 1) */ a FROM t WHERE a IS NULL
--> primary not_known
SELECT /*+ SET_VAR(sql_mode = ORACLE) */ a FROM t
--> primary not_known
SELECT /*+ SET_VAR(sql_mode = 'ANSI_QUOTES') */ a FROM t
--> primary not_known
SELECT /*+ SET_VAR(insert_id = 5) */ a FROM t
--> primary not_known
SELECT /*+ QB_NAME(`x*/ FOR UPDATE
--> primary not_known
SELECT /*+ QB_NAME('a`) */ `'` FROM t
--> primary not_known
SELECT /*+ A("b`) */ 1
--> primary not_known
SELECT /*+ A('\') */ 1
--> primary not_known
SELECT /*+ /* */ 1
--> primary not_known
SELECT /*+ open
--> primary not_known
INSERT /*+ SET_VAR(foreign_key_checks = OFF) */ INTO t VALUES (1)
--> primary writes
