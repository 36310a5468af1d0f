//! Checks what a compiler does not: floors, crate addresses, lengths, and that every rule has a test.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

/// A file imports its own folder and lower floors; never a sibling on its own floor, never up.
const FLOORS: &[(&str, u8)] = &[
    ("ids", 0),
    ("limits", 0),
    ("lib0", 0),
    ("metric", 0),
    ("room", 1),
    ("wire", 2),
    ("store", 2),
    ("bus", 2),
    ("auth", 2),
    ("hub", 3),
    ("transport", 4),
    ("server", 5),
];

/// Imports that break a floor: file, module, reason.
const FLOOR_EXCEPTIONS: &[(&str, &str, &str)] = &[
    (
        "ids.rs",
        "limits",
        "both are floor 0 and one may bound the other",
    ),
    (
        "lib0.rs",
        "limits",
        "the var-int reader is bounded by the limits",
    ),
    (
        "limits.rs",
        "ids",
        "both are floor 0 and one may bound the other",
    ),
];

/// A crate has an address: nowhere else is it named.
const ADDRESSES: &[(&str, &[&str])] = &[
    (
        "yrs",
        &[
            "room/before.rs",
            "room/document.rs",
            "room/document/",
            "room/record.rs",
        ],
    ),
    (
        "sqlx",
        &["store/postgres/", "store/sqlite/", "store/sql.rs"],
    ),
    ("redis", &["bus/redis.rs"]),
    ("axum", &["transport/", "server/"]),
    ("hyper", &["transport/", "server/"]),
    ("jsonwebtoken", &["auth.rs", "auth/"]),
    ("utoipa", &["transport/", "wire/"]),
    (
        "socketioxide",
        &["transport/socketio.rs", "transport/socketio/"],
    ),
    ("rust_embed", &["transport/demo.rs"]),
];

/// The only clock and dice.
const CLOCK: &str = "server/clock.rs";
const CLOCKS_AND_DICE: &[&str] = &[
    "Instant::now",
    "SystemTime::now",
    "Uuid::new_v4",
    "Uuid::now_v7",
    "rand::",
    "getrandom::",
    "fastrand::",
];

const FILE_LINES_MAX: usize = 400;
const FUNCTION_LINES_MAX: usize = 70;
const CODE_COLUMNS_MAX: usize = 100;
/// Prose is not wrapped by the formatter and may be a little wider.
const COMMENT_COLUMNS_MAX: usize = 100;

/// Words that mean that something is not done.
const UNDONE: &[&str] = &[
    concat!("TO", "DO"),
    concat!("FIX", "ME"),
    concat!("XX", "X:"),
    concat!("#[ig", "nore"),
    concat!("test.", "skip("),
    concat!("test.", "only("),
];

/// Ways to wait for a length of time, and the files that may: file, reason.
const SLEEPS: &[&str] = &[
    concat!("thread::", "sleep"),
    concat!("time::", "sleep("),
    concat!("set", "Timeout("),
    concat!("time.", "sleep("),
];
const SLEEPERS: &[(&str, &str)] = &[(
    "tests/interop/lib/wait.mjs",
    "the bound of every wait, and the poll of what has no events",
)];

/// Paths of one machine.
const MACHINE_PATHS: &[&str] = &[concat!("/wo", "rk/"), concat!("/ro", "ot/")];

struct Source {
    /// Relative to `src/`, or to the repository for files outside it.
    path: String,
    text: String,
}

impl Source {
    /// The lines before the tests, with their numbers.
    fn own_lines(&self) -> impl Iterator<Item = (usize, &str)> {
        let is_test = |line: &str| line.trim_start().starts_with("#[cfg(test)]");
        let lines = self
            .text
            .lines()
            .enumerate()
            .map(|(at, line)| (at + 1, line));
        let is_test_file = self.path.ends_with("tests.rs") || self.path.contains("/tests/");
        lines.take_while(move |(_, line)| !is_test_file && !is_test(line))
    }

    /// The same without comments and without what stands in string literals of one line.
    fn own_code(&self) -> impl Iterator<Item = (usize, String)> {
        self.own_lines().map(|(at, line)| (at, code_of(line)))
    }
}

