//! From options to what is asked, kept, said and bounded.

use std::ffi::OsString;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use super::{
    Ask, Continue, Display, Engine, Existing, Fail, Ip, Keep, Limits, Meter, Mode, Netrc, PerHost,
    Protos, RecordHeaders, Records, Resume, StatusClass, TimeCond, Usage, Where, usage,
};
use crate::cli::args::Args;
use crate::cli::exit::Exit;
use crate::cli::values::{Offline, ResumeKey, When};
use crate::cli::{data, date, manual, prompt, writeout};
use crate::fetch::{Auth, Body, Field, Follow, Profile, RangeSpec, Scheme, UrlRules};

pub(super) fn ask(
    args: &Args,
    words: &[OsString],
    mode: Mode,
    warnings: &mut Vec<String>,
) -> Result<Ask, Usage> {
    let request = &args.request;
    let mut pieces = Vec::new();
    for word in words {
        let kinds = [
            ("data", data::Kind::Plain),
            ("data-ascii", data::Kind::Plain),
            ("data-raw", data::Kind::Raw),
            ("data-binary", data::Kind::Binary),
            ("data-urlencode", data::Kind::Encoded),
            ("json", data::Kind::Json),
        ];
        if let Some((kind, text)) =
            kinds.iter().find_map(|(name, kind)| value(word, name).map(|text| (*kind, text)))
        {
            pieces.push((kind, text.to_owned()));
        }
    }
    let composed = data::compose(&pieces)?;
    let mut fields = data::headers(&request.header, warnings)?;
    let mut query = Vec::new();
    for text in &request.url_query {
        data::query(text, &mut query)?;
    }
    let mut body = Body::None;
    let mut content_type = None;
    match composed {
        Some(data) if request.get => {
            if request.upload_file.iter().any(|file| !file.is_empty()) {
                return usage(
                    "-T can't be combined with -G and -d: --url-query adds to the URL of an upload",
                );
            }
            if data.is_json() {
                json_fields(&mut fields);
            }
            if !query.is_empty() && !data.as_bytes().is_empty() {
                query.push(b'&');
            }
            query.extend_from_slice(data.as_bytes());
        }
        Some(data) => {
            if request.head {
                return usage(
                    "-I can't be combined with -d or --json: a HEAD request has no body (with -G they go into the query)",
                );
            }
            if data.is_json() {
                json_fields(&mut fields);
            } else {
                content_type = Some(data.content_type().into());
            }
            body = Body::Bytes(Arc::from(data.into_bytes()));
        }
        None => {}
    }
    let query = (!query.is_empty())
        .then(|| {
            String::from_utf8(query)
                .map_err(|_| Usage::from("the query is not UTF-8: use --data-urlencode".to_owned()))
        })
        .transpose()?;
    if let Some(method) = &request.request {
        let token = !method.is_empty()
            && method.bytes().all(|b| b.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&b));
        if !token {
            return usage(format!("{method:?} is no method"));
        }
        if method.eq_ignore_ascii_case("head") && !request.head && mode == Mode::Transfers {
            warnings.push(
                "-X HEAD waits for a body that never comes on some servers: -I is meant for it"
                    .to_owned(),
            );
        }
    }
    unframed(request.upload_file.as_slice(), &body, &fields)?;
    if mode == Mode::Transfers
        && request.request.is_some()
        && !fields.iter().any(|field| field.is("content-length"))
    {
        // As curl: -X changes the word only, and a POST by that name says nothing of a length.
        fields.push(Field::Remove { name: "Content-Length".into() });
    }
    let resume = match args.output.continue_at.as_deref() {
        None => Continue::No,
        Some("-") => Continue::Auto,
        Some(offset) => match offset.parse::<u64>() {
            Ok(0) => Continue::No,
            Ok(offset) => Continue::At(offset),
            Err(_) => return usage(format!("'{offset}' is no offset for -C (a number, or -)")),
        },
    };
    if resume != Continue::No && request.range.is_some() {
        return usage("-C can't be combined with -r");
    }
    if resume != Continue::No && args.output.remove_on_error {
        return usage("-C can't be combined with --remove-on-error");
    }
    if resume != Continue::No && args.output.remote_header_name {
        return usage("-C can't be combined with -J: the name is not known before the answer");
    }
    if resume != Continue::No && args.output.no_clobber {
        return usage("-C can't be combined with --no-clobber");
    }
    let range = request.range.as_deref().map(|text| {
        let range = RangeSpec::parse(text)
            .map_err(|_| Usage::from(format!("'{text}' is no range (as in 0-499, 500-, -500)")));
        if !text.contains('-') {
            warnings.push(format!("a range needs a dash: -r {text}- is meant"));
        }
        range
    });
    let range = range.transpose()?;
    let (referer, auto_referer) = match request.referer.as_deref() {
        None => (None, false),
        Some(text) => match text.strip_suffix(";auto") {
            Some(text) => ((!text.is_empty()).then(|| text.to_owned()), true),
            None => ((!text.is_empty()).then(|| text.to_owned()), false),
        },
    };
    let auth = match (&request.oauth2_bearer, &request.user) {
        (Some(token), _) => Some(Auth::bearer(token).ok_or_else(|| {
            Usage::from("--oauth2-bearer: a token has visible characters only".to_owned())
        })?),
        // As curl: who has neither name nor password is nobody.
        (None, Some(user)) if user == ":" => None,
        (None, Some(user)) if user.contains(':') => Some(Auth::from_pair(user.as_bytes())),
        (None, Some(user)) => {
            let password = prompt::password(user)
                .map_err(|error| Usage::from(format!("no password for {user}: {error}")))?;
            Some(Auth::from_pair(&[user.as_bytes(), b":", &password].concat()))
        }
        (None, None) => None,
    };
    let netrc =
        (request.netrc || request.netrc_optional || request.netrc_file.is_some()).then(|| Netrc {
            file: request.netrc_file.clone(),
            optional: request.netrc_optional && !request.netrc,
        });
    let profile = Profile {
        method: request.request.as_deref().map(Into::into),
        head: request.head,
        fields,
        user_agent: request.user_agent.as_deref().map(Into::into),
        referer: referer.map(Into::into),
        auto_referer,
        body,
        content_type,
        follow: match (request.follow, request.location || request.location_trusted) {
            (true, _) => Follow::Standard,
            (false, true) => Follow::Location,
            (false, false) => Follow::No,
        },
        auth,
        compressed: request.compressed,
        range,
        timeout: args.time.max_time.filter(|time| !time.is_zero()),
        retry_unsafe: args.retry.retry_unsafe,
        max_filesize: args.output.max_filesize.filter(|&size| size > 0),
        truncate: args.output.truncate,
        ..Profile::default()
    };
    Ok(Ask {
        profile,
        rules: UrlRules {
            default_scheme: scheme(request.proto_default.as_deref())?,
            path_as_is: request.path_as_is,
            // A brace that a glob has left over was escaped: it is sent as it is, as by curl.
            braces: args.input.globoff || mode == Mode::Transfers,
        },
        query,
        netrc,
        etag_save: request.etag_save.clone(),
        etag_compare: request.etag_compare.clone(),
        resume,
        time_cond: request.time_cond.as_deref().and_then(|text| time_cond(text, warnings)),
        accept_types: args
            .output
            .accept_type
            .iter()
            .map(|glob| glob.trim().to_ascii_lowercase())
            .collect(),
        reject_types: args
            .output
            .reject_type
            .iter()
            .map(|glob| glob.trim().to_ascii_lowercase())
            .collect(),
        repeats_late: args.retry.retry.is_some() || args.retry.retry_all_errors,
    })
}

