use super::*;

const NONCE_BYTES: [u8; NONCE] = *b"abcdefghijklmnopqrst";

fn greeting() -> Greeting {
    Greeting {
        server_version: b"9.7.0".to_vec(),
        connection_id: 42,
        nonce: NONCE_BYTES,
        capabilities: Capabilities::from_halves(0xdfff_ffff, 0),
        charset: 255,
        status: StatusFlags::AUTOCOMMIT,
        auth_plugin: b"caching_sha2_password".to_vec(),
    }
}

fn mariadb() -> Greeting {
    Greeting {
        server_version: b"5.5.5-10.11.19-MariaDB-log".to_vec(),
        capabilities: Capabilities::from_halves(0x81bf_f7fe, 0x1d),
        auth_plugin: b"mysql_native_password".to_vec(),
        ..greeting()
    }
}

fn encoded(greeting: &Greeting) -> Vec<u8> {
    let mut out = BytesMut::new();
    greeting.encode(&mut out);
    out.to_vec()
}

fn login() -> Login<'static> {
    Login {
        capabilities: Capabilities::PROTOCOL_41
            | Capabilities::LONG_PASSWORD
            | Capabilities::SECURE_CONNECTION
            | Capabilities::PLUGIN_AUTH
            | Capabilities::PLUGIN_AUTH_LENENC
            | Capabilities::CONNECT_WITH_DB
            | Capabilities::CONNECT_ATTRS,
        max_packet: 1 << 24,
        collation: 45,
        user: b"app",
        auth_response: &[7; 32],
        schema: Some(b"shop"),
        auth_plugin: Some(b"caching_sha2_password"),
        attributes: Some(b"\x02_os\x05Linux"),
        zstd_level: 0,
    }
}

fn login_payload(login: &Login<'_>) -> Vec<u8> {
    let mut out = BytesMut::new();
    login.encode(&mut out);
    out.to_vec()
}

fn is_login(login: &Login<'_>) {
    assert_eq!(Login::decode(&login_payload(login)), Ok(*login));
}

#[test]
fn a_greeting_comes_back_as_it_was() {
    for greeting in [greeting(), mariadb()] {
        let payload = encoded(&greeting);
        assert_eq!(decode_greeting(&payload), Ok(Greeted::Greeting(greeting)));
    }
}

#[test]
fn every_cut_of_a_greeting_is_malformed_up_to_the_name_of_its_plugin() {
    let payload = encoded(&greeting());
    let plugin = payload.len() - "caching_sha2_password".len() - 1;
    for cut in 0..plugin {
        assert!(decode_greeting(&payload[..cut]).is_err(), "{cut}");
    }
    // Without the NUL at its end, or cut short, it is a name.
    for cut in plugin..payload.len() {
        assert!(decode_greeting(&payload[..cut]).is_ok(), "{cut}");
    }
}

#[test]
fn mariadb_is_known_by_its_capabilities_and_its_version() {
    assert!(mariadb().is_mariadb());
    assert_eq!(mariadb().version_text(), b"10.11.19-MariaDB-log");
    assert!(!greeting().is_mariadb());
    assert_eq!(greeting().version_text(), b"9.7.0");
    let by_name = Greeting { server_version: b"11.8.6-MariaDB".to_vec(), ..greeting() };
    assert!(by_name.is_mariadb());
}

#[test]
fn the_level_of_zstd_follows_the_attributes_and_a_missing_one_is_0() {
    let mut login = Login { zstd_level: 22, ..login() };
    assert_eq!(Login::decode(&login_payload(&login)).unwrap().zstd_level, 0, "without the capability there is none");
    login.capabilities |= Capabilities::ZSTD_COMPRESSION;
    is_login(&login);
    let payload = login_payload(&login);
    assert_eq!(Login::decode(&payload[..payload.len() - 1]).unwrap().zstd_level, 0);
    login.capabilities -= Capabilities::CONNECT_ATTRS;
    login.attributes = None;
    is_login(&login);
}

