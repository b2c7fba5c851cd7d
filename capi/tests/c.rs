//! The C interface, from C and from Python: the header is fresh, the examples are built and run,
//! and a peer that resets does not kill its host.

use std::fmt::Write as _;
use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::OnceLock;

use engine::origin::{Script, spawn};

fn folder() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// The header is what cbindgen makes of the sources. `GANNET_BLESS=1` writes it.
#[test]
fn the_header_is_fresh() {
    let text = header_of_sources();
    let path = folder().join("gannet.h");
    if std::env::var_os("GANNET_BLESS").is_some() {
        std::fs::write(&path, &text).unwrap();
    }
    let kept = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(
        kept.as_bytes() == text,
        "gannet.h is not fresh: GANNET_BLESS=1 cargo test -p gannet-capi"
    );
}

/// Where the libraries are: built by the cargo that runs this test.
fn libraries() -> &'static Path {
    static BUILT: OnceLock<PathBuf> = OnceLock::new();
    BUILT.get_or_init(|| {
        let mut build = Command::new(env!("CARGO"));
        build.args(["build", "--quiet", "--locked", "--package", "gannet-capi", "--lib"]);
        assert!(build.current_dir(folder()).status().unwrap().success());
        let test = std::env::current_exe().unwrap();
        // target/debug/deps/c-HASH
        test.parent().unwrap().parent().unwrap().to_owned()
    })
}

/// The header, made anew.
fn header_of_sources() -> Vec<u8> {
    let config = cbindgen::Config::from_file(folder().join("cbindgen.toml")).unwrap();
    let made = cbindgen::Builder::new()
        .with_config(config)
        .with_src(folder().join("src/types.rs"))
        .with_src(folder().join("src/lib.rs"))
        .generate()
        .unwrap();
    let mut text = Vec::new();
    made.write(&mut text);
    text
}

/// An example, compiled against the header and the shared library.
fn compiled(name: &str, dir: &Path, flags: &[&str]) -> PathBuf {
    let program = dir.join(name);
    let libraries = libraries();
    // The SONAME is what a program asks for.
    let soname = dir.join("libgannet.so.0");
    if !soname.exists() {
        std::os::unix::fs::symlink(libraries.join("libgannet.so"), &soname).unwrap();
    }
    let output = Command::new("cc")
        .args(["-std=gnu11", "-Wall", "-Wextra", "-Wredundant-decls", "-Werror", "-g"])
        .args(flags)
        .arg("-I")
        .arg(folder())
        .arg(folder().join("examples").join(format!("{name}.c")))
        .arg(&soname)
        .arg(format!("-Wl,-rpath,{}", dir.display()))
        .arg("-lpthread")
        .arg("-o")
        .arg(&program)
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    program
}

fn text(output: &Output) -> String {
    let mut text = String::from_utf8_lossy(&output.stdout).into_owned();
    let _ = write!(text, "{}{}", String::from_utf8_lossy(&output.stderr), output.status);
    text
}

/// Runs a program with SIGPIPE at its default disposition, which Rust's own children do not have
/// by themselves; under valgrind where `GANNET_VALGRIND` is set.
fn run(program: &Path, arguments: &[String], input: &str) -> Output {
    use std::io::Write as _;
    let valgrind = "valgrind -q --error-exitcode=99 --leak-check=full --show-leak-kinds=definite";
    let before = if std::env::var_os("GANNET_VALGRIND").is_some() { valgrind } else { "" };
    let mut child = Command::new("python3")
        .arg("-c")
        .arg(
            "import os, signal, sys\n\
             signal.signal(signal.SIGPIPE, signal.SIG_DFL)\n\
             command = sys.argv[1].split() + sys.argv[2:]\n\
             os.execvp(command[0], command)",
        )
        .arg(before)
        .arg(program)
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    // A program that ends without reading its input is no failure of the test's.
    let _ = child.stdin.take().unwrap().write_all(input.as_bytes());
    child.wait_with_output().unwrap()
}