/// What `--json` says of itself, unless the user does.
fn json_fields(fields: &mut Vec<Field>) {
    for name in ["Content-Type", "Accept"] {
        if !fields.iter().any(|field| field.is(name)) {
            fields.extend(Field::new(name, b"application/json"));
        }
    }
}

/// Whether what is taken away with `-H` would leave a body of which nobody knows where it ends: the
/// server would take its bytes for the next request.
fn unframed(uploads: &[String], body: &Body, fields: &[Field]) -> Result<(), Usage> {
    let says = |name: &str| fields.iter().any(|field| field.is(name) && field.value().is_some());
    let takes_away = |name: &str| {
        let removed = |field: &Field| field.is(name) && matches!(field, Field::Remove { .. });
        !says(name) && fields.iter().any(removed)
    };
    let from_stdin = |file: &String| file == "-" || file == ".";
    let has_file = uploads.iter().any(|file| !file.is_empty() && !from_stdin(file));
    let has_data = matches!(body, Body::Bytes(bytes) if !bytes.is_empty());
    let (field, instead) =
        if (has_data || has_file) && takes_away("content-length") && !says("transfer-encoding") {
            ("Content-Length", "-H 'Transfer-Encoding: chunked' sends it without a length")
        } else if uploads.iter().any(from_stdin)
            && takes_away("transfer-encoding")
            && !says("content-length")
        {
            ("Transfer-Encoding", "-H 'Content-Length: N' says how long it is")
        } else {
            return Ok(());
        };
    let text = format!("-H '{field}:' leaves a body without an end: {instead}");
    Err(Usage { text, exit: Exit::curl(43) })
}

