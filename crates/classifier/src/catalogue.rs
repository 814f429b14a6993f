//! What users have defined on the servers and a read may run: stored functions, loadable functions, views.
//!
//! A definition counts as a read only if its own text is proved to be one, by the same two stages as a statement, and everything that it calls or
//! selects from is one in turn. What a function declares (`READS SQL DATA`) proves nothing, as no server checks it. Names are compared without their
//! schema: a name is trusted if every definition of that name is. So no verdict depends on the session's schema, at the price of some caution where
//! two schemas use one name differently.

mod body;

use std::collections::{HashMap, HashSet};

use crate::classifier::examine;
use crate::findings::StoredCall;
use crate::functions;
use crate::lexer::{Kind, Lexer, Rules};
use crate::scan::unquoted;
use crate::{Charset, Context, Dialect, Effects, ParseLimits, SqlMode};

/// One definition, as a server shows it.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Definition {
    /// A stored function (`information_schema.ROUTINES`).
    Function {
        /// Its name without the schema.
        name: Box<str>,
        /// Its body; `None` where the server does not show it.
        body: Option<Box<str>>,
        /// The `sql_mode` that it was created with, as the server prints it.
        sql_mode: Box<str>,
    },
    /// A view (`information_schema.VIEWS`).
    View {
        /// Its name without the schema.
        name: Box<str>,
        /// Its query; `None` where the server does not show it.
        query: Option<Box<str>>,
    },
    /// A function that may do anything: a library's code, one in another language than SQL, or one that declares that it writes.
    Opaque {
        /// Its name.
        name: Box<str>,
    },
    /// The server does not show which loadable functions it has: any name may be one of them.
    HiddenLoadables,
    /// A package of MariaDB: `package.f()` may be one of its functions.
    Package,
}

impl Definition {
    fn function_name(&self) -> Option<&str> {
        match self {
            Self::Function { name, .. } | Self::Opaque { name } => Some(name),
            _ => None,
        }
    }

    /// Whether the server does not show what it does.
    pub fn is_hidden(&self) -> bool {
        matches!(self, Self::Function { body: None, .. } | Self::View { query: None, .. } | Self::HiddenLoadables)
    }
}

/// Which names are reads, as of one look at a server.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Catalogue {
    /// Functions that do nothing but read, in lower case.
    reads: HashSet<Box<[u8]>>,
    /// All functions, in lower case.
    functions: HashSet<Box<[u8]>>,
    /// Views that may do more, in lower case.
    doubtful_views: HashSet<Box<[u8]>>,
    /// No name of a function is sure to mean what it seems to mean. It may be that of a loadable function that the server does not show, or equal the
    /// name of a function beyond ASCII, as the servers' collations find `é` equal to `e`.
    has_ambiguous_names: bool,
    /// A view that may do more has a name beyond ASCII: every such name may mean it.
    has_foreign_view: bool,
    has_package: bool,
}

/// How often all definitions are examined: a longer chain of views that use each other stays on the primary.
const ROUNDS_MAX: usize = 32;

impl Catalogue {
    /// Judges all definitions of a server. Takes time in proportion to their length and to the depth in which they use each other.
    pub fn new(dialect: Dialect, definitions: &[Definition]) -> Self {
        let functions = definitions.iter().filter_map(Definition::function_name).map(lower).collect();
        let mut catalogue = Self { functions, ..Self::default() };
        let mut open = Open::default();
        for definition in definitions {
            catalogue.distrust(definition, &mut open);
        }
        for _ in 0..ROUNDS_MAX {
            let before = open.definitions.len();
            let mut still_open = std::mem::take(&mut open.definitions);
            still_open.retain(|definition| {
                let is_read = catalogue.is_read(dialect, definition, &open);
                if is_read {
                    catalogue.trust(definition, &mut open);
                }
                !is_read
            });
            open.definitions = still_open;
            if open.definitions.len() == before {
                break;
            }
        }
        catalogue
    }

    /// How many functions are trusted, for display.
    pub fn trusted_functions(&self) -> usize {
        self.reads.len()
    }

    /// How many views are not trusted, for display.
    pub fn doubtful_views(&self) -> usize {
        self.doubtful_views.len()
    }

    /// Whether calling this function only reads.
    pub(crate) fn is_reading_call(&self, call: &StoredCall, dialect: Dialect) -> bool {
        let is_ambiguous = self.has_ambiguous_names || (call.is_qualified && self.has_package);
        let is_nobodys = !call.is_qualified && !self.functions.contains(&*call.name);
        let is_native = is_nobodys && functions::is_native_somewhere(&call.name, dialect);
        !is_ambiguous && (is_native || self.reads.contains(&*call.name))
    }

