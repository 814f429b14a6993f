//! What a new connection starts with, from the variables of a full look.

use std::time::Duration;

use topology::{Engine, SessionDefaults};

use super::Fields;

/// Asks for the id of the collation that the server has now; asked when its name has changed. MariaDB lists a collation that fits several
/// character sets (`uca1400_ai_ci`) under its full names in another table than the others, which has all of them.
pub(crate) fn collation_query(engine: Engine) -> &'static str {
    match engine {
        Engine::MySql => "SELECT ID AS id FROM information_schema.COLLATIONS WHERE COLLATION_NAME = @@global.collation_server",
        Engine::MariaDb => {
            "SELECT ID AS id FROM information_schema.COLLATION_CHARACTER_SET_APPLICABILITY \
             WHERE FULL_COLLATION_NAME = @@global.collation_server"
        }
    }
}

/// The name that the query is about.
pub(crate) fn collation_name(look: &Fields) -> Option<&str> {
    look.non_empty("collation_server")
}

/// Its answer.
pub(crate) fn collation_id(rows: &[Fields]) -> Option<u16> {
    rows.first()?.number("id")
}

/// `None` if the look lacks any of them.
pub(crate) fn session_defaults(look: &Fields, collation: u16) -> Option<SessionDefaults> {
    let seconds = |column| look.number(column).map(Duration::from_secs);
    Some(SessionDefaults {
        collation,
        autocommit: look.text("autocommit").map(|_| look.is_on("autocommit"))?,
        max_connections: look.number("max_connections")?,
        // Every account may read it, so empty means that nothing is run.
        has_init_connect: look.non_empty("init_connect").is_some(),
        refuses_expired_passwords: look.is_on("disconnect_on_expired_password"),
        wait_timeout: seconds("wait_timeout")?,
        interactive_timeout: seconds("interactive_timeout")?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn look(changed: &[(&str, Option<&str>)]) -> Fields {
        let usual = [
            ("autocommit", Some("1")),
            ("max_connections", Some("151")),
            ("init_connect", Some("")),
            ("disconnect_on_expired_password", Some("1")),
            ("wait_timeout", Some("28800")),
            ("interactive_timeout", Some("600")),
        ];
        let all = changed.iter().chain(&usual);
        Fields(all.map(|(name, value)| ((*name).to_owned(), value.map(str::to_owned))).collect())
    }

    #[test]
    fn the_variables_are_read_and_none_is_guessed() {
        let defaults = SessionDefaults {
            collation: 255,
            autocommit: true,
            max_connections: 151,
            has_init_connect: false,
            refuses_expired_passwords: true,
            wait_timeout: Duration::from_hours(8),
            interactive_timeout: Duration::from_mins(10),
        };
        assert_eq!(session_defaults(&look(&[]), 255), Some(defaults.clone()));
        let off = SessionDefaults { autocommit: false, has_init_connect: true, collation: 8, ..defaults };
        assert_eq!(session_defaults(&look(&[("autocommit", Some("0")), ("init_connect", Some("SET @a = 1"))]), 8), Some(off));
        for column in ["autocommit", "max_connections", "wait_timeout", "interactive_timeout"] {
            assert_eq!(session_defaults(&look(&[(column, None)]), 8), None, "{column}");
        }
        assert!(session_defaults(&look(&[("init_connect", None)]), 8).is_some_and(|defaults| !defaults.has_init_connect));
        assert_eq!((collation_id(&[]), collation_id(&[look(&[("id", Some("2304"))])])), (None, Some(2304)));
    }
}
