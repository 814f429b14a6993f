use super::*;
use crate::{Classifier, Placement, Reason};

fn function(name: &str, body: &str) -> Definition {
    Definition::Function { name: name.into(), body: Some(body.into()), sql_mode: "".into() }
}

fn view(name: &str, query: &str) -> Definition {
    Definition::View { name: name.into(), query: Some(query.into()) }
}

fn classifier(definitions: &[Definition]) -> Classifier {
    let classifier = Classifier::new(ParseLimits::default());
    classifier.knowledge().learn_catalogue(Catalogue::new(Dialect::MySql, definitions), 0);
    classifier
}

fn placement(classifier: &Classifier, sql: &str) -> (Placement, Reason) {
    let context =
        Context { dialect: Dialect::MySql, sql_mode: SqlMode::empty(), charset: Charset::AsciiSafe, schema: Some("shop") };
    let statement = classifier.classify(sql.as_bytes(), &context);
    (statement.placement(), statement.because)
}

#[track_caller]
fn check_function(body: &str, is_read: bool) {
    let definitions = [function("known_read", "RETURN 1"), function("f", body)];
    let expected = if is_read { (Placement::Replica, Reason::PlainRead) } else { (Placement::Primary, Reason::UnknownFunction) };
    assert_eq!(placement(&classifier(&definitions), "SELECT f(1) FROM t"), expected, "{body}");
}

#[test]
fn bodies_that_only_read_are_reads() {
    for body in [
        "RETURN 1",
        "return concat('a', x)",
        "RETURN (SELECT COUNT(*) FROM t WHERE a = x)",
        "RETURN CASE WHEN x THEN 1 ELSE 2 END",
        "RETURN known_read(x)",
        "RETURN shop.known_read(x) + `known_read`(1)",
        "BEGIN RETURN 1; END",
        "BEGIN END",
        "BEGIN DECLARE a, b INT DEFAULT 1 + 2; SET a = b, b := a + 1; RETURN a; END",
        "BEGIN DECLARE a DECIMAL(10, 2); SELECT SUM(x), 1 INTO a FROM t; RETURN a; END",
        "BEGIN DECLARE a INT; SELECT x FROM t WHERE y = 1 LIMIT 1 INTO a; RETURN a; END",
        "BEGIN DECLARE a INT; (SELECT 1 LIMIT 1) INTO a; RETURN a; END",
        "BEGIN IF x > 1 THEN RETURN 1; ELSEIF (x = 2) THEN RETURN IF(x, 1, 2); ELSE RETURN 3; END IF; END",
        "BEGIN CASE x WHEN 1 THEN RETURN 1; ELSE RETURN 2; END CASE; END",
        "BEGIN CASE WHEN x = CASE y WHEN 1 THEN 2 END THEN RETURN 1; END CASE; RETURN 0; END",
        "BEGIN DECLARE i INT DEFAULT 0; l: WHILE i < 10 DO SET i = i + 1; ITERATE l; END WHILE l; RETURN i; END",
        "BEGIN DECLARE i INT; l: LOOP SET i = 1; LEAVE l; END LOOP; REPEAT SET i = 2; UNTIL i = 2 END REPEAT; RETURN i; END",
        "BEGIN DECLARE d INT; DECLARE c CURSOR FOR SELECT a FROM t; DECLARE CONTINUE HANDLER FOR NOT FOUND SET d = 1; \
         OPEN c; FETCH NEXT FROM c INTO d; FETCH c INTO d; CLOSE c; RETURN d; END",
        "BEGIN DECLARE e CONDITION FOR SQLSTATE '45000'; DECLARE EXIT HANDLER FOR SQLSTATE VALUE '23000', 1062, SQLEXCEPTION BEGIN \
         RETURN NULL; END; SIGNAL e SET MESSAGE_TEXT = 'no'; RETURN 1; END",
        "outer_block: BEGIN DECLARE a INT; BEGIN DECLARE b INT; SET b = 1, a = b; END; RETURN a; END outer_block",
    ] {
        check_function(body, true);
    }
}