/// `--proto-default`.
fn scheme(name: Option<&str>) -> Result<Option<Scheme>, Usage> {
    name.map(|name| {
        Scheme::from_name(name).ok_or_else(|| Usage {
            text: format!("--proto-default: gannet does not speak '{name}' (http or https)"),
            exit: Exit::curl(1),
        })
    })
    .transpose()
}

/// `-z`: a date, or a file whose time counts; `-` before it turns it round.
fn time_cond(text: &str, warnings: &mut Vec<String>) -> Option<TimeCond> {
    let (unless, text) = match text.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, text.strip_prefix(['+', '=']).unwrap_or(text)),
    };
    let date = date::parse(text).or_else(|| {
        let time = std::fs::metadata(text).ok()?.modified().ok()?;
        let seconds = time.duration_since(std::time::UNIX_EPOCH).ok()?.as_secs();
        i64::try_from(seconds).ok()
    });
    if date.is_none() {
        warnings.push(format!("-z: '{text}' is neither a date nor a file; there is no condition"));
    }
    date.map(|date| TimeCond { unless, date })
}

pub(super) fn keep(args: &Args, words: &[OsString], output: Where) -> Result<Keep, Usage> {
    let out = &args.output;
    let write_out = match out.write_out.as_deref() {
        Some(text) => Some(match text.strip_prefix('@') {
            Some(file) => String::from_utf8(data::read_line(file)?)
                .map_err(|_| Usage::from(format!("the format in {file} is not UTF-8")))?,
            None => text.to_owned(),
        }),
        None => None,
    };
    if let Some(format) = &write_out {
        writeout::Format::parse(format)?;
    }
    Ok(Keep {
        output,
        dir: out.output_dir.clone(),
        create_dirs: out.create_dirs,
        header_name: out.remote_header_name,
        existing: match (out.skip_existing, out.no_clobber, out.clobber) {
            (true, ..) => Existing::Skip,
            (false, true, _) => Existing::Keep,
            (false, false, true) => Existing::Clobber,
            (false, false, false) => Existing::Default,
        },
        errors: out.keep_errors || out.fail_with_body,
        remote_time: out.remote_time,
        dump_header: out.dump_header.clone(),
        show_headers: out.show_headers,
        fail: match (out.fail, out.fail_with_body) {
            (_, true) => Fail::WithBody,
            (true, false) => Fail::Quietly,
            (false, false) => Fail::No,
        },
        remove_on_error: out.remove_on_error,
        fsync: out.fsync,
        write_out,
        raw_to_terminal: words.iter().any(|word| value(word, "output") == Some("-")),
    })
}

