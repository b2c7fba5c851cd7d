//! `--variable` and `--expand-NAME`: values that are put together before an option sees them.
//!
//! Owns curl's grammar of both: names, byte ranges, `{{name:function}}`. Reads the environment and the
//! files that a variable is set from. Never knows what an option means; what a variable holds, and what
//! is typed around it, stands in no message, since it may be a secret.
#![expect(
    clippy::indexing_slicing,
    clippy::string_slice,
    reason = "braces and brackets are found before they are cut off; what is cut of a value is clamped to it"
)]

use std::io::{self, Read};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::json;
use super::plan::Usage;
use crate::fetch::form;

/// Bytes of a name, at most.
const MAX_NAME: usize = 127;

/// The variables that were set, the latest last.
#[derive(Debug, Default)]
pub struct Variables(Vec<(String, Vec<u8>)>);

/// Which bytes of a source count: from the first to the last, both included.
type Bytes = (u64, u64);

fn is_name(text: &str) -> bool {
    (1..=MAX_NAME).contains(&text.len())
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
}

impl Variables {
    /// `--variable`: `name=content`, `name@file`, `%name` out of the environment, and the two together.
    pub fn set(&mut self, text: &str) -> Result<(), Usage> {
        let (import, rest) = match text.strip_prefix('%') {
            Some(rest) => (true, rest),
            None => (false, text),
        };
        let end = rest.find(['=', '@', '[']).unwrap_or(rest.len());
        let (name, mut source) = rest.split_at(end);
        if !is_name(name) {
            return Err(format!(
                "--variable: a name has 1 to {MAX_NAME} letters, digits and _, and then = or @; '{name}' is none"
            )
            .into());
        }
        let mut bytes = (0, u64::MAX);
        if source.starts_with('[') {
            let bad =
                || Usage::from(format!("--variable {name}: [FIRST-LAST] or [FIRST-] is meant"));
            let (range, after) = source[1..].split_once(']').ok_or_else(bad)?;
            bytes = range_of(range).ok_or_else(bad)?;
            source = after;
        }
        let found = if import { std::env::var_os(name) } else { None };
        let value = match (found, source.split_at_checked(1)) {
            (Some(value), _) => part(value.as_encoded_bytes(), bytes),
            (None, Some(("=", content))) => part(content.as_bytes(), bytes),
            (None, Some(("@", file))) => part_of_file(file, bytes)
                .map_err(|error| Usage::unread(format!("can't read {file}: {error}")))?,
            (None, _) if import => {
                return Err(format!("--variable %{name}: the environment has no {name}").into());
            }
            (None, _) => {
                return Err(format!("--variable {name}: =CONTENT or @FILE has to follow").into());
            }
        };
        self.0.push((name.to_owned(), value));
        Ok(())
    }

    /// The value of an `--expand-NAME`, `{{name}}` replaced by what the variable holds. `option`: the
    /// one that remarks are about.
    pub fn expand(
        &self,
        text: &str,
        option: &str,
        warnings: &mut Vec<String>,
    ) -> Result<String, Usage> {
        let mut out = String::with_capacity(text.len());
        let mut rest = text;
        while let Some(at) = rest.find("{{") {
            let (before, from) = rest.split_at(at);
            if let Some(before) = before.strip_suffix('\\') {
                out.push_str(before);
                out.push_str("{{");
                rest = &from[2..];
                continue;
            }
            let Some(end) = from.find("}}") else {
                warnings.push(format!("{option}: a {{{{ is not closed by }}}}, it stays as it is"));
                break;
            };
            out.push_str(before);
            let (name, functions) = match from[2..end].split_once(':') {
                Some((name, functions)) => (name, Some(functions)),
                None => (&from[2..end], None),
            };
            if is_name(name) {
                out.push_str(&self.value(name, functions, warnings)?);
            } else {
                warnings.push(format!(
                    "{option}: what stands between {{{{ and }}}} is no name of a variable, it stays as it is"
                ));
                out.push_str(&from[..end + 2]);
            }
            rest = &from[end + 2..];
        }
        out.push_str(rest);
        Ok(out)
    }

