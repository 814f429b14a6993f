//! Both sides of a login talk to each other here, and each to peers that misbehave.

use super::*;
use crate::capabilities::{Capabilities, StatusFlags};
use crate::handshake::{Greeting, Login};
use crate::primitives::Malformed;
use crate::result::{ErrPacket, OkPacket};

const NONCE_BYTES: [u8; NONCE] = *b"abcdefghijklmnopqrst";
const CAPABILITIES: Capabilities =
    Capabilities::PROTOCOL_41.union(Capabilities::SECURE_CONNECTION).union(Capabilities::PLUGIN_AUTH);
const PLUGINS: [Plugin; 2] = [Plugin::Native, Plugin::CachingSha2];

fn challenge() -> Challenge {
    Challenge { nonce: NONCE_BYTES, announced: Some(Plugin::CachingSha2), force_full: false, secure_transport: false }
}

fn login<'a>(plugin: &'a str, response: &'a [u8]) -> Login<'a> {
    Login {
        capabilities: CAPABILITIES,
        max_packet: 0,
        collation: 45,
        user: b"app",
        auth_response: response,
        schema: None,
        auth_plugin: Some(plugin.as_bytes()),
        attributes: None,
        zstd_level: 0,
    }
}

fn greeting(plugin: &str) -> Greeting {
    Greeting {
        server_version: b"9.7.0".to_vec(),
        connection_id: 1,
        nonce: NONCE_BYTES,
        capabilities: CAPABILITIES,
        charset: 45,
        status: StatusFlags::AUTOCOMMIT,
        auth_plugin: plugin.as_bytes().to_vec(),
    }
}

fn switch_to(plugin: &str) -> Vec<u8> {
    [b"\xfe", plugin.as_bytes(), b"\0", &NONCE_BYTES, b"\0"].concat()
}

fn is_denied(step: &ServerStep) -> bool {
    matches!(step, ServerStep::Denied(_))
}

/// What a wrong proof gets. One of `caching_sha2_password` says nothing yet.
fn is_not_taken(plugin: Plugin, step: &ServerStep) -> bool {
    if plugin == Plugin::CachingSha2 { *step == ServerStep::Send(vec![1, FULL_AUTH]) } else { is_denied(step) }
}

const ACCEPTED: ServerStep = ServerStep::Accepted { send_first: None };

fn fast_ok() -> ServerStep {
    ServerStep::Accepted { send_first: Some(vec![1, FAST_AUTH_OK]) }
}

// The arithmetic.

#[test]
fn plugins_are_known_by_their_names() {
    for plugin in PLUGINS {
        assert_eq!(Plugin::from_name(plugin.name().as_bytes()), Some(plugin));
        assert_eq!(plugin.response(b"secret", &NONCE_BYTES).len(), plugin.response_length());
        assert_eq!(plugin.response(b"", &NONCE_BYTES), b"");
    }
    assert_eq!(Plugin::from_name(b"mysql_clear_password"), None);
    assert_eq!(Plugin::from_name(b""), None);
}

#[test]
fn only_the_right_password_and_nonce_verify() {
    let verify = [verify_native, verify_caching_sha2];
    for (plugin, verify) in PLUGINS.into_iter().zip(verify) {
        let response = plugin.response(b"secret", &NONCE_BYTES);
        assert!(verify(b"secret", &NONCE_BYTES, &response));
        assert!(!verify(b"Secret", &NONCE_BYTES, &response));
        assert!(!verify(b"", &NONCE_BYTES, &response));
        assert!(!verify(b"secret", &[1; NONCE], &response));
        assert!(!verify(b"secret", &NONCE_BYTES, b""));
        assert!(!verify(b"secret", &NONCE_BYTES, &response[1..]));
        assert!(verify(b"", &NONCE_BYTES, b""));
        for at in 0..response.len() {
            let mut wrong = response.clone();
            wrong[at] ^= 1;
            assert!(!verify(b"secret", &NONCE_BYTES, &wrong));
        }
    }
}

#[test]
fn a_nonce_has_no_byte_that_ends_a_string() {
    for byte in 0..=u8::MAX {
        let nonce = nonce_from_random([byte; NONCE]);
        assert!(nonce.iter().all(|byte| (1..=127).contains(byte) && *byte != b'$'));
    }
}

#[test]
fn masking_twice_is_masking_never_and_wraps_around_the_nonce() {
    let password: Vec<u8> = (0..50).collect();
    let mut masked = password.clone();
    xor_with_nonce(&mut masked, &NONCE_BYTES);
    assert_eq!(masked[20], 0x14 ^ b'a');
    xor_with_nonce(&mut masked, &NONCE_BYTES);
    assert_eq!(masked, password);
}

// The server's side.