pub(super) fn engine(args: &Args, mode: Mode) -> Result<Engine, Usage> {
    let batch = mode == Mode::Batch;
    let (pace, retry, time, net) = (&args.pace, &args.retry, &args.time, &args.network);
    let per_host = match pace.per_host.as_deref() {
        None | Some("auto") => PerHost::Auto,
        Some(number) => match number.parse::<u16>() {
            Ok(number @ 1..) => PerHost::Fixed(number),
            _ => {
                return usage(format!(
                    "'{number}' is no number of connections for --per-host (1 to 65535, or auto)"
                ));
            }
        },
    };
    if matches!(per_host, PerHost::Fixed(_)) && pace.max_per_host.is_some() {
        return usage(
            "--max-per-host is the ceiling of --per-host auto; with a fixed --per-host it has no meaning",
        );
    }
    let low_speed = match (time.speed_limit, time.speed_time) {
        (None, None) if batch => Some((100, 60)),
        (None, None) => None,
        // As curl: no rate is too slow, or no time is too long.
        (Some(0), _) | (_, Some(0)) => None,
        (speed, seconds) => Some((speed.unwrap_or(1), seconds.unwrap_or(30))),
    };
    if net.ca_native && net.cacert.is_some() {
        return usage("--cacert trusts its file alone: leave --ca-native or --cacert away");
    }
    if net.key.is_some() && net.cert.is_none() {
        return usage("--key belongs to --cert");
    }
    if net.tlsv1_3 && net.tls_max.as_deref() == Some("1.2") {
        return usage("--tlsv1.3 and --tls-max 1.2 leave no version of TLS");
    }
    let first_byte = time.first_byte_timeout.or(batch.then_some(Duration::from_secs(60)));
    Ok(Engine {
        mode,
        per_host,
        max_per_host: pace.max_per_host,
        // As curl: 0 is the usual number.
        max_connections: pace.parallel_max.filter(|&most| most > 0),
        max_memory: pace.max_memory,
        rate: pace.rate,
        rate_per_host: pace.rate_per_host,
        limit_rate: pace.limit_rate.filter(|&rate| rate > 0),
        limit_rate_total: pace.limit_rate_total.filter(|&rate| rate > 0),
        delay: pace.delay.unwrap_or(Duration::ZERO),
        reuse: !pace.no_reuse,
        idle_timeout: pace.idle_timeout,
        attempts: retry.retry.unwrap_or(4).saturating_add(1),
        retry_delay: retry.retry_delay.filter(|delay| !delay.is_zero()),
        retry_max_time: retry.retry_max_time.filter(|time| !time.is_zero()),
        max_retry_after: retry.max_retry_after,
        host_down_after: retry.host_down_after,
        retry_all_errors: retry.retry_all_errors,
        // With -C an error in place of the rest is one, too: the desk knows where there is a rest.
        retry_error_statuses: retry.retry_all_errors
            && (args.output.fail
                || args.output.fail_with_body
                || !batch && args.output.continue_at.is_some()),
        retry_timeouts: retry.retry.is_some(),
        offline_wait: retry.offline.map_or(batch, |offline| offline == Offline::Wait),
        backoff_base: retry.backoff_base,
        backoff_cap: retry.backoff_cap,
        budget: retry.retry_budget,
        budget_total: retry.retry_budget_total,
        connect_timeout: time.connect_timeout.filter(|time| !time.is_zero()),
        tls_timeout: time.tls_timeout.filter(|time| !time.is_zero()),
        first_byte_timeout: first_byte.filter(|time| !time.is_zero()),
        stall_timeout: batch.then_some(Duration::from_secs(30)),
        low_speed,
        expect_timeout: args.request.expect100_timeout,
        keepalive: (!time.no_keepalive)
            // As curl: 0 is the usual time.
            .then(|| time.keepalive_time.filter(|time| !time.is_zero()))
            .map(|time| time.unwrap_or(Duration::from_secs(60))),
        cacert: net.cacert.clone(),
        ca_native: net.ca_native,
        insecure: net.insecure,
        cert: net.cert.clone(),
        key: net.key.clone(),
        tls_min_1_3: net.tlsv1_3,
        tls_max_1_2: net.tls_max.as_deref() == Some("1.2"),
        pins: net.pinnedpubkey.clone(),
        ip: match (net.ipv4, net.ipv6) {
            (true, _) => Ip::V4,
            (_, true) => Ip::V6,
            (false, false) => Ip::Any,
        },
        resolve: net.resolve.clone(),
        connect_to: net.connect_to.clone(),
        dns_servers: net.dns_servers.clone(),
        interface: net.interface.clone(),
        happy_eyeballs: net
            .happy_eyeballs_timeout_ms
            .map(|ms| Duration::from_millis(u64::from(ms))),
        deny: net.deny_net.iter().flat_map(|nets| nets.0.iter().copied()).collect(),
        allow: net.allow_net.iter().flat_map(|nets| nets.0.iter().copied()).collect(),
        proto: args.request.proto.as_deref().map_or(Ok(Protos::BOTH), Protos::parse)?,
        proto_redir: args.request.proto_redir.as_deref().map_or(Ok(Protos::BOTH), Protos::parse)?,
        max_redirs: match args.request.max_redirs {
            None => Some(50),
            Some(-1) => None,
            Some(many) => Some(u32::try_from(many).unwrap_or(u32::MAX)),
        },
        location_trusted: args.request.location_trusted,
        post301: args.request.post301,
        post302: args.request.post302,
        post303: args.request.post303,
        limits: Limits {
            head_size: args.bounds.max_head_size,
            head_line: args.bounds.max_head_line,
            head_fields: args.bounds.max_head_fields,
            interim: args.bounds.max_interim,
            interim_size: args.bounds.max_interim_size,
            chunk_extensions: args.bounds.max_chunk_extensions,
            trailer_size: args.bounds.max_trailer_size,
            trailer_fields: args.bounds.max_trailer_fields,
            codings: args.bounds.max_codings,
            decode_ratio: args.bounds.max_decode_ratio,
        },
        record_wire: args.display.record_wire.clone(),
    })
}

impl Protos {
    /// http and https.
    pub const BOTH: Self = Self { http: true, https: true };

