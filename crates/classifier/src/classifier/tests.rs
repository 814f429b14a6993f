use super::*;
use crate::digest::weak::IS_WEAK;
use crate::{Dialect, Placement, Statement};

const CONTEXT: Context<'static> =
    Context { dialect: Dialect::MySql, sql_mode: SqlMode::empty(), charset: Charset::AsciiSafe, schema: None };

/// A stranger can make two texts with one digest. The verdict of the first must not become that of the second.
#[test]
fn statements_with_the_same_digest_share_no_verdict() {
    IS_WEAK.set(true);
    let long = ", a AS some_longer_name".repeat(20);
    let longer = ", a AS some_longer_name".repeat(100);
    for more in ["", long.as_str(), longer.as_str()] {
        let read = format!("SELECT a{more} FROM t");
        let lock = format!("SELECT GET_LOCK('x', 1){more} FROM t");
        let other_read = format!("SELECT b{more} FROM t");
        let classifier = Classifier::new(ParseLimits::default());
        let classify = |sql: &str| -> Statement { classifier.classify(sql.as_bytes(), &CONTEXT) };
        for _ in 0..3 {
            assert_eq!(classify(&read).placement(), Placement::Replica);
            assert_eq!(classify(&lock).placement(), Placement::Primary);
            assert_eq!(classify(&read).digest, classify(&lock).digest, "the seam makes them collide");
        }
        assert!(classifier.cache_stats().hits > 0, "verdicts are remembered");
        // Nor does it count for the other if a replica refuses one of them.
        assert!(classifier.knowledge().learn_write(&classify(&read)));
        assert_eq!(classify(&read).placement(), Placement::Primary);
        assert_eq!(classify(&other_read).placement(), Placement::Replica);
    }
    IS_WEAK.set(false);
}
