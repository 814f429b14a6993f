//! Walking over a parsed file, and collecting what is wrong with it, each mistake with its line, and the value of each key that was read.

use std::cell::RefCell;
use std::collections::BTreeSet;

use admin::{Setting, Source};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use toml::Spanned;
use toml::de::{DeTable, DeValue, ValueDeserializer};

/// Least similarity to a known name, from 0 to 1, for it to be suggested as a correction.
const SIMILAR: f64 = 0.7;

/// Shown in place of a secret.
const HIDDEN: &str = "(not shown)";

/// What has come of reading the file so far.
pub(super) struct Outcome<'a> {
    text: &'a str,
    /// Mistakes, by place in the text.
    found: RefCell<Vec<(usize, String)>>,
    /// In the order in which they were read.
    settings: RefCell<Vec<Setting>>,
}

impl<'a> Outcome<'a> {
    pub(super) fn new(text: &'a str) -> Self {
        Self { text, found: RefCell::default(), settings: RefCell::default() }
    }

    /// The value of each key, with those that have their defaults, section by section.
    pub(super) fn take_settings(&self) -> Vec<Setting> {
        let mut settings = self.settings.take();
        let section = |setting: &Setting| setting.name.rsplit_once('.').map_or("", |(section, _)| section).to_owned();
        let mut sections: Vec<String> = Vec::new();
        for name in settings.iter().map(section) {
            if !sections.contains(&name) {
                sections.push(name);
            }
        }
        settings.sort_by_key(|setting| sections.iter().position(|name| *name == section(setting)));
        settings
    }

    pub(super) fn add(&self, place: usize, message: String) {
        self.found.borrow_mut().push((place, message));
    }

    /// `line 3: ...`, first line first.
    pub(super) fn into_sorted(self) -> Vec<String> {
        let mut found = self.found.into_inner();
        found.sort();
        let line = |place| self.text.bytes().take(place).filter(|byte| *byte == b'\n').count() + 1;
        found.into_iter().map(|(place, message)| format!("line {}: {message}", line(place))).collect()
    }
}

/// One table of the file. Each key that is read is crossed off; what is left at [`Section::finish`] is unknown.
pub(super) struct Section<'a> {
    /// `None` where the file has no such table: all its keys have their defaults.
    table: Option<&'a DeTable<'a>>,
    name: String,
    /// What the names of its settings begin with: `routing.`, `servers.db1.`.
    prefix: String,
    place: usize,
    known: BTreeSet<&'static str>,
    outcome: &'a Outcome<'a>,
}

impl<'a> Section<'a> {
    /// The file itself.
    pub(super) fn new(table: &'a Spanned<DeTable<'a>>, name: &str, outcome: &'a Outcome<'a>) -> Self {
        let place = table.span().start;
        let (name, prefix) = (name.to_owned(), String::new());
        Self { table: Some(table.get_ref()), name, prefix, place, known: BTreeSet::new(), outcome }
    }

