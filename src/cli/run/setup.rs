//! From the plan's engine to the fetcher's options: files that options name are read here, and
//! nowhere later.

use std::fs;
use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use super::{interface, rates};
use crate::cli::exit::Exit;
use crate::cli::plan::{self, Ip, Mode, PerHost};
use crate::cli::values;
use crate::dns;
use crate::engine::budget::BudgetConfig;
use crate::engine::pace::{PaceConfig, Rate};
use crate::engine::{self, LowSpeed};
use crate::fetch::{
    KnownHost, MAX_NETRC, Netrc, Options, RedirectRules, Route, Schemes, StartError,
};
use crate::tls::{self, KeyLogWriter, Roots, Version};

/// Descriptors that are kept for files, the terminal and the resolver.
const RESERVE: u64 = 64;
/// And where there are very few: the three of every process, the poll, records, a list, a validator
/// beside a part, and what comes and goes.
const LEAST_RESERVE: u64 = 10;
/// Connections, unless the user says otherwise.
const CONNECTIONS: u32 = 512;
/// What transfers have in place of a batch's time limits: as good as none.
const LONG: Duration = Duration::from_secs(30 * 86_400);

/// Why it can't begin.
#[derive(Debug)]
pub struct Refusal {
    pub exit: Exit,
    pub message: String,
}

fn refuse<T>(exit: u8, message: impl Into<String>) -> Result<T, Refusal> {
    Err(Refusal { exit: Exit::curl(exit), message: message.into() })
}

impl From<StartError> for Refusal {
    fn from(error: StartError) -> Self {
        let exit = match &error {
            StartError::Tls(error) => error.exit_code(),
            _ => 2,
        };
        // Fields have the names of the library; whoever typed options knows those.
        let message = OPTIONS.iter().fold(error.to_string(), |text, (field, option)| {
            text.replace(&format!("`{field}`"), option)
        });
        Self { exit: Exit::curl(exit), message }
    }
}

/// Which option sets a field that [`Config::check`](crate::engine::Config::check) may refuse.
const OPTIONS: [(&str, &str); 9] = [
    ("attempts", "--retry"),
    ("backoff_base", "--backoff-base"),
    ("backoff_cap", "--backoff-cap"),
    ("connect_timeout", "--connect-timeout"),
    ("first_byte_timeout", "--first-byte-timeout"),
    ("limits.head_bytes", "--max-head-size"),
    ("limits.head_fields", "--max-head-fields"),
    ("limits.line_bytes", "--max-head-line"),
    ("tls_timeout", "--tls-timeout"),
];

/// Raises the soft limit of descriptors and says how many connections fit below it. `files`: each
/// writes one, too.
pub fn connections(wanted: Option<u32>, files: bool, warnings: &mut Vec<String>) -> u32 {
    let limit = rlimit::increase_nofile_limit(u64::MAX).unwrap_or(1024);
    let alone = limit.saturating_sub(RESERVE).max(limit / 2);
    let in_pairs = alone.min(limit.saturating_sub(LEAST_RESERVE) / 2);
    let room = |room: u64| u32::try_from(room.max(1)).unwrap_or(u32::MAX);
    // A line of a list may name a file, whatever the others do.
    let usual = room(in_pairs).min(CONNECTIONS);
    let room = room(if files { in_pairs } else { alone });
    match wanted {
        None => usual,
        Some(wanted) if wanted > room => {
            warnings.push(format!(
                "--parallel-max {wanted} does not fit the limit of {limit} open files (ulimit -n): it is {room}"
            ));
            room
        }
        Some(wanted) => wanted,
    }
}