/// A login whose proof is for `password`; the account has "secret" or is not there.
fn attempt(plugin: Plugin, password: &[u8], account: Option<&[u8]>) -> ServerStep {
    let response = plugin.response(password, &NONCE_BYTES);
    let (_, step) = ServerLogin::start(challenge(), &login(plugin.name(), &response), account);
    step
}

#[test]
fn a_right_proof_is_accepted_and_sha2_clients_get_fast_auth_ok_first() {
    assert_eq!(attempt(Plugin::Native, b"secret", Some(b"secret")), ACCEPTED);
    assert_eq!(attempt(Plugin::CachingSha2, b"secret", Some(b"secret")), fast_ok());
}

#[test]
fn a_wrong_password_and_an_unknown_account_are_denied_alike() {
    for plugin in PLUGINS {
        let wrong = attempt(plugin, b"guess", Some(b"secret"));
        assert!(is_not_taken(plugin, &wrong));
        assert_eq!(attempt(plugin, b"guess", None), wrong);
        assert_eq!(attempt(plugin, b"", None), attempt(plugin, b"", Some(b"secret")));
        assert_eq!(attempt(plugin, server::DUMMY_PASSWORD, None), wrong);
    }
}

/// As with MySQL's servers: sqlx 0.8 makes the proof wrongly, and sends the right password when it is asked.
#[test]
fn who_gives_a_wrong_sha2_proof_is_asked_for_the_password() {
    let outcome = |account: Option<&[u8]>, password: &[u8]| {
        let challenge = Challenge { secure_transport: true, ..challenge() };
        let (mut server, step) = ServerLogin::start(challenge, &login(CACHING_SHA2, &[1; 32]), account);
        assert!(is_not_taken(Plugin::CachingSha2, &step));
        server.on_packet(password)
    };
    assert_eq!(outcome(Some(b"secret"), b"secret\0"), ACCEPTED);
    assert!(is_denied(&outcome(Some(b"secret"), b"guess\0")));
    assert!(is_denied(&outcome(Some(b""), b"guess\0")));
    assert!(is_denied(&outcome(None, b"guess\0")));
    assert!(is_denied(&outcome(None, &[server::DUMMY_PASSWORD, &[0]].concat())));
}

#[test]
fn nothing_proves_the_empty_password_and_only_that() {
    for plugin in PLUGINS {
        assert_eq!(attempt(plugin, b"", Some(b"")), ACCEPTED);
        assert!(is_not_taken(plugin, &attempt(plugin, b"secret", Some(b""))));
        let (_, step) = ServerLogin::start(challenge(), &login(plugin.name(), &[0]), Expected::Password(b""));
        assert_eq!(step, ACCEPTED);
    }
    assert!(is_denied(&attempt(Plugin::CachingSha2, b"", Some(b"secret"))));
}

/// MariaDB's client, and MySQL's with `--default-auth`: they answer a greeting for another plugin with an empty proof.
#[test]
fn a_client_of_a_plugin_that_was_not_announced_is_asked_for_its_proof() {
    for account in [Some(&b"secret"[..]), None] {
        let (mut server, step) = ServerLogin::start(challenge(), &login(NATIVE, b""), account);
        assert_eq!(step, ServerStep::Send(switch_to(NATIVE)));
        let response = native_response(b"secret", &NONCE_BYTES);
        let step = server.on_packet(&response);
        assert_eq!(step == ACCEPTED, account.is_some());
        assert_eq!(is_denied(&step), account.is_none());
    }
}

#[test]
fn an_unknown_plugin_is_switched_once() {
    for name in ["mysql_clear_password", "client_ed25519", "mysql_old_password", ""] {
        let (mut server, step) = ServerLogin::start(challenge(), &login(name, b"x"), Expected::Password(b"secret"));
        assert_eq!(step, ServerStep::Send(switch_to(CACHING_SHA2)));
        let mut again = ServerLogin::start(challenge(), &login(name, b"x"), Expected::Password(b"secret")).0;
        assert_eq!(server.on_packet(&caching_sha2_response(b"secret", &NONCE_BYTES)), fast_ok());
        assert!(is_denied(&again.on_packet(&[1; 31])));
        assert!(is_denied(&again.on_packet(&caching_sha2_response(b"secret", &NONCE_BYTES))));
    }
}

#[test]
fn a_proof_of_the_wrong_length_is_asked_for_again_once() {
    for plugin in PLUGINS {
        for length in [1, 19, 21, 31, 33, 255] {
            let (mut server, step) =
                ServerLogin::start(challenge(), &login(plugin.name(), &vec![9; length]), Expected::Password(b"secret"));
            assert_eq!(step, ServerStep::Send(switch_to(plugin.name())), "{length}");
            assert!(is_denied(&server.on_packet(&vec![9; length])));
        }
    }
}