#[test]
fn a_file_imports_its_own_folder_and_lower_floors() {
    let mut found = Vec::new();
    for source in sources() {
        let Some((own, floor)) = place_of(&source.path) else {
            continue;
        };
        for (at, code) in source.own_code() {
            for module in imports(&code) {
                let Some(&(_, other)) = FLOORS.iter().find(|(name, _)| *name == module) else {
                    continue;
                };
                let is_excepted = FLOOR_EXCEPTIONS
                    .iter()
                    .any(|(path, name, _)| *path == source.path && *name == module);
                if module != own && other >= floor && !is_excepted {
                    found.push(format!(
                        "src/{}:{at}: `{own}` (floor {floor}) imports `{module}` (floor {other})",
                        source.path
                    ));
                }
            }
        }
    }
    none("imports that go up or sideways", &found);
}

#[test]
fn every_module_has_a_floor() {
    let found: Vec<_> = sources()
        .iter()
        .filter(|source| !["lib.rs", "main.rs"].contains(&source.path.as_str()))
        .filter(|source| place_of(&source.path).is_none())
        .map(|source| format!("src/{}: add its module to FLOORS", source.path))
        .collect();
    none("files without a floor", &found);
}

#[test]
fn a_crate_is_named_only_at_its_address() {
    let mut found = Vec::new();
    for source in sources() {
        for (at, code) in source.own_code() {
            for (name, addresses) in ADDRESSES {
                let is_home = addresses
                    .iter()
                    .any(|address| source.path.starts_with(address));
                if !is_home && source.path != "main.rs" && names(&code, &format!("{name}::")) {
                    found.push(format!(
                        "src/{}:{at}: {name} outside {addresses:?}",
                        source.path
                    ));
                }
            }
        }
    }
    none("crates away from their address", &found);
}

#[test]
fn clocks_and_dice_are_in_one_file() {
    let mut found = Vec::new();
    for source in sources().iter().filter(|source| source.path != CLOCK) {
        for (at, code) in source.own_code() {
            for what in CLOCKS_AND_DICE.iter().filter(|what| names(&code, what)) {
                found.push(format!("src/{}:{at}: {what}", source.path));
            }
        }
    }
    none("clocks and dice outside src/server/clock.rs", &found);
}

#[test]
fn unsafe_is_nowhere() {
    let mut found = Vec::new();
    for source in sources() {
        for (at, line) in source.text.lines().enumerate() {
            if words(&code_of(line)).any(|word| word == "unsafe") {
                found.push(format!("src/{}:{}", source.path, at + 1));
            }
        }
    }
    none("unsafe code", &found);
}

#[test]
fn a_file_says_first_what_it_owns() {
    let found: Vec<_> = sources()
        .iter()
        .filter(|source| !source.text.starts_with("//! "))
        .map(|source| format!("src/{}", source.path))
        .collect();
    none("files that do not begin with `//! `", &found);
}

#[test]
fn files_functions_and_lines_are_short() {
    let mut found = Vec::new();
    for source in sources() {
        let lines = source.own_lines().count();
        if lines > FILE_LINES_MAX {
            found.push(format!("src/{}: {lines} lines without tests", source.path));
        }
        for (at, line) in source.text.lines().enumerate() {
            let is_comment = line.trim_start().starts_with("//");
            let most = if is_comment {
                COMMENT_COLUMNS_MAX
            } else {
                CODE_COLUMNS_MAX
            };
            let columns = line.chars().count();
            if columns > most {
                found.push(format!("src/{}:{}: {columns} columns", source.path, at + 1));
            }
        }
        for (at, name, length) in functions(&source) {
            if length > FUNCTION_LINES_MAX {
                found.push(format!(
                    "src/{}:{at}: fn {name} has {length} lines",
                    source.path
                ));
            }
        }
    }
    none(
        "files over 400, functions over 70 lines, lines over 100 columns",
        &found,
    );
}

#[test]
fn nothing_is_left_undone_and_no_test_is_passed_over() {
    let found = occurrences(
        &files_under(&["src", "tests", "benches", "fuzz", "scripts"]),
        UNDONE,
    );
    none("words that mean that something is not done", &found);
}

#[test]
fn no_test_sleeps() {
    let files: Vec<_> = files_under(&["tests", "src"])
        .into_iter()
        .filter(|source| source.path.starts_with("tests/"))
        .filter(|source| !SLEEPERS.iter().any(|(path, _)| *path == source.path))
        .collect();
    none("waits for a length of time", &occurrences(&files, SLEEPS));
}