/// The fetcher's options. `files`: what is fetched is written to files.
pub fn options(
    engine: &plan::Engine,
    netrc: Option<&plan::Netrc>,
    jobs: u32,
    files: bool,
    warnings: &mut Vec<String>,
) -> Result<Options, Refusal> {
    let mut options = Options::default();
    fill_engine(&mut options.engine, engine)?;
    let files = files || engine.record_wire.is_some();
    options.engine.max_connections = connections(engine.max_connections, files, warnings);
    options.engine.max_jobs = jobs;
    if let Some(rate) = engine.limit_rate.into_iter().chain(engine.limit_rate_total).min() {
        options.driver.read_buffer = rates::read_buffer(rate, options.driver.read_buffer);
    }
    fill_tls(&mut options.tls, engine)?;
    // What was typed is judged at once; whom the environment trusts, when it is asked.
    options.tls_later = engine.cacert.is_none() && engine.cert.is_none();
    options.sockets.keepalive = engine.keepalive;
    if let Some(name) = &engine.interface {
        interface::choose(name, engine.ip, &mut options.sockets).or_else(|why| refuse(45, why))?;
    }
    for text in &engine.resolve {
        if let Some(text) = text.strip_prefix('-') {
            // As curl: what stands before is taken back.
            let Some((host, port)) = text
                .rsplit_once(':')
                .and_then(|(host, port)| Some((host.to_owned(), port.parse::<u16>().ok()?)))
            else {
                return refuse(49, format!("--resolve '-{text}' is not -HOST:PORT"));
            };
            options.names.known.retain(|known| !known.is_of(&host, port));
            continue;
        }
        let Some(known) = KnownHost::parse(text) else {
            return refuse(49, format!("--resolve '{text}' is not HOST:PORT:ADDRESS[,ADDRESS]"));
        };
        options.names.known.push(known);
    }
    for text in &engine.connect_to {
        let Some(route) = Route::parse(text) else {
            return refuse(49, format!("--connect-to '{text}' is not HOST1:PORT1:HOST2:PORT2"));
        };
        options.names.routes.push(route);
    }
    // A run of addresses reads no files for names.
    options.names.later = true;
    if engine.ip != Ip::Any || !engine.dns_servers.is_empty() {
        options.names.dns = Some(names(engine, warnings)?);
    }
    options.schemes = Schemes { http: engine.proto.http, https: engine.proto.https };
    options.redirects = RedirectRules {
        max: engine.max_redirs,
        schemes: Schemes {
            http: engine.proto_redir.http && engine.proto.http,
            https: engine.proto_redir.https && engine.proto.https,
        },
        trusted: engine.location_trusted,
        post301: engine.post301,
        post302: engine.post302,
        post303: engine.post303,
    };
    if let Some(netrc) = netrc {
        options.netrc = read_netrc(netrc)?.map(Arc::new);
        options.netrc_required = !netrc.optional;
    }
    if let Some(ratio) = engine.limits.decode_ratio {
        options.decode.ratio = u64::from(ratio);
    }
    if let Some(codings) = engine.limits.codings {
        options.decode.codings = usize::from(codings);
    }
    options.addresses.deny.clone_from(&engine.deny);
    options.addresses.allow.clone_from(&engine.allow);
    options.addresses.guard_redirects = engine.mode == Mode::Batch;
    if let Some(time) = engine.expect_timeout {
        options.expect_timeout = time;
    }
    Ok(options)
}

