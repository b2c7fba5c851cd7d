//! From words to options: curl's ways of writing them, brought into one form.
//!
//! Owns bundles (`-sSo FILE`, `-oFILE`), `--no-NAME`, `-:` and `--next`, `--`, `--expand-NAME` and
//! config files in curl's syntax. What comes out is `--name` or `--name=value`, one
//! word each, in the order typed, a list for each group; `args` gives them their types.
#![expect(
    clippy::indexing_slicing,
    clippy::string_slice,
    reason = "a bundle has its dash, and letters their places; a row of distances has one more than the name has letters"
)]

use std::ffi::{OsStr, OsString};
use std::io::Read;
use std::path::{Path, PathBuf};

use super::absent;
use super::args::Args;
use super::plan::Usage;
use super::variables::Variables;

/// Config files may name further ones this deep.
const MAX_DEPTH: u32 = 10;

/// What the words came to.
#[derive(Debug, Default)]
pub struct Words {
    /// For each group between `--next`, its options in order.
    pub groups: Vec<Vec<OsString>>,
    /// `--stderr`, the last one: it holds for what is said of all other words, too.
    pub stderr: Option<PathBuf>,
    /// Remarks about config files.
    pub warnings: Vec<String>,
}

struct Lexer {
    /// How many config files are open.
    depth: u32,
    variables: Variables,
    words: Words,
}

/// Whether an option of this name takes a value; `None`: there is none.
fn takes_value(name: &str) -> Option<bool> {
    let takes =
        |name| Args::option(name).map(|option| option.name != "help" && option.takes_value());
    match name.strip_prefix("expand-") {
        Some(plain) => takes(plain).filter(|&takes| takes),
        None => takes(name),
    }
}

fn is_flag(name: &str) -> bool {
    takes_value(name) == Some(false)
}

/// Brings the words after the program's name into one form.
pub fn lex(words: &[OsString], default_config: Option<&Path>) -> Result<Words, Usage> {
    let mut lexer = Lexer { depth: 0, variables: Variables::default(), words: Words::default() };
    lexer.words.groups.push(Vec::new());
    if let Some(path) = default_config {
        lexer.config(path)?;
    }
    lexer.run(words)?;
    Ok(lexer.words)
}

impl Lexer {
    fn run(&mut self, words: &[OsString]) -> Result<(), Usage> {
        let mut rest = words.iter();
        let mut only_urls = false;
        while let Some(word) = rest.next() {
            let Some(text) = word.to_str() else {
                return Err(format!(
                    "{} is not UTF-8 (in a URL: percent-encode it)",
                    word.display()
                )
                .into());
            };
            if only_urls || text == "-" || !text.starts_with('-') {
                self.push("url", Some(OsStr::new(text)));
            } else if text == "--" {
                only_urls = true;
            } else if let Some(name) = text.strip_prefix("--") {
                let (name, value) = match name.split_once('=') {
                    Some((name, value)) if takes_value(name).is_some() => {
                        (name, Some(OsString::from(value)))
                    }
                    _ => (name, None),
                };
                if name == "help" {
                    // curl's category follows as a word of its own.
                    let category = value.or_else(|| rest.next().cloned());
                    self.push("help", category.as_deref());
                } else {
                    self.long(name, value, &mut || rest.next().cloned())?;
                }
            } else {
                self.bundle(text, &mut rest)?;
            }
        }
        Ok(())
    }

