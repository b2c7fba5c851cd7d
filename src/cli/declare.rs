//! Options as a table: what `options` declares becomes rows instead of code.
//!
//! Owns the form of a row and how clap is told of it. clap's derive writes out a kilobyte and more
//! of code for each option; a row is a fifth of that, and one loop reads them all. The attributes
//! are clap's, as far as they are used here: one that is not known does not compile.
#![expect(
    clippy::indexing_slicing,
    reason = "done when this is compiled: what fails here is no program"
)]

use clap::builder::{Resettable, ValueParser};
use clap::parser::MatchesError;
use clap::{Arg, ArgAction, ArgMatches};

/// How often an option may be given, and whether it has a value.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// It is there or not.
    Flag,
    /// It has one value: the last one.
    One,
    /// It has all the values that were given.
    Many,
}

/// One option. Its name is its long one.
pub struct Opt {
    pub name: &'static str,
    pub positional: bool,
    pub short: Option<char>,
    pub alias: Option<&'static str>,
    pub visible_alias: Option<&'static str>,
    pub kind: Kind,
    pub value_name: Option<&'static str>,
    pub parser: Option<fn() -> ValueParser>,
    pub values: Option<(usize, usize)>,
    pub require_equals: bool,
    pub default_missing_value: Option<&'static str>,
    pub delimiter: Option<char>,
    pub allow_negative_numbers: bool,
    pub requires: Option<&'static str>,
    pub overrides: Option<&'static str>,
    pub conflicts: Option<&'static str>,
    pub help: &'static str,
    pub long_help: Option<&'static str>,
    pub hide_short_help: bool,
}

impl Opt {
    pub const fn new(name: &'static str, kind: Kind, help: &'static str) -> Self {
        Self {
            name,
            positional: true,
            short: None,
            alias: None,
            visible_alias: None,
            kind,
            value_name: None,
            parser: None,
            values: None,
            require_equals: false,
            default_missing_value: None,
            delimiter: None,
            allow_negative_numbers: false,
            requires: None,
            overrides: None,
            conflicts: None,
            help,
            long_help: None,
            hide_short_help: false,
        }
    }

    /// By its long name or another one.
    pub fn is_called(&self, name: &str) -> bool {
        self.names().any(|own| own == name)
    }

    /// Its long names.
    pub fn names(&self) -> impl Iterator<Item = &'static str> {
        [Some(self.name), self.alias, self.visible_alias].into_iter().flatten()
    }

    /// Whether a value has to follow.
    pub fn takes_value(&self) -> bool {
        self.kind != Kind::Flag && self.values.is_none_or(|(least, _)| least > 0)
    }

    /// The options that its rules name.
    pub fn names_others(&self) -> impl Iterator<Item = &'static str> {
        [self.requires, self.overrides, self.conflicts].into_iter().flatten()
    }

    /// The same for clap. `heading`: under which it stands in the help.
    pub fn arg(&self, heading: Option<&'static str>) -> Arg {
        let mut arg = Arg::new(self.name)
            .help(self.help.trim())
            .help_heading(heading)
            .hide_short_help(self.hide_short_help)
            .require_equals(self.require_equals)
            .allow_negative_numbers(self.allow_negative_numbers)
            .short(self.short)
            .value_delimiter(self.delimiter)
            .overrides_with(Resettable::from(self.overrides.map(Into::into)))
            .action(match self.kind {
                Kind::Flag | Kind::One => ArgAction::Set,
                Kind::Many => ArgAction::Append,
            });
        if self.kind == Kind::Flag {
            // Not SetTrue: clap would write a "false" for each flag that is not there.
            arg = arg.num_args(0).default_missing_value("true");
        }
        if let Some(text) = self.long_help {
            arg = arg.long_help(text);
        }
        if !self.positional {
            arg = arg.long(self.name);
        }
        if let Some(alias) = self.alias {
            arg = arg.alias(alias);
        }
        if let Some(alias) = self.visible_alias {
            arg = arg.visible_alias(alias);
        }
        if let Some(name) = self.value_name {
            arg = arg.value_name(name);
        }
        if let Some(parser) = self.parser {
            arg = arg.value_parser(parser());
        }
        if let Some((least, most)) = self.values {
            arg = arg.num_args(least..=most);
        }
        if let Some(value) = self.default_missing_value {
            arg = arg.default_missing_value(value);
        }
        if let Some(other) = self.requires {
            arg = arg.requires(other);
        }
        if let Some(other) = self.conflicts {
            arg = arg.conflicts_with(other);
        }
        arg
    }
}