#[test]
fn a_client_without_plugins_proves_natively_and_is_never_asked_to_switch() {
    let without = |response: &[u8]| {
        let mut login = login(NATIVE, response);
        login.capabilities.remove(Capabilities::PLUGIN_AUTH);
        login.auth_plugin = None;
        ServerLogin::start(challenge(), &login, Expected::Password(b"secret")).1
    };
    assert_eq!(without(&native_response(b"secret", &NONCE_BYTES)), ACCEPTED);
    assert!(is_denied(&without(&native_response(b"guess", &NONCE_BYTES))));
    assert!(is_denied(&without(b"")));
    assert!(is_denied(&without(&[1; 8])));
}

/// Up to the point where the client has to send its password.
fn full(secure_transport: bool, account: Option<&[u8]>) -> ServerLogin {
    let challenge = Challenge { force_full: true, secure_transport, ..challenge() };
    // Whether the proof is right does not matter here.
    let (server, step) = ServerLogin::start(challenge, &login(CACHING_SHA2, &[1; 32]), account);
    assert_eq!(step, ServerStep::Send(vec![1, FULL_AUTH]));
    server
}

fn masked(text: &[u8]) -> Vec<u8> {
    let mut text = text.to_vec();
    xor_with_nonce(&mut text, &NONCE_BYTES);
    text
}

#[test]
fn full_authentication_sends_the_key_and_has_the_password_decrypted() {
    let check = |account, cleartext: Option<&[u8]>, is_right: bool| {
        for asks_for_key in [true, false] {
            let mut server = full(false, account);
            if asks_for_key {
                assert_eq!(server.on_packet(&[REQUEST_PUBLIC_KEY]), ServerStep::SendPublicKey);
            }
            let ciphertext = vec![0x55; 256];
            assert_eq!(server.on_packet(&ciphertext), ServerStep::DecryptPassword(ciphertext));
            let step = server.on_decrypted(cleartext);
            assert_eq!(step == ACCEPTED, is_right, "{step:?}");
            assert_eq!(is_denied(&step), !is_right, "{step:?}");
        }
    };
    check(Some(b"secret"), Some(&masked(b"secret\0")), true);
    check(Some(b"secret"), Some(&masked(b"guess\0")), false);
    check(Some(b"secret"), Some(&masked(b"secret")), false);
    check(Some(b"secret"), Some(b"secret\0"), false);
    check(Some(b"secret"), Some(b""), false);
    check(Some(b"secret"), None, false);
    check(None, Some(&masked(b"secret\0")), false);
    check(None, Some(&masked(&[server::DUMMY_PASSWORD, b"\0"].concat())), false);
    check(Some(b""), Some(&masked(b"\0")), true);
    check(Some(b""), Some(b""), false);
    check(Some(b""), None, false);
    let long = [b'p'; 60];
    check(Some(&long), Some(&masked(&[&long[..], b"\0"].concat())), true);
}

#[test]
fn full_authentication_over_tls_takes_the_password_as_it_is() {
    assert_eq!(full(true, Some(b"secret")).on_packet(b"secret\0"), ACCEPTED);
    assert!(is_denied(&full(true, Some(b"secret")).on_packet(b"guess\0")));
    assert!(is_denied(&full(true, Some(b"secret")).on_packet(b"secret")));
    assert!(is_denied(&full(true, Some(b"secret")).on_packet(b"")));
    assert!(is_denied(&full(true, None).on_packet(b"secret\0")));
}

#[test]
fn an_empty_password_needs_no_full_authentication() {
    let challenge = Challenge { force_full: true, ..challenge() };
    let start = |account| ServerLogin::start(challenge, &login(CACHING_SHA2, b""), Expected::Password(account)).1;
    assert_eq!(start(b""), ACCEPTED);
    assert!(is_denied(&start(b"secret")));
}

#[test]
fn the_key_is_sent_once() {
    let mut server = full(false, Some(b"secret"));
    server.on_packet(&[REQUEST_PUBLIC_KEY]);
    assert_eq!(server.on_packet(&[REQUEST_PUBLIC_KEY]), ServerStep::DecryptPassword(vec![REQUEST_PUBLIC_KEY]));
    assert!(is_denied(&server.on_decrypted(None)));
}

#[test]
fn what_comes_out_of_turn_is_denied_whatever_it_is() {
    let right = caching_sha2_response(b"secret", &NONCE_BYTES);
    let (mut server, _) = ServerLogin::start(challenge(), &login(NATIVE, &[1; 20]), Expected::Password(b"secret"));
    assert!(is_denied(&server.on_packet(&right)));
    assert!(is_denied(&server.on_decrypted(Some(&masked(b"secret\0")))));
    let mut server = full(false, Some(b"secret"));
    assert!(is_denied(&server.on_decrypted(Some(&masked(b"secret\0")))));
    let mut server = full(false, Some(b"secret"));
    server.on_packet(&[2; 256]);
    assert!(is_denied(&server.on_packet(b"secret\0")));
}

// Where somebody else knows the password.