    /// curl's grammar: `+` adds, `-` removes, `=` sets; other protocols are none of ours.
    fn parse(text: &str) -> Result<Self, Usage> {
        let mut set = Self::BOTH;
        for item in text.split(',').filter(|item| !item.is_empty()) {
            let (action, name) = match item.split_at_checked(1) {
                Some((action @ ("+" | "-" | "="), name)) => (action, name),
                _ => ("+", item),
            };
            if action == "=" {
                set = Self { http: false, https: false };
            }
            let on = action != "-";
            match name.to_ascii_lowercase().as_str() {
                "http" => set.http = on,
                "https" => set.https = on,
                "all" => set = Self { http: on, https: on },
                _ => {}
            }
        }
        if set.http || set.https {
            Ok(set)
        } else {
            usage(format!("'{text}' leaves neither http nor https"))
        }
    }
}

pub(super) fn display(args: &Args) -> Display {
    let display = &args.display;
    Display {
        silent: display.silent,
        errors: !display.silent || display.show_error,
        verbose: display.verbose,
        summary: !display.no_summary && !display.silent,
        progress: if display.no_progress_meter || display.silent {
            When::Never
        } else {
            display.progress.unwrap_or(When::Auto)
        },
        meter: if display.progress_bar { Meter::Bar } else { Meter::Line },
        color: display.color.unwrap_or(When::Auto),
    }
}

/// The value of a word, if it is this option.
pub(super) fn value<'a>(word: &'a OsString, option: &str) -> Option<&'a str> {
    word.to_str()?.strip_prefix("--")?.strip_prefix(option)?.strip_prefix('=')
}

/// Whether what goes to one of them would overwrite the other. Devices and pipes hold nothing.
pub(super) fn is_one_file(one: &Path, other: &Path) -> bool {
    one == other
        && one.as_os_str() != "-"
        && std::fs::metadata(one).map_or(true, |meta| meta.is_file())
}

pub(super) fn records(args: &Args) -> Result<Records, Usage> {
    let records = &args.records;
    let resume = if records.resume {
        if records.results.as_deref().is_some_and(|path| path.as_os_str() == "-") {
            return usage("--resume needs --results FILE: standard output can't be read again");
        }
        let statuses = records
            .resume_status
            .iter()
            .map(|text| StatusClass::parse(text))
            .collect::<Result<_, _>>()?;
        let kinds: Vec<String> =
            records.resume_kinds.iter().map(|kind| kind.trim().to_owned()).collect();
        if let Some(unknown) = kinds.iter().find(|kind| !manual::is_kind(kind)) {
            return usage(format!(
                "--resume-kinds: '{unknown}' is no kind of failure: records have it as error.kind (refused, status_exhausted …), docs/errors.md lists all, and gannet --help KIND explains one"
            ));
        }
        Some(Resume {
            key: records.resume_key.unwrap_or(ResumeKey::N),
            kinds,
            statuses,
            portion: None,
        })
    } else {
        None
    };
    if records.results_overwrite && records.results.is_none() {
        return usage("--results-overwrite belongs to --results FILE");
    }
    if let (Some(results), Some(summary)) = (&records.results, &records.summary)
        && is_one_file(results, summary)
    {
        return usage("--results and --summary name one file: give each its own");
    }
    Ok(Records {
        results: records.results.clone(),
        overwrite: records.results_overwrite,
        summary: records.summary.clone(),
        resume,
        headers: if records.record_headers.is_empty() {
            RecordHeaders::None
        } else if records.record_headers.iter().any(|name| name == "all") {
            RecordHeaders::All
        } else {
            RecordHeaders::These(
                records
                    .record_headers
                    .iter()
                    .map(|name| name.trim().to_ascii_lowercase())
                    .collect(),
            )
        },
        body: records.record_body,
        body_max: records.record_body_max.unwrap_or(1 << 20),
        sha256: records.sha256,
        unbuffered: records.unbuffered,
    })
}

impl StatusClass {
    fn parse(text: &str) -> Result<Self, Usage> {
        let text = text.trim().to_ascii_lowercase();
        // What begins with 1 is never a last answer; what is beyond 599, servers do say.
        let bad = || Usage::from(format!("'{text}' is no status of an answer (as in 404 or 5xx)"));
        if let Some(class) = text.strip_suffix("xx") {
            let class: u16 =
                class.parse().ok().filter(|class| (2..=9).contains(class)).ok_or_else(bad)?;
            return Ok(Self { low: class * 100, high: class * 100 + 99 });
        }
        let status: u16 =
            text.parse().ok().filter(|status| (200..=999).contains(status)).ok_or_else(bad)?;
        Ok(Self { low: status, high: status })
    }

    /// Whether a status is one of these.
    pub fn holds(self, status: u16) -> bool {
        (self.low..=self.high).contains(&status)
    }
}