fn fill_engine(config: &mut engine::Config, engine: &plan::Engine) -> Result<(), Refusal> {
    config.per_host = match engine.per_host {
        PerHost::Fixed(number) => engine::PerHost::Fixed(number),
        PerHost::Auto => {
            let ceiling = engine.max_per_host;
            engine::PerHost::Auto { ceiling, start: ceiling.map_or(6, |most| most.min(6)) }
        }
    };
    config.attempts = engine.attempts;
    config.retry_delay = engine.retry_delay;
    config.retry_max_time = engine.retry_max_time;
    config.retry_all_errors = engine.retry_all_errors;
    config.retry_error_statuses = engine.retry_error_statuses;
    config.retry_attempt_timeouts = engine.retry_timeouts;
    if let Some(time) = engine.max_retry_after {
        config.max_retry_after = time;
    }
    if let Some(time) = engine.host_down_after {
        config.host_down_after = time;
    }
    if !engine.offline_wait {
        config.offline_wait = Duration::ZERO;
    }
    if let Some(time) = engine.backoff_base {
        config.backoff_base = time;
    }
    if let Some(time) = engine.backoff_cap {
        config.backoff_cap = time;
    }
    if let Some(time) = engine.connect_timeout {
        config.connect_timeout = time;
        config.tls_timeout = time;
    }
    if let Some(time) = engine.tls_timeout {
        config.tls_timeout = time;
    }
    config.first_byte_timeout = engine.first_byte_timeout;
    config.stall_timeout = engine.stall_timeout;
    if engine.mode == Mode::Transfers {
        config.send_timeout = LONG;
        config.head_timeout = LONG;
        config.waiting_is_slow = true;
    }
    config.low_speed = engine.low_speed.map(|(bytes_per_second, seconds)| LowSpeed {
        bytes_per_second,
        during: Duration::from_secs(u64::from(seconds)),
    });
    if let Some(time) = engine.idle_timeout {
        config.idle_timeout = time;
    }
    config.reuse = engine.reuse;
    if let Some(time) = engine.happy_eyeballs {
        config.happy_eyeballs = time;
    }
    for (given, budget) in
        [(engine.budget, &mut config.budget), (engine.budget_total, &mut config.overall_budget)]
    {
        if let Some(given) = given {
            *budget = BudgetConfig {
                percent: given.percent,
                per_second: given.per_second,
                most: given.per_second.saturating_mul(10),
            };
        }
    }
    let rate = |rate: values::Rate| Rate { requests: rate.count, per: rate.period };
    config.pace = PaceConfig { rate: engine.rate_per_host.map(rate), delay: engine.delay };
    config.overall_pace = PaceConfig { rate: engine.rate.map(rate), ..PaceConfig::default() };
    let small = |size: u64| u32::try_from(size).unwrap_or(u32::MAX);
    let limits = &mut config.limits;
    // What the parser has room for is what it allows by default.
    let most_fields = limits.head_fields;
    if let Some(size) = engine.limits.head_size {
        limits.head_bytes = small(size);
        limits.line_bytes = small(size);
    }
    if let Some(size) = engine.limits.head_line {
        limits.line_bytes = small(size);
    }
    if let Some(fields) = engine.limits.head_fields {
        if fields > most_fields {
            return refuse(2, format!("--max-head-fields is at most {most_fields}"));
        }
        limits.head_fields = fields;
    }
    if let Some(many) = engine.limits.interim {
        limits.interim_answers = many;
    }
    if let Some(size) = engine.limits.interim_size {
        limits.interim_bytes = small(size);
    }
    if let Some(fields) = engine.limits.trailer_fields {
        if fields > most_fields {
            return refuse(2, format!("--max-trailer-fields is at most {most_fields}"));
        }
        limits.trailer_fields = fields;
    }
    if let Some(size) = engine.limits.chunk_extensions {
        limits.chunk_extension_bytes = small(size);
    }
    if let Some(size) = engine.limits.trailer_size {
        limits.trailer_bytes = small(size);
    }
    Ok(())
}

/// Hashes, or the name of a file with the key itself.
fn read_pins(pins: &str) -> Result<Vec<[u8; 32]>, Refusal> {
    if pins.starts_with("sha256//") {
        return tls::parse_pins(pins)
            .or_else(|error| refuse(2, format!("--pinnedpubkey: {error}")));
    }
    let key = match fs::read(pins) {
        Ok(file) => tls::pin_of_key(&file).map_err(|error| format!("{pins}: {error}")),
        Err(error) => {
            Err(format!("can't read {pins}: {error} (a file with a public key, or sha256//HASH)"))
        }
    };
    // As curl: no key is the right one then.
    key.map(|key| vec![key]).or_else(|error| refuse(90, format!("--pinnedpubkey: {error}")))
}

fn fill_tls(options: &mut tls::Options, engine: &plan::Engine) -> Result<(), Refusal> {
    options.insecure = engine.insecure;
    if engine.tls_min_1_3 {
        options.min_version = Version::Tls13;
    }
    if engine.tls_max_1_2 {
        options.max_version = Version::Tls12;
    }
    if let Some(pins) = &engine.pins {
        options.pins = read_pins(pins)?;
    }
    if let Some(path) = &engine.cert {
        let pem = |path: &Path, option: &str| {
            fs::read(path).map_err(|error| Refusal {
                exit: Exit::curl(58),
                message: format!("{option}: can't read {}: {error}", path.display()),
            })
        };
        let cert = pem(path, "--cert")?;
        let key = match &engine.key {
            Some(key) => pem(key, "--key")?,
            None => cert.clone(),
        };
        options.client_certificate = Some((cert, key));
    }
    if let Some(path) = std::env::var_os("SSLKEYLOGFILE").filter(|path| !path.is_empty())
        && let Ok(file) = fs::OpenOptions::new().create(true).append(true).open(path)
    {
        options.key_log = Some(Arc::new(KeyLogWriter::new(file)));
    }
    if engine.insecure {
        return Ok(());
    }
    if engine.ca_native && engine.cacert.is_none() {
        options.roots = Roots::Native;
        return Ok(());
    }
    let variable =
        |name: &str| std::env::var_os(name).filter(|path| !path.is_empty()).map(PathBuf::from);
    let places: Vec<PathBuf> = match &engine.cacert {
        Some(path) => vec![path.clone()],
        None => match variable("CURL_CA_BUNDLE") {
            Some(path) => vec![path],
            None => [variable("SSL_CERT_DIR"), variable("SSL_CERT_FILE")]
                .into_iter()
                .flatten()
                .collect(),
        },
    };
    if engine.cacert.is_some() {
        let files = read_authorities(&places)
            .map_err(|message| Refusal { exit: Exit::curl(77), message })?;
        options.roots = Roots::Pem(files);
    } else if !places.is_empty() {
        // As curl: what the environment names is of no concern to whom needs no TLS.
        options.roots = Roots::Deferred(Arc::new(move || read_authorities(&places)));
    }
    Ok(())
}