const SOUGHT: Expected<'_> = Expected::Disclosure { remembered: None };

fn disclosed(step: ServerStep) -> Option<Vec<u8>> {
    match step {
        ServerStep::Disclosed(password) => Some(password.to_vec()),
        _ => None,
    }
}

#[test]
fn who_does_not_know_the_password_has_it_sent() {
    let sha2 = caching_sha2_response(b"secret", &NONCE_BYTES);
    for secure_transport in [true, false] {
        let challenge = Challenge { secure_transport, ..challenge() };
        let (mut server, step) = ServerLogin::start(challenge, &login(CACHING_SHA2, &sha2), SOUGHT);
        assert_eq!(step, ServerStep::Send(vec![1, FULL_AUTH]));
        let step = if secure_transport {
            server.on_packet(b"secret\0")
        } else {
            assert_eq!(server.on_packet(&[REQUEST_PUBLIC_KEY]), ServerStep::SendPublicKey);
            server.on_packet(&[9; 256]);
            server.on_decrypted(Some(&masked(b"secret\0")))
        };
        assert!(!format!("{step:?}").contains("secret"));
        assert_eq!(disclosed(step), Some(b"secret".to_vec()));
        assert!(is_denied(&server.on_packet(b"secret\0")));
    }
    let (mut server, _) =
        ServerLogin::start(Challenge { secure_transport: true, ..challenge() }, &login(CACHING_SHA2, &sha2), SOUGHT);
    assert!(is_denied(&server.on_packet(b"without its end")));
}

#[test]
fn a_proof_of_the_remembered_password_suffices_and_another_is_sought() {
    let expected = Expected::Disclosure { remembered: Some(b"secret") };
    let start = |password| {
        ServerLogin::start(challenge(), &login(CACHING_SHA2, &caching_sha2_response(password, &NONCE_BYTES)), expected).1
    };
    assert_eq!(start(b"secret"), fast_ok());
    assert_eq!(start(b"changed"), ServerStep::Send(vec![1, FULL_AUTH]));
    // What an account that nobody remembers gets, too.
    assert_eq!(start(b"changed"), ServerLogin::start(challenge(), &login(CACHING_SHA2, &[1; 32]), SOUGHT).1);
}

#[test]
fn an_empty_password_is_disclosed_by_sending_nothing() {
    for response in [&b""[..], &[0]] {
        assert_eq!(disclosed(ServerLogin::start(challenge(), &login(CACHING_SHA2, response), SOUGHT).1), Some(vec![]));
    }
}

#[test]
fn a_native_proof_discloses_nothing_so_the_client_is_asked_for_one_that_does() {
    for response in [&[1; 20][..], b""] {
        let (mut server, step) = ServerLogin::start(challenge(), &login(NATIVE, response), SOUGHT);
        assert_eq!(step, ServerStep::Send(switch_to(CACHING_SHA2)));
        assert_eq!(server.on_packet(&[1; 32]), ServerStep::Send(vec![1, FULL_AUTH]));
    }
    // It may still prove what is remembered.
    let remembered = Expected::Disclosure { remembered: Some(b"secret") };
    for (password, expected) in [(&b"secret"[..], ACCEPTED), (b"changed", ServerStep::Send(switch_to(CACHING_SHA2)))] {
        let response = native_response(password, &NONCE_BYTES);
        assert_eq!(ServerLogin::start(challenge(), &login(NATIVE, &response), remembered).1, expected);
        assert_eq!(again(NATIVE, &response, remembered).1, ServerStep::Send(switch_to(CACHING_SHA2)));
    }
    let mut without = login(NATIVE, &[1; 20]);
    without.capabilities.remove(Capabilities::PLUGIN_AUTH);
    assert_eq!(ServerLogin::start(challenge(), &without, SOUGHT).1, ServerStep::Denied(server::NO_DISCLOSURE));
}

#[test]
fn a_password_in_clear_text_is_taken_where_nobody_listens_and_nowhere_else() {
    let start = |secure_transport, response: &[u8], expected| {
        ServerLogin::start(Challenge { secure_transport, ..challenge() }, &login(CLEAR, response), expected)
    };
    let known = Expected::Password(b"secret");
    assert_eq!(start(true, b"secret\0", known).1, ACCEPTED);
    assert!(is_denied(&start(true, b"guess\0", known).1));
    assert!(is_denied(&start(true, b"secret\0", Expected::Nothing).1));
    assert_eq!(disclosed(start(true, b"secret\0", SOUGHT).1), Some(b"secret".to_vec()));
    for expected in [known, SOUGHT] {
        assert_eq!(start(false, b"secret\0", expected).1, ServerStep::Send(switch_to(CACHING_SHA2)));
        let (mut server, step) = start(true, b"", expected);
        assert_eq!(step, ServerStep::Send(switch_to(CLEAR)));
        assert!(!is_denied(&server.on_packet(b"secret\0")));
    }
}

