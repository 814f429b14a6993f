//! Holds the guide to the program: each finding is explained, and each link leads somewhere.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "tests")]

use std::path::{Path, PathBuf};

fn guide() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("guide")
}

#[test]
fn each_finding_is_explained() {
    let source = include_str!("../../failover/src/finding/words.rs");
    let names = source.split("pub fn label").nth(1).and_then(|rest| rest.split("pub fn").next()).expect("the names of findings");
    let names: Vec<&str> = names.split("=> \"").skip(1).filter_map(|rest| rest.split('"').next()).collect();
    assert!(names.len() > 20, "{names:?}");
    let explained = include_str!("../guide/findings.md");
    let missing: Vec<_> = names.iter().filter(|name| !explained.contains(&format!("`{name}`"))).collect();
    assert!(missing.is_empty(), "not in the guide: {missing:?}");
}

#[test]
fn links_lead_somewhere() {
    let pages = std::fs::read_dir(guide()).expect("the guide").map(|entry| entry.expect("a page").path());
    for page in pages {
        let text = std::fs::read_to_string(&page).expect("a page");
        for link in text.split("](").skip(1).filter_map(|rest| rest.split(')').next()) {
            assert!(guide().join(link).exists(), "{} links to {link}", page.display());
        }
    }
}