#[test]
fn mariadbs_own_capabilities_are_nothing_to_mysql() {
    let mixed = Greeting { capabilities: greeting().capabilities | Capabilities::MARIADB_PROGRESS, ..greeting() };
    let payload = encoded(&mixed);
    assert_eq!(payload, encoded(&greeting()));
    assert_eq!(decode_greeting(&payload), Ok(Greeted::Greeting(greeting())));
}

#[test]
fn a_server_may_refuse_before_it_greets() {
    let refusal = |payload: &[u8]| match decode_greeting(payload) {
        Ok(Greeted::Refused(err)) => err,
        other => panic!("{other:?}"),
    };
    let err = refusal(b"\xff\x10\x04Too many connections");
    assert_eq!((err.code, &err.message[..]), (1040, &b"Too many connections"[..]));
    assert_eq!(refusal(b"\xff\x6a\x04#HY000Host is not allowed").code, 1130);
    assert!(decode_greeting(b"\xff").is_err());
}

#[test]
fn other_protocols_are_refused() {
    for version in (0..0xff).filter(|&version| version != PROTOCOL_VERSION) {
        let mut payload = encoded(&greeting());
        payload[0] = version;
        assert!(decode_greeting(&payload).is_err());
    }
    for missing in [Capabilities::PROTOCOL_41, Capabilities::SECURE_CONNECTION] {
        let old = Greeting { capabilities: greeting().capabilities - missing, ..greeting() };
        assert!(decode_greeting(&encoded(&old)).is_err());
    }
}

#[test]
fn a_longer_nonce_is_cut_and_its_length_believed() {
    let mut payload = encoded(&greeting());
    let length_at = 1 + 6 + 4 + 8 + 1 + 2 + 1 + 2 + 2;
    assert_eq!(payload[length_at], 21);
    payload[length_at] = 33;
    payload.splice(length_at + 11 + 12..length_at + 11 + 12, [b'x'; 12]);
    let Ok(Greeted::Greeting(found)) = decode_greeting(&payload) else { panic!() };
    assert_eq!(found, greeting());
    payload[length_at] = 255;
    assert!(decode_greeting(&payload).is_err());
}

#[test]
fn a_nonce_has_thirteen_more_bytes_whatever_shorter_length_is_announced() {
    let length_at = 1 + 6 + 4 + 8 + 1 + 2 + 1 + 2 + 2;
    for length in 0..=21 {
        let mut payload = encoded(&greeting());
        payload[length_at] = length;
        assert_eq!(decode_greeting(&payload), Ok(Greeted::Greeting(greeting())), "{length}");
    }
}

#[test]
fn a_login_comes_back_as_it_was() {
    is_login(&login());
}

#[test]
fn each_optional_field_may_be_absent() {
    let without = |flag, change: fn(&mut Login<'static>)| {
        let mut login = login();
        login.capabilities.remove(flag);
        change(&mut login);
        is_login(&login);
    };
    without(Capabilities::CONNECT_WITH_DB, |login| login.schema = None);
    without(Capabilities::PLUGIN_AUTH, |login| login.auth_plugin = None);
    without(Capabilities::CONNECT_ATTRS, |login| login.attributes = None);
    without(Capabilities::PLUGIN_AUTH_LENENC, |_| ());
    without(Capabilities::PLUGIN_AUTH_LENENC | Capabilities::SECURE_CONNECTION, |_| ());
}

#[test]
fn a_field_that_is_absent_takes_its_capability_away_and_the_other_way_round() {
    let promised = Login { schema: None, auth_plugin: None, attributes: None, ..login() };
    let decoded = login_payload(&promised);
    let decoded = Login::decode(&decoded).unwrap();
    assert_eq!(
        decoded.capabilities,
        login().capabilities - Capabilities::CONNECT_WITH_DB - Capabilities::PLUGIN_AUTH - Capabilities::CONNECT_ATTRS
    );
    let bare = Login { capabilities: Capabilities::PROTOCOL_41 | Capabilities::SECURE_CONNECTION, ..login() };
    let decoded = login_payload(&bare);
    let decoded = Login::decode(&decoded).unwrap();
    assert_eq!((decoded.schema, decoded.auth_plugin, decoded.attributes), (None, None, None));
}