#[test]
fn bodies_that_may_do_more_are_not() {
    for body in [
        "",
        "BEGIN INSERT INTO log VALUES (1); RETURN 1; END",
        "BEGIN IF x THEN UPDATE t SET a = 1; END IF; RETURN 1; END",
        "BEGIN DECLARE EXIT HANDLER FOR SQLEXCEPTION DELETE FROM t; RETURN 1; END",
        "BEGIN CALL p(); RETURN 1; END",
        "RETURN unknown_function(1)",
        "RETURN GET_LOCK('a', 1)",
        "RETURN (@a := 1)",
        "RETURN @a",
        "RETURN @@hostname",
        "RETURN LAST_INSERT_ID()",
        "RETURN f(1)",
        "BEGIN SET @a = 1; RETURN 1; END",
        "BEGIN SET sql_mode = ''; RETURN 1; END",
        "BEGIN SET @@session.sql_mode = ''; RETURN 1; END",
        "BEGIN SET GLOBAL max_connections = 1; RETURN 1; END",
        "BEGIN BEGIN DECLARE sort_buffer_size INT; END; SET sort_buffer_size = 1; RETURN 1; END",
        "BEGIN DECLARE a INT; SET a = 1, sql_mode = ''; RETURN 1; END",
        "BEGIN DECLARE a INT; SELECT x INTO a FROM t FOR UPDATE; RETURN a; END",
        "BEGIN DECLARE a INT; SELECT x FROM (SELECT x FROM t FOR UPDATE) d INTO a; RETURN a; END",
        "BEGIN DECLARE c CURSOR FOR SELECT a FROM t FOR UPDATE; RETURN 1; END",
        "BEGIN SELECT 1 INTO @a; RETURN 1; END",
        "BEGIN SELECT 1 INTO OUTFILE '/tmp/x'; RETURN 1; END",
        "BEGIN SELECT 1; RETURN 1; END",
        "BEGIN DECLARE a INT; SELECT 1 INTO a INTO a; RETURN 1; END",
        "BEGIN RETURN 1",
        "RETURN 1; END",
        "BEGIN NOT ATOMIC RETURN 1; END",
        "RETURN 1 /*! + f_write() */",
        "/*! INSERT INTO t VALUES (1); */ RETURN 1",
        "BEGIN CREATE TEMPORARY TABLE x (a INT); RETURN 1; END",
        "BEGIN FLUSH TABLES; RETURN 1; END",
        "BEGIN GET DIAGNOSTICS @n = NUMBER; RETURN 1; END",
        "BEGIN FOR i IN 1..2 DO SELECT 1; END FOR; RETURN 1; END",
        "return $$ some other language $$",
    ] {
        check_function(body, false);
    }
}

#[test]
fn what_is_not_shown_or_not_known_is_no_read() {
    let hidden = [Definition::Function { name: "f".into(), body: None, sql_mode: "".into() }];
    assert_eq!(placement(&classifier(&hidden), "SELECT f(1)").0, Placement::Primary);
    let oracle = [Definition::Function { name: "f".into(), body: Some("RETURN 1".into()), sql_mode: "ORACLE".into() }];
    assert_eq!(placement(&classifier(&oracle), "SELECT f(1)").0, Placement::Primary);
    assert_eq!(placement(&classifier(&[]), "SELECT f(1)").0, Placement::Primary);
}

#[test]
fn a_name_is_trusted_if_everything_that_bears_it_is() {
    let both = [function("f", "RETURN 1"), function("F", "RETURN LAST_INSERT_ID()")];
    assert_eq!(placement(&classifier(&both), "SELECT f(1)").0, Placement::Primary);
    let loadable = [function("f", "RETURN 1"), Definition::Opaque { name: "f".into() }];
    assert_eq!(placement(&classifier(&loadable), "SELECT f(1)").0, Placement::Primary);
    let hidden = [function("f", "RETURN 1"), Definition::HiddenLoadables];
    assert_eq!(placement(&classifier(&hidden), "SELECT f(1)").0, Placement::Primary);
    let package = [function("f", "RETURN 1"), Definition::Package];
    assert_eq!(placement(&classifier(&package), "SELECT f(1)").0, Placement::Replica);
    assert_eq!(placement(&classifier(&package), "SELECT p.f(1)").0, Placement::Primary);
    let foreign = [function("f", "RETURN 1"), function("fé", "RETURN GET_LOCK('a', 1)")];
    assert_eq!(placement(&classifier(&foreign), "SELECT f(1)").0, Placement::Primary);
}

#[test]
fn verdicts_pass_through_functions_and_views() {
    let definitions = [
        view("outer_view", "select `shop`.`inner_view`.`a` AS `a` from `shop`.`inner_view`"),
        view("inner_view", "select `shop`.`reads`(`shop`.`t`.`a`) AS `a` from `shop`.`t`"),
        function("reads", "RETURN (SELECT MAX(b) FROM base_view)"),
        view("base_view", "select 1 AS `b`"),
        view("writing_view", "select `shop`.`writes`(1) AS `a`"),
        view("over_writing", "select `writing_view`.`a` AS `a` from `shop`.`writing_view`"),
        function("writes", "BEGIN INSERT INTO t VALUES (1); RETURN 1; END"),
        function("reads_writing", "RETURN (SELECT a FROM over_writing)"),
        Definition::View { name: "hidden".into(), query: None },
    ];
    let classifier = classifier(&definitions);
    for sql in ["SELECT * FROM outer_view", "SELECT reads(1)", "SELECT 1 FROM base_view", "SELECT * FROM t"] {
        assert_eq!(placement(&classifier, sql).0, Placement::Replica, "{sql}");
    }
    for sql in [
        "SELECT * FROM writing_view",
        "SELECT * FROM shop.`Over_Writing` x",
        "TABLE hidden",
        "WITH c AS (SELECT * FROM hidden) TABLE c",
    ] {
        assert_eq!(placement(&classifier, sql), (Placement::Primary, Reason::DoubtfulView), "{sql}");
    }
    assert_eq!(placement(&classifier, "SELECT reads_writing(1)").0, Placement::Primary);
}

