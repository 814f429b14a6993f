use super::*;
use crate::{Charset, Dialect, SqlMode};

const CONTEXT: Context<'static> =
    Context { dialect: Dialect::MySql, sql_mode: SqlMode::empty(), charset: Charset::AsciiSafe, schema: None };

const SECRET: Secret = Secret([7; 16]);

#[test]
fn keys_depend_on_the_secret_and_digests_do_not() {
    let of = |secret| fingerprint(b"SELECT a FROM t", Rules::from(&CONTEXT), &Secret::new(secret));
    assert_eq!(of(1).digest, of(2).digest);
    assert_ne!(of(1).key, of(2).key);
}

fn text(sql: &str) -> String {
    String::from_utf8(digest_text(sql.as_bytes(), &CONTEXT, 4096)).unwrap()
}

#[test]
fn literals_lists_rows_and_white_space_are_folded() {
    for (sql, expect) in [
        ("select  a,b from t where id = 5 -- x", "SELECT a , b FROM t WHERE id = ?"),
        ("SELECT a, b\nFROM t /* c */ WHERE id=-0x1F;", "SELECT a , b FROM t WHERE id = ?"),
        ("select * from t where id in (1, 'x', ?, -3)", "SELECT * FROM t WHERE id IN (...)"),
        ("select * from t where (a,b) in ((1,2),(3,4))", "SELECT * FROM t WHERE ( a , b ) IN (...)"),
        ("select * from t where id in (1, f(2))", "SELECT * FROM t WHERE id IN ( ? , f ( ? ) )"),
        ("insert into t values (1,'a'),(2,NULL), (3, default)", "INSERT INTO t VALUES (...)"),
        ("insert into t values (1),(now())", "INSERT INTO t VALUES (...) , ( now ( ) )"),
        ("select a-1, a - -1, -1", "SELECT a - ? , a - ? , ?"),
        ("select `a``b` . c, @x, @@session.y", "SELECT `a``b`.c , @x , @@session.y"),
        ("select count(*), count (*)", "SELECT count ( * ) , count  ( * )"),
        ("select 1; select 2;", "SELECT ? ; SELECT ?"),
        ("select /*+ MAX_EXECUTION_TIME(5) */ 1 /*!80000 , 1 */", "SELECT /*+ MAX_EXECUTION_TIME(5) */ ? /*!80000 , ? */"),
        ("select t.select, N'a', x'41', _utf8'b', 1e5from t", "SELECT t.select , ? , ? , _utf8 ? , ? FROM t"),
    ] {
        assert_eq!(text(sql), expect, "{sql}");
    }
}

#[test]
fn text_is_cut_at_the_limit() {
    assert_eq!(digest_text(b"select a from t", &CONTEXT, 8), b"SELECT a");
}

#[test]
fn long_text_has_the_digest_of_its_text() {
    for columns in [1, 10, 500, 5000] {
        let sql = format!("select {} from t", vec!["some_column"; columns].join(", "));
        let direct = xxh3_128(&digest_text(sql.as_bytes(), &CONTEXT, usize::MAX));
        assert_eq!(fingerprint(sql.as_bytes(), Rules::from(&CONTEXT), &SECRET).digest, Digest(direct));
        let text = digest_text(sql.as_bytes(), &CONTEXT, usize::MAX);
        assert_eq!(fingerprint(sql.as_bytes(), Rules::from(&CONTEXT), &SECRET).key, StatementKey(SECRET.hash(&text)));
    }
}