/// What a field of `args` can be.
pub trait Field: Sized {
    const KIND: Kind;
    /// Takes the values of an option that was declared as this; none, if clap was not told of it.
    fn take(matches: &mut ArgMatches, name: &str) -> Self;
}

impl Field for bool {
    const KIND: Kind = Kind::Flag;
    fn take(matches: &mut ArgMatches, name: &str) -> Self {
        <Option<Self> as Field>::take(matches, name).unwrap_or(false)
    }
}

impl<T: Clone + Send + Sync + 'static> Field for Option<T> {
    const KIND: Kind = Kind::One;
    fn take(matches: &mut ArgMatches, name: &str) -> Self {
        told(matches.try_remove_one(name))
    }
}

impl<T: Clone + Send + Sync + 'static> Field for Vec<T> {
    const KIND: Kind = Kind::Many;
    fn take(matches: &mut ArgMatches, name: &str) -> Self {
        told(matches.try_remove_many(name)).map(Iterator::collect).unwrap_or_default()
    }
}

/// clap knows nothing of an option that it was not told of; all else would be a wrong declaration.
fn told<T>(values: Result<Option<T>, MatchesError>) -> Option<T> {
    debug_assert!(matches!(values, Ok(_) | Err(MatchesError::UnknownArgument { .. })));
    values.unwrap_or_default()
}

/// A field whose values clap can read by itself.
pub trait Plain: Field {
    const PARSER: Option<fn() -> ValueParser>;
}

impl Plain for bool {
    const PARSER: Option<fn() -> ValueParser> = Some(ValueParser::bool);
}

macro_rules! plain {
    ($($type:ty),*) => {$(
        impl Plain for Option<$type> {
            const PARSER: Option<fn() -> ValueParser> =
                Some(|| ValueParser::from(clap::value_parser!($type)));
        }
        impl Plain for Vec<$type> {
            const PARSER: Option<fn() -> ValueParser> =
                Some(|| ValueParser::from(clap::value_parser!($type)));
        }
    )*};
}
plain!(
    bool,
    u16,
    u32,
    String,
    std::path::PathBuf,
    clap_complete::Shell,
    super::values::BodyForm,
    super::values::Offline,
    super::values::ResumeKey,
    super::values::When
);

/// A field's name as an option's: `max_time` is `max-time`.
pub const fn dashed<const N: usize>(name: &str) -> [u8; N] {
    let mut dashed = [0; N];
    let mut at = 0;
    while at < N {
        let byte = name.as_bytes()[at];
        dashed[at] = if byte == b'_' { b'-' } else { byte };
        at += 1;
    }
    dashed
}