/// The end-to-end tests hold the arithmetic to MariaDB's own client.
#[test]
fn only_a_native_proof_vouches_for_a_certificate() {
    let vouched = |plugin: Plugin, password: &'static [u8], expected: Expected<'_>| {
        let response = plugin.response(password, &NONCE_BYTES);
        let (server, _) = ServerLogin::start(challenge(), &login(plugin.name(), &response), expected);
        server.vouch_for(b"a certificate")
    };
    let proof = b"\x014CE3219EC19D0E4BEAEE32B9CA47B280F3EBEE5869E17A734E36EDDCCE69913B".to_vec();
    let secret = Expected::Password(b"secret");
    assert_eq!(vouched(Plugin::Native, b"secret", secret), Some(proof.clone()));
    assert_eq!(vouched(Plugin::Native, b"secret", Expected::Disclosure { remembered: Some(b"secret") }), Some(proof));
    assert_eq!(vouched(Plugin::Native, b"", Expected::Password(b"")), None);
    assert_eq!(vouched(Plugin::CachingSha2, b"secret", secret), None);
    // A proof that was not right gets nothing to compare guesses with.
    assert_eq!(vouched(Plugin::Native, b"guess", secret), None);
    assert_eq!(vouched(Plugin::Native, server::DUMMY_PASSWORD, Expected::Nothing), None);
    assert_eq!(vouched(Plugin::Native, b"secret", SOUGHT), None);
}

// The same connection, once more.

fn again(plugin: &str, response: &[u8], expected: Expected<'_>) -> (ServerLogin, ServerStep) {
    ServerLogin::again(challenge(), &login(plugin, response), expected)
}

#[test]
fn a_change_of_user_takes_only_a_proof_with_a_new_nonce() {
    for plugin in PLUGINS {
        let proof = plugin.response(b"secret", &NONCE_BYTES);
        let (mut server, step) = again(plugin.name(), &proof, Expected::Password(b"secret"));
        assert_eq!(step, ServerStep::Send(switch_to(plugin.name())));
        assert!(matches!(server.on_packet(&proof), ServerStep::Accepted { .. }));
        let (mut server, _) = again(plugin.name(), &proof, Expected::Nothing);
        assert!(is_not_taken(plugin, &server.on_packet(&proof)));
    }
    assert_eq!(again(NATIVE, &[1; 20], SOUGHT).1, ServerStep::Send(switch_to(CACHING_SHA2)));
    assert_eq!(again("client_ed25519", &[], SOUGHT).1, ServerStep::Send(switch_to(CACHING_SHA2)));
}

#[test]
fn a_change_of_user_without_plugins_proves_natively() {
    let change = |password: &[u8]| {
        let proof = native_response(password, &NONCE_BYTES);
        let mut login = login(NATIVE, &proof);
        login.capabilities.remove(Capabilities::PLUGIN_AUTH);
        ServerLogin::again(challenge(), &login, Expected::Password(b"secret")).1
    };
    assert_eq!(change(b"secret"), ACCEPTED);
    assert!(is_denied(&change(b"guess")));
}

// The client's side.

fn client(plugin: &str, password: &[u8]) -> ClientLogin {
    ClientLogin::start(password, &greeting(plugin), false)
}

fn answer(client: &mut ClientLogin, payload: &[u8]) -> Result<ClientStep, Malformed> {
    client.on_packet(payload, CAPABILITIES)
}

fn ok_payload() -> Vec<u8> {
    let ok = OkPacket { status: StatusFlags::AUTOCOMMIT, ..OkPacket::default() };
    let mut out = bytes::BytesMut::new();
    ok.encode(0, CAPABILITIES, &mut out);
    out.to_vec()
}

#[test]
fn the_greetings_plugin_is_answered_and_an_unknown_one_natively() {
    assert_eq!(client(CACHING_SHA2, b"secret").plugin(), Plugin::CachingSha2);
    assert_eq!(client(CACHING_SHA2, b"secret").first_response(), caching_sha2_response(b"secret", &NONCE_BYTES));
    for plugin in [NATIVE, "parsec", ""] {
        assert_eq!(client(plugin, b"secret").plugin(), Plugin::Native);
        assert_eq!(client(plugin, b"secret").first_response(), native_response(b"secret", &NONCE_BYTES));
    }
}

#[test]
fn a_switch_is_answered_with_its_own_nonce() {
    let nonce = *b"ABCDEFGHIJKLMNOPQRST";
    let request = |plugin: &str| [b"\xfe", plugin.as_bytes(), b"\0", &nonce, b"\0"].concat();
    for plugin in PLUGINS {
        let mut client = client("parsec", b"secret");
        assert_eq!(answer(&mut client, &request(plugin.name())), Ok(ClientStep::Send(plugin.response(b"secret", &nonce))));
        assert!(answer(&mut client, &request(NATIVE)).is_err());
    }
    let empty = |plugin| answer(&mut client(NATIVE, b""), &request(plugin));
    assert_eq!(empty(NATIVE), Ok(ClientStep::Send(vec![])));
    assert_eq!(empty(CACHING_SHA2), Ok(ClientStep::Send(vec![0])));
}