    /// `[key]`
    pub(super) fn section(&mut self, key: &'static str) -> Section<'a> {
        let value = self.take(key);
        let table = value.and_then(|value| {
            let table = value.get_ref().as_table();
            if table.is_none() {
                self.outcome.add(value.span().start, format!("{key} must be a table: [{key}]"));
            }
            table
        });
        let place = value.map_or(self.place, |value| value.span().start);
        let (name, prefix) = (key.to_owned(), format!("{key}."));
        Section { table, name, prefix, place, known: BTreeSet::new(), outcome: self.outcome }
    }

    /// `[[key]]`, all of them.
    pub(super) fn sections(&mut self, key: &'static str) -> Vec<Section<'a>> {
        let Some(value) = self.take(key) else { return Vec::new() };
        let Some(array) = value.get_ref().as_array() else {
            self.outcome.add(value.span().start, format!("{key} must be a list of tables: [[{key}]]"));
            return Vec::new();
        };
        let outcome = self.outcome;
        array
            .iter()
            .enumerate()
            .filter_map(|(number, value)| {
                let place = value.span().start;
                let Some(table) = value.get_ref().as_table() else {
                    outcome.add(place, format!("{key} must be a list of tables: [[{key}]]"));
                    return None;
                };
                let own_name = table.get("name").and_then(|name| name.get_ref().as_str());
                let prefix = own_name.map_or_else(|| format!("{key}.{number}."), |name| format!("{key}.{name}."));
                let name = format!("[{key}]");
                Some(Section { table: Some(table), name, prefix, place, known: BTreeSet::new(), outcome })
            })
            .collect()
    }

    /// A key that must be there.
    pub(super) fn required<T: DeserializeOwned + Serialize>(&mut self, key: &'static str) -> Option<T> {
        let Some(value) = self.take(key) else {
            self.complain(&format!("{key} is missing"));
            return None;
        };
        let value = self.deserialize(key, value)?;
        self.note(key, shown(&value));
        Some(value)
    }

    /// A key with a default.
    pub(super) fn optional<T: DeserializeOwned + Serialize>(&mut self, key: &'static str, default: T) -> T {
        let value = self.take(key).and_then(|value| self.deserialize(key, value)).unwrap_or(default);
        self.note(key, shown(&value));
        value
    }

    /// A key with what it is in: `listen.address`.
    pub(super) fn full_name(&self, key: &str) -> String {
        format!("{}{key}", self.prefix)
    }

    /// Notes the value of a key for those who ask what is in force.
    fn note(&self, key: &str, value: Option<String>) {
        let source = if self.has(key) { Source::File } else { Source::Default };
        self.outcome.settings.borrow_mut().push(Setting { name: self.full_name(key), value, source, next: None });
    }

    /// A number of things, at least 1.
    pub(super) fn positive(&mut self, key: &'static str, default: usize) -> usize {
        let value = self.optional(key, default);
        if value == 0 {
            self.complain(&format!("{key} must be at least 1"));
        }
        value
    }

    /// A bound of at least 1, if there is one.
    pub(super) fn bound<T: DeserializeOwned + Serialize + PartialEq + Default>(&mut self, key: &'static str) -> Option<T> {
        let bound = self.optional::<Option<T>>(key, None);
        if bound.as_ref().is_some_and(|bound| *bound == T::default()) {
            self.complain(&format!("{key} must be at least 1"));
        }
        bound
    }

    /// A secret under one of three keys: `key` itself, `key_file` (its first line), `key_env` (a variable's name).
    pub(super) fn secret(&mut self, key: &'static str) -> Option<String> {
        let (file_key, env_key) = secret_keys(key);
        if ![key, file_key, env_key].iter().any(|key| self.has(key)) {
            self.complain(&format!("{key} is missing: give one of {key}, {file_key}, {env_key}"));
        }
        self.optional_secret(key)
    }

    /// The same, if it need not be there.
    pub(super) fn optional_secret(&mut self, key: &'static str) -> Option<String> {
        let (file_key, env_key) = secret_keys(key);
        let literal = self.take(key).and_then(|value| self.deserialize::<String>(key, value));
        self.note(key, literal.as_ref().map(|_| HIDDEN.to_owned()));
        let file = self.optional::<Option<String>>(file_key, None);
        let variable = self.optional::<Option<String>>(env_key, None);
        match (literal, file, variable) {
            (Some(literal), None, None) => Some(literal),
            (None, Some(path), None) => match std::fs::read_to_string(&path) {
                Ok(text) => Some(text.lines().next().unwrap_or_default().to_owned()),
                Err(error) => {
                    self.complain(&format!("{file_key}: {path} cannot be read: {error}"));
                    None
                }
            },
            (None, None, Some(name)) => {
                let value = std::env::var(&name).ok();
                if value.is_none() {
                    self.complain(&format!("{env_key}: the environment has no variable {name}"));
                }
                value
            }
            (None, None, None) => None,
            _ => {
                self.complain(&format!("give only one of {key}, {file_key}, {env_key}"));
                None
            }
        }
    }

    /// A mistake of the table as a whole.
    pub(super) fn complain(&self, message: &str) {
        let message = if self.name.is_empty() { message.to_owned() } else { format!("[{}]: {message}", self.name) };
        self.outcome.add(self.place, message);
    }

    /// What was not asked for is unknown.
    pub(super) fn finish(self) {
        for (key, _) in self.table.into_iter().flatten() {
            let name = key.get_ref().as_ref();
            if self.known.contains(name) {
                continue;
            }
            let similar = self
                .known
                .iter()
                .map(|known| (strsim::jaro_winkler(known, name), *known))
                .filter(|(similarity, _)| *similarity > SIMILAR)
                .max_by(|one, other| one.0.total_cmp(&other.0));
            let place = if self.name.is_empty() { String::new() } else { format!("[{}]: ", self.name) };
            let message = if let Some((_, known)) = similar {
                format!("{place}unknown key {name}; did you mean {known}?")
            } else {
                let known = self.known.iter().copied().collect::<Vec<_>>().join(", ");
                format!("{place}unknown key {name}; the keys here are {known}")
            };
            self.outcome.add(key.span().start, message);
        }
    }

    fn has(&self, key: &str) -> bool {
        self.table.is_some_and(|table| table.get(key).is_some())
    }

    fn take(&mut self, key: &'static str) -> Option<&'a Spanned<DeValue<'a>>> {
        self.known.insert(key);
        self.table?.get(key)
    }

    fn deserialize<T: DeserializeOwned>(&self, key: &str, value: &Spanned<DeValue<'a>>) -> Option<T> {
        let place = value.span().start;
        match T::deserialize(ValueDeserializer::from(value.clone())) {
            Ok(value) => Some(value),
            Err(error) => {
                let name = if self.name.is_empty() { key.to_owned() } else { format!("[{}] {key}", self.name) };
                self.outcome.add(place, format!("{name}: {}", error.message()));
                None
            }
        }
    }
}

/// A value as the file would have it. `None`: there is none.
fn shown(value: &impl Serialize) -> Option<String> {
    match serde_json::to_value(value) {
        Ok(Value::String(text)) => Some(text),
        Ok(Value::Null) | Err(_) => None,
        // No bound.
        Ok(Value::Number(number)) if number.as_u64() == Some(u64::MAX) => None,
        Ok(other) => Some(other.to_string()),
    }
}

/// The keys under which a secret may be given in place of the text itself.
fn secret_keys(key: &'static str) -> (&'static str, &'static str) {
    match key {
        "token" => ("token_file", "token_env"),
        _ => ("password_file", "password_env"),
    }
}