/// A struct of options, as for clap's derive: its fields with their help and attributes.
macro_rules! options {
    ($(
        $(#[doc = $about:literal])*
        #[command(next_help_heading = $heading:literal)]
        pub struct $group:ident {
            $(
                #[doc = $help:literal]
                #[arg($($attributes:tt)*)]
                pub $field:ident: $type:ty,
            )*
        }
    )*) => {$(
        $(#[doc = $about])*
        #[derive(Debug)]
        #[allow(dead_code, reason = "`plan` reads some from the words, in the order in which they stand")]
        pub struct $group {
            $(#[doc = $help] pub $field: $type,)*
        }

        impl $group {
            pub(super) const HEADING: &'static str = $heading;
            pub(super) const OPTIONS: &'static [$crate::cli::declare::Opt] = &[$(
                $crate::cli::declare::row!($field: $type, $help, $($attributes)*)
            ),*];

            pub(super) fn take(matches: &mut clap::ArgMatches) -> Self {
                Self {
                    $($field: $crate::cli::declare::Field::take(
                        matches,
                        $crate::cli::declare::name!($field),
                    ),)*
                }
            }
        }
    )*};
}
pub(super) use options;

/// An option's name: its field's, dashed.
macro_rules! name {
    (http1_1) => {
        "http1.1"
    };
    (tlsv1_0) => {
        "tlsv1.0"
    };
    (tlsv1_1) => {
        "tlsv1.1"
    };
    (tlsv1_2) => {
        "tlsv1.2"
    };
    (tlsv1_3) => {
        "tlsv1.3"
    };
    ($field:ident) => {
        const {
            const BYTES: [u8; stringify!($field).len()] =
                $crate::cli::declare::dashed(stringify!($field));
            match core::str::from_utf8(&BYTES) {
                Ok(name) => name,
                Err(_) => panic!("a field's name is text"),
            }
        }
    };
}
pub(super) use name;

/// One option as a constant.
macro_rules! row {
    ($field:ident: $type:ty, $help:literal, $($attributes:tt)*) => {
        const {
            let mut opt = $crate::cli::declare::Opt::new(
                $crate::cli::declare::name!($field),
                <$type as $crate::cli::declare::Field>::KIND,
                $help,
            );
            $crate::cli::declare::set!([plain $type] opt, $($attributes)*);
            opt
        }
    };
}
pub(super) use row;

/// Sets what the attributes say, one after the other.
macro_rules! set {
    ([plain $type:ty] $opt:ident $(,)?) => {
        $opt.parser = <$type as $crate::cli::declare::Plain>::PARSER;
    };
    ([told] $opt:ident $(,)?) => {};
    ([$($how:tt)*] $opt:ident, value_parser = $parser:expr $(, $($rest:tt)*)?) => {
        $opt.parser = Some(|| clap::builder::ValueParser::from($parser));
        $crate::cli::declare::set!([told] $opt, $($($rest)*)?);
    };
    ([$($how:tt)*] $opt:ident, num_args = $least:literal ..= $most:literal $(, $($rest:tt)*)?) => {
        $opt.values = Some(($least, $most));
        $crate::cli::declare::set!([$($how)*] $opt, $($($rest)*)?);
    };
    ([$($how:tt)*] $opt:ident, num_args = $count:literal $(, $($rest:tt)*)?) => {
        $opt.values = Some(($count, $count));
        $crate::cli::declare::set!([$($how)*] $opt, $($($rest)*)?);
    };
    ([$($how:tt)*] $opt:ident, long $(, $($rest:tt)*)?) => {
        $opt.positional = false;
        $crate::cli::declare::set!([$($how)*] $opt, $($($rest)*)?);
    };
    ([$($how:tt)*] $opt:ident, value_delimiter = $delimiter:literal $(, $($rest:tt)*)?) => {
        $opt.delimiter = Some($delimiter);
        $crate::cli::declare::set!([$($how)*] $opt, $($($rest)*)?);
    };
    ([$($how:tt)*] $opt:ident, overrides_with = $other:literal $(, $($rest:tt)*)?) => {
        $opt.overrides = Some($other);
        $crate::cli::declare::set!([$($how)*] $opt, $($($rest)*)?);
    };
    ([$($how:tt)*] $opt:ident, conflicts_with = $other:literal $(, $($rest:tt)*)?) => {
        $opt.conflicts = Some($other);
        $crate::cli::declare::set!([$($how)*] $opt, $($($rest)*)?);
    };
    ([$($how:tt)*] $opt:ident, hide_short_help = true $(, $($rest:tt)*)?) => {
        $opt.hide_short_help = true;
        $crate::cli::declare::set!([$($how)*] $opt, $($($rest)*)?);
    };
    ([$($how:tt)*] $opt:ident, require_equals = true $(, $($rest:tt)*)?) => {
        $opt.require_equals = true;
        $crate::cli::declare::set!([$($how)*] $opt, $($($rest)*)?);
    };
    ([$($how:tt)*] $opt:ident, allow_negative_numbers = true $(, $($rest:tt)*)?) => {
        $opt.allow_negative_numbers = true;
        $crate::cli::declare::set!([$($how)*] $opt, $($($rest)*)?);
    };
    // short, alias, visible_alias, value_name, default_missing_value, requires, long_help
    ([$($how:tt)*] $opt:ident, $what:ident = $value:literal $(, $($rest:tt)*)?) => {
        $opt.$what = Some($value);
        $crate::cli::declare::set!([$($how)*] $opt, $($($rest)*)?);
    };
}
pub(super) use set;
