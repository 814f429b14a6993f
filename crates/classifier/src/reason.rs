//! The reasons in words.

use std::fmt;

use crate::Reason;

impl Reason {
    /// The metric label.
    pub fn label(self) -> &'static str {
        self.words().0
    }

    fn words(self) -> (&'static str, &'static str) {
        match self {
            Self::PlainRead => ("plain_read", "it only reads data"),
            Self::OnlyComputes => ("only_computes", "it only computes and reads no table"),
            Self::SessionStatement => ("session_statement", "it changes the session"),
            Self::TransactionControl => ("transaction_control", "it begins or ends a transaction"),
            Self::Writes => ("writes", "it may change data, definitions, accounts or settings"),
            Self::LockingClause => ("locking_clause", "it takes row or table locks"),
            Self::IntoClause => ("into_clause", "its INTO clause stores the result in variables or a file"),
            Self::AssignsUserVariable => ("assigns_user_variable", "it assigns a user variable"),
            Self::ReadsUserVariable => {
                ("reads_user_variable", "it reads a user variable, which lives on the primary's connection")
            }
            Self::UnknownFunction => ("unknown_function", "it calls a function that is not built into the server"),
            Self::WritingFunction => ("writing_function", "it calls a function that may write"),
            Self::LockFunction => ("lock_function", "it calls a function of the named locks"),
            Self::PrimarySessionFunction => {
                ("primary_session_function", "it calls a function whose answer lives on the primary's connection")
            }
            Self::PreviousStatement => ("previous_statement", "it asks what the previous statement left behind"),
            Self::AboutThisServer => ("about_this_server", "its answer is about the server that runs it"),
            Self::ServerVariable => ("server_variable", "it reads a variable that may differ from server to server"),
            Self::SystemSchema => ("system_schema", "it reads a system schema, which is about the server that runs it"),
            Self::Sequence => ("sequence", "it uses a sequence"),
            Self::File => ("file", "it reads or writes files on the server"),
            Self::ExecutableComment => ("executable_comment", "it has a comment that servers may run as code"),
            Self::UnsafeCharset => ("unsafe_charset", "its character set may hide quotes inside other characters"),
            Self::UnknownSqlMode => ("unknown_sql_mode", "the session's sql_mode is not one whose grammar is known here"),
            Self::Batch => ("batch", "it is a batch of several statements"),
            Self::TooLarge => ("too_large", "it is too large to be parsed"),
            Self::TooComplex => ("too_complex", "it has too many operators or clauses to be parsed"),
            Self::TooCostly => ("too_costly", "it would take the parser too much work"),
            Self::NotParsed => ("not_parsed", "it could not be parsed"),
            Self::StagesDisagree => ("stages_disagree", "the parser found more in it than the lexer"),
            Self::DoubtfulView => ("doubtful_view", "it names a view that is not proved to only read"),
            Self::CatalogueUnknown => ("catalogue_unknown", "the servers' functions and views are not known at the moment"),
            Self::LearnedWrite => ("learned_write", "a replica has refused this statement as a write before"),
            Self::NotKnown => ("not_known", "it is of a kind that is not known to be a read"),
        }
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.words().1)
    }
}