    /// Whether a name in the statement may be that of a view that does more than read.
    pub(crate) fn has_doubtful_view(&self, sql: &[u8], rules: Rules) -> bool {
        if self.doubtful_views.is_empty() {
            return false;
        }
        let mut lexer = Lexer::new(sql, rules).transparent();
        loop {
            let token = lexer.next();
            let is_doubtful = match token.kind {
                Kind::End => return false,
                Kind::Word | Kind::Quoted => self.is_doubtful(unquoted(token.text)),
                _ => false,
            };
            if is_doubtful {
                return true;
            }
        }
    }

    fn is_doubtful(&self, name: &[u8]) -> bool {
        if !name.is_ascii() {
            return self.has_foreign_view;
        }
        self.doubtful_views.contains(&*name.to_ascii_lowercase())
    }

    fn distrust<'d>(&mut self, definition: &'d Definition, open: &mut Open<'d>) {
        match definition {
            Definition::Function { name, .. } => {
                self.has_ambiguous_names |= !name.is_ascii();
                *open.functions.entry(lower(name)).or_default() += 1;
                open.definitions.push(definition);
            }
            Definition::View { name, .. } => {
                *open.views.entry(lower(name)).or_default() += 1;
                self.has_foreign_view |= !name.is_ascii();
                self.doubtful_views.insert(lower(name));
                open.definitions.push(definition);
            }
            // It is counted and never proved, so its name is never trusted.
            Definition::Opaque { name } => *open.functions.entry(lower(name)).or_default() += 1,
            Definition::HiddenLoadables => self.has_ambiguous_names = true,
            Definition::Package => self.has_package = true,
        }
    }

    /// Whether what is trusted so far proves this one to be a read.
    fn is_read(&mut self, dialect: Dialect, definition: &Definition, open: &Open<'_>) -> bool {
        match definition {
            Definition::Function { body: Some(body), sql_mode, .. } => {
                let rules = Rules { dialect, sql_mode: SqlMode::parse(sql_mode.as_bytes()), charset: Charset::AsciiSafe };
                body::queries(body.as_bytes(), rules)
                    .is_some_and(|queries| queries.iter().all(|query| self.is_reading_query(query, rules)))
            }
            Definition::View { name, query: Some(query) } => {
                let rules = Rules { dialect, sql_mode: SqlMode::empty(), charset: Charset::AsciiSafe };
                // No view selects from itself: its name in its own query is that of a column or of another schema's view.
                let name = lower(name);
                let is_only_one = open.views.get(&name) == Some(&1);
                let without_itself = is_only_one && self.doubtful_views.remove(&name);
                let is_read = self.is_reading_query(query.as_bytes(), rules);
                if without_itself {
                    self.doubtful_views.insert(name);
                }
                is_read
            }
            _ => false,
        }
    }

    fn is_reading_query(&self, sql: &[u8], rules: Rules) -> bool {
        let context = Context { dialect: rules.dialect, sql_mode: rules.sql_mode, charset: rules.charset, schema: None };
        let (_, findings) = examine(sql, &context, &ParseLimits::default(), self);
        Effects::READ_DATA.contains(findings.effects) && findings.session.is_empty()
    }

    fn trust(&mut self, definition: &Definition, open: &mut Open<'_>) {
        match definition {
            Definition::Function { name, .. } if close(&mut open.functions, name) => {
                self.reads.insert(lower(name));
            }
            Definition::View { name, .. } if close(&mut open.views, name) => {
                self.doubtful_views.remove(&lower(name));
                self.has_foreign_view = self.has_foreign_view && self.doubtful_views.iter().any(|name| !name.is_ascii());
            }
            _ => {}
        }
    }
}

/// What is not proved yet.
#[derive(Default)]
struct Open<'d> {
    definitions: Vec<&'d Definition>,
    /// How many definitions have each name.
    functions: HashMap<Box<[u8]>, usize>,
    views: HashMap<Box<[u8]>, usize>,
}

/// A definition of this name is proved to be a read. True if it was the last one of this name.
fn close(open: &mut HashMap<Box<[u8]>, usize>, name: &str) -> bool {
    let name = lower(name);
    let Some(count) = open.get_mut(&name) else { return false };
    *count -= 1;
    let is_last = *count == 0;
    if is_last {
        open.remove(&name);
    }
    is_last
}

fn lower(name: &str) -> Box<[u8]> {
    name.to_ascii_lowercase().into_bytes().into()
}

#[cfg(test)]
mod tests;