    /// `-sSo FILE`: letters until one takes a value, which is the rest of the word or the next one.
    fn bundle<'a>(
        &mut self,
        text: &str,
        rest: &mut impl Iterator<Item = &'a OsString>,
    ) -> Result<(), Usage> {
        let letters = text[1..].char_indices();
        for (at, letter) in letters {
            let mut options = Args::options().map(|(_, option)| option);
            let Some(option) = options.find(|option| option.short == Some(letter)) else {
                let text = absent::short(letter).unwrap_or_else(|| {
                    format!("option -{letter} is unknown (gannet --help all lists what there is)")
                });
                return Err(text.into());
            };
            let name = option.name;
            if name == "help" {
                let category = rest.next().cloned();
                self.push("help", category.as_deref());
                return Ok(());
            }
            if option.takes_value() {
                let attached = &text[1 + at + letter.len_utf8()..];
                let attached = (!attached.is_empty()).then(|| OsString::from(attached));
                return self.long(name, attached, &mut || rest.next().cloned());
            }
            self.flag(name)?;
        }
        Ok(())
    }

    fn long(
        &mut self,
        name: &str,
        value: Option<OsString>,
        next: &mut dyn FnMut() -> Option<OsString>,
    ) -> Result<(), Usage> {
        match takes_value(name) {
            Some(true) => {
                let Some(value) = value.or_else(next) else {
                    return Err(format!("option --{name} requires a value").into());
                };
                let (name, value) = match name.strip_prefix("expand-") {
                    Some(plain) => (plain, self.expanded(plain, &value)?),
                    None => (name, value),
                };
                match name {
                    "config" => return self.config(Path::new(&value)),
                    "variable" => {
                        let text = value.to_str().ok_or_else(|| {
                            Usage::from(
                                "--variable: its value is not UTF-8; NAME@FILE takes other bytes"
                                    .to_owned(),
                            )
                        })?;
                        return self.variables.set(text);
                    }
                    "stderr" => self.words.stderr = Some(PathBuf::from(&value)),
                    _ => {}
                }
                self.push(name, Some(&value));
                Ok(())
            }
            Some(false) if value.is_some() => Err(format!("option --{name} takes no value").into()),
            Some(false) => self.flag(name),
            None => {
                match name.strip_prefix("no-").filter(|plain| is_flag(plain)) {
                    // As curl: this URL's body goes to standard output, where --remote-name-all has
                    // given names to all of them; else there is nothing to take back.
                    Some("remote-name") => {
                        let all = |word: &OsString| word == "--remote-name-all";
                        if self.words.groups.last().is_some_and(|group| group.iter().any(all)) {
                            self.push("output", Some(OsStr::new("-")));
                        }
                        Ok(())
                    }
                    Some(plain) => {
                        let word = OsString::from(format!("--{plain}"));
                        if let Some(group) = self.words.groups.last_mut() {
                            group.retain(|have| *have != word);
                        }
                        Ok(())
                    }
                    // `--progress-meter` after `--no-progress-meter`.
                    None if is_flag(&format!("no-{name}")) => {
                        let word = OsString::from(format!("--no-{name}"));
                        if let Some(group) = self.words.groups.last_mut() {
                            group.retain(|have| *have != word);
                        }
                        Ok(())
                    }
                    None => Err(absent::long(name).unwrap_or_else(|| unknown(name)).into()),
                }
            }
        }
    }

    /// `--expand-NAME`. What was typed may be a secret as well, and is not repeated.
    fn expanded(&mut self, name: &str, value: &OsStr) -> Result<OsString, Usage> {
        let bad = || Usage::from(format!("--expand-{name}: its value is not UTF-8"));
        let text = value.to_str().ok_or_else(bad)?;
        let warnings = &mut self.words.warnings;
        self.variables.expand(text, &format!("--expand-{name}"), warnings).map(Into::into)
    }

    fn flag(&mut self, name: &str) -> Result<(), Usage> {
        if name == "next" {
            let has_url = |word: &OsString| word.as_encoded_bytes().starts_with(b"--url=");
            if !self.words.groups.last().is_some_and(|group| group.iter().any(has_url)) {
                // As curl: files of options that each begin a group may be put one behind the other.
                if self.depth > 0 {
                    return Ok(());
                }
                return Err("--next stands between URLs, and there is none before it"
                    .to_owned()
                    .into());
            }
            self.words.groups.push(Vec::new());
            return Ok(());
        }
        self.push(name, None);
        Ok(())
    }

    fn push(&mut self, name: &str, value: Option<&OsStr>) {
        let mut word = OsString::from(format!("--{name}"));
        if let Some(value) = value {
            word.push("=");
            word.push(value);
        }
        if let Some(group) = self.words.groups.last_mut() {
            group.push(word);
        }
    }

    fn config(&mut self, path: &Path) -> Result<(), Usage> {
        if self.depth >= MAX_DEPTH {
            return Err(format!(
                "config files name each other more than {MAX_DEPTH} deep ({})",
                path.display()
            )
            .into());
        }
        self.depth += 1;
        let result = self.config_lines(path);
        self.depth -= 1;
        result
    }

    fn config_lines(&mut self, path: &Path) -> Result<(), Usage> {
        let mut bytes = Vec::new();
        let read = if path == Path::new("-") {
            std::io::stdin().lock().read_to_end(&mut bytes)
        } else {
            std::fs::File::open(path).and_then(|mut file| file.read_to_end(&mut bytes))
        };
        read.map_err(|error| {
            Usage::unread(format!("can't read the config file {}: {error}", path.display()))
        })?;
        let text = String::from_utf8(bytes)
            .map_err(|_| format!("the config file {} is not UTF-8", path.display()))?;
        for (number, line) in text.trim_start_matches('\u{feff}').lines().enumerate() {
            let place = || format!("{}:{}", path.display(), number + 1);
            let Some(entry) = config_line(line).map_err(|error| format!("{}: {error}", place()))?
            else {
                continue;
            };
            if let Some(remark) = entry.remark {
                self.words.warnings.push(format!(
                    "{}: option '{}' {remark}",
                    place(),
                    entry.option
                ));
            }
            let at_place = |error: Usage| error.at(&place());
            let name = entry.option.strip_prefix("--").unwrap_or(&entry.option);
            let value = entry.value.map(OsString::from);
            match name.strip_prefix('-') {
                Some(_) => {
                    let words: Vec<OsString> =
                        std::iter::once(OsString::from(name)).chain(value).collect();
                    self.run(&words).map_err(at_place)?;
                }
                None => {
                    let mut value = value;
                    self.long(name, None, &mut || value.take()).map_err(at_place)?;
                    if value.is_some() {
                        return Err(at_place(format!("option --{name} takes no value").into()));
                    }
                }
            }
        }
        Ok(())
    }
}