/// The certificates of files, and of all files of folders.
fn read_authorities(places: &[PathBuf]) -> Result<Vec<Vec<u8>>, String> {
    let mut files = Vec::new();
    for place in places {
        let failed = |error: std::io::Error| {
            format!("can't read the certificates of {}: {error}", place.display())
        };
        if !place.is_dir() {
            files.push(fs::read(place).map_err(failed)?);
            continue;
        }
        for entry in fs::read_dir(place).map_err(failed)? {
            // A folder of certificates has links to the same file under hashed names, and other
            // files.
            if let Ok(pem) = fs::read(entry.map_err(failed)?.path())
                && pem.windows(11).any(|text| text == b"-----BEGIN ")
            {
                files.push(pem);
            }
        }
    }
    Ok(files)
}

fn names(engine: &plan::Engine, warnings: &mut Vec<String>) -> Result<dns::Config, Refusal> {
    let read = |path: &str| fs::read_to_string(path).unwrap_or_default();
    let (mut config, said) =
        dns::Config::from_system(&read("/etc/resolv.conf"), &read("/etc/hosts"), |_| None);
    warnings.extend(said);
    config.families = match engine.ip {
        Ip::Any => dns::Families::Both,
        Ip::V4 => dns::Families::V4,
        Ip::V6 => dns::Families::V6,
    };
    if !engine.dns_servers.is_empty() {
        config.servers.clear();
        for text in &engine.dns_servers {
            let bare = text
                .trim_matches(['[', ']'])
                .parse::<IpAddr>()
                .map(|address| SocketAddr::new(address, 53));
            match text.parse().or(bare) {
                Ok(server) => config.servers.push(server),
                Err(_) => {
                    return refuse(
                        2,
                        format!(
                            "--dns-servers: '{text}' is no address (as in 192.0.2.53 or [2001:db8::53]:5353)"
                        ),
                    );
                }
            }
        }
    }
    Ok(config)
}

fn read_netrc(netrc: &plan::Netrc) -> Result<Option<Netrc>, Refusal> {
    let named = std::env::var_os("NETRC").filter(|name| !name.is_empty()).map(PathBuf::from);
    let path = match netrc.file.clone().or(named) {
        Some(path) => path,
        None => {
            let home = std::env::var_os(if cfg!(windows) { "USERPROFILE" } else { "HOME" });
            let Some(home) = home.filter(|home| !home.is_empty()) else { return Ok(None) };
            PathBuf::from(home).join(".netrc")
        }
    };
    match fs::metadata(&path) {
        Ok(meta) if meta.len() > MAX_NETRC as u64 => {
            return refuse(26, format!("{} is no netrc file: it is too long", path.display()));
        }
        // Without an explicit name a missing file is nothing, as with curl.
        Err(_) if netrc.file.is_none() || netrc.optional => return Ok(None),
        _ => {}
    }
    let text = match fs::read(&path) {
        Ok(bytes) => String::from_utf8_lossy(&bytes).into_owned(),
        Err(error) => return refuse(26, format!("can't read {}: {error}", path.display())),
    };
    match Netrc::parse(&text) {
        Ok(netrc) => Ok(Some(netrc)),
        Err(error) => refuse(26, format!("{}: {error}", path.display())),
    }
}