#[test]
fn mariadbs_own_capabilities_are_there_for_mariadb() {
    let mut login = login();
    login.capabilities |= Capabilities::MARIADB_PROGRESS | Capabilities::MARIADB_CACHE_METADATA;
    login.capabilities -= Capabilities::LONG_PASSWORD;
    is_login(&login);
    login.capabilities |= Capabilities::LONG_PASSWORD;
    let payload = login_payload(&login);
    let decoded = Login::decode(&payload).unwrap();
    assert_eq!(decoded.capabilities, login.capabilities - Capabilities::MARIADB_EXTENDED);
}

#[test]
fn every_cut_of_a_login_is_malformed_up_to_its_schema() {
    let payload = login_payload(&login());
    let schema = 32 + 4 + 33;
    for cut in 0..schema {
        assert!(Login::decode(&payload[..cut]).is_err(), "{cut}");
    }
    let attributes = schema + 5 + 22;
    for cut in schema..payload.len() {
        let decoded = Login::decode(&payload[..cut]);
        assert_eq!(decoded.is_ok(), cut <= attributes, "{cut}");
    }
}

#[test]
fn a_client_from_before_4_1_is_recognised() {
    let payload = b"\x85\x24\x00\x00\x00old\x00GDSCQYR_";
    let error = Login::decode(payload).unwrap_err();
    assert!(error.what.contains("4.1"), "{error}");
}

#[test]
fn a_collation_above_255_is_written_truncated() {
    let login = Login { collation: 0x0130, ..login() };
    assert_eq!(Login::decode(&login_payload(&login)).unwrap().collation, 0x30);
}

#[test]
fn a_response_too_long_for_its_length_is_cut_and_the_packet_stays_whole() {
    let mut login = login();
    login.capabilities -= Capabilities::PLUGIN_AUTH_LENENC;
    login.auth_response = &[7; 300];
    let payload = login_payload(&login);
    let decoded = Login::decode(&payload).unwrap();
    assert_eq!(decoded.auth_response, &[7; 255]);
    assert_eq!(decoded.schema, login.schema);
}

#[test]
fn only_the_short_packet_with_its_flag_asks_for_tls() {
    let mut out = BytesMut::new();
    login().encode_ssl_request(&mut out);
    assert!(Login::is_ssl_request(&out));
    assert!(!Login::is_ssl_request(&out[..31]));
    let mut tls_login = login();
    tls_login.capabilities |= Capabilities::SSL;
    assert!(!Login::is_ssl_request(&login_payload(&tls_login)));
    // It asks for it also where the login inside TLS will have the flag.
    let mut request = BytesMut::new();
    tls_login.encode_ssl_request(&mut request);
    assert_eq!(request, out);
    out[1] &= !8;
    assert!(!Login::is_ssl_request(&out));
}

#[test]
fn a_switch_comes_back_as_it_was() {
    let switch = AuthSwitch { plugin: b"mysql_native_password", nonce: &NONCE_BYTES };
    let mut out = BytesMut::new();
    switch.encode(&mut out);
    assert_eq!(out.len(), 1 + 22 + 21);
    assert_eq!(AuthSwitch::decode(&out), Ok(switch));
    // Without the NUL after the nonce.
    assert_eq!(AuthSwitch::decode(&out[..43]), Ok(switch));
    // What a plugin gets may end with a NUL of its own.
    for length in [NONCE, 2 * NONCE] {
        let nonce = vec![0; length];
        let payload = [b"\xfep\0", nonce.as_slice()].concat();
        assert_eq!(AuthSwitch::decode(&payload), Ok(AuthSwitch { plugin: b"p", nonce: &nonce }), "{length}");
    }
    assert!(AuthSwitch::decode(&out[..10]).is_err());
    assert!(AuthSwitch::decode(&[]).is_err());
    assert!(AuthSwitch::decode(&[1, 0]).is_err());
}

