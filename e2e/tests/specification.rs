//! Every test that SPECIFICATION.md names exists.

use std::path::Path;

#[test]
fn every_promise_names_tests_that_exist() {
    let root = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/.."));
    let read = |path: &str| {
        std::fs::read_to_string(root.join(path)).unwrap_or_else(|error| panic!("cannot read {path}: {error}"))
    };
    let page = read("SPECIFICATION.md");
    // `file: test` between backticks; other code on the page has no colon and blank.
    let named: Vec<(&str, &str)> = page
        .split('`')
        .skip(1)
        .step_by(2)
        .filter_map(|code| code.split_once(": "))
        .collect();
    let promises = page.lines().filter(|line| {
        line.split_once(". ")
            .is_some_and(|(n, _)| n.parse::<u32>().is_ok())
    });
    assert!(
        named.len() >= promises.count() - 1,
        "a promise without a test that does not say so"
    );
    for (file, test) in named.into_iter().filter(|(file, _)| *file != "file") {
        assert!(
            read(file).contains(&format!("fn {test}(")),
            "{file} has no test {test}"
        );
    }
}