#[test]
fn no_path_of_one_machine_is_in_the_repository() {
    let folders = [
        "src",
        "tests",
        "benches",
        "fuzz",
        "scripts",
        "docs",
        "migrations",
        "contrib",
        "clients",
        "web",
    ];
    let mut files = files_under(&folders);
    for name in [
        "Makefile",
        "README.md",
        "CONTRIBUTING.md",
        "CHANGELOG.md",
        ".ci/run",
    ] {
        if let Ok(text) = fs::read_to_string(repository().join(name)) {
            files.push(Source {
                path: name.into(),
                text,
            });
        }
    }
    none("paths of one machine", &occurrences(&files, MACHINE_PATHS));
}

#[test]
fn every_rule_has_a_test_and_every_number_a_rule() {
    let rules = rules();
    let groups: BTreeSet<_> = rules.keys().map(|rule| group_of(rule)).collect();
    let tests = tested_rules();
    let mut found = Vec::new();
    for (rule, place) in &rules {
        if !tests.contains_key(rule) {
            found.push(format!("{place}: {rule} has no test"));
        }
    }
    for (rule, place) in &tests {
        if groups.contains(&group_of(rule)) && !rules.contains_key(rule) {
            found.push(format!("{place}: {rule} is no rule of docs/SPEC.md"));
        }
    }
    none("rules without a test, or tests without a rule", &found);
}

/// Rules of the specification: number to place. A rule is a line `- **KE3** An ack waits ...`.
fn rules() -> BTreeMap<String, String> {
    let docs = files_under(&["docs"]);
    let is_spec = |path: &str| path == "docs/SPEC.md";
    let mut rules = BTreeMap::new();
    for source in docs.iter().filter(|source| is_spec(&source.path)) {
        for (at, line) in source.text.lines().enumerate() {
            let Some(rest) = line.strip_prefix("- **") else {
                continue;
            };
            let Some((number, sentence)) = rest.split_once("** ") else {
                continue;
            };
            if !is_rule(number) || sentence.is_empty() {
                continue;
            }
            let place = format!("{}:{}", source.path, at + 1);
            if let Some(other) = rules.insert(number.to_owned(), place.clone()) {
                panic!("{number} is a rule twice: {other} and {place}");
            }
        }
    }
    rules
}

/// Rules that tests name: `fn ke3_...` in Rust and Python, a title that begins with `KE3 ` in JavaScript.
fn tested_rules() -> BTreeMap<String, String> {
    let mut tested = BTreeMap::new();
    for source in files_under(&["src", "tests"]) {
        for (at, line) in source.text.lines().enumerate() {
            let place = format!("{}:{}", source.path, at + 1);
            for rule in rules_named(line, source.path.ends_with(".mjs")) {
                tested.entry(rule).or_insert_with(|| place.clone());
            }
        }
    }
    tested
}

fn rules_named(line: &str, is_script: bool) -> Vec<String> {
    let line = line.trim_start();
    if is_script {
        let Some((call, title)) = line.split_once(['\'', '`']) else {
            return Vec::new();
        };
        if !["check(", "test(", "it("].contains(&call) {
            return Vec::new();
        }
        let numbers = title.split([' ', ':']).take_while(|word| is_rule(word));
        return numbers.map(str::to_owned).collect();
    }
    let Some((_, rest)) = line
        .split_once("fn ")
        .or_else(|| line.split_once("def test_"))
    else {
        return Vec::new();
    };
    let number = rest.split('_').next().unwrap_or_default().to_uppercase();
    if is_rule(&number) && rest.contains('_') {
        vec![number]
    } else {
        Vec::new()
    }
}

/// Two capital letters and a number.
fn is_rule(word: &str) -> bool {
    let group = group_of(word);
    let digits = &word[group.len()..];
    group.len() == 2
        && group.chars().all(|c| c.is_ascii_uppercase())
        && !digits.is_empty()
        && digits.chars().all(|c| c.is_ascii_digit())
}

fn group_of(rule: &str) -> &str {
    let end = rule.char_indices().nth(2).map_or(rule.len(), |(at, _)| at);
    &rule[..end]
}

/// The module a file belongs to, and its floor. The crate's root and the commands have none.
fn place_of(path: &str) -> Option<(&'static str, u8)> {
    let module = path.split('/').next()?.trim_end_matches(".rs");
    FLOORS.iter().find(|(name, _)| *name == module).copied()
}

/// The modules that a line names after `crate::`, also those of `crate::{a, b::c}`.
fn imports(code: &str) -> Vec<&str> {
    let mut modules = Vec::new();
    for (at, _) in code.match_indices("crate::") {
        let rest = &code[at + "crate::".len()..];
        match rest.strip_prefix('{') {
            Some(list) => modules.extend(list.split(',').map(str::trim).map(first_word)),
            None => modules.push(first_word(rest)),
        }
    }
    modules
}