    fn value(
        &self,
        name: &str,
        functions: Option<&str>,
        warnings: &mut Vec<String>,
    ) -> Result<String, Usage> {
        let mut value = match self.0.iter().rfind(|(known, _)| known == name) {
            Some((_, value)) => value.clone(),
            None => {
                warnings.push(format!("there is no variable {name}: nothing stands for it"));
                Vec::new()
            }
        };
        for function in functions.into_iter().flat_map(|functions| functions.split(':')) {
            value = apply(function, &value).ok_or_else(|| {
                Usage::from(format!(
                    "'{function}' is no function of variables (trim, json, url, b64, 64dec, with : between)"
                ))
            })?;
        }
        if value.contains(&0) {
            return Err(format!(
                "the variable {name} holds a NUL byte: encode it ({{{{{name}:b64}}}}, :url, :json)"
            )
            .into());
        }
        String::from_utf8(value).map_err(|_| {
            format!("the variable {name} is not UTF-8: encode it ({{{{{name}:b64}}}}, :url)").into()
        })
    }
}

/// `FIRST-LAST` or `FIRST-`.
fn range_of(text: &str) -> Option<Bytes> {
    let number = |text: &str| {
        text.bytes().all(|byte| byte.is_ascii_digit()).then(|| text.parse().ok()).flatten()
    };
    let (first, last) = text.split_once('-')?;
    let first = number(first)?;
    let last = if last.is_empty() { u64::MAX } else { number(last)? };
    (first <= last).then_some((first, last))
}

/// As many of these bytes as there are.
fn part(bytes: &[u8], (first, last): Bytes) -> Vec<u8> {
    let clamp = |at: u64| usize::try_from(at).unwrap_or(usize::MAX).min(bytes.len());
    bytes[clamp(first)..clamp(last.saturating_add(1))].to_vec()
}

/// The same of a file, or of standard input; what lies behind is not read.
fn part_of_file(file: &str, (first, last): Bytes) -> io::Result<Vec<u8>> {
    let mut from: Box<dyn Read> = if file == "-" {
        Box::new(io::stdin().lock())
    } else {
        Box::new(std::fs::File::open(file)?)
    };
    io::copy(&mut from.by_ref().take(first), &mut io::sink())?;
    let mut bytes = Vec::new();
    from.take((last - first).saturating_add(1)).read_to_end(&mut bytes)?;
    Ok(bytes)
}