/// As `mysql_common` does it, which is another implementation.
#[test]
fn a_switch_to_ed25519_is_answered_with_a_signature() {
    use mysql_common::scramble::create_response_for_ed25519;
    let nonce = *b"abcdefghijklmnopqrstuvwxyz012345";
    for password in [&b"secret"[..], b"", &[0xff; 100]] {
        let mut client = client(NATIVE, password);
        let step = answer(&mut client, &[b"\xfeclient_ed25519\0", &nonce[..]].concat());
        assert_eq!(step, Ok(ClientStep::Send(create_response_for_ed25519(password, &nonce).to_vec())));
        assert!(answer(&mut client, &[1, FULL_AUTH]).is_err());
    }
    assert!(answer(&mut client(NATIVE, b"secret"), b"\xfeclient_ed25519\0too short").is_err());
}

/// A login of MariaDB 11.8.9's own client, byte for byte, for the password `secret`; the key that OpenSSL derives from it.
mod parsec_login {
    pub(super) const SWITCH: &str = "fe70617273656300d725eb52839773eb73d83cea1bcc09fe98ad508be1174e296c31efeb633b3348";
    pub(super) const SALT: &str = "015000aa4fa0e75cbea638a5f0684091e3bc773ff3";
    pub(super) const KEY: &str = "0a304dc399dced2795db549a5d27646b2f276f28c6cf9725cadbe438d26193dc";
    pub(super) const NONCE: &str = "d3c005b02b4e9834a53e9f6befa2fb6063aabf3aac87cd2494ebb83fdaa4a9c2";
    pub(super) const SIGNATURE: &str = "28311cff7ba6ee7841b5e9d4f66ce696703d881d340c10c89131aa315405ba8e\
        505dadaf78410d7cda624cff107ab2b893bb8c0f8f35653301c4264e4b47b508";
}

fn bytes(hex: &str) -> Vec<u8> {
    (0..hex.len()).step_by(2).map(|at| u8::from_str_radix(&hex[at..at + 2], 16).unwrap()).collect()
}

fn key(hex: &str) -> [u8; 32] {
    bytes(hex).try_into().unwrap()
}

#[test]
fn a_login_with_parsec_is_that_of_mariadbs_own_client() {
    use parsec_login::{KEY, NONCE, SALT, SIGNATURE, SWITCH};
    // The first versions do not mark their second packet.
    for salt in [SALT, &SALT[2..]] {
        let mut client = client(NATIVE, b"secret");
        assert_eq!(answer(&mut client, &bytes(SWITCH)), Ok(ClientStep::Send(vec![])));
        let Ok(ClientStep::DeriveKey(challenge)) = answer(&mut client, &bytes(salt)) else { panic!("no key") };
        assert_eq!((challenge.iterations.get(), challenge.salt.to_vec()), (1024, bytes(&SALT[6..])));
        assert_eq!(challenge.proof(&key(KEY), &key(NONCE)), [bytes(NONCE), bytes(SIGNATURE)].concat());
        assert!(matches!(answer(&mut client, &ok_payload()), Ok(ClientStep::Done(_))));
    }
}

/// Among them: a number of iterations that would keep us busy for years.
#[test]
fn parsec_asks_for_no_more_than_a_server_would() {
    let iterations = |payload: &[u8]| {
        let mut client = client(NATIVE, b"secret");
        answer(&mut client, &bytes(parsec_login::SWITCH)).unwrap();
        match answer(&mut client, payload) {
            Ok(ClientStep::DeriveKey(challenge)) => Some(challenge.iterations.get()),
            Ok(other) => panic!("{other:?}"),
            Err(_) => {
                assert!(answer(&mut client, &ok_payload()).is_err(), "the login has ended");
                None
            }
        }
    };
    let ask = |function, doublings| iterations(&[&[1, function, doublings][..], &[7; 18]].concat());
    assert_eq!([0, 1, 2, 3].map(|doublings| ask(b'P', doublings)), [1024, 2048, 4096, 8192].map(Some));
    for doublings in 4..=u8::MAX {
        assert_eq!(ask(b'P', doublings), None, "{doublings}");
    }
    assert_eq!(ask(b'Q', 0), None);
    for length in [0, 17, 19, 60] {
        assert_eq!(iterations(&[&[1, b'P', 0][..], &vec![7; length]].concat()), None, "{length}");
    }
    for payload in [&[][..], &[1], b"P", b"\x01P", &switch_to(NATIVE)] {
        assert_eq!(iterations(payload), None, "{payload:?}");
    }
    assert!(answer(&mut client(NATIVE, b"secret"), b"\xfeparsec\0too short").is_err());
}