fn first_word(text: &str) -> &str {
    let end = text
        .find(|c: char| !c.is_alphanumeric() && c != '_')
        .unwrap_or(text.len());
    &text[..end]
}

fn words(code: &str) -> impl Iterator<Item = &str> {
    code.split(|c: char| !c.is_alphanumeric() && c != '_')
}

/// Whether the code has the path, and not as the end of a longer name.
fn names(code: &str, path: &str) -> bool {
    code.match_indices(path).any(|(at, _)| {
        let before = code[..at].chars().next_back();
        !before.is_some_and(|c| c.is_alphanumeric() || c == '_' || c == ':')
            || path.contains("::now")
            || path.contains("Uuid")
    })
}

/// The line without its comment and without the contents of its string literals.
fn code_of(line: &str) -> String {
    let mut code = String::with_capacity(line.len());
    let mut chars = line.chars().peekable();
    let mut is_string = false;
    while let Some(c) = chars.next() {
        match c {
            '\\' if is_string => {
                chars.next();
            }
            '"' => {
                is_string = !is_string;
                code.push(c);
            }
            '/' if !is_string && chars.peek() == Some(&'/') => break,
            _ if is_string => {}
            _ => code.push(c),
        }
    }
    code
}

/// Functions of a formatted file outside its tests: first line, name, length.
fn functions(source: &Source) -> Vec<(usize, String, usize)> {
    let lines: Vec<_> = source.own_lines().map(|(_, line)| line).collect();
    let mut found = Vec::new();
    for (at, line) in lines.iter().enumerate() {
        let code = code_of(line);
        let Some((before, after)) = code.split_once("fn ") else {
            continue;
        };
        let qualifiers = ["pub", "pub(crate)", "pub(super)", "const", "async", ""];
        if !before
            .trim()
            .split(' ')
            .all(|word| qualifiers.contains(&word))
        {
            continue;
        }
        let indent = line.len() - line.trim_start().len();
        let end = format!("{}}}", " ".repeat(indent));
        let length = lines[at..]
            .iter()
            .position(|line| *line == end)
            .map_or(1, |n| n + 1);
        let is_declaration = lines[at..at + length]
            .iter()
            .take_while(|line| !line.contains('{'))
            .any(|line| line.trim_end().ends_with(';'));
        if !is_declaration {
            found.push((at + 1, first_word(after).to_owned(), length));
        }
    }
    found
}

fn occurrences(files: &[Source], needles: &[&str]) -> Vec<String> {
    let mut found = Vec::new();
    for source in files {
        for (at, line) in source.text.lines().enumerate() {
            for needle in needles.iter().filter(|needle| line.contains(**needle)) {
                found.push(format!("{}:{}: {needle}", source.path, at + 1));
            }
        }
    }
    found
}

fn sources() -> Vec<Source> {
    let mut sources = files_under(&["src"]);
    for source in &mut sources {
        source.path = source.path.trim_start_matches("src/").to_owned();
    }
    sources.retain(|source| source.path.ends_with(".rs"));
    assert!(!sources.is_empty(), "there is something to check");
    sources
}

/// All text files under folders of the repository, without what is built or installed there.
fn files_under(folders: &[&str]) -> Vec<Source> {
    let mut files = Vec::new();
    for folder in folders {
        walk(&repository().join(folder), &mut files);
    }
    files.sort_by(|a, b| a.path.cmp(&b.path));
    files
}

fn walk(folder: &Path, files: &mut Vec<Source>) {
    let Ok(entries) = fs::read_dir(folder) else {
        return;
    };
    for entry in entries.flatten() {
        let path = entry.path();
        let name = entry.file_name().to_string_lossy().into_owned();
        if path.is_dir() {
            let built = [
                "node_modules",
                "target",
                "__pycache__",
                "dist",
                "corpus",
                "artifacts",
            ];
            if !built.contains(&name.as_str()) && !name.starts_with('.') {
                walk(&path, files);
            }
        } else if let Ok(text) = fs::read_to_string(&path) {
            let relative = path
                .strip_prefix(repository())
                .expect("a file is under its folder");
            files.push(Source {
                path: relative.to_string_lossy().replace('\\', "/"),
                text,
            });
        }
    }
}

fn repository() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

fn none(what: &str, found: &[String]) {
    assert!(
        found.is_empty(),
        "expected: no {what}\nseen:\n  {}",
        found.join("\n  ")
    );
}