fn unknown(name: &str) -> String {
    let near = Args::options()
        .flat_map(|(_, option)| option.names())
        .filter(|known| known.starts_with(name) || distance(known, name) <= 2)
        .min_by_key(|known| (distance(known, name), known.len(), *known));
    match near {
        Some(near) => format!("option --{name} is unknown; did you mean --{near}?"),
        None => format!("option --{name} is unknown (gannet --help all lists what there is)"),
    }
}

/// Letters to change, add or drop to come from one name to the other.
fn distance(one: &str, other: &str) -> usize {
    let mut row: Vec<usize> = (0..=other.len()).collect();
    for (i, a) in one.bytes().enumerate() {
        let mut corner = i;
        row[0] = i + 1;
        for (j, b) in other.bytes().enumerate() {
            let cost = (corner + usize::from(a != b)).min(row[j] + 1).min(row[j + 1] + 1);
            corner = row[j + 1];
            row[j + 1] = cost;
        }
    }
    row[other.len()]
}

/// What a line of a config file says.
#[derive(Debug, PartialEq, Eq)]
pub struct Entry {
    pub option: String,
    pub value: Option<String>,
    pub remark: Option<&'static str>,
}

/// One line of a config file.
pub fn config_line(line: &str) -> Result<Option<Entry>, String> {
    let line = line.trim_start_matches([' ', '\t', '\r', '\u{b}', '\u{c}']);
    if line.is_empty() || line.starts_with('#') {
        return Ok(None);
    }
    let dashed = line.starts_with('-');
    let separates =
        |c: char| c == ' ' || c == '\t' || c == '\r' || (!dashed && (c == '=' || c == ':'));
    let end = line.find(separates).unwrap_or(line.len());
    let (option, rest) = line.split_at(end);
    let rest = rest.trim_start_matches(separates);
    let mut remark = None;
    let value = if let Some(quoted) = rest.strip_prefix('"') {
        Some(unquote(quoted))
    } else {
        let end = rest.find([' ', '\t', '\r']).unwrap_or(rest.len());
        let (value, after) = rest.split_at(end);
        let after = after.trim_matches([' ', '\t', '\r']);
        if value.starts_with('\'') {
            remark =
                Some("has a value in single quotes, which have no meaning here: use double quotes");
        } else if !after.is_empty() && !after.starts_with('#') {
            remark = Some("has a value with blanks and without quotes: only its first word counts");
        }
        (!value.is_empty()).then(|| value.to_owned())
    };
    if option.is_empty() {
        return Err("there is no option before the value".to_owned());
    }
    Ok(Some(Entry { option: option.to_owned(), value, remark }))
}

