--# Character sets in which a byte below 0x80 is always itself: Latin, UTF-8, the EUC family.
--@ schema test
SELECT 'ä' FROM größe
--> replica plain_read
--@ charset latin1
SELECT a FROM größe
--> replica plain_read
SELECT a FROM t FOR UPDATE
--> primary locking_clause
SELECT a FROM t FOR UPDATE
--> primary locking_clause
--@ charset ujis
SELECT 'ä' FROM t
--> replica plain_read
--@ charset eucjpms
SELECT 'ä' FROM t
--> replica plain_read
--@ charset binary
SELECT 'ä' FROM t
--> replica plain_read
--# Those in which a quote or a backslash may be the second half of a character: only pure ASCII can be a read.
--@ charset gbk
SELECT 'a' FROM t
--> replica plain_read
SELECT 'ä' FROM t
--> primary unsafe_charset
SELECT 'ä' FROM t WHERE a = '\'
--> primary not_known
SET autocommit = 0, @x = 'ä'
--> primary session_statement | set autocommit:autocommit = 0, autocommit off, pin @x
INSERT INTO t VALUES ('ä')
--> primary writes
--@ charset sjis
SELECT 1
--> replica only_computes
SELECT 'ソ'
--> primary unsafe_charset
--@ charset cp932
SELECT 'ソ'
--> primary unsafe_charset
--@ charset big5
SELECT 'ä'
--> primary unsafe_charset
--@ charset gb18030
SELECT 'ä'
--> primary unsafe_charset
--# Those in which not even ASCII is sure.
--@ charset utf16
SELECT 1
--> primary unsafe_charset
--@ charset swe7
SELECT 1
--> primary unsafe_charset
--@ charset ucs2
SELECT 1
--> primary unsafe_charset
BEGIN
--> primary transaction_control | begin
SET NAMES utf8mb4
--> primary session_statement | charset AsciiSafe:NAMES utf8mb4
--@ charset nothing_known
SELECT 1
--> primary unsafe_charset
