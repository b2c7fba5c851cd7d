//! Bodies that come out on standard output whole or not at all.
//!
//! Owns where they wait: in memory as long as they are short, then in a file without a name. Who
//! may hold how much is decided elsewhere.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Seek, SeekFrom, Write};
use std::time::SystemTime;

use super::stdio::Stdout;

/// A body beyond this goes from memory into an unlinked file.
const SPOOL: usize = 1 << 20;

/// A body that comes out whole or not at all.
#[derive(Debug, Default)]
pub struct Spool {
    memory: Vec<u8>,
    file: Option<File>,
}

impl Spool {
    /// Bytes that it holds in memory.
    pub fn held(&self) -> u64 {
        self.memory.len() as u64
    }

    /// More of it; in memory as long as it is short and may be there.
    pub fn write(&mut self, bytes: &[u8], may_hold: bool) -> io::Result<()> {
        if let Some(file) = &mut self.file {
            return file.write_all(bytes);
        }
        self.memory.extend_from_slice(bytes);
        if self.memory.len() > SPOOL || !may_hold {
            let mut file = unlinked()?;
            file.write_all(&self.memory)?;
            self.memory = Vec::new();
            self.file = Some(file);
        }
        Ok(())
    }

    /// What was written is void.
    pub fn clear(&mut self) {
        self.memory.clear();
        self.file = None;
    }

    /// All of it to standard output; empty afterwards.
    pub fn pour(&mut self) -> io::Result<()> {
        let result = match &mut self.file {
            None => Stdout.write_all(&self.memory),
            Some(file) => {
                file.seek(SeekFrom::Start(0)).and_then(|_| io::copy(file, &mut Stdout)).map(|_| ())
            }
        };
        self.clear();
        result
    }
}

/// A file without a name: it is gone when it is closed, however this run ends.
pub(super) fn unlinked() -> io::Result<File> {
    let folder = std::env::temp_dir();
    let now =
        SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).map_or(0, |time| time.as_nanos());
    for attempt in 0..100 {
        let path = folder.join(format!("gannet-{}-{now:x}-{attempt}", std::process::id()));
        match OpenOptions::new().read(true).write(true).create_new(true).open(&path) {
            Ok(file) => {
                fs::remove_file(&path)?;
                return Ok(file);
            }
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            Err(error) => return Err(error),
        }
    }
    Err(io::Error::other("no free name in the folder for temporary files"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_spools_leave_memory() {
        let mut spool = Spool::default();
        spool.write(&vec![7; SPOOL], true).unwrap();
        assert!(spool.file.is_none() && spool.held() == SPOOL as u64);
        spool.write(b"x", true).unwrap();
        assert!(spool.file.is_some() && spool.memory.is_empty());
        spool.clear();
        assert!(spool.file.is_none());
        spool.write(b"x", false).unwrap();
        assert!(spool.file.is_some() && spool.held() == 0);
    }
}
