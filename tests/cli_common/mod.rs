//! The built binary in a folder of its own, with a cleared environment and bounded in time.
#![allow(dead_code, reason = "each test file uses its part")]

use std::ffi::{OsStr, OsString};
use std::io::{Read, Write};
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::rc::Rc;
use std::time::{Duration, Instant};

/// A run ends after this long, or the test fails.
const LONGEST: Duration = Duration::from_secs(90);

/// A command line that is being put together.
#[derive(Clone)]
pub(crate) struct Gannet {
    dir: Rc<tempfile::TempDir>,
    args: Vec<OsString>,
    stdin: Option<Vec<u8>>,
    env: Vec<(String, String)>,
}

/// What came of it.
pub(crate) struct Run {
    pub code: i32,
    pub out: String,
    pub err: String,
    dir: Rc<tempfile::TempDir>,
}

impl Gannet {
    pub(crate) fn new() -> Self {
        Self {
            dir: Rc::new(tempfile::tempdir().unwrap()),
            args: Vec::new(),
            stdin: None,
            env: Vec::new(),
        }
    }

    /// A further command in the same folder.
    pub(crate) fn gannet(&self) -> Self {
        Self { dir: Rc::clone(&self.dir), args: Vec::new(), stdin: None, env: Vec::new() }
    }

    pub(crate) fn args<S: AsRef<OsStr>>(&self, args: impl IntoIterator<Item = S>) -> Self {
        let mut new = self.clone();
        new.args.extend(args.into_iter().map(|arg| arg.as_ref().to_owned()));
        new
    }

    pub(crate) fn env(mut self, name: &str, value: &str) -> Self {
        self.env.push((name.to_owned(), value.to_owned()));
        self
    }

    pub(crate) fn stdin(self, text: &str) -> Self {
        self.stdin_bytes(text.as_bytes().to_vec())
    }

    pub(crate) fn stdin_bytes(mut self, bytes: Vec<u8>) -> Self {
        self.stdin = Some(bytes);
        self
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn command(&self) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_gannet"));
        command.args(&self.args).current_dir(self.dir.path()).env_clear();
        command.envs(self.env.iter().map(|(name, value)| (name, value)));
        command
    }

    pub(crate) fn spawn(&self, stdin: Stdio) -> Child {
        self.spawn_with(stdin, Stdio::piped())
    }

    pub(crate) fn spawn_with(&self, stdin: Stdio, stderr: Stdio) -> Child {
        let mut command = self.command();
        command.stdin(stdin).stdout(Stdio::piped()).stderr(stderr).spawn().unwrap()
    }

    pub(crate) fn run_bytes(&self) -> (i32, Vec<u8>, Vec<u8>) {
        let mut child =
            self.spawn(if self.stdin.is_some() { Stdio::piped() } else { Stdio::null() });
        let writer = self.stdin.clone().zip(child.stdin.take()).map(|(bytes, mut stdin)| {
            // A run that ends early does not read all.
            std::thread::spawn(move || drop(stdin.write_all(&bytes)))
        });
        let mut out = child.stdout.take().unwrap();
        let mut err = child.stderr.take().unwrap();
        let out = std::thread::spawn(move || read(&mut out));
        let err = std::thread::spawn(move || read(&mut err));
        let status = wait(&mut child, LONGEST);
        if let Some(writer) = writer {
            writer.join().unwrap();
        }
        (status.code().unwrap_or(-1), out.join().unwrap(), err.join().unwrap())
    }

    /// With a terminal as standard output, and what that shows.
    #[cfg(unix)]
    pub(crate) fn run_on_terminal(&self) -> Run {
        use std::os::unix::ffi::OsStrExt;
        use std::os::unix::fs::OpenOptionsExt;

        use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};

        let master = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).unwrap();
        grantpt(&master).unwrap();
        unlockpt(&master).unwrap();
        let name = ptsname(&master, Vec::new()).unwrap();
        // It must not become the terminal of the test itself.
        let terminal = std::fs::File::options()
            .read(true)
            .write(true)
            .custom_flags(rustix::fs::OFlags::NOCTTY.bits() as i32)
            .open(OsStr::from_bytes(name.as_bytes()))
            .unwrap();
        let mut child = self
            .command()
            .stdin(Stdio::null())
            .stdout(terminal)
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut shown = std::fs::File::from(master);
        let out = std::thread::spawn(move || {
            let mut bytes = Vec::new();
            // Its end is an error on some systems.
            let _ = shown.read_to_end(&mut bytes);
            bytes
        });
        let err = read(&mut child.stderr.take().unwrap());
        let code = wait(&mut child, LONGEST).code().unwrap_or(-1);
        Run {
            code,
            out: String::from_utf8_lossy(&out.join().unwrap()).into_owned(),
            err: String::from_utf8_lossy(&err).into_owned(),
            dir: Rc::clone(&self.dir),
        }
    }

    pub(crate) fn run(&self) -> Run {
        let (code, out, err) = self.run_bytes();
        Run {
            code,
            out: String::from_utf8_lossy(&out).into_owned(),
            err: String::from_utf8_lossy(&err).into_owned(),
            dir: Rc::clone(&self.dir),
        }
    }
}

fn read(from: &mut impl Read) -> Vec<u8> {
    let mut bytes = Vec::new();
    from.read_to_end(&mut bytes).unwrap();
    bytes
}

impl Run {
    pub(crate) fn gannet(&self) -> Gannet {
        Gannet { dir: Rc::clone(&self.dir), args: Vec::new(), stdin: None, env: Vec::new() }
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// Names in a folder, sorted.
    pub(crate) fn files(&self, folder: &str) -> Vec<String> {
        let mut names: Vec<String> = std::fs::read_dir(self.path(folder))
            .map(|entries| {
                entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
            })
            .unwrap_or_default();
        names.sort();
        names
    }
}

/// Waits for a child, and kills it when it takes too long.
pub(crate) fn wait(child: &mut Child, longest: Duration) -> ExitStatus {
    let until = Instant::now() + longest;
    loop {
        if let Some(status) = child.try_wait().unwrap() {
            return status;
        }
        if Instant::now() > until {
            child.kill().unwrap();
            panic!("it did not end within {longest:?}: {:?}", child.wait());
        }
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// Whether the test runner itself was started with this signal ignored (a background job of a
/// script has SIGINT so): children inherit that, and gannet leaves it as it is.
pub(crate) fn inherits_ignored(signal: &str) -> bool {
    let number = match signal {
        "HUP" => 1,
        "INT" => 2,
        _ => 15,
    };
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    let mask = mask.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok()).unwrap_or(0);
    mask >> (number - 1) & 1 == 1
}

/// Sends a signal to a child.
pub(crate) fn kill(child: &Child, signal: &str) {
    let status = Command::new("kill")
        .args([&format!("-{signal}"), &child.id().to_string()])
        .status()
        .unwrap();
    assert!(status.success());
}

/// The records of a run.
pub(crate) fn records(text: &str) -> Vec<serde_json::Value> {
    text.lines()
        .map(|line| serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}")))
        .collect()
}

/// A digest in hex.
pub(crate) fn sha256(bytes: &[u8]) -> String {
    use sha2::Digest;
    sha2::Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The most memory that a process has had, in KiB; 0 when it is gone.
pub(crate) fn peak_kib(pid: u32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    line.and_then(|line| line.trim().trim_end_matches(" kB").parse().ok()).unwrap_or(0)
}
