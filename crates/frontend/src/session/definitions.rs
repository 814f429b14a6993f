//! Whether a statement that defines functions or views has done so, or may have: then the catalogue has to be read again, and until then the
//! primary answers all reads. So a refused definition must not count, or any account could keep all sessions' reads there.

use classifier::{Classifier, Effects, Statement};
use wire::error_code::{
    ER_BAD_DB_ERROR, ER_COLUMNACCESS_DENIED_ERROR, ER_DBACCESS_DENIED_ERROR, ER_NO_DB_ERROR, ER_OPTION_PREVENTS_STATEMENT,
    ER_PARSE_ERROR, ER_PROCACCESS_DENIED_ERROR, ER_SPECIFIC_ACCESS_DENIED_ERROR, ER_TABLEACCESS_DENIED_ERROR,
};

/// How far a statement that defines something came.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Course {
    /// Statements of the batch before the first one that defines; `None` if none does.
    first: Option<u16>,
}

/// How its response ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum End {
    /// Without an error.
    Well,
    /// With this error.
    Error(u16),
    /// Unknown: the connection was lost.
    Unknown,
}

impl Course {
    pub(super) fn of(statement: &Statement) -> Self {
        Self { first: statement.effects.contains(Effects::DEFINES).then_some(statement.first_definition) }
    }

    /// Notifies the classifier if something was defined, or may have been. `results` is the number of the batch's statements that succeeded, or more, since
    /// some have several results.
    pub(super) fn settle(self, results: u16, end: End, classifier: &Classifier) {
        if self.has_defined(results, end) {
            classifier.knowledge().definitions_changed();
        }
    }

    fn has_defined(self, results: u16, end: End) -> bool {
        let Some(first) = self.first else { return false };
        match end {
            End::Well => true,
            End::Error(code) => results > first || (results == first && !is_denial(code)),
            End::Unknown => results >= first,
        }
    }
}

/// An error with which a server refuses a whole statement before it does anything.
fn is_denial(error: u16) -> bool {
    matches!(
        error,
        ER_DBACCESS_DENIED_ERROR
            | ER_NO_DB_ERROR
            | ER_BAD_DB_ERROR
            | ER_PARSE_ERROR
            | ER_TABLEACCESS_DENIED_ERROR
            | ER_COLUMNACCESS_DENIED_ERROR
            | ER_SPECIFIC_ACCESS_DENIED_ERROR
            | ER_OPTION_PREVENTS_STATEMENT
            | ER_PROCACCESS_DENIED_ERROR
    )
}

#[cfg(test)]
mod tests {
    use wire::error_code::{ER_QUERY_INTERRUPTED, ER_TABLE_EXISTS_ERROR};

    use super::*;

    #[test]
    fn only_what_was_reached_and_not_refused_counts() {
        let check = |first, results, end, expected| {
            assert_eq!(Course { first }.has_defined(results, end), expected, "{first:?} {results} {end:?}");
        };
        let [denied, other, interrupted] =
            [ER_TABLEACCESS_DENIED_ERROR, ER_TABLE_EXISTS_ERROR, ER_QUERY_INTERRUPTED].map(End::Error);
        for (results, end, expected) in
            [(1, End::Well, true), (0, denied, false), (0, other, true), (0, interrupted, true), (0, End::Unknown, true)]
        {
            check(Some(0), results, end, expected);
            check(None, results, end, false);
        }
        // The second of a batch.
        for (results, end, expected) in [
            (0, denied, false),
            (0, other, false),
            (0, End::Unknown, false),
            (1, denied, false),
            (1, other, true),
            (1, End::Unknown, true),
            (2, denied, true),
        ] {
            check(Some(1), results, end, expected);
        }
    }
}