fn unquote(text: &str) -> String {
    let mut out = String::new();
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        match c {
            '"' => break,
            '\\' => match chars.next() {
                Some('t') => out.push('\t'),
                Some('n') => out.push('\n'),
                Some('r') => out.push('\r'),
                Some('v') => out.push('\u{b}'),
                Some(other) => out.push(other),
                None => out.push('\\'),
            },
            other => out.push(other),
        }
    }
    out
}

/// The default config file: `GANNET_CONFIG`, or `gannet/config` in the user's configuration
/// folder if it is there.
pub fn default_config(variable: impl Fn(&str) -> Option<OsString>) -> Option<PathBuf> {
    let set = |name: &str| variable(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    if let Some(path) = set("GANNET_CONFIG") {
        return Some(path);
    }
    let folder = if cfg!(windows) {
        set("APPDATA")?
    } else {
        set("XDG_CONFIG_HOME").or_else(|| set("HOME").map(|home| home.join(".config")))?
    };
    let path = folder.join("gannet").join("config");
    path.is_file().then_some(path)
}

#[cfg(test)]
mod tests {

    use super::*;

    fn words(line: &[&str]) -> Result<Vec<Vec<String>>, String> {
        let line: Vec<OsString> = line.iter().map(OsString::from).collect();
        let groups = lex(&line, None).map_err(|usage| usage.text)?.groups;
        Ok(groups
            .into_iter()
            .map(|group| group.into_iter().map(|w| w.into_string().unwrap()).collect())
            .collect())
    }

    #[test]
    fn curls_ways_of_writing_options() {
        let table: &[(&[&str], &[&str])] = &[
            (&["http://a/"], &["--url=http://a/"]),
            (&["-o", "x", "a"], &["--output=x", "--url=a"]),
            (&["-ox", "a"], &["--output=x", "--url=a"]),
            (
                &["-sSfLo", "x", "a"],
                &["--silent", "--show-error", "--fail", "--location", "--output=x", "--url=a"],
            ),
            (
                &["-sSfLox", "a"],
                &["--silent", "--show-error", "--fail", "--location", "--output=x", "--url=a"],
            ),
            (&["-dFOO", "-d", "-x"], &["--data=FOO", "--data=-x"]),
            (&["-o", "-", "a"], &["--output=-", "--url=a"]),
            (&["-d", ""], &["--data="]),
            (&["--data=a=b"], &["--data=a=b"]),
            (&["--output", "--next"], &["--output=--next"]),
            (&["-L", "--no-location", "a"], &["--url=a"]),
            (&["-O", "--no-remote-name"], &["--remote-name"]),
            (
                &["--remote-name-all", "--no-remote-name", "a"],
                &["--remote-name-all", "--output=-", "--url=a"],
            ),
            (&["--no-progress-meter", "--progress-meter"], &[]),
            (&["--", "-x"], &["--url=-x"]),
            (&["-OO", "a", "b"], &["--remote-name", "--remote-name", "--url=a", "--url=b"]),
            (&["--help", "all"], &["--help=all"]),
            (&["-h"], &["--help"]),
            (&["-H", "K;"], &["--header=K;"]),
            (&["--parallel-max-host", "4"], &["--parallel-max-host=4"]),
            (&["-#N1"], &["--progress-bar", "--no-buffer", "--tlsv1"]),
            (
                &[
                    "--variable",
                    "a=x",
                    "--expand-url=u/{{a}}",
                    "--expand-url",
                    "{{b}}v",
                    "--url={{a}}",
                ],
                &["--url=u/x", "--url=v", "--url={{a}}"],
            ),
        ];
        for (line, want) in table {
            assert_eq!(words(line).unwrap(), vec![want.to_vec()], "{line:?}");
        }
        assert_eq!(
            words(&["a", "-s:", "b"]).unwrap(),
            [vec!["--url=a", "--silent"], vec!["--url=b"]]
        );
    }

    #[test]
    fn what_is_not_there_is_said() {
        let table: &[(&[&str], &str)] = &[
            (&["--outptu", "x"], "did you mean --output?"),
            (&["--nothing-like-it-at-all"], "is unknown"),
            (&["-c", "a"], "later version"),
            (&["-s0", "a"], "does not have curl's --http1.0"),
            (&["--ssl-reqd"], "speaks HTTP and HTTPS"),
            (&["--no-sessionid"], "rustls"),
            (&["--expand-url"], "requires a value"),
            (&["--expand-silent"], "--silent has no value"),
            (&["-sFa=b"], "later version"),
            (&["--proxy", "http://p/"], "later version"),
            (&["--warc", "x"], "later version"),
            (&["-o"], "requires a value"),
            (&["--silent=yes"], "takes no value"),
            (&["-K", "/no/such/file"], "can't read the config file"),
            (&["--variable", "a@/no/such/file"], "can't read /no/such/file"),
        ];
        for (line, want) in table {
            let error = words(line).unwrap_err();
            assert!(error.contains(want), "{line:?}: {error}");
        }
    }

    #[test]
    fn config_lines_are_curls() {
        let table: &[(&str, Option<(&str, Option<&str>)>)] = &[
            ("", None),
            ("  # comment", None),
            ("url = example.org", Some(("url", Some("example.org")))),
            ("url=\"http://a/b c\"", Some(("url", Some("http://a/b c")))),
            ("url: x", Some(("url", Some("x")))),
            ("-L", Some(("-L", None))),
            ("--output = x", Some(("--output", Some("=")))),
            ("-o x # why", Some(("-o", Some("x")))),
            ("data \"a\\\"b\\n\\t\\q\" rest", Some(("data", Some("a\"b\n\tq")))),
            ("user-agent \"\"", Some(("user-agent", Some("")))),
            ("location\r", Some(("location", None))),
        ];
        for (line, want) in table {
            let got = config_line(line).unwrap();
            let got = got.as_ref().map(|entry| (entry.option.as_str(), entry.value.as_deref()));
            assert_eq!(got, *want, "{line:?}");
        }
        assert!(config_line("data a b").unwrap().unwrap().remark.is_some());
        assert!(config_line("data 'a").unwrap().unwrap().remark.is_some());
    }

    #[test]
    fn config_files_stand_where_they_are_named() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("config");
        std::fs::write(
            &path,
            "\u{feff}# mine\nlocation\n-o \"a b\"\nurl = x\nnext\n-sS\nurl = y\n",
        )
        .unwrap();
        let file = path.to_str().unwrap();
        let want = [
            vec!["--compressed", "--location", "--output=a b", "--url=x"],
            vec!["--silent", "--show-error", "--url=y", "--url=z"],
        ];
        assert_eq!(words(&["--compressed", "-K", file, "z"]).unwrap(), want);
        std::fs::write(&path, format!("-K {file}\n")).unwrap();
        assert!(words(&["-K", file]).unwrap_err().contains("10 deep"));
    }
}
