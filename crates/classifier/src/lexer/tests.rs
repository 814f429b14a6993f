use super::*;

const RULES: Rules = Rules { dialect: Dialect::MySql, sql_mode: SqlMode::empty(), charset: Charset::AsciiSafe };

fn tokens(sql: &str, rules: Rules) -> Vec<(Kind, String)> {
    let mut lexer = Lexer::new(sql.as_bytes(), rules);
    std::iter::from_fn(|| {
        let token = lexer.next();
        (token.kind != Kind::End).then(|| (token.kind, String::from_utf8_lossy(token.text).into_owned()))
    })
    .collect()
}

fn check(sql: &str, expect: &[(Kind, &str)]) {
    check_with(RULES, sql, expect);
}

fn check_with(rules: Rules, sql: &str, expect: &[(Kind, &str)]) {
    let expect: Vec<_> = expect.iter().map(|&(kind, text)| (kind, text.to_owned())).collect();
    assert_eq!(tokens(sql, rules), expect, "{sql}");
}

use Kind::{Bad, Literal, Quoted, Semicolon, Symbol, SystemVariable, UserVariable, Word};

#[test]
fn two_dashes_comment_only_before_white_space() {
    check("a -- b\nc", &[(Word, "a"), (Word, "c")]);
    check("a --\tb", &[(Word, "a")]);
    check("a --", &[(Word, "a")]);
    check("5--1", &[(Literal, "5"), (Symbol, "-"), (Symbol, "-"), (Literal, "1")]);
    check("a # b\nc", &[(Word, "a"), (Word, "c")]);
    check("a /* b */ c /* /* */ d", &[(Word, "a"), (Word, "c"), (Word, "d")]);
    check("a /* b", &[(Word, "a"), (Bad, "/* b")]);
    check("a # \0 b\nc", &[(Word, "a"), (Bad, "# \0 b"), (Word, "c")]);
}

#[test]
fn numbers_end_where_the_server_ends_them() {
    check("1e5FOR", &[(Literal, "1e5"), (Word, "FOR")]);
    check("1.5FOR", &[(Literal, "1.5"), (Word, "FOR")]);
    check("1.FOR", &[(Literal, "1."), (Word, "FOR")]);
    check("1FOR", &[(Word, "1FOR")]);
    check("1eFOR", &[(Word, "1eFOR")]);
    check("0x1FOR", &[(Word, "0x1FOR")]);
    check("0x1F OR", &[(Literal, "0x1F"), (Word, "OR")]);
    check("0b01 0b2", &[(Literal, "0b01"), (Word, "0b2")]);
    check("t.1a", &[(Word, "t"), (Symbol, "."), (Word, "1a")]);
    check("t .1", &[(Word, "t"), (Literal, ".1")]);
    check("`t`.1", &[(Quoted, "`t`"), (Literal, ".1")]);
    check("1.e", &[(Bad, "1.e")]);
}

#[test]
fn strings_follow_the_sql_mode() {
    check(r"'a''b\'c'd", &[(Literal, r"'a''b\'c'"), (Word, "d")]);
    check(
        "\"a\" N'b' x'41' b'01' _utf8'c'",
        &[(Literal, "\"a\""), (Literal, "N'b'"), (Literal, "x'41'"), (Literal, "b'01'"), (Word, "_utf8"), (Literal, "'c'")],
    );
    check("'a", &[(Bad, "'a")]);
    check(r"'a\", &[(Bad, r"'a\")]);
    let plain = Rules { sql_mode: SqlMode::NO_BACKSLASH_ESCAPES, ..RULES };
    check_with(plain, r"'\'; x -- '", &[(Literal, r"'\'"), (Semicolon, ";"), (Word, "x")]);
    let ansi = Rules { sql_mode: SqlMode::ANSI_QUOTES, ..RULES };
    check_with(ansi, r#""a\"b"#, &[(Quoted, r#""a\""#), (Word, "b")]);
}

#[test]
fn variables_keep_their_quotes() {
    check(
        "@a.b:=@`c``d`@'e'@@x",
        &[
            (UserVariable, "@a.b"),
            (Symbol, ":="),
            (UserVariable, "@`c``d`"),
            (UserVariable, "@'e'"),
            (SystemVariable, "@@"),
            (Word, "x"),
        ],
    );
    check("@ a", &[(UserVariable, "@"), (Word, "a")]);
}

#[test]
fn comments_that_may_be_code_are_tokens() {
    check(
        "a /*!50001 b */ c",
        &[(Word, "a"), (Kind::ExecutableOpen, "/*!50001"), (Word, "b"), (Kind::ExecutableClose, "*/"), (Word, "c")],
    );
    check("/*M!100100 b*/", &[(Kind::ExecutableOpen, "/*M!100100"), (Word, "b"), (Kind::ExecutableClose, "*/")]);
    check("/*+ a */ /*+ 'b */", &[(Kind::Hint, "/*+ a */"), (Bad, "/*+ 'b */")]);
    check("/*+ A(b='c') */ /*+ '`' ` */", &[(Kind::Hint, "/*+ A(b='c') */"), (Bad, "/*+ '`' ` */")]);
    check("/*+ '\\'' */", &[(Bad, "/*+ '\\'' */")]);
    check("a*/b", &[(Word, "a"), (Symbol, "*"), (Symbol, "/"), (Word, "b")]);
}

#[test]
fn what_servers_refuse_or_read_differently_is_bad() {
    check("a \\ b", &[(Word, "a"), (Bad, "\\"), (Word, "b")]);
    check("\\N", &[(Literal, "\\N")]);
    check("$a$ b", &[(Bad, "$a$"), (Word, "b")]);
    check("a --\u{e9}", &[(Word, "a"), (Bad, "--"), (Word, "\u{e9}")]);
}