fn apply(function: &str, value: &[u8]) -> Option<Vec<u8>> {
    let blank = |byte: &u8| matches!(byte, b' ' | b'\t'..=b'\r');
    Some(match function {
        "trim" => {
            let from = value.iter().position(|byte| !blank(byte)).unwrap_or(value.len());
            let to = value.iter().rposition(|byte| !blank(byte)).map_or(from, |at| at + 1);
            value[from..to].to_vec()
        }
        "json" => {
            let mut quoted = Vec::new();
            json::string(value, &mut quoted);
            // The quotes around it are the user's to write.
            quoted[1..quoted.len() - 1].to_vec()
        }
        "url" => {
            let mut out = Vec::new();
            for (at, piece) in value.split(|&byte| byte == b' ').enumerate() {
                if at > 0 {
                    out.extend_from_slice(b"%20");
                }
                form::urlencode(piece, &mut out);
            }
            out
        }
        "b64" => STANDARD.encode(value).into_bytes(),
        "64dec" => STANDARD.decode(value).unwrap_or_else(|_| b"[64dec-fail]".to_vec()),
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with(set: &[&str]) -> Variables {
        let mut variables = Variables::default();
        for text in set {
            variables.set(text).unwrap_or_else(|error| panic!("{text}: {}", error.text));
        }
        variables
    }

    #[test]
    fn variables_stand_where_they_are_named() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("f");
        std::fs::write(&path, "  a b\"\n").unwrap();
        let file = format!("file@{}", path.display());
        let part = format!("part[2-4]@{}", path.display());
        let beyond = format!("beyond[90-99]@{}", path.display());
        let path = std::env::var("PATH").unwrap();
        let variables = with(&[
            "a=1",
            "a=one",
            "empty=",
            "eq==x@y",
            &file,
            &part,
            &beyond,
            "cut[1-2]=abcdef",
            "rest[3-]=abcdef",
            "%PATH",
            "%PATH=other",
            "%GANNET_TEST_NOT_SET=standing in",
            "enc=YWJj",
        ]);
        let table: &[(&str, &str)] = &[
            ("", ""),
            ("plain } {", "plain } {"),
            ("{{a}}", "one"),
            ("<{{a}}{{empty}}{{a}}>", "<oneone>"),
            ("{{eq}}", "=x@y"),
            ("{{file:trim}}|{{part}}|{{beyond}}|", "a b\"|a b||"),
            ("{{file:trim:url}}", "a%20b%22"),
            ("{{file:json}}", "  a b\\\"\\n"),
            ("{{cut}}{{rest}}", "bcdef"),
            ("{{PATH}}", &path),
            ("{{GANNET_TEST_NOT_SET:b64}}", "c3RhbmRpbmcgaW4="),
            ("{{enc:64dec:b64:64dec}}", "abc"),
            ("{{a:64dec}}", "[64dec-fail]"),
            ("\\{{a}} {{a}}", "{{a}} one"),
            ("\\{{a}}", "{{a}}"),
        ];
        for (text, want) in table {
            let mut warnings = Vec::new();
            let got = variables.expand(text, "--expand-data", &mut warnings);
            assert_eq!(got.unwrap_or_else(|error| panic!("{text}: {}", error.text)), *want);
            assert_eq!(warnings, [""; 0], "{text}");
        }
    }

    #[test]
    fn what_is_odd_is_said_and_what_is_wrong_refused() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("f");
        std::fs::write(&path, b"\0a\xff").unwrap();
        let at = |name: &str| format!("{name}@{}", path.display());
        let variables = with(&[&at("whole"), &at("nul[0-0]"), &at("high[2-2]"), "a=1"]);
        for (text, want, warning) in [
            ("x{{none}}y", "xy", "no variable none"),
            ("{{not.good}}", "{{not.good}}", "no name"),
            ("{{}}{{a}}", "{{}}1", "no name"),
            ("{{a}}{{broken", "1{{broken", "not closed"),
        ] {
            let mut warnings = Vec::new();
            assert_eq!(
                variables.expand(text, "--expand-data", &mut warnings).unwrap_or_default(),
                want
            );
            assert!(warnings.len() == 1 && warnings[0].contains(warning), "{warnings:?}");
        }
        for (text, want) in [
            ("{{a:super}}", "'super' is no function"),
            ("{{a:trim,url}}", "'trim,url' is no function"),
            ("{{a:}}", "'' is no function"),
            ("{{nul}}", "NUL"),
            ("{{high}}", "not UTF-8"),
        ] {
            let error = variables.expand(text, "--expand-data", &mut Vec::new()).unwrap_err();
            assert!(error.text.contains(want), "{text}: {}", error.text);
        }
        assert!(
            variables
                .expand("{{whole:json}}", "--expand-data", &mut Vec::new())
                .unwrap()
                .contains("\\u0000a")
        );
        let long = format!("{}=1", "F".repeat(128));
        let missing = format!("x@{}", dir.path().join("none").display());
        for (text, want, exit) in [
            ("", "is none", 2),
            ("=x", "is none", 2),
            ("a-b=x", "is none", 2),
            (long.as_str(), "is none", 2),
            ("a", "has to follow", 2),
            ("a[1=x", "is meant", 2),
            ("a[x-y]=x", "is meant", 2),
            ("a[2-1]=x", "is meant", 2),
            ("a[+1-2]=x", "is meant", 2),
            ("%GANNET_TEST_NOT_SET", "the environment has no", 2),
            (missing.as_str(), "can't read", 26),
        ] {
            let error = Variables::default().set(text).unwrap_err();
            assert!(error.text.contains(want), "{text}: {}", error.text);
            assert_eq!(error.exit.code(), exit, "{text}");
        }
    }
}