#[test]
fn a_switch_to_sha256_is_answered_with_the_password_itself() {
    let nonce = *b"ABCDEFGHIJKLMNOPQRST";
    let request = [b"\xfesha256_password\0", &nonce[..], b"\0"].concat();
    // Encrypted, with the key that the server sends and with the nonce that came with the switch.
    let mut in_clear = client(CACHING_SHA2, b"secret");
    assert_eq!(answer(&mut in_clear, &request), Ok(ClientStep::RequestPublicKey(REQUEST_SHA256_KEY)));
    let mut cleartext_xored = b"secret\0".to_vec();
    xor_with_nonce(&mut cleartext_xored, &nonce);
    let encrypt = ClientStep::EncryptPassword { public_key_pem: b"PEM".to_vec(), cleartext_xored };
    assert_eq!(answer(&mut in_clear, b"\x01PEM"), Ok(encrypt));
    assert!(answer(&mut in_clear, b"\x01PEM").is_err());
    // Over TLS as it is; an empty one needs no key.
    let mut encrypted = ClientLogin::start(b"secret", &greeting(CACHING_SHA2), true);
    assert_eq!(answer(&mut encrypted, &request), Ok(ClientStep::Send(b"secret\0".to_vec())));
    assert_eq!(answer(&mut client(CACHING_SHA2, b""), &request), Ok(ClientStep::Send(vec![0])));
    assert!(answer(&mut client(CACHING_SHA2, b"secret"), b"\xfesha256_password\0too short\0").is_err());
}

#[test]
fn the_password_goes_out_as_it_is_over_an_encrypted_transport_only() {
    let request = b"\xfemysql_clear_password\0";
    let mut encrypted = ClientLogin::start(b"secret", &greeting(NATIVE), true);
    assert_eq!(answer(&mut encrypted, request), Ok(ClientStep::Send(b"secret\0".to_vec())));
    assert!(matches!(answer(&mut client(NATIVE, b"secret"), request), Ok(ClientStep::Unsupported(_))));
}

#[test]
fn a_plugin_that_is_not_spoken_is_named() {
    let name = |payload: &[u8]| match answer(&mut client(NATIVE, b"secret"), payload) {
        Ok(ClientStep::Unsupported(name)) => name,
        other => panic!("{other:?}"),
    };
    assert_eq!(name(b"\xfemysql_clear_password\0"), b"mysql_clear_password");
    assert_eq!(name(b"\xfeauth_gssapi_client\0aaaa\0"), b"auth_gssapi_client");
    assert_eq!(name(b"\xfe"), b"mysql_old_password");
}

#[test]
fn a_switch_without_a_whole_nonce_is_malformed() {
    let request = switch_to(NATIVE);
    for cut in 2..request.len() - 1 {
        let step = answer(&mut client(CACHING_SHA2, b"secret"), &request[..cut]);
        assert!(step.is_err(), "{cut}");
    }
}

#[test]
fn the_fast_path_waits_for_its_ok() {
    let mut client = client(CACHING_SHA2, b"secret");
    assert_eq!(answer(&mut client, &[1, FAST_AUTH_OK]), Ok(ClientStep::Await));
    assert_eq!(answer(&mut client, &ok_payload()), Ok(ClientStep::Done(StatusFlags::AUTOCOMMIT)));
    assert!(answer(&mut client, &ok_payload()).is_err());
}

#[test]
fn full_authentication_encrypts_the_password_with_the_servers_key() {
    let mut client = client(CACHING_SHA2, b"secret");
    assert_eq!(answer(&mut client, &[1, FULL_AUTH]), Ok(ClientStep::RequestPublicKey(REQUEST_PUBLIC_KEY)));
    assert_eq!(
        answer(&mut client, b"\x01PEM"),
        Ok(ClientStep::EncryptPassword { public_key_pem: b"PEM".to_vec(), cleartext_xored: masked(b"secret\0") })
    );
    assert!(matches!(answer(&mut client, &ok_payload()), Ok(ClientStep::Done(_))));
}

#[test]
fn full_authentication_over_tls_sends_the_password_as_it_is() {
    let mut client = ClientLogin::start(b"secret", &greeting(CACHING_SHA2), true);
    assert_eq!(answer(&mut client, &[1, FULL_AUTH]), Ok(ClientStep::Send(b"secret\0".to_vec())));
}

#[test]
fn a_refusal_is_handed_on_wherever_it_comes() {
    let payload = b"\xff\x15\x04#28000Access denied";
    let err = ErrPacket::decode(payload).unwrap().to_owned();
    let before: [&[&[u8]]; 3] = [&[], &[&[1, FULL_AUTH]], &[&[1, FULL_AUTH], b"\x01PEM"]];
    for before in before {
        let mut client = client(CACHING_SHA2, b"secret");
        for payload in before {
            answer(&mut client, payload).unwrap();
        }
        assert_eq!(answer(&mut client, payload), Ok(ClientStep::Failed(err.clone())));
        assert!(answer(&mut client, payload).is_err());
    }
}

