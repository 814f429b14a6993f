//! Holds the direction of dependencies between our crates, what the pure ones may not know (ARCHITECTURE.md), and what may come in from outside
//! (deny.toml).

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, reason = "tests")]

use std::collections::{BTreeMap, BTreeSet};

use cargo_metadata::{DependencyKind, MetadataCommand};

/// Every crate with those of ours that it may depend on.
const ALLOWED: &[(&str, &[&str])] = &[
    ("wire", &[]),
    ("classifier", &[]),
    ("topology", &[]),
    ("session", &["classifier", "topology", "wire"]),
    ("router", &["session", "classifier", "topology"]),
    ("failover", &["topology"]),
    ("net", &["wire"]),
    ("backend", &["net", "session", "wire", "topology"]),
    ("frontend", &["backend", "net", "session", "router", "classifier", "topology", "wire"]),
    ("monitor", &["failover", "classifier", "topology", "wire"]),
    ("admin", &["frontend", "monitor", "net", "failover", "classifier", "topology", "wire"]),
    ("pointsman", &["admin", "failover", "frontend", "monitor", "backend", "net", "router", "classifier", "topology"]),
    ("testkit", &["failover", "topology", "wire"]),
    ("e2e", &["classifier", "testkit", "wire"]),
];

/// Crates that are functions of their arguments: no sockets, no runtime.
const PURE: &[&str] = &["wire", "classifier", "topology", "session", "router", "failover"];

/// What a pure crate may not reach, not even through others.
const IMPURE: &[&str] = &["tokio", "mio", "socket2", "mysql_async", "rand", "getrandom"];

/// Those that read configuration, or show what is inside.
const SERDE: &[&str] = &["pointsman", "admin", "e2e"];

/// Our crates with the names of what each depends on, without what only tests need.
fn dependencies() -> BTreeMap<String, BTreeSet<String>> {
    let metadata = MetadataCommand::new().no_deps().exec().expect("cargo metadata");
    let names = |package: &cargo_metadata::Package| {
        let normal = package.dependencies.iter().filter(|dependency| dependency.kind == DependencyKind::Normal);
        normal.map(|dependency| dependency.name.clone()).collect()
    };
    metadata.workspace_packages().into_iter().map(|package| (package.name.to_string(), names(package))).collect()
}

#[test]
fn every_crate_has_its_place() {
    let known: BTreeSet<_> = ALLOWED.iter().map(|(name, _)| (*name).to_owned()).collect();
    assert_eq!(dependencies().into_keys().collect::<BTreeSet<_>>(), known, "add the crate here and to ARCHITECTURE.md");
}

#[test]
fn dependencies_point_downwards_only() {
    let dependencies = dependencies();
    for (name, allowed) in ALLOWED {
        let ours = dependencies[*name].iter().filter(|dependency| ALLOWED.iter().any(|(known, _)| known == dependency));
        for dependency in ours {
            assert!(allowed.contains(&dependency.as_str()), "{name} may not depend on {dependency}");
        }
    }
}

#[test]
fn pure_crates_cannot_reach_a_runtime_or_a_socket() {
    let metadata = MetadataCommand::new().exec().expect("cargo metadata");
    let graph = metadata.resolve.expect("a resolved graph");
    let name = |id: &cargo_metadata::PackageId| {
        metadata.packages.iter().find(|package| package.id == *id).expect("a package").name.to_string()
    };
    for pure in PURE {
        let mut reached = BTreeSet::new();
        let mut open: Vec<_> = graph.nodes.iter().filter(|node| name(&node.id) == **pure).collect();
        while let Some(node) = open.pop() {
            for dependency in &node.deps {
                let is_normal = dependency.dep_kinds.iter().any(|kind| kind.kind == DependencyKind::Normal);
                if is_normal && reached.insert(name(&dependency.pkg)) {
                    open.extend(graph.nodes.iter().filter(|node| node.id == dependency.pkg));
                }
            }
        }
        let impure: Vec<_> = IMPURE.iter().filter(|crate_name| reached.contains(**crate_name)).collect();
        assert!(impure.is_empty(), "{pure} reaches {impure:?}");
    }
}

#[test]
fn only_the_program_reads_configuration() {
    for (name, dependencies) in dependencies() {
        assert!(SERDE.contains(&name.as_str()) || !dependencies.contains("serde"), "{name} depends on serde");
    }
}

/// A list of words in deny.toml.
fn allowed(section: &str, key: &str) -> Vec<String> {
    let file = concat!(env!("CARGO_MANIFEST_DIR"), "/../../deny.toml");
    let rules: toml::Table = std::fs::read_to_string(file).expect("deny.toml").parse().expect("TOML");
    let words = rules[section][key].as_array().expect("a list").iter();
    words.map(|word| word.as_str().expect("a word").to_owned()).collect()
}

#[test]
fn what_comes_from_outside_has_a_licence_and_a_source_that_we_allow() {
    let (licences, sources, denied) =
        (allowed("licenses", "allow"), allowed("sources", "allow-registry"), allowed("bans", "deny"));
    let metadata = MetadataCommand::new().exec().expect("cargo metadata");
    for package in metadata.packages.iter().filter(|package| package.source.is_some()) {
        let (name, licence) = (package.name.as_str(), package.license.as_deref().unwrap_or_default());
        let expression = spdx::Expression::parse_mode(licence, spdx::ParseMode::LAX);
        let is_allowed = expression
            .as_ref()
            .is_ok_and(|expression| expression.evaluate(|wanted| licences.iter().any(|licence| *licence == wanted.to_string())));
        assert!(is_allowed, "{name} has the licence {licence:?}");
        let source = package.source.as_ref().map(ToString::to_string).unwrap_or_default();
        assert!(sources.iter().any(|allowed| source.ends_with(allowed)), "{name} comes from {source}");
        assert!(denied.iter().all(|denied| denied != name), "{name} is denied");
    }
}