#[test]
fn the_switch_from_before_4_1_has_no_name() {
    assert_eq!(AuthSwitch::decode(&[0xfe]), Ok(AuthSwitch { plugin: b"", nonce: b"" }));
}

#[test]
fn a_plugins_words_come_back_as_they_were() {
    let words = AuthMoreData { data: &[4] };
    let mut out = BytesMut::new();
    words.encode(&mut out);
    assert_eq!(&out[..], [1, 4]);
    assert_eq!(AuthMoreData::decode(&out), Ok(words));
    assert!(AuthMoreData::decode(&[]).is_err());
    assert!(AuthMoreData::decode(&[2, 4]).is_err());
}

const AGAIN: ChangeUser<'_> = ChangeUser {
    user: b"app",
    auth_response: &[7; 32],
    schema: b"db",
    collation: 0x0130,
    auth_plugin: b"p",
    attributes: b"\x01a\x01b",
};

#[test]
fn a_second_login_has_its_attributes_only_where_they_were_negotiated() {
    let payload = |capabilities| {
        let mut out = BytesMut::new();
        AGAIN.encode(capabilities, &mut out);
        out
    };
    let short = [b"\x11app\0\x20".as_slice(), &[7; 32], b"db\0\x30\x01p\0"].concat();
    assert_eq!(payload(Capabilities::PLUGIN_AUTH), short);
    assert_eq!(payload(Capabilities::CONNECT_ATTRS), [short.as_slice(), b"\x04\x01a\x01b"].concat());
}

#[test]
fn a_change_of_user_is_read_as_a_login_and_may_end_early() {
    const ALL: Capabilities = Capabilities::SECURE_CONNECTION
        .union(Capabilities::PLUGIN_AUTH)
        .union(Capabilities::CONNECT_ATTRS)
        .union(Capabilities::PROTOCOL_41);
    let whole = b"\x11app\0\x03abcdb\0\x2d\x01plugin\0\x04\x01a\x01b";
    let login = ChangeUser::decode(whole, ALL).unwrap();
    assert_eq!((login.user, login.auth_response, login.schema), (&b"app"[..], &b"abc"[..], Some(&b"db"[..])));
    assert_eq!((login.collation, login.auth_plugin, login.attributes), (0x012d, Some(&b"plugin"[..]), Some(&b"\x01a\x01b"[..])));
    let shorter = ChangeUser::decode(&whole[..21], ALL).unwrap();
    assert_eq!((shorter.auth_plugin, shorter.attributes), (Some(&b"plugin"[..]), None));
    let shortest = ChangeUser::decode(&whole[..12], ALL).unwrap();
    assert_eq!((shortest.collation, shortest.auth_plugin, shortest.attributes), (0, None, None));
    for length in [0, 1, 4, 5, 8, 13] {
        assert!(ChangeUser::decode(&whole[..length], ALL).is_err(), "{length}");
    }
    assert!(ChangeUser::decode(b"\x03app\0\0\0", ALL).is_err());
    let old = ChangeUser::decode(b"\x11app\0proof\0db\0", Capabilities::PROTOCOL_41).unwrap();
    assert_eq!((old.auth_response, old.schema, old.auth_plugin), (&b"proof"[..], Some(&b"db"[..]), None));
}

#[test]
fn the_change_of_user_that_is_written_is_read() {
    let capabilities = Capabilities::SECURE_CONNECTION | Capabilities::PLUGIN_AUTH | Capabilities::CONNECT_ATTRS;
    let mut out = BytesMut::new();
    AGAIN.encode(capabilities, &mut out);
    let read = ChangeUser::decode(&out, capabilities).unwrap();
    assert_eq!((read.user, read.auth_response, read.collation), (AGAIN.user, AGAIN.auth_response, AGAIN.collation));
    assert_eq!(
        (read.schema, read.auth_plugin, read.attributes),
        (Some(AGAIN.schema), Some(AGAIN.auth_plugin), Some(AGAIN.attributes))
    );
}