#[test]
fn the_library_has_a_soname_and_exports_the_header_alone() {
    let library = libraries().join("libgannet.so");
    let output = Command::new("readelf").arg("-d").arg(&library).output().unwrap();
    assert!(text(&output).contains("Library soname: [libgannet.so.0]"), "{}", text(&output));
    let output = Command::new("nm").args(["-D", "--defined-only"]).arg(&library).output().unwrap();
    let header = std::fs::read_to_string(folder().join("gannet.h")).unwrap();
    let mut exported = 0;
    for line in String::from_utf8_lossy(&output.stdout).lines() {
        let name = line.rsplit(' ').next().unwrap_or_default();
        if name.starts_with("gannet_") {
            exported += 1;
            assert!(header.contains(&format!("{name}(")), "{name} is not in the header");
        } else {
            assert!(!line.contains(" T ") || name.starts_with('_'), "{line}");
        }
    }
    assert!(exported >= 25, "{exported}");
}

#[test]
fn a_list_of_urls_from_c() {
    let server = spawn(Script::new()).unwrap();
    let dir = tempfile::tempdir().unwrap();
    let program = compiled("fetch", dir.path(), &[]);
    let list: String =
        (0..500).map(|n| format!("{}\n", server.url(&format!("/bytes/1000?{n}")))).collect();
    let output = run(&program, &["-".to_owned()], &list);
    assert!(output.status.success(), "{}", text(&output));
    assert!(text(&output).contains("500 done, 0 failed, 500000 bytes"), "{}", text(&output));
}

#[test]
fn what_the_border_promises() {
    let server = spawn(Script::new()).unwrap();
    let dir = tempfile::tempdir().unwrap();
    let program = compiled("border", dir.path(), &[]);
    let output = run(&program, &[server.url("")], "");
    assert!(output.status.success(), "{}", text(&output));
    assert!(text(&output).starts_with("ok"), "{}", text(&output));
}

#[test]
fn the_border_under_address_sanitizer() {
    let dir = tempfile::tempdir().unwrap();
    let server = spawn(Script::new()).unwrap();
    let program = compiled("border", dir.path(), &["-fsanitize=address"]);
    let output = Command::new(&program).arg(server.url("")).output().unwrap();
    assert!(output.status.success(), "{}", text(&output));
    assert!(text(&output).starts_with("ok"), "{}", text(&output));
}

/// A peer that resets while it is written to, again and again.
fn resetting() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        use std::io::{Read as _, Write as _};
        for (n, stream) in listener.incoming().enumerate() {
            let Ok(mut stream) = stream else { return };
            let mut buffer = [0; 16];
            let _ = stream.read(&mut buffer);
            if n % 2 == 0 {
                // One answer on a connection that is kept, as it seems.
                let _ = stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\nx");
            }
            // Unread bytes make the close a reset.
            drop(stream);
        }
    });
    address
}

#[test]
fn a_peer_that_resets_does_not_kill_the_host() {
    let dir = tempfile::tempdir().unwrap();
    let program = compiled("fetch", dir.path(), &[]);
    let address = resetting();
    let path = "x".repeat(3_000);
    let urls: Vec<String> = (0..60).map(|n| format!("http://{address}/{path}?{n}")).collect();
    let output = run(&program, &["-".to_owned()], &urls.join("\n"));
    // Each of them is told, and the program came to its own end.
    assert!(output.status.code().is_some_and(|code| code < 2), "{}", text(&output));
    assert!(text(&output).contains("60 done"), "{}", text(&output));
}