#[test]
fn a_changed_definition_makes_reads_doubtful_until_the_catalogue_is_read_anew() {
    let classifier = classifier(&[function("f", "RETURN 1")]);
    let knowledge = classifier.knowledge();
    assert_eq!(placement(&classifier, "SELECT f(1)").0, Placement::Replica);
    let before = knowledge.version();
    knowledge.definitions_changed();
    assert_ne!(knowledge.version(), before);
    assert_eq!(placement(&classifier, "SELECT f(1)"), (Placement::Primary, Reason::CatalogueUnknown));
    assert_eq!(placement(&classifier, "SELECT * FROM t"), (Placement::Primary, Reason::CatalogueUnknown));
    assert_eq!(placement(&classifier, "SELECT 1 + 1").0, Placement::Replica);

    // A look that began before another change proves nothing.
    let as_of = knowledge.changes();
    knowledge.definitions_changed();
    knowledge.learn_catalogue(Catalogue::default(), as_of);
    assert!(knowledge.is_out_of_date());
    let writing = Catalogue::new(Dialect::MySql, &[function("f", "BEGIN DELETE FROM t; RETURN 1; END")]);
    knowledge.learn_catalogue(writing, knowledge.changes());
    assert_eq!(placement(&classifier, "SELECT * FROM t").0, Placement::Replica);
    assert_eq!(placement(&classifier, "SELECT f(1)"), (Placement::Primary, Reason::UnknownFunction));
}

#[test]
fn a_statement_that_a_replica_refused_is_a_write_from_then_on() {
    let classifier = classifier(&[function("f", "RETURN 1")]);
    let context = Context { dialect: Dialect::MySql, sql_mode: SqlMode::empty(), charset: Charset::AsciiSafe, schema: None };
    let refused = classifier.classify(b"SELECT f(17)", &context);
    assert_eq!(refused.placement(), Placement::Replica);
    assert!(classifier.knowledge().learn_write(&refused));
    assert!(!classifier.knowledge().learn_write(&refused));
    assert_eq!(placement(&classifier, "select  f(42)"), (Placement::Primary, Reason::LearnedWrite));
    assert_eq!(placement(&classifier, "SELECT f(1) + 1").0, Placement::Replica);
}

#[test]
fn a_function_native_in_some_versions_is_a_read_unless_a_user_has_defined_it() {
    assert_eq!(placement(&classifier(&[]), "SELECT MD5(a), sha1(b) FROM t").0, Placement::Replica);
    assert_eq!(placement(&classifier(&[]), "SELECT shop.MD5(a) FROM t").0, Placement::Primary);
    let stored = [function("Md5", "BEGIN DELETE FROM t; RETURN 1; END")];
    assert_eq!(placement(&classifier(&stored), "SELECT MD5(a) FROM t").0, Placement::Primary);
    let through = [function("f", "RETURN MD5(1)"), function("md5", "BEGIN DELETE FROM t; RETURN 1; END")];
    assert_eq!(placement(&classifier(&through), "SELECT f(1) FROM t").0, Placement::Primary);
    let loadable = [Definition::Opaque { name: "sha1".into() }];
    assert_eq!(placement(&classifier(&loadable), "SELECT SHA1(a) FROM t").0, Placement::Primary);
    assert_eq!(placement(&classifier(&[Definition::HiddenLoadables]), "SELECT SHA1(a) FROM t").0, Placement::Primary);
}

#[test]
fn a_view_may_have_a_column_of_its_own_name() {
    let one = [view("status", "select `shop`.`t`.`status` AS `status` from `shop`.`t`")];
    assert_eq!(placement(&classifier(&one), "SELECT status FROM status").0, Placement::Replica);
    // Of two views of this name, one may select from the other.
    let two = [
        view("status", "select `blog`.`status`.`status` AS `status` from `blog`.`status`"),
        view("status", "select get_lock('a', 1) AS `status`"),
    ];
    assert_eq!(placement(&classifier(&two), "SELECT status FROM status").0, Placement::Primary);
}

#[test]
fn a_view_with_a_name_beyond_ascii_is_doubtful_while_others_are_judged() {
    let locking = view("größe", "select get_lock('a', 1) AS `a`");
    let over_it = view("over_it", "select `größe`.`a` AS `a` from `shop`.`größe`");
    let plain = view("plain", "select 1 AS `a`");
    let all = classifier(&[over_it.clone(), plain, locking]);
    assert_eq!(placement(&all, "SELECT * FROM over_it"), (Placement::Primary, Reason::DoubtfulView));
    assert_eq!(placement(&all, "SELECT * FROM größe"), (Placement::Primary, Reason::DoubtfulView));
    assert_eq!(placement(&all, "SELECT * FROM plain").0, Placement::Replica);
    let harmless = classifier(&[over_it, view("größe", "select 1 AS `a`")]);
    assert_eq!(placement(&harmless, "SELECT * FROM größe").0, Placement::Replica);
    assert_eq!(placement(&harmless, "SELECT * FROM over_it").0, Placement::Replica);
}