/// A server that asks a native client for its password, or asks twice, is up to no good.
#[test]
fn words_that_make_no_sense_end_the_login() {
    let check = |plugin, packets: &[&[u8]]| {
        let mut client = client(plugin, b"secret");
        let (last, before) = packets.split_last().unwrap();
        for payload in before {
            answer(&mut client, payload).unwrap();
        }
        assert!(answer(&mut client, last).is_err(), "{packets:?}");
        assert!(answer(&mut client, &ok_payload()).is_err(), "{packets:?}");
    };
    check(NATIVE, &[&[1, FULL_AUTH]]);
    check(NATIVE, &[&[1, FAST_AUTH_OK]]);
    check(CACHING_SHA2, &[&[1]]);
    check(CACHING_SHA2, &[&[1, 5]]);
    check(CACHING_SHA2, &[&[1, FULL_AUTH, 0]]);
    check(CACHING_SHA2, &[&[]]);
    check(CACHING_SHA2, &[&[7, 7]]);
    check(CACHING_SHA2, &[&[0]]);
    check(CACHING_SHA2, &[&[1, FAST_AUTH_OK], &[1, FULL_AUTH]]);
    check(CACHING_SHA2, &[&[1, FULL_AUTH], b"\x01PEM", b"\x01PEM"]);
    check(CACHING_SHA2, &[&[1, FULL_AUTH], &switch_to(NATIVE)]);
}

#[test]
fn no_login_shows_its_password() {
    let mut client = ClientLogin::start(b"secret", &greeting(CACHING_SHA2), true);
    let server = full(true, Some(b"secret"));
    let step = answer(&mut client, &[1, FULL_AUTH]).unwrap();
    let shown = format!("{client:?} {server:?} {step:?}");
    let as_bytes = format!("{:?}", b"secret");
    assert!(!shown.contains("secret") && !shown.contains(as_bytes.trim_matches(['[', ']'])), "{shown}");
    assert!(shown.contains("Send(7 bytes)"), "{shown}");
}

/// The two machines, with an RSA of their own: it reverses. Returns whether the password was right.
fn converse(client: &mut ClientLogin, challenge: Challenge, expected: Expected<'_>) -> bool {
    let reverse = |text: &[u8]| text.iter().rev().copied().collect::<Vec<_>>();
    let response = client.first_response();
    let login = login(client.plugin().name(), &response);
    let (mut server, mut step) = ServerLogin::start(challenge, &login, expected);
    let mut say = |payload: &[u8]| client.on_packet(payload, CAPABILITIES).unwrap();
    loop {
        let said = match step {
            ServerStep::Send(payload) => say(&payload),
            ServerStep::SendPublicKey => say(b"\x01PEM"),
            ServerStep::DecryptPassword(ciphertext) => {
                step = server.on_decrypted(Some(&reverse(&ciphertext)));
                continue;
            }
            ServerStep::Accepted { send_first } => {
                if let Some(payload) = send_first {
                    assert_eq!(say(&payload), ClientStep::Await);
                }
                assert!(matches!(say(&ok_payload()), ClientStep::Done(_)));
                return true;
            }
            ServerStep::Disclosed(password) => return **password == *b"secret",
            ServerStep::Denied(_) => return false,
        };
        step = match said {
            ClientStep::Send(payload) => server.on_packet(&payload),
            ClientStep::RequestPublicKey(request) => server.on_packet(&[request]),
            ClientStep::EncryptPassword { cleartext_xored, .. } => server.on_packet(&reverse(&cleartext_xored)),
            other => panic!("{other:?}"),
        };
    }
}

#[test]
fn both_sides_agree_whatever_the_server_asks_for() {
    let remembered = Expected::Disclosure { remembered: Some(b"secret") };
    for announced in PLUGINS {
        for first in [NATIVE, CACHING_SHA2, "parsec"] {
            for (force_full, secure_transport) in [(false, false), (true, false), (true, true)] {
                for (password, is_right) in [(&b"secret"[..], true), (b"guess", false), (b"", false)] {
                    for expected in [Expected::Password(b"secret"), SOUGHT, remembered] {
                        let mut client = ClientLogin::start(password, &greeting(first), secure_transport);
                        let challenge =
                            Challenge { nonce: NONCE_BYTES, announced: Some(announced), force_full, secure_transport };
                        let accepted = converse(&mut client, challenge, expected);
                        assert_eq!(accepted, is_right, "{announced:?} {first} {force_full} {password:?}");
                    }
                }
            }
        }
    }
}