/// What `capi/install.sh` installs is found by pkg-config, and the programs of `docs/c.md` are built
/// against it as they stand there.
#[test]
fn the_guides_programs_against_what_is_installed() {
    let server = spawn(Script::new()).unwrap();
    let dir = tempfile::tempdir().unwrap();
    let prefix = dir.path().join("prefix");
    let output = Command::new("bash")
        .arg(folder().join("install.sh"))
        .arg(&prefix)
        .env("GANNET_PROFILE", "dev")
        .env("CARGO_TARGET_DIR", libraries().parent().unwrap())
        .env_remove("DESTDIR")
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", text(&output));
    let flags = |more: &[&str]| {
        let output = Command::new("pkg-config")
            .args(["--cflags", "--libs"])
            .args(more)
            .arg("gannet")
            .env("PKG_CONFIG_PATH", prefix.join("lib/pkgconfig"))
            .output()
            .unwrap();
        assert!(output.status.success(), "{}", text(&output));
        let flags = String::from_utf8(output.stdout).unwrap();
        flags.split_whitespace().map(str::to_owned).collect::<Vec<_>>()
    };
    let guide = std::fs::read_to_string(folder().join("../docs/c.md")).unwrap();
    let programs: Vec<&str> =
        guide.split("```c\n").skip(1).map(|rest| rest.split("```").next().unwrap()).collect();
    assert_eq!(programs.len(), 4);
    let mut built = Vec::new();
    for (n, source) in programs.into_iter().enumerate() {
        let (program, path) = (dir.path().join(n.to_string()), dir.path().join(format!("{n}.c")));
        std::fs::write(&path, source).unwrap();
        let output = Command::new("cc")
            .args(["-std=gnu11", "-Wall", "-Wextra", "-Werror"])
            .arg(&path)
            .args(flags(&[]))
            .arg(format!("-Wl,-rpath,{}", prefix.join("lib").display()))
            .arg("-o")
            .arg(&program)
            .output()
            .unwrap();
        assert!(output.status.success(), "{}", text(&output));
        built.push(program);
    }
    let urls = [server.url("/bytes/1234"), server.url("/redirect/2"), server.url("/status/404")];
    let output = run(&built[0], &urls, "");
    assert!(output.status.success(), "{}", text(&output));
    let mut lines: Vec<String> = text(&output).lines().map(str::to_owned).collect();
    lines.sort();
    assert_eq!(lines[0], "1 200 1234 ", "{lines:?}");
    assert!(lines[1].starts_with("2 200 ") && lines[2].starts_with("3 404 "), "{lines:?}");
    let list: String =
        (0..300).map(|n| format!("{}\n", server.url(&format!("/bytes/1000?{n}")))).collect();
    let output = run(&built[1], &[], &list);
    assert!(text(&output).starts_with("300000 bytes\n"), "{}", text(&output));
    let sent: String = (0..5_000).map(|n| format!("line {n}\n")).collect();
    let output = run(&built[2], &[server.url("/echo")], &sent);
    assert!(output.status.success(), "{}", text(&output));
    assert!(text(&output).starts_with("PUT /echo HTTP/1.1\r\n"), "{}", text(&output));
    assert!(output.stdout.ends_with(b"line 4998\nline 4999\n"), "{}", text(&output));
    let output = run(&built[3], &[], "");
    assert!(output.status.success(), "{}", text(&output));
    assert!(text(&output).contains(" bytes at most\n"), "{}", text(&output));
}

/// A thousand URLs into files, in a poll loop that has a timer of its own, bounded by a mebibyte.
#[test]
fn a_mirror_beside_a_timer() {
    let server = spawn(Script::new()).unwrap();
    let dir = tempfile::tempdir().unwrap();
    let program = compiled("mirror", dir.path(), &[]);
    let (list, out) = (dir.path().join("list"), dir.path().join("out"));
    std::fs::create_dir(&out).unwrap();
    // The last of them is not there: it leaves no file.
    let mut urls: String =
        (1..1_000).map(|n| format!("{}\n", server.url(&format!("/bytes/{n}")))).collect();
    writeln!(urls, "{}", server.url("/status/404")).unwrap();
    std::fs::write(&list, urls).unwrap();
    let arguments = [&list, &out].map(|path| path.display().to_string());
    let output = run(&program, &arguments, "");
    let told = text(&output);
    assert_eq!(output.status.code(), Some(1), "{told}");
    assert!(told.contains("999 files, 1 failed, 499500 bytes"), "{told}");
    assert!(told.contains("1000: 404"), "{told}");
    for n in 1..1_000 {
        let length = std::fs::metadata(out.join(format!("{n:05}"))).unwrap().len();
        assert_eq!(length, n, "file {n}");
    }
    assert!(!out.join("01000").exists());
}

#[test]
fn from_python() {
    let server = spawn(Script::new()).unwrap();
    let output = Command::new("python3")
        .arg(folder().join("examples/fetch.py"))
        .arg(libraries().join("libgannet.so"))
        .args([server.url("/bytes/1234"), server.url("/redirect/2"), server.url("/gzip/5000")])
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", text(&output));
    let told = text(&output);
    let mut lines: Vec<&str> = told.lines().take(3).collect();
    lines.sort_unstable();
    assert_eq!(lines[0], "0 200 1234", "{told}");
    assert!(lines[1].starts_with("1 200"), "{told}");
    assert_eq!(lines[2], "2 200 5000", "{told}");
}
